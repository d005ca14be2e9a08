// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/line_rule.h"

#include <charconv>
#include <cmath>

#include "util/units.h"

namespace memcrest {
namespace {

constexpr double kMostPercent = 100;

}  // namespace

Result<LineRule> parse_line_rule(std::string_view text) {
  if (!text.ends_with('%')) {
    auto size = parse_size(text);
    if (!size) {
      return fail("", "", 0, size.error().message() + "; or a part of the limit, such as 80%");
    }
    if (*size == 0) {
      return fail("", "", 0, "must be more than 0");
    }
    return LineRule{*size, std::nullopt};
  }
  const std::string_view number = text.substr(0, text.size() - 1);
  double percent = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), percent);
  if (error != std::errc{} || end != number.data() + number.size() || !std::isfinite(percent) || percent <= 0 ||
      percent > kMostPercent) {
    return fail("", "", 0, "must lie above 0% and not above 100%");
  }
  return LineRule{std::nullopt, percent};
}

std::string to_string(const LineRule& rule) {
  if (rule.bytes) {
    return format_size(*rule.bytes);
  }
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof(text), rule.percent.value_or(0));
  return error == std::errc{} ? std::string(text, end) + "%" : "?%";
}

std::optional<std::uint64_t> line_of(const LineRule& rule, std::optional<std::uint64_t> limit_bytes) {
  if (rule.bytes) {
    return rule.bytes;
  }
  if (!rule.percent || !limit_bytes) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(static_cast<double>(*limit_bytes) * *rule.percent / 100);
}

}  // namespace memcrest
