// SPDX-License-Identifier: Apache-2.0
#include "top/curve.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace memcrest {
namespace {

constexpr std::array<const char*, 9> kBlocks = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

std::size_t columns_of(double part, std::size_t columns) {
  const double whole = std::isfinite(part) ? std::clamp(part, 0.0, 1.0) : 0;
  return static_cast<std::size_t>(std::lround(whole * static_cast<double>(columns)));
}

// In eighths of a character; something is never nothing.
std::size_t eighths(std::uint64_t value, std::uint64_t highest, std::size_t most) {
  if (value == 0 || highest == 0) {
    return 0;
  }
  const double part = std::min(1.0, static_cast<double>(value) / static_cast<double>(highest));
  return std::clamp<std::size_t>(static_cast<std::size_t>(std::lround(part * static_cast<double>(most))), 1, most);
}

}  // namespace

std::string share_bar(double use, double peak, std::size_t columns) {
  const std::size_t used = columns_of(use, columns);
  const std::size_t marked = std::max(used, columns_of(peak, columns));
  std::string out;
  for (std::size_t i = 0; i < columns; ++i) {
    const bool at_peak = marked > used && i + 1 == marked;
    out += at_peak ? "┃" : i < used ? "█" : i < marked ? "▒" : "·";
  }
  return out;
}

std::string minute_line(const std::vector<std::uint64_t>& history, std::uint64_t highest, std::size_t columns) {
  std::string out;
  for (std::size_t column = 0; column < columns; ++column) {
    // Seconds of this column, counted from the newest.
    const std::size_t from = (columns - column - 1) * kLiveSeconds / columns;
    const std::size_t to = std::max(from + 1, (columns - column) * kLiveSeconds / columns);
    std::uint64_t value = 0;
    for (std::size_t ago = from; ago < to && ago < history.size(); ++ago) {
      value = std::max(value, history[history.size() - 1 - ago]);
    }
    out += kBlocks[eighths(value, highest, 8)];
  }
  return out;
}

std::vector<std::string> chart(const std::vector<LivePoint>& points, std::uint64_t from_ns, std::uint64_t to_ns,
                               std::uint64_t highest, std::size_t columns, std::size_t rows) {
  std::vector<std::uint64_t> values(columns, 0);
  const std::uint64_t width = std::max<std::uint64_t>(1, to_ns > from_ns ? to_ns - from_ns : 1);
  std::uint64_t standing = 0;
  auto at = points.begin();
  for (; at != points.end() && at->time_ns < from_ns; ++at) {
    standing = at->usage_bytes;
  }
  for (std::size_t column = 0; column < columns; ++column) {
    const auto end = from_ns + static_cast<std::uint64_t>(static_cast<double>(width) * static_cast<double>(column + 1) /
                                                          static_cast<double>(columns));
    std::uint64_t value = standing;
    for (; at != points.end() && (at->time_ns < end || (column + 1 == columns && at->time_ns <= to_ns)); ++at) {
      value = std::max(value, at->high_bytes);
      standing = at->usage_bytes;
    }
    values[column] = value;
  }
  std::vector<std::string> out;
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t below = (rows - row - 1) * 8;
    std::string line;
    for (const std::uint64_t value : values) {
      const std::size_t height = eighths(value, highest, rows * 8);
      line += kBlocks[height <= below ? 0 : std::min<std::size_t>(8, height - below)];
    }
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace memcrest
