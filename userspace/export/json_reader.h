// SPDX-License-Identifier: Apache-2.0
// JSON that anybody may have written, read field by field: the first value that does not fit is remembered by its path.
// For the sources of this room only, since it shows nlohmann/json.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "export/json_value.h"
#include "util/result.h"

namespace memcrest {

// Bounded in time and memory, as incident_reader.h says.
[[nodiscard]] Result<Json> parse_untrusted(std::string_view text);

// One object. Null and missing are the same, and leave the target as it is.
class JsonReader {
 public:
  // Both must outlive it. `bad` is set once, to the path of the first value that does not fit.
  JsonReader(const Json& object, std::string& bad, std::string path = {})
      : object_(object), bad_(bad), path_(std::move(path)) {
    if (!object_.is_object()) {
      refuse({});
    }
  }

  void text(const char* name, std::string& out) const { take(name, &Json::is_string, out); }
  void boolean(const char* name, bool& out) const { take(name, &Json::is_boolean, out); }
  void real(const char* name, double& out) const { take(name, &Json::is_number, out); }
  template <typename T>
  void number(const char* name, T& out) const {
    const Json* value = find(name);
    if (value != nullptr && !take_integer(*value, out)) {
      refuse(name);
    }
  }
  template <typename T>
  void number(const char* name, std::optional<T>& out) const {
    const Json* value = find(name);
    if (value != nullptr && !take_integer(*value, out.emplace())) {
      out.reset();
      refuse(name);
    }
  }
  void boolean(const char* name, std::optional<bool>& out) const {
    if (find(name) != nullptr) {
      boolean(name, out.emplace());
    }
  }
  // One of `values`, by its to_string().
  template <typename T, std::size_t N>
  void word(const char* name, T& out, const T (&values)[N]) const {
    const Json* value = find(name);
    if (value == nullptr) {
      return;
    }
    for (const T one : values) {
      if (value->is_string() && value->get_ref<const std::string&>() == to_string(one)) {
        out = one;
        return;
      }
    }
    refuse(name);
  }
  // Nanoseconds since 1970 from RFC 3339.
  void time(const char* name, std::int64_t& out) const;

  // `read(JsonReader, T&)` for an object, if there is one.
  template <typename T, typename Read>
  void object(const char* name, T& out, Read read) const {
    if (const Json* value = find(name)) {
      read(JsonReader(*value, bad_, path_of(name)), out);
    }
  }
  template <typename T, typename Read>
  void object(const char* name, std::optional<T>& out, Read read) const {
    if (const Json* value = find(name)) {
      read(JsonReader(*value, bad_, path_of(name)), out.emplace());
    }
  }
  template <typename T, typename Read>
  void objects(const char* name, std::vector<T>& out, Read read) const {
    const Json* value = array(name);
    for (std::size_t i = 0; value != nullptr && i < value->size(); ++i) {
      read(JsonReader((*value)[i], bad_, path_of(name) + "." + std::to_string(i)), out.emplace_back());
    }
  }
  void texts(const char* name, std::vector<std::string>& out) const;
  void numbers(const char* name, std::vector<std::uint64_t>& out) const;
  void texts(const char* name, std::map<std::string, std::string>& out) const;
  void numbers(const char* name, std::vector<std::pair<std::string, std::uint64_t>>& out) const;

  [[nodiscard]] bool has(const char* name) const { return find(name) != nullptr; }
  // For what must not be missing, too.
  void refuse(const std::string& name) const {
    if (bad_.empty()) {
      bad_ = name.empty() ? path_ : path_of(name);
      bad_ = bad_.empty() ? "no object" : bad_;
    }
  }

 private:
  [[nodiscard]] std::string path_of(const std::string& name) const { return path_.empty() ? name : path_ + "." + name; }
  [[nodiscard]] const Json* find(const char* name) const;
  [[nodiscard]] const Json* array(const char* name) const;

  template <typename T>
  void take(const char* name, bool (Json::*is_kind)() const noexcept, T& out) const {
    const Json* value = find(name);
    if (value == nullptr) {
      return;
    }
    if ((value->*is_kind)()) {
      out = value->get<T>();
    } else {
      refuse(name);
    }
  }

  template <typename T>
  static bool take_integer(const Json& value, T& out) {
    if (value.is_number_unsigned()) {
      const auto number = value.get<std::uint64_t>();
      out = std::in_range<T>(number) ? static_cast<T>(number) : T{};
      return std::in_range<T>(number);
    }
    const auto number = value.is_number_integer() ? value.get<std::int64_t>() : 0;
    out = std::in_range<T>(number) ? static_cast<T>(number) : T{};
    return value.is_number_integer() && std::in_range<T>(number);
  }

  const Json& object_;
  std::string& bad_;
  std::string path_;
};

}  // namespace memcrest
