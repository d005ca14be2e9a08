// SPDX-License-Identifier: Apache-2.0
// The usage of one memory cgroup over time, as steps and samples told it. Bounded; pure.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

namespace memcrest {

struct UsagePoint {
  std::uint64_t time_ns = 0;
  std::uint64_t usage_bytes = 0;
  bool sampled = false;  // read from the cgroup's file, not at the moment of the change
};

// Usage holds its value from one point to the next (a step function), which errs by at most one quantum.
class UsageHistory {
 public:
  explicit UsageHistory(std::size_t max_points = 8192, std::uint64_t max_age_ns = 120'000'000'000);

  // Points come in order of time; one that is older than the last is put at the last's time.
  void add(UsagePoint point);
  [[nodiscard]] const std::deque<UsagePoint>& points() const { return points_; }
  // Usage that a reader would have seen at `time_ns`; before the first point: the first point's usage.
  [[nodiscard]] std::uint64_t at(std::uint64_t time_ns) const;

 private:
  std::size_t max_points_;
  std::uint64_t max_age_ns_;
  std::deque<UsagePoint> points_;
};

}  // namespace memcrest
