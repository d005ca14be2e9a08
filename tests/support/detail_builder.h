// SPDX-License-Identifier: Apache-2.0
// Incidents of the rarer kinds, with the parts that only they have.
#pragma once

#include <limits>
#include <string>

#include "support/event_builder.h"

namespace memcrest::testing_support {

// A cgroup of version 1 under oom_kill_disable: one process with two threads and another one wait.
inline Incident stuck_incident(bool ongoing = true) {
  Incident out = oom_incident();
  out.victims.clear();
  out.trigger.reset();
  out.burst.reset();
  out.samplers.clear();
  out.limit.kind = "memory.limit_in_bytes";
  Stuck stuck;
  stuck.since_boot_ns = out.boot_ns - 3'200_ms;
  stuck.duration_ms = 3200;
  stuck.ongoing = ongoing;
  stuck.total_tasks = 3;
  stuck.tasks = {{5943, 5943, "python", 7}, {5943, 5950, "python", 7}, {6001, 6001, "sh", 0}};
  out.stuck = stuck;
  return out;
}

inline Incident refused_incident() {
  Incident out = oom_incident();
  out.kind = IncidentKind::kChargeFailure;
  out.victims.clear();
  out.burst.reset();
  out.samplers.clear();
  ChargeFailure failure;
  failure.count = 12;
  failure.error = 12;
  failure.error_name = "ENOMEM";
  failure.function = "__alloc_skb";
  failure.bytes = 4096;
  failure.gfp_mask = 0xcc0;
  failure.duration_ms = 3200;
  out.charge_failure = failure;
  return out;
}

inline Incident breakpoint_incident() {
  Incident out = oom_incident();
  out.kind = IncidentKind::kBreakpoint;
  out.victims.clear();
  out.burst.reset();
  out.samplers.clear();
  out.usage_bytes = 96_MiB + 64 * 1024;
  out.trigger = Trigger{5943, 5950, "worker-3", 7};
  Breakpoint hit;
  hit.rule = "75%";
  hit.line_bytes = 96_MiB;
  hit.overshoot_bytes = 64 * 1024;
  hit.signal = 19;
  hit.action = "stopped before it ran another instruction for at most 30.0 s";
  hit.frames = {{.name = "realloc", .module = "/usr/lib/libc.so.6", .build_id = "abcd", .offset = 0x9a1f0},
                {.name = "read_csv", .module = "/usr/lib/parsers.so", .offset = 0x1234}};
  hit.processes = {{5943, 7, "python", "python app.py", 90_MiB, true}, {6001, 0, "sh", "", std::nullopt, false}};
  hit.total_processes = 12;
  out.breakpoint = hit;
  return out;
}

inline RankedCgroup ranked(std::uint64_t number, std::string name, std::uint64_t usage, std::int64_t growth) {
  RankedCgroup out;
  out.cgroup = {number, "/docker/" + std::string(63, '0') + std::to_string(number % 10)};
  out.runtime = Runtime::kDocker;
  out.container_id = std::string(63, 'a') + std::to_string(number % 10);
  out.container_name = std::move(name);
  out.usage_bytes = usage;
  out.growth_bytes = growth;
  return out;
}

// The machine's own memory ran out: seven cgroups hold it, the last one without a container.
inline Incident host_incident() {
  Incident out = oom_incident();
  out.scope = Scope::kHost;
  out.limit = {16_GiB, "host", ""};
  HostRanking ranking;
  ranking.growth_window_ms = 10'000;
  for (std::uint64_t i = 1; i <= 6; ++i) {
    ranking.by_usage.push_back(
        ranked(i, "c" + std::to_string(i), (8 - i) * 1_GiB, static_cast<std::int64_t>(i * 512_MiB) - 1'073'741'824));
    ranking.by_growth.insert(ranking.by_growth.begin(), ranking.by_usage.back());
  }
  RankedCgroup unit;
  unit.cgroup = {70, "/system.slice/cron.service"};
  unit.runtime = Runtime::kSystemd;
  unit.usage_bytes = 1_MiB;
  ranking.by_usage.insert(ranking.by_usage.begin() + 2, unit);
  out.ranking = ranking;
  return out;
}

// Every part at once, each piece of text hostile and each number as large as it goes.
inline Incident hostile_detail() {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  const std::string name = hostile_name() + std::string(500, 'x');
  Incident out = hostile_incident();
  out.oom = OomDetail{std::numeric_limits<std::int32_t>::max(), kMost, true, false, true, kMost};
  out.reclaim = ReclaimStall{1e300, 1e300, 1e300};
  out.swap = Swap{kMost, kMost, name};
  HostRanking ranking;
  ranking.growth_window_ms = 1e300;
  for (std::uint64_t i = 0; i < 10; ++i) {
    RankedCgroup one;
    one.cgroup = {kMost, "/" + name};
    one.runtime = i % 2 == 0 ? Runtime::kDocker : Runtime::kUnknown;
    one.container_id = name;
    one.container_name = i < 5 ? name : "";
    one.pod_name = one.pod_namespace = i % 4 == 0 ? name : "";
    one.usage_bytes = kMost;
    one.growth_bytes = i % 3 == 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
    ranking.by_usage.push_back(one);
    ranking.by_growth.push_back(one);
  }
  ranking.incomplete = name;
  out.ranking = ranking;
  Stuck stuck{kMost, 1e300, true, kMost, {}};
  stuck.tasks.assign(64, Trigger{1, 2, name, 0});
  out.stuck = stuck;
  out.charge_failure = ChargeFailure{kMost, true, -2147483647 - 1, name, name, kMost, kMost, 1e300};
  Breakpoint hit{name, kMost, kMost, true, 4000000000U, -2147483647 - 1, name, name, true, 1e300,
                 name, {},    name,  {},   kMost};
  hit.frames.assign(9, Frame{.name = name, .module = name, .file = name, .line = 1});
  hit.processes.assign(64, HeldProcess{1, 0, name, name, kMost, true});
  out.breakpoint = hit;
  out.memory_stat = {{name, kMost}, {"\xfe", 1}, {"\xff", 2}, {"", 0}};
  return out;
}

}  // namespace memcrest::testing_support
