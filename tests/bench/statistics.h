// SPDX-License-Identifier: Apache-2.0
// Order statistics for benchmarks.
#pragma once

#include <algorithm>
#include <vector>

namespace memcrest::bench {

// The value below which a share `p` (0..1) of the values lies; 0 when there are none.
inline double percentile(std::vector<double> values, double p) {
  if (values.empty()) {
    return 0;
  }
  std::ranges::sort(values);
  const double at = p * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const auto above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (at - static_cast<double>(below));
}

}  // namespace memcrest::bench
