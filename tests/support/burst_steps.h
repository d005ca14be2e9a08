// SPDX-License-Identifier: Apache-2.0
// Rises and falls of one cgroup, step by step, for tests of the burst detector.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "incident/burst_detector.h"
#include "support/event_builder.h"

namespace memcrest::testing_support {

inline constexpr std::uint64_t kSecond = 1'000'000'000;

// Steps at every level from `from` to `to` over `duration`, as the kernel side writes them.
inline void grow(BurstDetector& detector, StepBuilder& steps, std::uint64_t start_ns, std::uint64_t duration_ns,
                 std::uint64_t from, std::uint64_t to) {
  const std::uint64_t count = (to - from) / 1_MiB;
  for (std::uint64_t i = 1; i <= count; ++i) {
    detector.step(steps.up(start_ns + duration_ns * i / count, from + i * 1_MiB));
  }
}

inline void fall(BurstDetector& detector, StepBuilder& steps, std::uint64_t start_ns, std::uint64_t duration_ns,
                 std::uint64_t from, std::uint64_t to) {
  const std::uint64_t count = (from - to) / 2_MiB;
  for (std::uint64_t i = 1; i <= count; ++i) {
    detector.step(steps.down(start_ns + duration_ns * i / count, from - i * 2_MiB));
  }
}

inline BurstDetector detector_of(std::optional<std::uint64_t> min_bytes = std::nullopt,
                                 std::uint64_t window_ns = kSecond) {
  return BurstDetector({min_bytes, std::chrono::nanoseconds(window_ns)});
}

}  // namespace memcrest::testing_support
