// SPDX-License-Identifier: Apache-2.0
// Who holds the machine's memory, and who has grown lately: read from the cgroup files when the host itself is
// exhausted. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_set>
#include <vector>

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
  // What a victim's cgroups held at its kill. Told though they may be gone, or empty, when rank() looks.
  void note_kill(std::uint64_t time_ns, const MemcgChain& chain);
  // One whose process was just killed is still asked for how it had grown.
  void forget(std::uint64_t cgroup_id) {
    if (!at_kill_.contains(cgroup_id)) {
      trails_.erase(cgroup_id);
    }
  }
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
    std::vector<Point> points;  // one per bucket of time, the first is the last one before the window
    Point last;
  };
  [[nodiscard]] RankedCgroup rank_one(std::uint64_t id, const std::string& path, std::uint64_t now_ns);
  // Cgroups that went with their last process before they could be looked at.
  void add_gone(std::vector<RankedCgroup>& all, const std::unordered_set<std::uint64_t>& present,
                std::unordered_set<std::string>& containers, std::uint64_t now_ns);

  const CgroupTree& tree_;
  Resolver& resolver_;
  const Clock& clock_;
  std::map<std::uint64_t, Trail> trails_;
  struct AtKill {
    Point held;
    bool leaf = false;  // the victim's own, not one above it
  };
  std::map<std::uint64_t, AtKill> at_kill_;
};

}  // namespace memcrest
