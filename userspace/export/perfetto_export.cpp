// SPDX-License-Identifier: Apache-2.0
#include "export/perfetto_export.h"

#include <algorithm>
#include <functional>

#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kClockDriftNs = 100'000;         // told again when the clocks have moved apart by so much
constexpr std::uint64_t kClockEveryNs = 60'000'000'000;  // or after so long

std::uint64_t offset_of(const Moment& moment) { return static_cast<std::uint64_t>(moment.unix_ns) - moment.boot_ns; }

std::uint64_t saturating_add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? ~std::uint64_t{0} : sum;
}

const char* name_of(const Incident& incident) {
  switch (incident.kind) {
    case IncidentKind::kOom:
      return incident.stuck && incident.victims.empty() ? "out of memory, nobody killed" : "OOM kill";
    case IncidentKind::kBurst:
      return "burst";
    case IncidentKind::kKill:
      return "SIGKILL";
    case IncidentKind::kChargeFailure:
      return "memory refused";
    case IncidentKind::kBreakpoint:
      return "breakpoint";
  }
  return "incident";
}

std::string victims_text(const std::vector<Victim>& victims) {
  std::string out;
  for (const Victim& victim : victims) {
    out += (out.empty() ? "" : ", ") + victim.comm + "[" + std::to_string(victim.pid) + "]";
  }
  return out;
}

void note_if(TraceEvent& event, const char* name, const std::optional<std::uint64_t>& value) {
  if (value) {
    event.notes.push_back({name, *value});
  }
}

std::uint64_t ns_of(double ms) {
  return ms > 0 && ms < 1e12 ? static_cast<std::uint64_t>(ms * 1e6) : 0;  // no NaN, and nothing beyond any recording
}

}  // namespace

PerfettoExport::PerfettoExport(const ExportContext& context, const Bounds& bounds)
    : context_(context),
      bounds_(bounds),
      ids_(context.about("boot_id")),
      trace_(context.sink),
      stacks_(context.frames, bounds.frames, bounds.stacks),
      // v1 counts both together.
      swap_name_(context.about("settings").contains("memsw.limit_in_bytes") ? "memory and swap" : "swap usage") {
  trace_.begin(context.about("kernel"));
}

std::uint64_t PerfettoExport::root() {
  const std::uint64_t id = ids_.of("memcrest");
  trace_.group(id, 0, "memcrest");
  return id;
}

std::uint64_t PerfettoExport::group_of(const ExportedCgroup& cgroup) {
  const std::uint64_t id = ids_.of("cgroup", cgroup.cgroup_id, cgroup.serial);
  trace_.group(id, root(), cgroup.label);
  return id;
}

std::uint64_t PerfettoExport::row_of(const ExportedCgroup& cgroup, const char* name) {
  const std::uint64_t id = ids_.of(name, cgroup.cgroup_id, cgroup.serial);
  trace_.group(id, group_of(cgroup), name);
  return id;
}

std::uint64_t PerfettoExport::counter_of(const ExportedCgroup& cgroup, const char* name) {
  const std::uint64_t id = ids_.of(name, cgroup.cgroup_id, cgroup.serial);
  trace_.counter(id, group_of(cgroup), name);
  return id;
}

std::uint64_t PerfettoExport::process_of(const TaskInfo& task, std::uint64_t time_ns) {
  const std::uint64_t id = ids_.of("process", task.process.tgid, task.process.start_ns);
  trace_.process(id, task, time_ns);
  return id;
}

std::uint64_t PerfettoExport::thread_of(const TaskInfo& task, std::uint64_t time_ns) {
  const std::uint64_t id = ids_.of("thread", task.process.tgid, task.process.start_ns, task.tid);
  trace_.thread(id, process_of(task, time_ns), task, time_ns);
  return id;
}

// The trace's own clock must not run backwards.
void PerfettoExport::add(const Moment& moment) {
  if (told_clocks_) {
    const std::uint64_t drift = offset_of(moment) - offset_of(*told_clocks_);
    const bool moved = std::min(drift, std::uint64_t{0} - drift) > kClockDriftNs;
    const bool forward = moment.boot_ns > told_clocks_->boot_ns;
    if (!forward || !(moved || moment.boot_ns - told_clocks_->boot_ns > kClockEveryNs)) {
      return;
    }
  }
  if (moment.unix_ns >= 0 && moment.boot_ns <= static_cast<std::uint64_t>(INT64_MAX)) {
    trace_.clocks(moment.boot_ns, moment.unix_ns);
    told_clocks_ = moment;
  }
}

