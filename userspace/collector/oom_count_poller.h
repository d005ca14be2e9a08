// SPDX-License-Identifier: Apache-2.0
// The OOM rung "polling": the counts that each cgroup keeps of processes killed inside it. They say where and how many,
// never who. Cheap while nothing happens: v2 says itself when a count changes (inotify on memory.events.local), and the
// machine's own count (oom_kill in /proc/vmstat) says when it is worth looking at all of them. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "collector/cgroup_roster.h"
#include "collector/cpu_budget.h"
#include "identity/cgroup_tree.h"
#include "memcrest/event.h"
#include "util/fd.h"
#include "util/system_root.h"

namespace memcrest {

struct OomCountSettings {
  std::chrono::milliseconds interval{20};         // of looks at the machine's count
  std::chrono::milliseconds blind_interval{100};  // of looks at all cgroups where that cannot be read
  double share = 0.005;                           // of one CPU, for looks at all cgroups one after the other
};

class OomCountPoller {
 public:
  // `whole_view`: every cgroup of the machine is in the tree, so that the machine's count and theirs must agree.
  OomCountPoller(const CgroupTree& tree, const SystemRoot& root, CgroupRoster& roster, bool whole_view,
                 OomCountSettings settings, CpuClock cpu);

  void added(const CgroupChange& change, std::uint64_t now_ns);
  void removed(std::uint64_t id);
  // `touched`: cgroups whose count may have changed, as the roster was told.
  void look(std::uint64_t now_ns, const std::vector<std::uint64_t>& touched, std::vector<Event>& out);

  // Kills that the machine counted and no cgroup showed: the cgroup was gone before it could be read, or it is v2's
  // root, which keeps no count. Each was told as an event without a cgroup. nullopt: the machine's count cannot be
  // read, or speaks of cgroups that we cannot see.
  [[nodiscard]] std::optional<std::uint64_t> gone_unread() const;
  // How far apart two looks at the same count may be: what a kill's time can be wrong by.
  [[nodiscard]] std::chrono::nanoseconds gap() const { return std::chrono::nanoseconds(gap_.ns()); }

 private:
  struct Figures {
    std::uint64_t kills = 0;
    std::uint64_t limit_hits = 0;              // v2's "oom"
    std::optional<std::uint64_t> group_kills;  // v2, from 5.17 on
    bool whole_tree = false;                   // memory.events of an old kernel: with those of the cgroups below
  };
  struct Known {
    Figures figures;
    std::uint64_t looked_ns = 0;
    std::uint64_t limit_hit_ns = 0;  // when limit_hits was last seen to have grown
    std::uint64_t failcnt = 0;       // v1, with memsw's, as of the last kill
    std::uint64_t group_kills_untold = 0;
  };
  struct Rise {  // of one cgroup's count
    std::string path;
    std::uint64_t time_ns = 0;
    std::uint64_t window_ns = 0;
    std::uint64_t kills = 0;
    bool whole_tree = false;
  };

  [[nodiscard]] std::optional<Figures> read(const std::string& path) const;
  [[nodiscard]] std::optional<std::uint64_t> machine_kills() const;
  void look_at_machine(std::uint64_t now_ns);
  void look_at_all(std::uint64_t now_ns, std::vector<Rise>& rises);
  void look_at(std::uint64_t id, std::uint64_t now_ns, std::vector<Rise>& rises);
  void account(const std::vector<Rise>& rises, std::uint64_t now_ns, std::vector<Event>& out);
  void tell(std::vector<Rise> rises, std::vector<Event>& out);
  void tell_groups(std::uint64_t now_ns, std::vector<Event>& out);
  [[nodiscard]] std::string group_of(const std::string& path) const;
  // Whether the limit of `path` has led to a kill lately. `own`: the kill was in this cgroup.
  [[nodiscard]] bool limit_hit(const std::string& path, std::uint64_t now_ns, bool own);
  void find_limit(OomCountEvent& event);
  [[nodiscard]] MemcgState peaks_of(const std::string& path) const;
  [[nodiscard]] OomCountEvent event_of(const Rise& rise);

  const CgroupTree& tree_;
  CgroupRoster& roster_;
  OomCountSettings settings_;
  CpuClock cpu_;
  Fd vmstat_;
  bool whole_view_;
  std::unordered_map<std::uint64_t, Known> known_;
  std::map<std::string, Rise> groups_;          // kills of whole groups that may not be over yet
  std::optional<std::uint64_t> machine_kills_;  // as last read
  std::uint64_t machine_looked_ns_ = 0;
  std::uint64_t quiet_ns_ = 0;  // when the machine's count was last seen not to have grown
  std::uint64_t all_looked_ns_ = 0;
  std::uint64_t next_all_ns_ = 0;
  std::int64_t owed_ = 0;  // kills that the machine counted and no cgroup showed so far
  std::uint64_t owed_since_ns_ = 0;
  std::uint64_t gone_unread_ = 0;
  LongestGap gap_;
};

}  // namespace memcrest
