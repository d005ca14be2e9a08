// SPDX-License-Identifier: Apache-2.0
// Rows of a screen with defaults, so that a test names only what it is about.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "memcrest/live.h"
#include "support/event_builder.h"

namespace memcrest::testing_support {

inline ContainerMemory container_memory(std::uint64_t cgroup_id, std::string name, std::uint64_t usage,
                                        std::optional<std::uint64_t> limit = 100_MiB) {
  ContainerMemory out;
  out.container.runtime = Runtime::kDocker;
  out.container.id = std::string(60, 'a') + std::to_string(1000 + cgroup_id % 9000);
  out.container.name = std::move(name);
  out.container.image = "img:1";
  out.cgroup = {cgroup_id, "/docker/" + out.container.id};
  out.figures.usage_bytes = usage;
  out.figures.peak_bytes = usage;
  out.figures.limit_known = out.figures.effective_known = true;
  out.figures.limit_bytes = limit;
  out.figures.oom_kills = 0;
  if (limit) {
    out.figures.effective = EffectiveLimit{*limit, out.cgroup.path, usage};
  }
  return out;
}

inline LiveRow live_row(std::uint64_t cgroup_id, std::string name, std::uint64_t usage, std::uint64_t peak = 0,
                        std::optional<std::uint64_t> limit = 100_MiB) {
  LiveRow out;
  out.memory = container_memory(cgroup_id, std::move(name), usage, limit);
  out.peak_interval_bytes = std::max(peak, usage);
  out.peak_interval_exact = true;
  out.history = {usage, out.peak_interval_bytes};
  return out;
}

inline LiveSnapshot live_snapshot(std::vector<LiveRow> rows) {
  LiveSnapshot out;
  out.boot_ns = 100'000_ms;
  out.unix_ns = 1'790'000'000'000'000'000;
  out.charge_tier = "page_counter";
  out.oom_tier = "mark_victim";
  out.rows = std::move(rows);
  return out;
}

}  // namespace memcrest::testing_support