void PerfettoExport::counters(const ExportedStep& step, Told& told, TraceEvent& event) {
  event.counters.emplace_back(counter_of(step.cgroup, kTraceUsage), step.event.usage_bytes);
  if (step.event.limit_bytes != told.limit_bytes) {
    // A counter has no end: a limit that was removed is 0.
    event.counters.emplace_back(counter_of(step.cgroup, kTraceLimit), step.event.limit_bytes.value_or(0));
  }
  told.limit_bytes = step.event.limit_bytes;
}

// A process's own growth, with the stack that it came from.
void PerfettoExport::grown(const ExportedStep& step, TraceEvent& event) {
  const TaskInfo& task = step.event.task;
  event.track = thread_of(task, step.event.time_ns);
  event.name = "grew";
  event.notes.push_back({"bytes", step.growth.bytes});
  if (step.event.kind != MemoryKind::kUnknown) {
    event.notes.push_back({"kind", std::string(to_string(step.event.kind))});
  } else if (step.event.page_cache) {
    event.notes.push_back({"page cache", true});
  }
  event.callstack = stacks_.number_of(step.event, event.interned);
  const std::uint64_t process = process_of(task, step.event.time_ns);
  auto found = grown_bytes_.find(process);
  if (found == grown_bytes_.end() && grown_bytes_.size() >= bounds_.processes) {
    bytes_without_process_ = saturating_add(bytes_without_process_, step.growth.bytes);
    return;
  }
  found = found == grown_bytes_.end() ? grown_bytes_.emplace(process, 0).first : found;
  found->second = saturating_add(found->second, step.growth.bytes);
  const std::uint64_t track = ids_.of("growth", task.process.tgid, task.process.start_ns);
  trace_.counter(track, process, "memory growth");
  event.counters.emplace_back(track, found->second);
}

// Tasks were held up by so much between the step before and this one: told at its end, where it led to.
void PerfettoExport::stall(const ExportedStep& step, const char* name, std::uint64_t before_ns, std::uint64_t now_ns,
                           const Told& told) {
  const std::uint64_t end = step.event.time_ns;
  if (told.time_ns == 0 || now_ns <= before_ns || end <= told.time_ns) {
    return;
  }
  const std::uint64_t stalled = now_ns - before_ns;
  TraceEvent event;
  event.time_ns = end - std::min(stalled, end - told.time_ns);
  event.track = row_of(step.cgroup, name);
  event.name = name;
  event.category = "stall";
  event.notes.push_back({"stalled ns, all tasks", stalled});
  trace_.slice(event, end);
}

void PerfettoExport::add(const ExportedStep& step) {
  if (stacks_.full()) {
    trace_.clear_state();
    stacks_.forget();
  }
  if (cgroups_.size() >= bounds_.cgroups) {
    cgroups_.clear();
  }
  last_ns_ = std::max(last_ns_, step.event.time_ns);
  Told& told = cgroups_[group_of(step.cgroup)];
  TraceEvent event;
  event.time_ns = step.event.time_ns;
  counters(step, told, event);
  if (step.growth.by_task && step.growth.bytes > 0 && !step.event.ancestor) {
    grown(step, event);
    trace_.instant(event);
  } else {
    for (const auto& [track, value] : event.counters) {
      trace_.value(track, event.time_ns, value);
    }
  }
  stall(step, "direct reclaim", told.reclaim_ns, step.event.reclaim_ns, told);
  stall(step, "held up by memory.high", told.throttle_ns, step.event.throttle_ns, told);
  told.reclaim_ns = std::max(told.reclaim_ns, step.event.reclaim_ns);
  told.throttle_ns = std::max(told.throttle_ns, step.event.throttle_ns);
  told.time_ns = std::max(told.time_ns, step.event.time_ns);
}

