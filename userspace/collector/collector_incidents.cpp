// SPDX-License-Identifier: Apache-2.0
// The second half of the collector: what detectors found becomes incidents.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>

#include "collector/collector.h"
#include "incident/growth_stacks.h"
#include "util/units.h"

namespace memcrest {
namespace {

std::string parent_path(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

// The log lists threads on some kernels: each process counts once.
void add_tasks(Incident& incident, const LogOomEvent& log) {
  std::set<std::uint32_t> seen;
  ProcessCount out;
  for (const LogTask& task : log.tasks) {
    if (seen.insert(task.tgid).second) {
      ++out.count;
      out.largest_bytes = std::max(out.largest_bytes, task.rss_bytes);
      out.total_bytes += std::min(task.rss_bytes, UINT64_MAX - out.total_bytes);
    }
  }
  if (out.count > 0) {
    incident.processes = out;
  }
  if (!log.victims.empty()) {
    incident.mapped_bytes = log.victims.front().mapped_bytes;
  }
}

}  // namespace

std::string Collector::id_of(std::uint64_t boot_ns, std::uint64_t cgroup_id, std::uint32_t pid) const {
  char text[96];
  std::snprintf(text, sizeof(text), "%.8s-%llx-%llx-%x", settings_.host.boot_id.c_str(),
                static_cast<unsigned long long>(boot_ns), static_cast<unsigned long long>(cgroup_id), pid);
  return text;
}

Incident Collector::begin(IncidentKind kind, std::uint64_t boot_ns, std::uint64_t cgroup_id) {
  Incident out;
  out.kind = kind;
  out.boot_ns = boot_ns;
  out.unix_ns = now_.unix_of(boot_ns);
  out.host = settings_.host;
  const Identity identity = around_.find(cgroup_id);
  out.container = identity.container;
  out.cgroup = identity.cgroup;
  out.cgroup.id = cgroup_id;
  return out;
}

Incident Collector::begin(IncidentKind kind, std::uint64_t boot_ns, const std::string& path) {
  const Identity identity = around_.find_path(path);
  Incident out = begin(kind, boot_ns, identity.cgroup.id);
  out.container = identity.container;
  out.cgroup = identity.cgroup;
  return out;
}

void Collector::tell_oom(const OomFinding& finding) {
  Incident incident = finding.victim_cgroup_id == 0 && !finding.victim_path.empty()
                          ? begin(IncidentKind::kOom, finding.time_ns, finding.victim_path)
                          : begin(IncidentKind::kOom, finding.time_ns, finding.victim_cgroup_id);
  const std::uint32_t first_pid = finding.victims.empty() ? 0 : finding.victims.front().task.process.tgid;
  incident.id = id_of(finding.time_ns, incident.cgroup.id, first_pid);
  incident.scope = finding.scope;
  incident.limit = limit_of(finding, incident);
  if (incident.scope == Scope::kAncestor && finding.own) {
    incident.limit.own_usage_bytes = finding.memsw_hit ? finding.own->swap_usage_bytes : finding.own->usage_bytes;
  }
  if (finding.hit) {
    incident.usage_bytes = finding.memsw_hit ? finding.hit->swap_usage_bytes : finding.hit->usage_bytes;
  }
  if (finding.own) {
    incident.peak_bytes = finding.own->watermark_bytes;
  } else if (const auto peak = around_.number(incident.cgroup.path, settings_.files.peak)) {
    incident.peak_bytes = *peak;
  } else {
    incident.evidence.gaps.emplace_back("the peak of the cgroup is not known");
  }
  if (finding.trigger) {
    incident.trigger =
        Trigger{finding.trigger->process.tgid, finding.trigger->tid, finding.trigger->comm, finding.trigger->ns_tgid};
  }
  std::vector<Place> places;
  for (const VictimEvent& victim : finding.victims) {
    incident.victims.push_back(victim_of(victim));
    places.push_back(place_of(victim));
  }
  for (const TaskInfo& sibling : finding.siblings) {
    // It shares a victim's memory: the same figures, not more memory. Whose, is known where there is one victim.
    VictimEvent event = finding.victims.size() == 1 ? finding.victims.front() : VictimEvent{};
    event.task = sibling;
    event.parents.clear();
    event.parents_end = ParentsEnd::kUnknown;
    event.parent_cgroup_id = 0;
    const auto beside = std::ranges::find_if(
        finding.victims, [&](const VictimEvent& one) { return one.task.cgroup_id == sibling.cgroup_id; });
    event.init = beside == finding.victims.end() ? std::nullopt : beside->init;
    incident.victims.push_back(victim_of(event));
    places.push_back(place_of(event));
  }
  add_detail(incident, finding);
  std::uint64_t from_ns = finding.time_ns;
  // The rise of the cgroup that was full tells the story; its own cgroup's where that one was not followed.
  const ProcessKey first = finding.victims.empty() ? ProcessKey{} : finding.victims.front().task.process;
  const std::uint64_t hit_id = finding.hit && finding.hit->cgroup_id != 0 ? finding.hit->cgroup_id
                               : finding.limit_path.empty()               ? 0
                                                            : around_.find_path(finding.limit_path).cgroup.id;
  Origin origin = take_rise(incident, first, {hit_id, incident.cgroup.id}, from_ns);
  look_back(incident, hit_id != 0 ? hit_id : incident.cgroup.id);
  incident.evidence.gaps.insert(incident.evidence.gaps.end(), finding.gaps.begin(), finding.gaps.end());
  ++totals_.ooms;
  totals_.victims += incident.victims.size();
  hold(std::move(incident), from_ns, std::move(places), std::move(origin));
}

Collector::Origin Collector::take_rise(Incident& incident, const ProcessKey& victim,
                                       const std::vector<std::uint64_t>& cgroup_ids, std::uint64_t& from_ns) {
  auto rise = cut_.end();
  for (const std::uint64_t id : cgroup_ids) {
    rise = rise == cut_.end() && id != 0 ? cut_.find({victim, id}) : rise;
  }
  if (rise == cut_.end()) {
    return {};
  }
  incident.burst = rise->second.burst;
  incident.burst->start_unix_ns = now_.unix_of(incident.burst->start_boot_ns);
  incident.samplers = rise->second.samplers;
  from_ns = incident.burst->start_boot_ns;
  if (rise->second.steps_missing) {
    incident.evidence.gaps.emplace_back("steps of this cgroup were left out by the rate limit");
  }
  return take_origin(incident, rise->second);
}

Collector::Origin Collector::take_origin(Incident& incident, const BurstFinding& finding) {
  const Burst& burst = *incident.burst;
  if (finding.seen_bytes < burst.growth_bytes / 2) {
    incident.evidence.gaps.push_back("of " + format_size(burst.growth_bytes - finding.seen_bytes) +
                                     " of the growth no step told: who grew it, and as what, is not known");
  }
  incident.burst->programs = merge_programs(finding.stacks, finding.seen_bytes,
                                            [this](const ProcessKey& process) { return around_.cmdline(process); });
  return {finding.stacks, finding.seen_bytes};
}

void Collector::take_names(Incident& incident, const Origin& origin, const StackNames& names) {
  if (incident.breakpoint) {
    if (!names.stacks.empty()) {
      incident.breakpoint->frames = names.stacks.front().frames;
      incident.breakpoint->stack_gap = names.stacks.front().gap;
    }
    return;
  }
  incident.burst->stacks = merge_stacks(origin.stacks, names, origin.seen_bytes);
  incident.burst->hints = names.hints;
}

// Whether its functions have names, or will get none.
bool Collector::named(Waiting& one, std::chrono::milliseconds patience, bool last) {
  if (one.origin.stacks.empty() || (!one.incident.burst && !one.incident.breakpoint)) {
    return true;
  }
  const StackNames names = around_.name_stacks(one.incident.id, one.origin.stacks, patience);
  if (names.pending && !last) {
    return false;
  }
  take_names(one.incident, one.origin, names);
  one.origin.stacks.clear();
  if (names.pending || !names.gap.empty()) {
    one.incident.evidence.gaps.push_back(names.pending ? "the functions that grew it could not be named in time"
                                                       : names.gap);
  }
  return true;
}

// What the killer and the kernel log know beyond victims and limit, and how long the cgroup was held up before.
void Collector::add_detail(Incident& incident, const OomFinding& finding) {
  OomDetail detail;
  detail.order = finding.order;
  detail.gfp_mask = finding.gfp_mask;
  detail.group_kill = finding.group_kill;
  detail.sysrq = finding.sysrq;
  detail.limit_lowered = finding.limit_lowered;
  incident.oom = detail;
  if (settings_.stalls_are_seen) {
    incident.reclaim = stalls_.before(incident.cgroup.id, finding.time_ns);
  }
  if (finding.hit && (finding.hit->swap_limit_bytes || finding.hit->swap_usage_bytes > 0)) {
    incident.swap = Swap{finding.hit->swap_usage_bytes, finding.hit->swap_limit_bytes, settings_.files.swap_limit};
  }
  if (finding.scope == Scope::kHost) {
    incident.ranking = around_.rank();
  }
  if (finding.log) {
    incident.memory_stat = finding.log->stats;
    add_tasks(incident, *finding.log);
  }
}

void Collector::on(const OomCountEvent& event) {
  Incident incident = begin(IncidentKind::kOom, event.time_ns, event.cgroup_id);
  if (incident.cgroup.path.empty()) {
    incident.cgroup.path = event.path;
  }
  // Several that are gone can be told of at the same moment: their paths tell them apart.
  const auto id = event.cgroup_id != 0 ? event.cgroup_id : std::hash<std::string>{}(event.path);
  incident.id = id_of(event.time_ns, id, 0);
  const std::string limit_path = event.limit_path.value_or("");
  incident.limit = {std::nullopt, settings_.files.limit, ""};
  if (!event.limit_path && !event.path.empty()) {
    incident.scope = Scope::kMemcg;  // the most likely: the gap says that it is a guess
  } else if (limit_path.empty()) {
    incident.scope = Scope::kHost;
    incident.limit = {settings_.host_memory_bytes, "host", {}};
    incident.ranking = around_.rank();
  } else {
    incident.scope = limit_path == event.path ? Scope::kMemcg : Scope::kAncestor;
    incident.limit.cgroup_path = limit_path;
    incident.limit.bytes = event.memsw_hit ? event.memsw_limit_bytes : event.limit_bytes;
    incident.limit.kind = event.memsw_hit ? settings_.files.swap_limit : settings_.files.limit;
    incident.usage_bytes = event.memsw_hit ? event.memsw_usage_bytes : event.usage_bytes;
  }
  incident.peak_bytes = event.peak_bytes;
  OomDetail detail;
  detail.group_kill = event.group_kill;
  detail.kills = event.kills;
  incident.oom = detail;
  incident.evidence.gaps.emplace_back("kills were only counted: the victims are not known");
  if (!event.limit_path) {
    incident.evidence.gaps.emplace_back(
        "the cgroup was gone before its files could be read: whose limit was hit is not known");
  } else if (settings_.files.version == 1) {
    incident.evidence.gaps.emplace_back(
        "whose limit was hit is inferred from what the cgroups held at most: cgroup v1 does not count that");
  } else if (limit_path.empty()) {
    incident.evidence.gaps.emplace_back(
        "no cgroup's limit was hit: the host's memory, or what a cpuset or a memory policy allows");
  }
  std::uint64_t from_ns = event.time_ns - std::min(event.time_ns, event.window_ns);
  cut_rise({}, event.cgroup_id, from_ns, std::nullopt);
  Origin origin = take_rise(incident, {}, {event.cgroup_id}, from_ns);
  look_back(incident, event.cgroup_id);
  ++totals_.ooms;
  totals_.victims += event.kills;
  hold(std::move(incident), from_ns, {}, std::move(origin));
}

void Collector::on(const StuckEvent& event) {
  Incident incident = begin(IncidentKind::kOom, event.time_ns, event.cgroup_id);
  if (incident.cgroup.path.empty()) {
    incident.cgroup.path = event.path;
  }
  // The same for the beginning and the end.
  incident.id = id_of(event.since_ns, event.cgroup_id, 0);
  incident.limit = {event.limit_bytes, settings_.files.limit, incident.cgroup.path};
  incident.usage_bytes = event.usage_bytes;
  Stuck stuck;
  stuck.since_boot_ns = event.since_ns;
  stuck.duration_ms = static_cast<double>(event.time_ns - std::min(event.time_ns, event.since_ns)) / 1e6;
  stuck.ongoing = !event.ended;
  stuck.total_tasks = event.total_tasks;
  for (const StuckTask& task : event.tasks) {
    stuck.tasks.push_back({task.pid, task.tid, task.comm, 0});
  }
  if (std::ranges::any_of(event.tasks, [](const StuckTask& task) { return !task.verified; })) {
    incident.evidence.gaps.emplace_back(
        "where its tasks sleep may not be read (CAP_SYS_PTRACE): some of those named may wait for something else");
  }
  incident.stuck = std::move(stuck);
  incident.oom = OomDetail{};
  totals_.ooms += event.ended ? 0 : 1;
  hold(std::move(incident), event.since_ns);
}

// Told at once: what is done about it, and to whom, is known to who set the line.
void Collector::on(const BreakpointEvent& event) {
  Incident incident = begin(IncidentKind::kBreakpoint, event.time_ns, event.cgroup_id);
  incident.id = id_of(event.time_ns, event.cgroup_id, event.task.process.tgid);
  incident.limit = nearest_limit(incident.cgroup.path, event.limit_bytes);
  incident.scope = incident.limit.cgroup_path == incident.cgroup.path ? Scope::kMemcg : Scope::kAncestor;
  incident.usage_bytes = event.usage_bytes;
  Breakpoint hit;
  hit.line_bytes = event.line_bytes;
  hit.overshoot_bytes = event.usage_bytes - std::min(event.usage_bytes, event.line_bytes);
  hit.late = event.late;
  hit.signal = event.signal;
  hit.error = event.error;
  Origin origin;
  if (event.late) {
    incident.evidence.gaps.emplace_back("usage was read now and then: who crossed the line is not known");
  } else if (event.task.tid == 0) {
    incident.trigger = Trigger{event.task.process.tgid, 0, event.task.comm, event.task.ns_tgid};
    incident.evidence.gaps.emplace_back(
        "the record of this hit was lost, or not read in time: the process was found later; which thread crossed, and "
        "where, is not known");
  } else {
    incident.trigger = Trigger{event.task.process.tgid, event.task.tid, event.task.thread_comm, event.task.ns_tgid};
    StackGrowth stack{.process = event.task.process,
                      .comm = event.task.comm,
                      .kind = MemoryKind::kUnknown,
                      .user_stack = event.user_stack,
                      .kernel_stack = event.kernel_stack,
                      .bytes = 1};
    origin = {{std::move(stack)}, 1};
  }
  incident.breakpoint = std::move(hit);
  ++totals_.breakpoints;
  hold(std::move(incident), event.time_ns, {}, std::move(origin));
}

void Collector::tell_failure(const ChargeFailureFinding& finding) {
  const ChargeFailureEvent& last = finding.last;
  Incident incident = begin(IncidentKind::kChargeFailure, last.time_ns, last.cgroup_id);
  incident.id = id_of(finding.first_ns, last.cgroup_id, 0);
  // Whose limit it was is not told by the kernel: the one in the chain that has the least room left.
  const MemcgState* tightest = nullptr;
  const auto left = [](std::optional<std::uint64_t> limit, std::uint64_t usage) {
    return limit ? *limit - std::min(*limit, usage) : ~0ULL;
  };
  const auto memory_room = [&](const MemcgState& memcg) { return left(memcg.limit_bytes, memcg.usage_bytes); };
  const auto memsw_room = [&](const MemcgState& memcg) {
    return settings_.ooms.memsw ? left(memcg.swap_limit_bytes, memcg.swap_usage_bytes) : ~0ULL;
  };
  const auto room = [&](const MemcgState& memcg) { return std::min(memory_room(memcg), memsw_room(memcg)); };
  int too_tight = 0;
  for (const MemcgState& memcg : last.chain.entries) {
    tightest = room(memcg) != ~0ULL && (tightest == nullptr || room(memcg) < room(*tightest)) ? &memcg : tightest;
    too_tight += last.bytes && memory_room(memcg) < *last.bytes ? 1 : 0;
    too_tight += last.bytes && memsw_room(memcg) < *last.bytes ? 1 : 0;
  }
  if (too_tight != 1) {
    incident.evidence.gaps.emplace_back("whose limit refused it is inferred: the one with the least room is named");
  }
  if (tightest != nullptr) {
    OomFinding as_finding;
    as_finding.hit = *tightest;
    as_finding.memsw_hit = memsw_room(*tightest) < memory_room(*tightest);
    incident.scope = tightest->cgroup_id == last.cgroup_id ? Scope::kMemcg : Scope::kAncestor;
    incident.limit = limit_of(as_finding, incident);
    incident.usage_bytes = as_finding.memsw_hit ? tightest->swap_usage_bytes : tightest->usage_bytes;
  }
  if (!last.chain.entries.empty()) {
    incident.peak_bytes = last.chain.entries.front().watermark_bytes;
  }
  incident.trigger = Trigger{last.task.process.tgid, last.task.tid, last.task.comm, last.task.ns_tgid};
  ChargeFailure failure;
  failure.count = finding.count;
  failure.at_least = finding.at_least;
  failure.error = last.error;
  if (const char* name = strerrorname_np(last.error)) {
    failure.error_name = name;
  }
  failure.function = last.function;
  failure.bytes = last.bytes;
  failure.gfp_mask = last.gfp_mask;
  failure.duration_ms = static_cast<double>(last.time_ns - std::min(last.time_ns, finding.first_ns)) / 1e6;
  incident.charge_failure = std::move(failure);
  if (settings_.stalls_are_seen) {
    incident.reclaim = stalls_.before(last.cgroup_id, last.time_ns);
  }
  if (finding.at_least) {
    incident.evidence.gaps.emplace_back(
        "failures are followed only once a limit is met: the first ones may be missing");
  }
  ++totals_.charge_failures;
  hold(std::move(incident), finding.first_ns);
}

void Collector::tell_burst(const BurstFinding& finding) {
  Incident incident = begin(IncidentKind::kBurst, finding.end_ns, finding.cgroup_id);
  incident.id = id_of(finding.burst.start_boot_ns, finding.cgroup_id, 0);
  incident.limit = nearest_limit(incident.cgroup.path, finding.limit_bytes);
  incident.peak_bytes = std::max(finding.watermark_bytes, finding.burst.peak_bytes);
  if (incident.limit.cgroup_path != incident.cgroup.path) {
    incident.scope = Scope::kAncestor;
    incident.limit.own_usage_bytes = finding.burst.peak_bytes;
  }
  incident.burst = finding.burst;
  incident.burst->start_unix_ns = now_.unix_of(finding.burst.start_boot_ns);
  incident.samplers = finding.samplers;
  if (finding.steps_missing) {
    incident.evidence.gaps.emplace_back("steps of this cgroup were left out by the rate limit");
  }
  look_back(incident, finding.cgroup_id);
  ++totals_.bursts;
  const std::uint64_t from_ns = finding.burst.start_boot_ns;
  Origin origin = take_origin(incident, finding);
  hold(std::move(incident), from_ns, {}, std::move(origin));
}

Limit Collector::limit_of(const OomFinding& finding, const Incident& incident) const {
  if (!finding.hit) {
    switch (finding.scope) {
      case Scope::kMemcg:
      case Scope::kAncestor:
        return {std::nullopt, settings_.files.limit, finding.scope == Scope::kMemcg ? incident.cgroup.path : ""};
      case Scope::kHost:
      case Scope::kCpuset:
      case Scope::kMempolicy:
        return {finding.scope == Scope::kHost ? settings_.host_memory_bytes : std::nullopt, "host", {}};
    }
  }
  Limit out{finding.memsw_hit ? finding.hit->swap_limit_bytes : finding.hit->limit_bytes,
            finding.memsw_hit ? settings_.files.swap_limit : settings_.files.limit, finding.limit_path};
  if (!out.cgroup_path.empty()) {
    return out;
  }
  if (finding.hit->cgroup_id == incident.cgroup.id) {
    out.cgroup_path = incident.cgroup.path;
  } else if (const Identity hit = around_.find(finding.hit->cgroup_id); hit.known) {
    out.cgroup_path = hit.cgroup.path;
  } else if (!finding.victims.empty()) {
    // Its name ends the path of one of the victim's ancestors.
    std::string path = incident.cgroup.path;
    for (const MemcgState& memcg : finding.victims.front().chain.entries) {
      if (memcg.cgroup_id == finding.hit->cgroup_id) {
        out.cgroup_path = path;
        break;
      }
      path = parent_path(path);
    }
  }
  return out;
}

Limit Collector::nearest_limit(const std::string& path, std::optional<std::uint64_t> own) const {
  Limit out{own, settings_.files.limit, path};
  for (std::string up = path; up.size() > 1;) {
    up = parent_path(up);
    const auto limit = around_.number(up, settings_.files.limit);
    if (limit && (!out.bytes || *limit < *out.bytes)) {
      out.bytes = limit;
      out.cgroup_path = up;
    }
  }
  return out;
}

}  // namespace memcrest
