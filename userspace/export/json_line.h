// SPDX-License-Identifier: Apache-2.0
// One JSON object as one line, built member by member: for lines of which there are millions. Names are ours, values
// may hold anything.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace memcrest {

// A JSON string with its quotes: valid UTF-8, and nothing in it that ends a line or moves a terminal.
void append_json_text(std::string& out, std::string_view raw);
[[nodiscard]] std::string json_text(std::string_view raw);

class JsonLine {
 public:
  JsonLine() : out_("{") {}
  JsonLine& text(std::string_view name, std::string_view raw);
  JsonLine& text_or_null(std::string_view name, std::string_view raw);  // empty: null
  JsonLine& number(std::string_view name, std::uint64_t value);
  JsonLine& signed_number(std::string_view name, std::int64_t value);
  JsonLine& number(std::string_view name, const std::optional<std::uint64_t>& value);
  JsonLine& flag(std::string_view name, bool value);
  JsonLine& null(std::string_view name) { return raw(name, "null"); }
  JsonLine& time(std::string_view name, const std::optional<std::int64_t>& unix_ns);  // RFC 3339, or null
  JsonLine& raw(std::string_view name, std::string_view json);
  // The object, without a line end; begins anew.
  [[nodiscard]] std::string take();

 private:
  void begin(std::string_view name);
  std::string out_;
};

}  // namespace memcrest
