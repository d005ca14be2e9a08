// SPDX-License-Identifier: Apache-2.0
// The last minutes of one cgroup's usage: every step while there is room, and the highest of each second whatever
// happens. Bounded; pure.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "memcrest/event.h"
#include "memcrest/live.h"

namespace memcrest {

class UsageTrack {
 public:
  // `watermark_bytes`: the kernel's mark of the highest usage ever; 0: not known.
  void add(std::uint64_t time_ns, std::uint64_t usage_bytes, std::uint64_t watermark_bytes);
  // Time that its tasks were held up so far, summed up since the cgroup exists.
  void add_stall(std::uint64_t time_ns, std::uint64_t total_ns);
  void forget_before(std::uint64_t time_ns);
  void keep_newest(std::size_t points);

  [[nodiscard]] bool empty() const { return points_.empty(); }
  [[nodiscard]] const std::deque<LivePoint>& points() const { return points_; }
  [[nodiscard]] bool cut() const { return cut_; }
  [[nodiscard]] std::uint64_t usage() const { return points_.empty() ? 0 : points_.back().usage_bytes; }
  [[nodiscard]] std::uint64_t newest_ns() const { return points_.empty() ? 0 : points_.back().time_ns; }
  [[nodiscard]] std::uint64_t watermark() const { return watermark_; }

  struct Peak {
    std::uint64_t bytes = 0;
    bool exact = false;  // the kernel's mark rose to it
  };
  // The highest between the two times, what stood at the first included.
  [[nodiscard]] Peak peak(std::uint64_t from_ns, std::uint64_t to_ns) const;
  // The highest of each second that has begun, oldest first, the one of `now_ns` last; none from before the first
  // point.
  [[nodiscard]] std::vector<std::uint64_t> history(std::uint64_t now_ns) const;
  // Per second, over the last ten.
  [[nodiscard]] double growth(std::uint64_t now_ns) const;
  [[nodiscard]] double stall_ms(std::uint64_t now_ns) const;

 private:
  struct Second {
    std::uint64_t second = 0;
    std::uint64_t high = 0;
    std::uint64_t last = 0;  // usage at its end
  };
  struct Stall {
    std::uint64_t time_ns = 0;
    std::uint64_t total_ns = 0;
  };
  void add_second(std::uint64_t second, std::uint64_t usage, std::uint64_t high);
  [[nodiscard]] std::uint64_t usage_at(std::uint64_t time_ns) const;

  std::deque<LivePoint> points_;
  // At most one for each second. No deques: those take half a KiB also where there is little, as for most cgroups.
  std::vector<Second> seconds_;  // those in which something happened; one of older than the minute remains
  std::vector<Stall> stalls_;
  std::uint64_t watermark_ = 0;
  bool watermark_known_ = false;
  bool cut_ = false;
};

}  // namespace memcrest
