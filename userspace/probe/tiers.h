// SPDX-License-Identifier: Apache-2.0
// The two ladders: from the hooks that a kernel allows to the best way to see charges and OOM kills, and what that way
// misses. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "probe/hooks.h"
#include "util/result.h"

namespace memcrest {

// A rung of the ladder: which programs, and what it cannot see.
struct Tier {
  std::string name;
  std::vector<std::string> programs;
  std::vector<std::string> misses;
  std::string unavailable;  // why this rung cannot be had; empty: it can
  [[nodiscard]] bool uses(std::string_view program) const;
};

// Names of the rungs, best first. Part of the command line and of the incident's `evidence`.
inline constexpr const char* kChargeTiers[] = {"page_counter", "page_counter-kprobe", "lru+state", "lru", "sampled"};
inline constexpr const char* kOomTiers[] = {"oom_kill_process", "oom_kill_process-kprobe", "mark_victim", "kmsg",
                                            "polling"};

// What stands beside the hooks and decides about the lowest rungs.
struct LowerRungs {
  bool bpf = false;              // programs can be loaded at all
  std::string no_bpf_reason;     // why not
  bool cgroup_files = true;      // a cgroup hierarchy with the memory controller is mounted
  bool kernel_log = false;       // /dev/kmsg can be read
  std::string no_kmsg_reason;    // why not
  bool mark_victim_pid = false;  // this kernel's mark_victim carries a pid
};

struct TierWish {
  std::optional<std::string> charge;  // a name of kChargeTiers, or the best
  std::optional<std::string> oom;
};

struct Ladder {
  std::vector<Tier> charge;  // every rung, in order
  std::vector<Tier> oom;
};
[[nodiscard]] Ladder build_ladder(const std::vector<Hook>& hooks, const LowerRungs& lower);

// The rung that was wished for, or else the best that can be had. An error names what was wished and why it cannot be.
[[nodiscard]] Result<Tier> choose(const std::vector<Tier>& rungs, const std::optional<std::string>& wish);

// Programs beside the two ladders: lifecycle, signals, reclaim, failed charges; each in the best way there is.
[[nodiscard]] std::vector<std::string> side_programs(const std::vector<Hook>& hooks);

// The best available hook of a role, null where there is none.
[[nodiscard]] const Hook* best_of(const std::vector<Hook>& hooks, std::string_view role, std::string_view kind = {});

}  // namespace memcrest
