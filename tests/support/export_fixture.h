// SPDX-License-Identifier: Apache-2.0
// What an exporter is given, in memory: a container "web" (cgroup 100), a cgroup of no container (200), and a feed.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "export/json.h"
#include "export/recording_exporter.h"
#include "export/recording_feed.h"
#include "support/event_builder.h"

namespace memcrest::testing_support {

inline ExportedCgroup web_cgroup(std::string name = "web") {
  ExportedCgroup out;
  out.cgroup_id = 100;
  out.serial = 1'000'100;
  out.container = oom_incident().container;
  out.container.name = std::move(name);
  out.path = "/docker/" + out.container.id;
  return out;
}

inline ExportedCgroup plain_cgroup(std::string path = "/system.slice/cron.service") {
  ExportedCgroup out;
  out.cgroup_id = 200;
  out.serial = 1'000'200;
  out.path = std::move(path);
  return out;
}

struct ExportFixture {
  StringSink sink;
  std::map<std::string, std::string> meta{{"host_name", "node1"}, {"kernel", "6.12.107"}, {"boot_id", "6f1c3c1e"}};
  ExportedCgroups cgroups{{web_cgroup(), plain_cgroup()}};
  AddressNames frames;
  ContainerFilter filter;

  [[nodiscard]] ExportContext context() { return {sink, meta, cgroups, frames}; }
  // All of it through a feed, with the clocks first; the bytes.
  std::string of(RecordingExporter& exporter, const std::vector<Event>& events,
                 const std::vector<Incident>& incidents = {}, const std::vector<LossCount>& losses = {},
                 ExportEnd end = {});
};

// 1 s since boot is one second past this.
constexpr std::int64_t kBootUnixNs = 1'795'000'000'000'000'000;

inline std::string ExportFixture::of(RecordingExporter& exporter, const std::vector<Event>& events,
                                     const std::vector<Incident>& incidents, const std::vector<LossCount>& losses,
                                     ExportEnd end) {
  RecordingFeed feed(exporter, cgroups, filter, frames);
  feed.add(Moment{1'000'000'000, kBootUnixNs + 1'000'000'000});
  for (const Event& event : events) {
    feed.add(event);
  }
  for (const Incident& incident : incidents) {
    feed.add_incident(to_json(incident));
  }
  for (const LossCount& loss : losses) {
    feed.add(loss);
  }
  feed.finish(end);
  return sink.bytes();
}

// A step of "web" that its task grew, with stacks.
inline StepEvent grown(std::uint64_t time_ns, std::uint64_t usage, std::vector<std::uint64_t> user = {0x3000, 0x2000},
                       std::vector<std::uint64_t> kernel = {0xffffffff81000003, 0xffffffff81000002}) {
  StepBuilder steps(100);
  StepEvent out = steps.limit(64_MiB).up(time_ns, usage);
  out.user_stack = std::move(user);
  out.kernel_stack = std::move(kernel);
  return out;
}

inline StepEvent base(std::uint64_t time_ns, std::uint64_t usage, std::uint64_t cgroup_id = 100) {
  StepBuilder steps(cgroup_id);
  return steps.limit(64_MiB).first(time_ns, usage);
}

// All that is text, from an attacker; all that is a number, at its end.
inline StepEvent hostile_step(std::uint64_t time_ns = ~0ULL) {
  StepEvent out = grown(time_ns, ~0ULL, {~0ULL, 0}, {~0ULL, 1});
  out.watermark_bytes = out.quantum_bytes = out.suppressed = out.reclaim_ns = out.throttle_ns = ~0ULL;
  out.limit_bytes = ~0ULL;
  out.task.comm = out.task.thread_comm = hostile_name();
  out.task.process = {~0U, ~0ULL};
  out.task.tid = out.task.ns_tgid = out.task.uid = ~0U;
  return out;
}

}  // namespace memcrest::testing_support
