// SPDX-License-Identifier: Apache-2.0
// Events other than steps in a Perfetto trace: kills, samples, refused charges, cgroups that go.
#include <algorithm>
#include <utility>

#include "export/perfetto_export.h"
#include "util/signal_name.h"

namespace memcrest {

void PerfettoExport::swap(const MemcgChain& chain, std::uint64_t time_ns) {
  for (const MemcgState& state : chain.entries) {
    if (state.swap_usage_bytes > 0 || state.swap_limit_bytes) {
      const ExportedCgroup& cgroup = context_.cgroups.find(state.cgroup_id, state.serial);
      trace_.value(counter_of(cgroup, swap_name_), time_ns, state.swap_usage_bytes);
    }
  }
}

void PerfettoExport::tell(const SampleEvent& sample, const ExportedCgroup& cgroup) {
  trace_.value(counter_of(cgroup, kTraceUsage), sample.time_ns, sample.usage_bytes);
}

void PerfettoExport::tell(const ExecEvent& exec) {
  if (exec.task.process.tgid != 0) {
    trace_.forget(ids_.of("process", exec.task.process.tgid, exec.task.process.start_ns));
    trace_.forget(ids_.of("thread", exec.task.process.tgid, exec.task.process.start_ns, exec.task.tid));
  }
}

void PerfettoExport::tell(const ThrottleEvent& throttle, const ExportedCgroup& cgroup) {
  TraceEvent event;
  event.time_ns = throttle.time_ns;
  event.track = row_of(cgroup, "incidents");
  event.name = "steps left out by the rate limit";
  event.category = "loss";
  event.notes = {{"steps per window", throttle.steps_per_window}, {"window ns", throttle.window_ns}};
  trace_.instant(event);
}

void PerfettoExport::tell(const OomEvent& oom, const ExportedCgroup& cgroup) {
  TraceEvent event;
  event.time_ns = oom.time_ns;
  event.track = row_of(cgroup, "incidents");
  event.name = "out of memory";
  event.notes = {{"trigger", oom.trigger.comm}, {"trigger pid", std::uint64_t{oom.trigger.process.tgid}}};
  trace_.instant(event);
  swap(oom.chain, oom.time_ns);
}

void PerfettoExport::tell(const VictimEvent& victim) {
  TraceEvent event;
  event.time_ns = victim.time_ns;
  event.track = process_of(victim.task, victim.time_ns);
  event.name = "victim of the OOM killer";
  event.notes = {{"anon bytes", victim.anon_bytes},   {"file bytes", victim.file_bytes},
                 {"shmem bytes", victim.shmem_bytes}, {"swap bytes", victim.swap_bytes},
                 {"trigger", victim.trigger.comm},    {"trigger pid", std::uint64_t{victim.trigger.process.tgid}}};
  trace_.instant(event);
  swap(victim.chain, victim.time_ns);
}

void PerfettoExport::tell(const KillEvent& kill) {
  const std::string name = signal_name(kill.signal);
  TraceEvent event;
  event.time_ns = kill.time_ns;
  event.track = process_of(kill.target, kill.time_ns);
  event.name = name;
  event.notes = {{"sender", kill.sender.comm},
                 {"sender pid", std::uint64_t{kill.sender.process.tgid}},
                 {"by the kernel", kill.from_kernel}};
  trace_.instant(event);
}

void PerfettoExport::tell(const CgroupEvent& cgroup_event, const ExportedCgroup& cgroup) {
  if (!cgroup_event.created && cgroups_.erase(ids_.of("cgroup", cgroup.cgroup_id, cgroup.serial)) > 0) {
    trace_.value(counter_of(cgroup, kTraceUsage), cgroup_event.time_ns, 0);
  }
}

void PerfettoExport::tell(const ChargeFailureEvent& failure, const ExportedCgroup& cgroup) {
  TraceEvent event;
  event.time_ns = failure.time_ns;
  event.track = row_of(cgroup, "incidents");
  event.name = "charge failed";
  event.notes = {{"so far", failure.count}, {"process", failure.task.comm}, {"function", failure.function}};
  trace_.instant(event);
  swap(failure.chain, failure.time_ns);
}

void PerfettoExport::add(const ExportedEvent& exported) {
  last_ns_ = std::max(last_ns_, time_of(exported.event));
  std::visit(
      [&](const auto& one) {
        if constexpr (requires { tell(one); }) {
          tell(one);
        } else if constexpr (requires(const ExportedCgroup& cgroup) { tell(one, cgroup); }) {
          if (exported.cgroup != nullptr) {
            tell(one, *exported.cgroup);
          }
        }
      },
      exported.event);
}

}  // namespace memcrest
