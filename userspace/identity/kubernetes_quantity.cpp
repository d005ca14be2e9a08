// SPDX-License-Identifier: Apache-2.0
#include "identity/kubernetes_quantity.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace memcrest {
namespace {

using Wide = unsigned __int128;  // 19 digits times 2^60 fit

constexpr std::size_t kMaxDigits = 19;
constexpr int kMaxExponent = 18;

constexpr Wide power_of_ten(int exponent) {
  Wide power = 1;
  for (; exponent > 0; --exponent) {
    power *= 10;
  }
  return power;
}

// times / over
struct Scale {
  Wide times = 1;
  Wide over = 1;
};

std::optional<Scale> ten_to(int exponent) {
  if (exponent < -kMaxExponent || exponent > kMaxExponent) {
    return std::nullopt;
  }
  return exponent < 0 ? Scale{.over = power_of_ten(-exponent)} : Scale{.times = power_of_ten(exponent)};
}

std::optional<Scale> read_suffix(std::string_view suffix) {
  struct Named {
    std::string_view text;
    int tens;
    unsigned bits;
  };
  constexpr std::array kNamed = {
      Named{"", 0, 0},    Named{"Ki", 0, 10}, Named{"Mi", 0, 20}, Named{"Gi", 0, 30},
      Named{"Ti", 0, 40}, Named{"Pi", 0, 50}, Named{"Ei", 0, 60}, Named{"n", -9, 0},
      Named{"u", -6, 0},  Named{"m", -3, 0},  Named{"k", 3, 0},   Named{"M", 6, 0},
      Named{"G", 9, 0},   Named{"T", 12, 0},  Named{"P", 15, 0},  Named{"E", 18, 0},
  };
  const auto* const named = std::ranges::find(kNamed, suffix, &Named::text);
  if (named != kNamed.end()) {
    return named->bits > 0 ? Scale{.times = Wide{1} << named->bits} : ten_to(named->tens);
  }
  if (suffix.front() != 'e' && suffix.front() != 'E') {
    return std::nullopt;
  }
  suffix.remove_prefix(1);
  if (suffix.starts_with('+')) {
    suffix.remove_prefix(1);
    if (suffix.starts_with('-')) {
      return std::nullopt;
    }
  }
  int exponent = 0;
  const auto [end, error] = std::from_chars(suffix.data(), suffix.data() + suffix.size(), exponent);
  if (error != std::errc() || end != suffix.data() + suffix.size()) {
    return std::nullopt;
  }
  return ten_to(exponent);
}

}  // namespace

std::optional<std::uint64_t> parse_quantity(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
  }
  const std::string_view mantissa = text.substr(0, std::min(text.find_first_not_of("0123456789."), text.size()));
  Wide digits = 0;
  std::size_t significant = 0;
  std::size_t all = 0;
  int fraction = 0;
  bool point = false;
  for (const char c : mantissa) {
    if (c == '.') {
      if (point) {
        return std::nullopt;
      }
      point = true;
      continue;
    }
    ++all;
    fraction += point ? 1 : 0;
    significant += significant > 0 || c != '0' ? 1 : 0;
    if (significant > kMaxDigits || fraction > kMaxExponent) {
      return std::nullopt;
    }
    digits = digits * 10 + static_cast<unsigned>(c - '0');
  }
  const auto scale = all == 0 ? std::nullopt : read_suffix(text.substr(mantissa.size()));
  if (!scale) {
    return std::nullopt;
  }
  const Wide over = scale->over * power_of_ten(fraction);
  const Wide bytes = (digits * scale->times + over - 1) / over;
  if (bytes > static_cast<Wide>(std::numeric_limits<std::int64_t>::max())) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(bytes);
}

}  // namespace memcrest
