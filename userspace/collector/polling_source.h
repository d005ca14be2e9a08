// SPDX-License-Identifier: Apache-2.0
// Events from cgroup files alone, with no BPF at all: the last rung of both ladders, and what no hook shows (tasks that
// hang under cgroup v1's oom_kill_disable). Reads only. Needs no capability but to read the cgroup tree; to tell tasks
// that hang from others that sleep beside them it takes CAP_SYS_PTRACE.
//
// What it costs is bounded (see the settings of each part): past its budget it looks less often, and says so through
// quiet_gap(), moving_gap(), count_gap() and stuck_round().
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "collector/cgroup_roster.h"
#include "collector/oom_count_poller.h"
#include "collector/stuck_poller.h"
#include "collector/usage_poller.h"
#include "identity/cgroup_tree.h"
#include "memcrest/clock.h"
#include "memcrest/event_source.h"
#include "util/system_root.h"

namespace memcrest {

struct PollingSettings {
  bool usage = false;       // StepEvents: the charge tier "sampled"
  bool oom_counts = false;  // OomCountEvents: the OOM rung "polling"
  bool lifecycle = false;   // CgroupEvents; leave out where hooks tell of them
  bool stuck = false;       // StuckEvents; nothing with cgroup v2
  RosterSettings roster;
  UsagePollSettings usage_poll;
  OomCountSettings counts;
  StuckSettings hangs;
};

class PollingSource final : public EventSource {
 public:
  // Looks at nothing yet: the first poll takes the base lines.
  [[nodiscard]] static Result<std::unique_ptr<PollingSource>> open(const CgroupTree& tree, const Clock& clock,
                                                                   const SystemRoot& root, PollingSettings settings,
                                                                   CpuClock cpu = thread_cpu_ns);
  ~PollingSource() override;

  // Never ends. What is due is judged by the injected clock; only waiting is done by the kernel's.
  Status poll(std::chrono::milliseconds timeout, std::vector<Event>& out) override;
  [[nodiscard]] int wait_fd() const override;
  // `untracked` only: cgroups beyond what the roster has room for.
  [[nodiscard]] LossCount loss() const override;

  // The rest belongs to the thread that polls.
  // For how long a cgroup went unread lately, if its usage did not move, and if it did.
  [[nodiscard]] std::chrono::nanoseconds quiet_gap() const;
  [[nodiscard]] std::chrono::nanoseconds moving_gap() const;
  // How long a kill may have gone unnoticed lately, where the kernel does not announce it.
  [[nodiscard]] std::chrono::nanoseconds count_gap() const;
  // How long it took to look at every cgroup for oom_kill_disable.
  [[nodiscard]] std::chrono::nanoseconds stuck_round() const;
  // Kills that the machine counted and no cgroup showed; nullopt: cannot be known. See OomCountPoller::gone_unread.
  [[nodiscard]] std::optional<std::uint64_t> gone_unread() const;
  // False: some cgroups could not be watched (inotify's limits), so that new ones are noticed a second late.
  [[nodiscard]] bool all_watched() const;

 private:
  struct Impl;
  explicit PollingSource(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace memcrest
