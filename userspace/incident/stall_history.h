// SPDX-License-Identifier: Apache-2.0
// How long a memory cgroup's tasks were held up over time, from the totals that steps and OOM records carry. Bounded;
// pure.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "memcrest/incident.h"

namespace memcrest {

class StallHistory {
 public:
  // Looks back `window_ns` at most.
  explicit StallHistory(std::uint64_t window_ns = 10'000'000'000, std::size_t max_cgroups = 4096);

  // The totals of a cgroup as of `time_ns`, in order of time for each cgroup.
  void note(std::uint64_t cgroup_id, std::uint64_t time_ns, std::uint64_t reclaim_ns, std::uint64_t throttle_ns);
  void forget(std::uint64_t cgroup_id) { cgroups_.erase(cgroup_id); }
  // What was added in the window before `time_ns`; in a longer one, which the result tells, where nothing was noted
  // near its beginning. Totals were 0 before the first note.
  [[nodiscard]] ReclaimStall before(std::uint64_t cgroup_id, std::uint64_t time_ns) const;

 private:
  struct Point {
    std::uint64_t time_ns = 0;   // first seen so
    std::uint64_t until_ns = 0;  // and last
    std::uint64_t reclaim_ns = 0;
    std::uint64_t throttle_ns = 0;
  };
  std::uint64_t window_ns_;
  std::size_t max_cgroups_;
  std::map<std::uint64_t, std::vector<Point>>
      cgroups_;  // few, of most; the first point is the last one before the window
};

}  // namespace memcrest
