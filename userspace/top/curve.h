// SPDX-License-Identifier: Apache-2.0
// Usage as characters: a bar with its peak marked, a line of the last minute, a chart of several lines. What was
// highest in the time of a character is what it shows, so that nothing short is lost. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "memcrest/live.h"

namespace memcrest {

// Parts of a whole; what lies beyond it ends at the edge. "████▒▒┃···": in use, the peak, and what is free.
[[nodiscard]] std::string share_bar(double use, double peak, std::size_t columns);

// The newest value at the right. `highest` is the height of a full character; values of 0 are blank.
[[nodiscard]] std::string minute_line(const std::vector<std::uint64_t>& history, std::uint64_t highest,
                                      std::size_t columns);

// `rows` lines from the top; the limit's height, where it lies within, is not drawn but the scale's end.
[[nodiscard]] std::vector<std::string> chart(const std::vector<LivePoint>& points, std::uint64_t from_ns,
                                             std::uint64_t to_ns, std::uint64_t highest, std::size_t columns,
                                             std::size_t rows);

}  // namespace memcrest
