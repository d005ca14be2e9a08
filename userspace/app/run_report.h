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
  std::vector<std::string> command;
  RunExit exit;
  std::chrono::nanoseconds duration{0};
  RunLimits limits;
  RunFigures figures;  // after the end
  // Page cache (without tmpfs) that was in use when usage stood within a tenth of its peak; the kernel could have
  // dropped it. Read every few milliseconds: unset when the peak was too short for that.
  std::optional<std::uint64_t> cache_at_peak_bytes;
  std::vector<Incident> incidents;  // of its cgroup and below
  std::string tiers;                // "charges lru+state · oom mark_victim"; empty: no hooks
  std::string no_hooks_reason;
  LossCount loss;  // without hooks: meaningless
  std::uint64_t left_behind = 0;  // processes still running in the cgroup
};

// The smallest limit that it would have survived, as far as the figures can tell: the peak less the page cache that
// could have been dropped. nullopt after an OOM kill, or without a peak.
[[nodiscard]] std::optional<std::uint64_t> smallest_limit(const RunReport& report);

[[nodiscard]] std::string to_json(const RunReport& report);
[[nodiscard]] std::string to_text(const RunReport& report, std::size_t columns);

}  // namespace memcrest
