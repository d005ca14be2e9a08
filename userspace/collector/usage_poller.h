// SPDX-License-Identifier: Apache-2.0
// The charge tier "sampled": usage files read at intervals, steps where usage crossed a level in between. What rises
// and falls again between two looks is not seen; who charged is not known. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "collector/cgroup_roster.h"
#include "collector/cpu_budget.h"
#include "collector/usage_levels.h"
#include "identity/cgroup_tree.h"
#include "memcrest/event.h"
#include "util/fd.h"

namespace memcrest {

struct UsagePollSettings {
  std::chrono::milliseconds interval{20};
  std::optional<std::uint64_t> step_bytes;  // quantum; unset: as UsageLevels::quantum_for
  // Descriptors kept; the rest is opened for each look, which costs ten times as much. Unset: what the process may
  // have open, less 256, at most 8192.
  std::optional<std::size_t> max_open;
  double quiet_share = 0.003;  // of one CPU, for cgroups whose usage does not move
  double moving_share = 0.03;  // the same for those that moved within the last second
};

class UsagePoller {
 public:
  UsagePoller(const CgroupTree& tree, UsagePollSettings settings, CpuClock cpu);

  // `fresh`: made just now, so that it is likely to grow.
  void added(const Cgroup& cgroup, bool fresh);
  void removed(std::uint64_t id);
  // Reads what is due and can be afforded: moving cgroups first, then quiet ones in turn, the longest unread first.
  void look(std::uint64_t now_ns, std::vector<Event>& out);

  // The highest usage read of it, or its watermark; 0: none.
  [[nodiscard]] std::uint64_t highest(std::uint64_t id) const;
  // How long a cgroup stayed unread lately. Above the interval: the budget does not allow more.
  [[nodiscard]] std::chrono::nanoseconds quiet_gap() const { return std::chrono::nanoseconds(quiet_gap_.ns()); }
  [[nodiscard]] std::chrono::nanoseconds moving_gap() const { return std::chrono::nanoseconds(moving_gap_.ns()); }

 private:
  struct Limits {
    std::optional<std::uint64_t> own;
    std::optional<std::uint64_t> lowest;  // with those above
    std::uint64_t read_ns = 0;
  };
  struct One {
    Cgroup cgroup;
    Fd file;
    UsageLevels levels;
    Limits limits;
    std::uint64_t highest = 0;
    std::uint64_t last_move_bytes = 0;
    std::uint64_t moved_ns = 0;   // 0: never
    std::uint64_t looked_ns = 0;  // 0: never
    bool fresh = false;
    bool moving = false;
  };
  using Ring = std::list<One>;  // the longest unread first

  void turn(Ring& ring, CpuBudget& budget, LongestGap& gap, std::uint64_t now_ns, std::vector<Event>& out);
  void look_at(One& one, std::uint64_t now_ns, std::vector<Event>& out);
  [[nodiscard]] std::optional<std::uint64_t> read_usage(One& one);
  void keep_open(One& one, Fd file);
  void read_limits(One& one, std::uint64_t now_ns) const;
  [[nodiscard]] StepEvent step(One& one, UsageLevels::Move move, std::uint64_t usage, std::uint64_t now_ns);

  const CgroupTree& tree_;
  UsagePollSettings settings_;
  CpuClock cpu_;
  CpuBudget quiet_budget_;
  CpuBudget moving_budget_;
  LongestGap quiet_gap_;
  LongestGap moving_gap_;
  bool whole_;
  Ring quiet_;
  Ring moving_;
  std::unordered_map<std::uint64_t, Ring::iterator> by_id_;
  std::size_t open_ = 0;
  std::size_t max_open_;
};

}  // namespace memcrest
