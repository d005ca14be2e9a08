// SPDX-License-Identifier: Apache-2.0
// Figures as the reasons of a verdict write them. Any double may come from a recording.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <string>

#include "util/units.h"

namespace memcrest {

inline std::string span_words(double ms) {
  const double ns = std::isfinite(ms) ? std::clamp(ms * 1e6, 0.0, 9e18) : 0;
  return format_duration(std::chrono::nanoseconds(static_cast<std::int64_t>(ns)));
}

inline std::string percent_words(double part) {
  return std::to_string(static_cast<int>(std::round(std::isfinite(part) ? std::clamp(part, 0.0, 1.0) * 100 : 0))) +
         " %";
}

}  // namespace memcrest
