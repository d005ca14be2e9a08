// SPDX-License-Identifier: Apache-2.0
// How single values become JSON: for sources only, never for another header, since it shows nlohmann/json.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "util/text.h"

namespace memcrest {

using Json = nlohmann::ordered_json;

// One line without the newline: valid UTF-8, and nothing in it that ends a line or moves a terminal. No throw.
[[nodiscard]] std::string to_line(const Json& json);

inline std::string text(const std::string& raw) { return to_valid_utf8(raw); }

inline Json text_or_null(const std::string& raw) { return raw.empty() ? Json(nullptr) : Json(text(raw)); }

template <typename T>
Json number_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

inline Json pid_or_null(std::uint32_t pid) { return pid == 0 ? Json(nullptr) : Json(pid); }

// JSON has no NaN and no infinity.
inline double finite(double value) { return std::isfinite(value) ? value : 0; }

// A length of time: no NaN, no infinity, not below zero.
inline double span_ms(double value) { return std::max(0.0, finite(value)); }

template <typename T, typename F>
Json object_or_null(const std::optional<T>& value, F one) {
  return value ? one(*value) : Json(nullptr);
}

template <typename T, typename F>
Json array_json(const std::vector<T>& values, F one) {
  Json json = Json::array();
  for (const auto& value : values) {
    json.push_back(one(value));
  }
  return json;
}

}  // namespace memcrest
