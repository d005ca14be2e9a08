// SPDX-License-Identifier: Apache-2.0
// Reads JSON from outside once, from front to back, without a tree: memory is the text's own and one key for each level
// of nesting, whatever the sender wrote. For identity's own files: it includes nlohmann's header.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace memcrest {

// Calls `on_value` with each string, number or truth value and the keys that lead to it ("" for an element of an
// array), `on_close` at the end of each object with its depth. Fractions, numbers beyond 64 bits and null are left out.
class JsonWalker final : public nlohmann::json::json_sax_t {
 public:
  static constexpr std::size_t kMaxDepth = 32;

  struct Value {
    enum class Kind { kText, kNumber, kTruth };
    Kind kind = Kind::kText;
    std::string_view text;    // valid during the call
    std::int64_t number = 0;  // a truth value: 1 or 0

    [[nodiscard]] bool is_text() const { return kind == Kind::kText; }
    [[nodiscard]] bool is_number() const { return kind == Kind::kNumber; }
    [[nodiscard]] bool is_truth() const { return kind == Kind::kTruth; }
  };
  using Path = std::vector<std::string>;

  std::function<void(const Path&, const Value&)> on_value;
  std::function<void(std::size_t depth)> on_close = [](std::size_t /*depth*/) {};

  // False: not JSON, or nested too deep; why() says which.
  [[nodiscard]] bool walk(std::string_view json) {
    try {
      return nlohmann::json::sax_parse(json.begin(), json.end(), this) && why_.empty();
    } catch (const std::exception& error) {  // out of memory
      why_ = error.what();
      return false;
    }
  }
  [[nodiscard]] const std::string& why() const { return why_; }
  [[nodiscard]] bool is_list() const { return list_; }  // the outermost value

  // nlohmann's parser calls these; returning false stops it without an exception.
  bool null() override { return true; }
  bool boolean(bool value) override { return give({.kind = Value::Kind::kTruth, .number = value ? 1 : 0}); }
  bool number_float(double /*value*/, const std::string& /*text*/) override { return true; }
  bool binary(nlohmann::json::binary_t& /*value*/) override { return true; }
  bool number_integer(std::int64_t value) override { return give({.kind = Value::Kind::kNumber, .number = value}); }
  bool number_unsigned(std::uint64_t value) override {
    constexpr auto kLargest = std::numeric_limits<std::int64_t>::max();
    return value > static_cast<std::uint64_t>(kLargest) || number_integer(static_cast<std::int64_t>(value));
  }
  bool string(std::string& value) override { return give({.text = value}); }
  bool key(std::string& name) override {
    path_.back() = name;
    return true;
  }
  bool start_object(std::size_t /*elements*/) override { return open(); }
  bool start_array(std::size_t /*elements*/) override {
    list_ = list_ || path_.empty();
    return open();
  }
  bool end_object() override {
    path_.pop_back();
    on_close(path_.size());
    return true;
  }
  bool end_array() override {
    path_.pop_back();
    return true;
  }
  bool parse_error(std::size_t position, const std::string& /*last_token*/,
                   const nlohmann::json::exception& /*error*/) override {
    why_ = "not JSON at byte " + std::to_string(position);
    return false;
  }

 private:
  bool give(const Value& value) {
    if (!path_.empty()) {
      on_value(path_, value);
    }
    return true;
  }
  bool open() {
    path_.emplace_back();
    if (path_.size() > kMaxDepth) {
      why_ = "JSON nested deeper than " + std::to_string(kMaxDepth);
      return false;
    }
    return true;
  }

  Path path_;
  std::string why_;
  bool list_ = false;
};

// At most `limit` bytes, never half of a character.
[[nodiscard]] inline std::string cut_utf8(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) {
    return std::string(text);
  }
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0U) == 0x80U) {
    --limit;
  }
  return std::string(text.substr(0, limit));
}

}  // namespace memcrest