void PerfettoExport::add(const ExportedLoss& loss) {
  if (loss.more == 0) {
    return;
  }
  TraceEvent event;
  event.time_ns = loss.boot_ns;
  event.track = root();
  event.name = "records lost";
  event.category = "loss";
  event.notes = {{"more", loss.more},
                 {"critical so far", loss.so_far.critical},
                 {"bulk so far", loss.so_far.bulk},
                 {"throttled so far", loss.so_far.throttled},
                 {"invalid so far", loss.so_far.invalid},
                 {"untracked so far", loss.so_far.untracked}};
  trace_.instant(event);
}

// Two bursts of a cgroup may overlap, which slices of one track must not: each has its own.
void PerfettoExport::burst(const Incident& incident, const ExportedCgroup& cgroup) {
  const Burst& burst = *incident.burst;
  TraceEvent event;
  event.time_ns = burst.start_boot_ns;
  event.track = ids_.of("burst", std::hash<std::string>()(incident.id));
  trace_.group(event.track, group_of(cgroup), "bursts");
  const std::string name = "burst of " + format_size(burst.growth_bytes);
  event.name = name;
  event.category = "burst";
  event.notes = {{"id", incident.id},
                 {"base bytes", burst.base_bytes},
                 {"peak bytes", burst.peak_bytes},
                 {"growth bytes", burst.growth_bytes},
                 {"page cache bytes", burst.page_cache_bytes},
                 {"end", std::string(to_string(burst.end))}};
  trace_.slice(event, saturating_add(burst.start_boot_ns, ns_of(burst.duration_ms)));
}

void PerfettoExport::add(const ExportedIncident& exported) {
  const Incident& incident = exported.incident;
  if (!incident.update.empty()) {
    return;  // told already
  }
  last_ns_ = std::max(last_ns_, incident.boot_ns);
  ExportedCgroup cgroup = context_.cgroups.find(incident.cgroup.id);
  if (cgroup.path.empty() && cgroup.container.id.empty()) {
    cgroup.path = incident.cgroup.path;
    cgroup.container = incident.container;
    cgroup.label = label_of(cgroup);
  }
  TraceEvent event;
  event.time_ns = incident.boot_ns;
  event.track = row_of(cgroup, "incidents");
  event.name = name_of(incident);
  event.category = "incident";
  event.notes = {{"id", incident.id},
                 {"scope", std::string(to_string(incident.scope))},
                 {"evidence complete", incident.evidence.complete}};
  if (!incident.victims.empty()) {
    event.notes.push_back({"killed", victims_text(incident.victims)});
  }
  if (!incident.limit.kind.empty()) {
    event.notes.push_back({"limit", incident.limit.kind + " " + incident.limit.cgroup_path});
  }
  note_if(event, "limit bytes", incident.limit.bytes);
  note_if(event, "usage bytes", incident.usage_bytes);
  note_if(event, "peak bytes", incident.peak_bytes);
  trace_.instant(event);
  if (incident.burst && incident.burst->start_boot_ns != 0) {
    burst(incident, cgroup);
  }
}

void PerfettoExport::finish(const ExportEnd& end) {
  const auto tell = [&](const char* name, const char* category, const char* note, const std::string& text) {
    TraceEvent event;
    event.time_ns = last_ns_;
    event.track = root();
    event.name = name;
    event.category = category;
    event.notes = {{note, text}};
    trace_.instant(event);
  };
  for (const std::string& gap : end.gaps) {
    tell("the recording is not whole", "loss", "why", gap);
  }
  for (const std::string& note : end.notes) {
    tell("what the recording holds", "recording", "note", note);
  }
  const LossCount& lost = end.lost;
  std::uint64_t sum = 0;
  for (const std::uint64_t one : {lost.critical, lost.bulk, lost.throttled, lost.invalid, lost.untracked}) {
    sum = saturating_add(sum, one);
  }
  if (sum > 0) {
    trace_.loss(sum);
  }
}

std::vector<std::string> PerfettoExport::left_out() const {
  if (bytes_without_process_ == 0) {
    return {};
  }
  return {"more processes than fit in memory: " + format_size(bytes_without_process_) +
          " of growth are in no process's counter"};
}

}  // namespace memcrest
