// SPDX-License-Identifier: Apache-2.0
// Finds cgroups of version 1 whose limit is full while oom_kill_disable forbids to kill: their tasks hang until memory
// is freed or the limit raised. A slow walk over all cgroups finds those that have it set, a fast one watches them. One
// thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "collector/cgroup_roster.h"
#include "collector/cpu_budget.h"
#include "identity/cgroup_tree.h"
#include "memcrest/event.h"
#include "util/fd.h"
#include "util/system_root.h"

namespace memcrest {

struct StuckSettings {
  std::chrono::milliseconds interval{100};  // of looks at cgroups that have oom_kill_disable set
  std::chrono::milliseconds after{1000};    // a hang that long is told
  std::chrono::milliseconds settle{200};    // and is over when its cgroup was not under OOM for so long
  std::size_t max_open = 128;               // descriptors kept
  double walk_share = 0.001;                // of one CPU, for the slow walk
  double watch_share = 0.002;               // and for the fast one
};

class StuckPoller {
 public:
  StuckPoller(const CgroupTree& tree, SystemRoot root, const CgroupRoster& roster, StuckSettings settings,
              CpuClock cpu);

  void added(std::uint64_t id, std::uint64_t now_ns);
  void removed(const Cgroup& cgroup, std::uint64_t now_ns, std::vector<Event>& out);
  void look(std::uint64_t now_ns, std::vector<Event>& out);

  // How long the slow walk took for its last whole round: a cgroup can have had oom_kill_disable set so long unseen.
  [[nodiscard]] std::chrono::nanoseconds round() const { return std::chrono::nanoseconds(round_ns_); }

 private:
  struct Watched {
    Fd file;  // memory.oom_control
    std::uint64_t looked_ns = 0;
    std::optional<std::uint64_t> since_ns;  // under OOM from here on
    std::optional<std::uint64_t> free_ns;   // and no longer from here on
    std::optional<StuckEvent> told;
  };
  struct Control {
    bool kill_disabled = false;
    bool under_oom = false;
  };

  void walk(std::uint64_t now_ns);
  void watch(std::uint64_t now_ns, std::vector<Event>& out);
  void judge(const Cgroup& cgroup, Watched& watched, const Control& control, std::uint64_t now_ns,
             std::vector<Event>& out);
  void find_out(std::uint64_t id, std::uint64_t now_ns);
  [[nodiscard]] std::optional<Control> read(const std::string& path, Watched* watched);
  [[nodiscard]] bool told_above(const Cgroup& cgroup) const;
  [[nodiscard]] StuckEvent begin(const Cgroup& cgroup, std::uint64_t since_ns, std::uint64_t now_ns) const;
  [[nodiscard]] static StuckEvent end(StuckEvent told, std::uint64_t end_ns);

  const CgroupTree& tree_;
  SystemRoot root_;
  const CgroupRoster& roster_;
  StuckSettings settings_;
  CpuClock cpu_;
  CpuBudget walk_budget_;
  CpuBudget watch_budget_;
  std::map<std::uint64_t, Watched> watched_;           // those with oom_kill_disable
  std::multimap<std::uint64_t, std::uint64_t> young_;  // when to look at a new one first -> id
  std::uint64_t walk_at_ = 0;                          // the slow walk has come to this id
  std::uint64_t watch_at_ = 0;
  std::uint64_t round_began_ns_ = 0;
  std::uint64_t round_ns_ = 0;
  std::size_t open_ = 0;
};

}  // namespace memcrest
