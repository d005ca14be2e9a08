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

struct TimeSpan {
  std::uint64_t begin_ns = 0;
  std::uint64_t end_ns = 0;  // exclusive
};

// Usage holds its value from one point to the next (a step function), which errs by at most one quantum.
class UsageHistory {
 public:
  explicit UsageHistory(std::size_t max_points = 8192, std::uint64_t max_age_ns = 120'000'000'000);

  // Points come in order of time; one that is older than the last is put at the last's time. A run of sampled points
  // within `flat_bytes` of its first is kept as its two ends: an idle cgroup's samples must not push out its steps.
  void add(UsagePoint point, std::uint64_t flat_bytes = 0);
  // The cgroup had `point.usage_bytes` before anything else that is known. Ignored when it is not the oldest.
  void begin_with(UsagePoint point);
  // Forgets all but the newest `count` points.
  void keep_newest(std::size_t count);

  [[nodiscard]] const std::deque<UsagePoint>& points() const { return points_; }
  // Usage that a reader would have seen at `time_ns`; before the first point: the first point's usage (a cgroup that
  // was seen being created begins with 0, one that was there before memcrest begins with its base line); 0 without any.
  [[nodiscard]] std::uint64_t at(std::uint64_t time_ns) const;
  // When usage stood above `threshold_bytes` between the two times, in order, not touching each other.
  [[nodiscard]] std::vector<TimeSpan> above(std::uint64_t threshold_bytes, std::uint64_t from_ns,
                                            std::uint64_t to_ns) const;

 private:
  std::size_t max_points_;
  std::uint64_t max_age_ns_;
  std::deque<UsagePoint> points_;
};

}  // namespace memcrest
