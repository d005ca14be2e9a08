// SPDX-License-Identifier: Apache-2.0
// What OTLP is told of containers and incidents, whichever encoding it takes: attributes by the semantic conventions,
// severity and a line of text. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "memcrest/incident.h"

namespace memcrest {

inline constexpr const char* kOtlpSchemaUrl = "https://opentelemetry.io/schemas/1.27.0";
// Of the log data model.
inline constexpr int kOtlpInfo = 9;
inline constexpr int kOtlpWarn = 13;
inline constexpr int kOtlpError = 17;

struct OtlpAttribute {
  std::string key;
  std::variant<std::string, std::int64_t, bool, std::vector<std::string>> value;
};

// In the order in which they were added. What is empty or not known is left out.
class OtlpAttributes {
 public:
  OtlpAttributes& text(std::string_view key, std::string_view value);
  OtlpAttributes& number(std::string_view key, std::uint64_t value);
  OtlpAttributes& number(std::string_view key, const std::optional<std::uint64_t>& value) {
    return value ? number(key, *value) : *this;
  }
  OtlpAttributes& flag(std::string_view key, bool value);
  OtlpAttributes& texts(std::string_view key, const std::vector<std::string>& values);
  [[nodiscard]] const std::vector<OtlpAttribute>& all() const { return all_; }

 private:
  std::vector<OtlpAttribute> all_;
};

// Attributes of a resource.
void add_container(OtlpAttributes& out, const Container& container, const std::string& cgroup_path);
// Attributes of a log record.
[[nodiscard]] OtlpAttributes attributes_of(const Incident& incident);
[[nodiscard]] int severity_of(const Incident& incident);
[[nodiscard]] const char* severity_text(int severity);
// "OOM kill: killed python[12]", as it was told: it may hold any byte.
[[nodiscard]] std::string body_of(const Incident& incident);

}  // namespace memcrest
