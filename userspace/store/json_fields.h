// SPDX-License-Identifier: Apache-2.0
// Structs with named fields (event_fields.h) as JSON and back. For sources only, never for another header: it shows
// nlohmann/json.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "store/event_fields.h"
#include "util/text.h"

namespace memcrest {

using FieldsJson = nlohmann::ordered_json;

constexpr const char* kHexKey = "hex";

namespace fields_detail {

template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <typename T>
struct IsDuration : std::false_type {};
template <typename R, typename P>
struct IsDuration<std::chrono::duration<R, P>> : std::true_type {};
template <typename T>
struct IsVector : std::false_type {};
template <typename T>
struct IsVector<std::vector<T>> : std::true_type {};

std::string hex_of(std::string_view bytes);
std::optional<std::string> bytes_of(std::string_view hex);

}  // namespace fields_detail

class FieldsWriter {
 public:
  template <typename T>
  void operator()(const char* name, const T& value) {
    if constexpr (fields_detail::IsOptional<T>::value) {
      if (value) {
        json_[name] = json_of(*value);
      }
    } else if constexpr (fields_detail::IsDuration<T>::value) {
      always(name, value);
    } else if constexpr (std::is_class_v<T>) {
      if (FieldsJson inner = json_of(value); inner.is_primitive() ? inner != "" : !inner.empty()) {
        json_[name] = std::move(inner);
      }
    } else if (value != T{}) {
      always(name, value);
    }
  }
  // For a field whose default is not zero.
  template <typename T>
  void always(const char* name, const T& value) {
    json_[name] = json_of(value);
  }
  [[nodiscard]] FieldsJson take() { return std::move(json_); }

  template <typename T>
  [[nodiscard]] static FieldsJson json_of(const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      return to_valid_utf8(value) == value ? FieldsJson(value) : FieldsJson{{kHexKey, fields_detail::hex_of(value)}};
    } else if constexpr (std::is_enum_v<T>) {
      return EnumNames<T>::kNames[static_cast<std::size_t>(value)];
    } else if constexpr (std::is_arithmetic_v<T>) {
      return value;
    } else if constexpr (fields_detail::IsDuration<T>::value) {
      return std::chrono::nanoseconds(value).count();
    } else if constexpr (fields_detail::IsVector<T>::value) {
      FieldsJson out = FieldsJson::array();
      for (const auto& one : value) {
        out.push_back(json_of(one));
      }
      return out;
    } else if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
      FieldsJson out = FieldsJson::array();  // keys may be no UTF-8 either
      for (const auto& [key, text] : value) {
        out.push_back(FieldsJson::array({json_of(key), json_of(text)}));
      }
      return out;
    } else {
      FieldsWriter inner;
      fields(inner, value);
      FieldsJson out = inner.take();
      return out.is_null() ? FieldsJson::object() : out;
    }
  }

 private:
  FieldsJson json_;
};

class FieldsReader {
 public:
  explicit FieldsReader(const FieldsJson& json) : json_(json) {}

  template <typename T>
  void operator()(const char* name, T& value) {
    const auto found = json_.find(name);
    if (found != json_.end() && !read(*found, value) && bad_.empty()) {
      bad_ = name;
    }
  }
  template <typename T>
  void always(const char* name, T& value) {
    (*this)(name, value);
  }
  // The first field whose value this cannot be; empty: none.
  [[nodiscard]] const std::string& bad() const { return bad_; }

  template <typename T>
  [[nodiscard]] static bool read(const FieldsJson& json, T& out) {
    if constexpr (fields_detail::IsOptional<T>::value) {
      return read(json, out.emplace());
    } else if constexpr (std::is_same_v<T, std::string>) {
      return read_text(json, out);
    } else if constexpr (std::is_enum_v<T>) {
      return read_enum(json, out);
    } else if constexpr (std::is_same_v<T, bool>) {
      out = json.is_boolean() && json.get<bool>();
      return json.is_boolean();
    } else if constexpr (std::is_floating_point_v<T>) {
      out = json.is_number() ? json.get<T>() : T{};
      return json.is_number();
    } else if constexpr (std::is_integral_v<T>) {
      return read_integer(json, out);
    } else if constexpr (fields_detail::IsDuration<T>::value) {
      std::int64_t ns = 0;
      const bool fits = read_integer(json, ns) && ns >= 0;
      out = std::chrono::duration_cast<T>(std::chrono::nanoseconds(fits ? ns : 0));
      return fits;
    } else if constexpr (fields_detail::IsVector<T>::value) {
      return read_array(json, out);
    } else if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
      return read_map(json, out);
    } else {
      if (!json.is_object()) {
        return false;
      }
      FieldsReader inner(json);
      fields(inner, out);
      return inner.bad().empty();
    }
  }

 private:
  static bool read_text(const FieldsJson& json, std::string& out) {
    if (json.is_string()) {
      out = json.get<std::string>();
      return true;
    }
    const auto hex = json.is_object() ? json.find(kHexKey) : json.end();
    if (!json.is_object() || hex == json.end() || !hex->is_string()) {
      return false;
    }
    auto bytes = fields_detail::bytes_of(hex->get_ref<const std::string&>());
    out = std::move(bytes).value_or("");
    return bytes.has_value();
  }

  template <typename T>
  static bool read_enum(const FieldsJson& json, T& out) {
    const auto& names = EnumNames<T>::kNames;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (json.is_string() && json.get_ref<const std::string&>() == names[i]) {
        out = static_cast<T>(i);
        return true;
      }
    }
    return false;
  }

  template <typename T>
  static bool read_integer(const FieldsJson& json, T& out) {
    if (json.is_number_unsigned()) {
      const auto value = json.get<std::uint64_t>();
      out = static_cast<T>(value);
      return std::in_range<T>(value);
    }
    if (json.is_number_integer()) {
      const auto value = json.get<std::int64_t>();
      out = static_cast<T>(value);
      return std::in_range<T>(value);
    }
    return false;
  }

  template <typename T>
  static bool read_array(const FieldsJson& json, std::vector<T>& out) {
    if (!json.is_array()) {
      return false;
    }
    for (const FieldsJson& one : json) {
      if (!read(one, out.emplace_back())) {
        return false;
      }
    }
    return true;
  }

  static bool read_map(const FieldsJson& json, std::map<std::string, std::string>& out) {
    if (!json.is_array()) {
      return false;
    }
    for (const FieldsJson& one : json) {
      std::string key;
      std::string text;
      if (!one.is_array() || one.size() != 2 || !read_text(one[0], key) || !read_text(one[1], text)) {
        return false;
      }
      out.emplace(std::move(key), std::move(text));
    }
    return true;
  }

  const FieldsJson& json_;
  std::string bad_;
};

}  // namespace memcrest
