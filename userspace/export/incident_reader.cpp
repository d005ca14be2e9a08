// SPDX-License-Identifier: Apache-2.0
#include "export/incident_reader.h"

#include "export/json_reader.h"
#include "export/json_reader_container.h"
#include "export/json_verdict.h"

namespace memcrest {
namespace {

constexpr IncidentKind kKinds[] = {IncidentKind::kOom, IncidentKind::kBurst, IncidentKind::kKill,
                                   IncidentKind::kChargeFailure, IncidentKind::kBreakpoint};
constexpr Scope kScopes[] = {Scope::kMemcg, Scope::kAncestor, Scope::kHost, Scope::kCpuset, Scope::kMempolicy};
constexpr MemoryKind kMemoryKinds[] = {
    MemoryKind::kUnknown, MemoryKind::kAnon,        MemoryKind::kHugePage,   MemoryKind::kFile,    MemoryKind::kShmem,
    MemoryKind::kSlab,    MemoryKind::kKernelStack, MemoryKind::kPageTables, MemoryKind::kSockets, MemoryKind::kPipes,
    MemoryKind::kPercpu,  MemoryKind::kVmalloc,     MemoryKind::kBpf,        MemoryKind::kHugetlb};
constexpr BurstEnd kEnds[] = {BurstEnd::kFell, BurstEnd::kLevelled, BurstEnd::kKilled, BurstEnd::kRemoved,
                              BurstEnd::kOpen};

void read_cgroup(const JsonReader& json, CgroupRef& out) {
  json.number("id", out.id);
  json.text("path", out.path);
}

void read_task(const JsonReader& json, Trigger& out) {
  json.number("pid", out.pid);
  json.number("tid", out.tid);
  json.text("comm", out.comm);
  json.number("container_pid", out.container_pid);
}

void read_parent(const JsonReader& json, Parent& out) {
  json.number("pid", out.pid);
  json.number("container_pid", out.container_pid);
  json.text("comm", out.comm);
  json.text("cmdline", out.cmdline);
}

void read_victim(const JsonReader& json, Victim& out) {
  json.number("pid", out.pid);
  json.number("container_pid", out.container_pid);
  json.text("comm", out.comm);
  json.text("cmdline", out.cmdline);
  json.number("uid", out.uid);
  json.number("oom_score_adj", out.oom_score_adj);
  json.number("anon_bytes", out.anon_bytes);
  json.number("file_bytes", out.file_bytes);
  json.number("shmem_bytes", out.shmem_bytes);
  json.number("swap_bytes", out.swap_bytes);
  json.number("pagetable_bytes", out.pagetable_bytes);
  json.boolean("main_process", out.main_process);
  json.boolean("main_process_known", out.main_process_known);
  json.text("exe", out.exe);
  json.text("environment", out.environment);
  json.time("start", out.start_unix_ns);
  json.number("start_boot_time_ns", out.start_boot_ns);
  json.objects("parents", out.parents, read_parent);
  json.boolean("parents_complete", out.parents_complete);
}

void read_contributor(const JsonReader& json, Contributor& out) {
  json.number("pid", out.pid);
  json.text("comm", out.comm);
  json.number("bytes", out.bytes);
  json.real("share", out.share);
}

void read_kind(const JsonReader& json, KindShare& out) {
  json.word("kind", out.kind, kMemoryKinds);
  json.number("bytes", out.bytes);
  json.real("share", out.share);
}

void read_program(const JsonReader& json, Program& out) {
  json.text("comm", out.comm);
  json.text("cmdline", out.cmdline);
  json.number("processes", out.processes);
  json.number("bytes", out.bytes);
  json.real("share", out.share);
}

void read_thread(const JsonReader& json, ThreadPool& out) {
  json.text("comm", out.comm);
  json.text("thread", out.thread);
  json.number("threads", out.threads);
  json.number("bytes", out.bytes);
  json.real("share", out.share);
}

void read_frame(const JsonReader& json, Frame& out) {
  json.text("name", out.name);
  json.text("module", out.module);
  json.text("file", out.file);
  json.number("line", out.line);
  json.text("build_id", out.build_id);
  json.number("offset", out.offset);
  json.boolean("inlined", out.inlined);
}

void read_stack(const JsonReader& json, GrowthStack& out) {
  json.objects("frames", out.frames, read_frame);
  json.word("kind", out.kind, kMemoryKinds);
  json.number("bytes", out.bytes);
  json.real("share", out.share);
  json.text("gap", out.gap);
}

void read_burst(const JsonReader& json, Burst& out) {
  json.time("start", out.start_unix_ns);
  json.real("duration_ms", out.duration_ms);
  json.number("base_bytes", out.base_bytes);
  json.number("peak_bytes", out.peak_bytes);
  json.number("growth_bytes", out.growth_bytes);
  json.real("slope_bytes_per_s", out.slope_bytes_per_s);
  json.objects("contributors", out.contributors, read_contributor);
  json.boolean("peak_exact", out.peak_exact);
  json.number("page_cache_bytes", out.page_cache_bytes);
  json.real("above_half_ms", out.above_half_ms);
  json.word("end", out.end, kEnds);
  json.real("end_uncertainty_ms", out.end_uncertainty_ms);
  json.numbers("shape", out.shape);
  json.objects("kinds", out.kinds, read_kind);
  json.objects("programs", out.programs, read_program);
  json.objects("threads", out.threads, read_thread);
  json.objects("stacks", out.stacks, read_stack);
  json.texts("hints", out.hints);
}

void read_sampler(const JsonReader& json, SamplerView& out) {
  json.text("name", out.name);
  json.number("interval_ms", out.interval_ms);
  json.number("typical_seen_bytes", out.typical_seen_bytes);
  json.real("chance_seen", out.chance_seen);
}

void read_oom(const JsonReader& json, OomDetail& out) {
  json.number("order", out.order);
  json.number("gfp_mask", out.gfp_mask);
  json.boolean("group_kill", out.group_kill);
  json.boolean("sysrq", out.sysrq);
  json.boolean("limit_lowered", out.limit_lowered);
  json.number("kills", out.kills);
}

void read_reclaim(const JsonReader& json, ReclaimStall& out) {
  json.real("window_ms", out.window_ms);
  json.real("direct_ms", out.direct_ms);
  json.real("throttle_ms", out.throttle_ms);
}

void read_swap(const JsonReader& json, Swap& out) {
  json.number("usage_bytes", out.usage_bytes);
  json.number("limit_bytes", out.limit_bytes);
  json.text("kind", out.kind);
}

void read_ranked(const JsonReader& json, RankedCgroup& out) {
  json.object("cgroup", out.cgroup, read_cgroup);
  json.word("runtime", out.runtime, kRuntimes);
  json.text("container_id", out.container_id);
  json.text("container_name", out.container_name);
  json.text("pod_name", out.pod_name);
  json.text("pod_namespace", out.pod_namespace);
  json.number("usage_bytes", out.usage_bytes);
  json.number("growth_bytes", out.growth_bytes);
}

void read_ranking(const JsonReader& json, HostRanking& out) {
  json.real("growth_window_ms", out.growth_window_ms);
  json.objects("by_usage", out.by_usage, read_ranked);
  json.objects("by_growth", out.by_growth, read_ranked);
  json.text("incomplete", out.incomplete);
}

void read_stuck(const JsonReader& json, Stuck& out) {
  json.number("since_boot_time_ns", out.since_boot_ns);
  json.real("duration_ms", out.duration_ms);
  json.boolean("ongoing", out.ongoing);
  json.number("total_tasks", out.total_tasks);
  json.objects("tasks", out.tasks, read_task);
}

void read_charge_failure(const JsonReader& json, ChargeFailure& out) {
  json.number("count", out.count);
  json.boolean("at_least", out.at_least);
  json.number("errno", out.error);
  json.text("error", out.error_name);
  json.text("function", out.function);
  json.number("bytes", out.bytes);
  json.number("gfp_mask", out.gfp_mask);
  json.real("duration_ms", out.duration_ms);
}

void read_sender(const JsonReader& json, Sender& out) {
  json.number("pid", out.pid);
  json.number("uid", out.uid);
  json.text("comm", out.comm);
  json.text("cmdline", out.cmdline);
  json.boolean("known", out.known);
  json.text("cgroup_path", out.cgroup_path);
  json.text("unit", out.unit);
  json.text("container_id", out.container_id);
  json.text("container_name", out.container_name);
  json.boolean("same_container", out.same_container);
  json.objects("parents", out.parents, read_parent);
}

void read_asked(const JsonReader& json, AskedToEnd& out) {
  json.number("signal_number", out.signal);
  json.real("before_ms", out.before_ms);
  json.object("sender", out.sender, read_sender);
}

void read_end(const JsonReader& json, ProcessEnd& out) {
  json.number("signal_number", out.signal);
  json.boolean("core_dumped", out.core_dumped);
  json.number("pid", out.pid);
  json.number("container_pid", out.container_pid);
  json.text("comm", out.comm);
  json.text("cmdline", out.cmdline);
  json.text("exe", out.exe);
  json.number("uid", out.uid);
  json.boolean("main_process", out.main_process);
  json.boolean("main_process_known", out.main_process_known);
  json.boolean("by_kernel", out.by_kernel);
  json.boolean("without_info", out.without_info);
  json.object("sender", out.sender, read_sender);
  json.object("asked", out.asked, read_asked);
  json.number("left_out", out.left_out);
}

void read_held(const JsonReader& json, HeldProcess& out) {
  json.number("pid", out.pid);
  json.number("container_pid", out.container_pid);
  json.text("comm", out.comm);
  json.text("cmdline", out.cmdline);
  json.number("rss_bytes", out.rss_bytes);
  json.boolean("held", out.held);
}

void read_breakpoint(const JsonReader& json, Breakpoint& out) {
  json.text("rule", out.rule);
  json.number("line_bytes", out.line_bytes);
  json.number("overshoot_bytes", out.overshoot_bytes);
  json.boolean("late", out.late);
  json.number("signal_number", out.signal);
  json.number("errno", out.error);
  json.text("action", out.action);
  json.text("outcome", out.outcome);
  json.boolean("failed", out.failed);
  json.real("held_ms", out.held_ms);
  json.text("output", out.output);
  json.objects("frames", out.frames, read_frame);
  json.text("stack_gap", out.stack_gap);
  json.objects("processes", out.processes, read_held);
  json.number("total_processes", out.total_processes);
}

void read_evidence(const JsonReader& json, Evidence& out) {
  json.text("charge_tier", out.charge_tier);
  json.text("oom_tier", out.oom_tier);
  json.number("lost_critical", out.lost_critical);
  json.number("lost_bulk", out.lost_bulk);
  json.boolean("complete", out.complete);
  json.texts("gaps", out.gaps);
}

void read_host(const JsonReader& json, Host& out) {
  json.text("name", out.name);
  json.text("kernel", out.kernel);
  json.text("boot_id", out.boot_id);
}

void read_limit(const JsonReader& json, Limit& out) {
  json.number("own_usage_bytes", out.own_usage_bytes);
  json.number("bytes", out.bytes);
  json.text("kind", out.kind);
  json.text("cgroup_path", out.cgroup_path);
}

void read_parts(const JsonReader& json, Incident& out) {
  json.object("host", out.host, read_host);
  json.object("container", out.container, read_container);
  json.object("cgroup", out.cgroup, read_cgroup);
  json.object("limit", out.limit, read_limit);
  json.object("trigger", out.trigger, read_task);
  json.objects("victims", out.victims, read_victim);
  json.object("burst", out.burst, read_burst);
  json.objects("samplers", out.samplers, read_sampler);
  json.object("oom", out.oom, read_oom);
  json.object("reclaim", out.reclaim, read_reclaim);
  json.object("swap", out.swap, read_swap);
  json.object("ranking", out.ranking, read_ranking);
  json.object("stuck", out.stuck, read_stuck);
  json.object("charge_failure", out.charge_failure, read_charge_failure);
  json.object("end", out.end, read_end);
  json.object("breakpoint", out.breakpoint, read_breakpoint);
  json.numbers("memory_stat", out.memory_stat);
  read_verdict(json, out);
  json.object("evidence", out.evidence, read_evidence);
}

void read_incident(const JsonReader& json, Incident& out) {
  for (const char* name : {"kind", "id", "time", "boot_time_ns"}) {
    if (!json.has(name)) {
      json.refuse(name);
    }
  }
  json.word("kind", out.kind, kKinds);
  json.text("id", out.id);
  json.text("update", out.update);
  json.time("time", out.unix_ns);
  json.number("boot_time_ns", out.boot_ns);
  json.word("scope", out.scope, kScopes);
  json.number("usage_bytes", out.usage_bytes);
  json.number("peak_bytes", out.peak_bytes);
  read_parts(json, out);
  if (out.burst) {  // the line tells it by the wall clock alone
    const auto before = static_cast<std::uint64_t>(out.unix_ns) - static_cast<std::uint64_t>(out.burst->start_unix_ns);
    out.burst->start_boot_ns =
        out.burst->start_unix_ns <= out.unix_ns && before <= out.boot_ns ? out.boot_ns - before : 0;
  }
}

}  // namespace

Result<Incident> incident_from_json(std::string_view line) {
  const auto json = parse_untrusted(line);
  if (!json) {
    return std::unexpected(json.error());
  }
  Incident out;
  std::string bad;
  read_incident(JsonReader(*json, bad), out);
  if (!bad.empty()) {
    return fail("read an incident", {}, EBADMSG, "no such value: " + bad);
  }
  return out;
}

Result<std::string> clean_json_line(std::string_view line) {
  const auto json = parse_untrusted(line);
  return json ? Result<std::string>(to_line(*json)) : std::unexpected(json.error());
}

}  // namespace memcrest
