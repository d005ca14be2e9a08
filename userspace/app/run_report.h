// SPDX-License-Identifier: Apache-2.0
// What `memcrest run` says at the end, as text and as JSON ("memcrest.run.v1"). Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/run_cgroup.h"
#include "app/run_child.h"
#include "memcrest/event_source.h"
#include "memcrest/incident.h"

namespace memcrest {

struct RunReport {
  std::vector<std::string> command;  // as it may be shown: redact_arguments
  RunExit exit;
  std::chrono::nanoseconds duration{0};
  RunLimits limits;
  RunFigures figures;  // after the end
  // From looks at memory.stat every few milliseconds: the highest usage, and the highest usage without the page cache
  // (tmpfs counts as usage), which the kernel could have dropped. Unset: nothing could be read in time.
  std::uint64_t highest_seen_bytes = 0;
  std::optional<std::uint64_t> needed_seen_bytes;
  std::vector<Incident> incidents;  // of its cgroup and below
  std::uint64_t bursts_not_listed = 0;
  std::string tiers;  // "charges lru+state · oom mark_victim"; empty: no hooks
  std::string no_hooks_reason;
  LossCount loss;                 // without hooks: meaningless
  std::uint64_t left_behind = 0;  // processes still running in the cgroup
};

// The smallest limit that it would have survived, as far as the figures can tell: the most that it held besides page
// cache, plus whatever part of the peak no look has seen. nullopt after an OOM kill, or without a peak.
[[nodiscard]] std::optional<std::uint64_t> smallest_limit(const RunReport& report);

[[nodiscard]] std::string to_json(const RunReport& report);
[[nodiscard]] std::string to_text(const RunReport& report, std::size_t columns);

}  // namespace memcrest
