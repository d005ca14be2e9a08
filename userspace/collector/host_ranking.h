// SPDX-License-Identifier: Apache-2.0
// Who holds the machine's memory, and who has grown lately: read from the cgroup files when the host itself is
// exhausted. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "identity/cgroup_tree.h"
#include "identity/resolver.h"
#include "memcrest/clock.h"
#include "memcrest/event.h"
#include "memcrest/incident.h"

namespace memcrest {

class UsageRanking {
 public:
  UsageRanking(const CgroupTree& tree, Resolver& resolver, const Clock& clock);

  // Usage over the last minute, coarsely: what growth is measured against.
  void note(std::uint64_t cgroup_id, std::uint64_t time_ns, std::uint64_t usage_bytes);
  void forget(std::uint64_t cgroup_id) { trails_.erase(cgroup_id); }
  // Reads every leaf's usage. A cgroup that a kill has just emptied counts with what it had.
  [[nodiscard]] HostRanking rank();
  // Names that came too late for rank().
  void complete_names(HostRanking& ranking);

 private:
  struct Point {
    std::uint64_t time_ns = 0;
    std::uint64_t usage_bytes = 0;
  };
  struct Trail {
    std::deque<Point> points;  // one per bucket of time, the first is the last one before the window
    Point last;
  };
  [[nodiscard]] RankedCgroup rank_one(const CgroupTree::Entry& entry, std::uint64_t now_ns);

  const CgroupTree& tree_;
  Resolver& resolver_;
  const Clock& clock_;
  std::map<std::uint64_t, Trail> trails_;
};

}  // namespace memcrest
