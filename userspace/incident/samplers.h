// SPDX-License-Identifier: Apache-2.0
// What tools that sample in time would have shown of a burst. Pure.
#pragma once

#include <vector>

#include "incident/usage_history.h"
#include "memcrest/incident.h"

namespace memcrest {

// For samplers of 1 s (docker stats), 10 s (cAdvisor), 15 s (metrics-server), at a uniformly random phase:
//  chance_seen: that a sample fell where usage was above base + growth/2, between start_ns and end_ns;
//  typical_seen_bytes: the median over the phase of the last value shown at end_ns.
// `end_ns` is the kill, or the end of the burst.
[[nodiscard]] std::vector<SamplerView> samplers_view(const UsageHistory& history, std::uint64_t start_ns,
                                                     std::uint64_t end_ns, std::uint64_t base_bytes,
                                                     std::uint64_t peak_bytes);

// How long usage stood above `bytes` within [start_ns, end_ns), in nanoseconds.
[[nodiscard]] std::uint64_t time_above(const UsageHistory& history, std::uint64_t start_ns, std::uint64_t end_ns,
                                       std::uint64_t bytes);

}  // namespace memcrest
