// SPDX-License-Identifier: Apache-2.0
// Unsigned arithmetic that stops at the ends: sizes and times come from outside and may hold anything.
#pragma once

#include <cstdint>
#include <limits>

namespace memcrest {

[[nodiscard]] constexpr std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) {
  return a > std::numeric_limits<std::uint64_t>::max() - b ? std::numeric_limits<std::uint64_t>::max() : a + b;
}

[[nodiscard]] constexpr std::uint64_t saturating_sub(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

}  // namespace memcrest
