// SPDX-License-Identifier: Apache-2.0
// The parts of which burst detection is made: the lowest usage in a sliding window, and who grew a cgroup. Pure.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "incident/usage_history.h"
#include "memcrest/event.h"
#include "memcrest/incident.h"

namespace memcrest {

// The lowest usage that was in force at any time of the last `window_ns`. Amortised constant time per point.
class SlidingMinimum {
 public:
  explicit SlidingMinimum(std::uint64_t window_ns) : window_ns_(window_ns) {}
  void add(const UsagePoint& point);
  void restart(const UsagePoint& point);
  [[nodiscard]] bool empty() const { return rising_.empty(); }
  [[nodiscard]] const UsagePoint& lowest() const { return rising_.front().point; }

 private:
  std::uint64_t window_ns_;
  // Points whose usage is lower than all later ones. Each holds until the point that came after it in the full series.
  struct Held {
    UsagePoint point;
    std::uint64_t until_ns;
  };
  std::deque<Held> rising_;
};

// Growth by process, for the last while. Bounded: the smallest share is merged away first.
class GrowthLedger {
 public:
  // `process` unset: nobody can be blamed for these bytes.
  void add(std::uint64_t time_ns, const TaskInfo* task, std::uint64_t bytes, bool page_cache = false);
  void forget_before(std::uint64_t time_ns);
  void clear() { std::deque<Line>().swap(lines_); }  // gives the memory back
  // The heaviest since `time_ns`; shares are of all growth, that of nobody included.
  [[nodiscard]] std::vector<Contributor> since(std::uint64_t time_ns) const;
  // How much of the growth since `time_ns` came from filling the page cache.
  [[nodiscard]] std::uint64_t page_cache_since(std::uint64_t time_ns) const;

 private:
  struct Line {
    std::uint64_t time_ns;
    ProcessKey process;  // tgid 0: nobody
    std::string comm;
    std::uint64_t bytes;
    std::uint64_t page_cache_bytes;
  };
  std::deque<Line> lines_;
};

}  // namespace memcrest
