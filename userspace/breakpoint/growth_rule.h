// SPDX-License-Identifier: Apache-2.0
// A breakpoint's line that usage itself moves: so much above the lowest that it was within a time. Pure.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "util/result.h"

namespace memcrest {

struct GrowthRule {
  std::uint64_t bytes = 0;
  std::chrono::nanoseconds window{0};
};

// "200m/10s", the time from 100 ms to one hour. Errors are for a person, without an operation.
[[nodiscard]] Result<GrowthRule> parse_growth_rule(std::string_view text);

// "200 MiB within 10.0 s".
[[nodiscard]] std::string to_string(const GrowthRule& rule);

// Usage of one cgroup, looked at now and then. The window is kept in parts, of which the oldest counts only while it is
// whole: growth that took up to one part less than the window is found, none that took longer than it.
class GrowthFloor {
 public:
  explicit GrowthFloor(const GrowthRule& rule) : rule_(rule) {}

  // Times do not go back.
  void note(std::uint64_t now_ns, std::uint64_t usage_bytes);
  // nullopt: nothing was seen within the window before `now_ns`.
  [[nodiscard]] std::optional<std::uint64_t> line(std::uint64_t now_ns) const;
  // How far apart two looks should be at most.
  [[nodiscard]] static std::chrono::nanoseconds pause(const GrowthRule& rule) { return rule.window / kParts; }
  // Less than this a line need not be moved.
  [[nodiscard]] static std::uint64_t slack(const GrowthRule& rule) { return rule.bytes / 64; }

 private:
  static constexpr unsigned kParts = 32;
  struct Part {
    std::uint64_t number = 0;  // of all parts since boot, plus 1; 0: none
    std::uint64_t lowest = 0;
  };

  [[nodiscard]] std::uint64_t number_at(std::uint64_t now_ns) const;

  GrowthRule rule_;
  std::array<Part, kParts> parts_{};
};

}  // namespace memcrest
