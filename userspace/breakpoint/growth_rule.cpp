// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/growth_rule.h"

#include <algorithm>
#include <limits>

#include "util/units.h"

namespace memcrest {

Result<GrowthRule> parse_growth_rule(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) {
    return fail("", "", 0, "must be a size and a time, such as 200m/10s");
  }
  const auto bytes = parse_size(text.substr(0, slash));
  if (!bytes) {
    return fail("", "", 0, bytes.error().message());
  }
  if (*bytes == 0 || *bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return fail("", "", 0, "the size must be more than 0 and less than 8 EiB");
  }
  const auto window = parse_duration(text.substr(slash + 1));
  if (!window) {
    return fail("", "", 0, window.error().message());
  }
  if (*window < std::chrono::milliseconds(100) || *window > std::chrono::hours(1)) {
    return fail("", "", 0, "the time must lie between 100ms and 1h");
  }
  return GrowthRule{*bytes, *window};
}

std::string to_string(const GrowthRule& rule) {
  return format_size(rule.bytes) + " within " + format_duration(rule.window);
}

std::uint64_t GrowthFloor::number_at(std::uint64_t now_ns) const {
  return now_ns / static_cast<std::uint64_t>(pause(rule_).count()) + 1;
}

void GrowthFloor::note(std::uint64_t now_ns, std::uint64_t usage_bytes) {
  const std::uint64_t number = number_at(now_ns);
  Part& part = parts_.at(number % kParts);
  part = {number, part.number == number ? std::min(part.lowest, usage_bytes) : usage_bytes};
}

std::optional<std::uint64_t> GrowthFloor::line(std::uint64_t now_ns) const {
  const std::uint64_t number = number_at(now_ns);
  std::optional<std::uint64_t> lowest;
  for (const Part& part : parts_) {
    // The part that began a whole window ago lies partly before it.
    if (part.number != 0 && part.number <= number && part.number + kParts > number) {
      lowest = std::min(lowest.value_or(part.lowest), part.lowest);
    }
  }
  return lowest ? std::optional(*lowest + std::min(rule_.bytes, std::numeric_limits<std::uint64_t>::max() - *lowest))
                : std::nullopt;
}

}  // namespace memcrest
