// SPDX-License-Identifier: Apache-2.0
// What was seen of a Docker container "web", in memory: 60 windows of a flat usage, an exact peak, a limit.
#pragma once

#include <cstdint>
#include <optional>

#include "sizing/sizing.h"
#include "support/event_builder.h"

namespace memcrest::testing_support {

inline SizedUsage usage_of(std::uint64_t peak_bytes, std::optional<std::uint64_t> limit_bytes,
                           std::uint64_t windows = 60) {
  SizedUsage out;
  out.container = oom_incident().container;
  out.container.swap_limit_bytes.reset();
  out.cgroup = {4711, "/docker/" + out.container.id};
  out.label = "web";
  out.containers = 1;
  out.limit_known = true;
  out.limit_bytes = limit_bytes;
  out.peak_bytes = peak_bytes;
  out.mark_bytes = peak_bytes;
  out.peak_exact = true;
  out.peaks.add(peak_bytes / 2, windows - 1);
  out.peaks.add(peak_bytes);
  out.observed_ns = windows * 60'000'000'000;
  return out;
}

inline SizedUsage oomed(std::uint64_t limit_bytes) {
  SizedUsage out = usage_of(limit_bytes, limit_bytes);
  out.ooms.own = 1;
  out.ooms.limit_bytes = limit_bytes;
  return out;
}

}  // namespace memcrest::testing_support
