// SPDX-License-Identifier: Apache-2.0
#include "export/json_detail.h"
#include "util/signal_name.h"

namespace memcrest {
namespace {

Json oom_json(const OomDetail& oom) {
  Json json;
  json["order"] = number_or_null(oom.order);
  json["gfp_mask"] = number_or_null(oom.gfp_mask);
  json["group_kill"] = oom.group_kill;
  json["sysrq"] = oom.sysrq;
  json["limit_lowered"] = oom.limit_lowered;
  json["kills"] = number_or_null(oom.kills);
  return json;
}

Json reclaim_json(const ReclaimStall& reclaim) {
  Json json;
  json["window_ms"] = span_ms(reclaim.window_ms);
  json["direct_ms"] = span_ms(reclaim.direct_ms);
  json["throttle_ms"] = span_ms(reclaim.throttle_ms);
  return json;
}

Json swap_json(const Swap& swap) {
  Json json;
  json["usage_bytes"] = number_or_null(swap.usage_bytes);
  json["limit_bytes"] = number_or_null(swap.limit_bytes);
  json["kind"] = text_or_null(swap.kind);
  return json;
}

Json ranked_json(const RankedCgroup& ranked) {
  Json json;
  json["cgroup"]["id"] = ranked.cgroup.id;
  json["cgroup"]["path"] = text_or_null(ranked.cgroup.path);
  json["runtime"] = to_string(ranked.runtime);
  json["container_id"] = text_or_null(ranked.container_id);
  json["container_name"] = text_or_null(ranked.container_name);
  json["pod_name"] = text_or_null(ranked.pod_name);
  json["pod_namespace"] = text_or_null(ranked.pod_namespace);
  json["usage_bytes"] = ranked.usage_bytes;
  json["growth_bytes"] = ranked.growth_bytes;
  return json;
}

Json ranking_json(const HostRanking& ranking) {
  Json json;
  json["growth_window_ms"] = span_ms(ranking.growth_window_ms);
  json["by_usage"] = array_json(ranking.by_usage, ranked_json);
  json["by_growth"] = array_json(ranking.by_growth, ranked_json);
  json["incomplete"] = text_or_null(ranking.incomplete);
  return json;
}

Json stuck_json(const Stuck& stuck) {
  Json json;
  json["since_boot_time_ns"] = stuck.since_boot_ns;
  json["duration_ms"] = span_ms(stuck.duration_ms);
  json["ongoing"] = stuck.ongoing;
  json["total_tasks"] = stuck.total_tasks;
  json["tasks"] = array_json(stuck.tasks, task_json);
  return json;
}

Json charge_failure_json(const ChargeFailure& failure) {
  Json json;
  json["count"] = failure.count;
  json["at_least"] = failure.at_least;
  json["errno"] = failure.error == 0 ? Json(nullptr) : Json(failure.error);
  json["error"] = text_or_null(failure.error_name);
  json["function"] = text_or_null(failure.function);
  json["bytes"] = number_or_null(failure.bytes);
  json["gfp_mask"] = number_or_null(failure.gfp_mask);
  json["duration_ms"] = span_ms(failure.duration_ms);
  return json;
}

Json sender_parent_json(const Parent& parent) {
  Json json;
  json["pid"] = parent.pid;
  json["comm"] = text(parent.comm);
  json["cmdline"] = text_or_null(parent.cmdline);
  return json;
}

Json sender_json(const Sender& sender) {
  Json json;
  json["pid"] = sender.pid;
  json["uid"] = sender.uid;
  json["comm"] = text(sender.comm);
  json["cmdline"] = text_or_null(sender.cmdline);
  json["known"] = sender.known;
  json["cgroup_path"] = text_or_null(sender.cgroup_path);
  json["unit"] = text_or_null(sender.unit);
  json["container_id"] = text_or_null(sender.container_id);
  json["container_name"] = text_or_null(sender.container_name);
  json["same_container"] = sender.same_container;
  json["parents"] = array_json(sender.parents, sender_parent_json);
  return json;
}

Json asked_json(const AskedToEnd& asked) {
  Json json;
  json["signal_number"] = asked.signal;
  json["signal"] = text(signal_name(asked.signal));
  json["before_ms"] = span_ms(asked.before_ms);
  json["sender"] = object_or_null(asked.sender, sender_json);
  return json;
}

Json end_json(const ProcessEnd& end) {
  Json json;
  json["signal_number"] = end.signal;
  json["signal"] = text(signal_name(end.signal));
  json["core_dumped"] = end.core_dumped;
  json["pid"] = end.pid;
  json["container_pid"] = pid_or_null(end.container_pid);
  json["comm"] = text(end.comm);
  json["cmdline"] = text_or_null(end.cmdline);
  json["exe"] = text_or_null(end.exe);
  json["uid"] = end.uid;
  json["main_process"] = end.main_process;
  json["main_process_known"] = end.main_process_known;
  json["by_kernel"] = end.by_kernel;
  json["without_info"] = end.without_info;
  json["sender"] = object_or_null(end.sender, sender_json);
  json["asked"] = object_or_null(end.asked, asked_json);
  json["left_out"] = end.left_out;
  return json;
}

Json held_json(const HeldProcess& one) {
  Json json;
  json["pid"] = one.pid;
  json["container_pid"] = pid_or_null(one.container_pid);
  json["comm"] = text(one.comm);
  json["cmdline"] = text_or_null(one.cmdline);
  json["rss_bytes"] = number_or_null(one.rss_bytes);
  json["held"] = one.held;
  return json;
}

Json breakpoint_json(const Breakpoint& hit) {
  Json json;
  json["rule"] = text_or_null(hit.rule);
  json["line_bytes"] = hit.line_bytes;
  json["overshoot_bytes"] = hit.overshoot_bytes;
  json["late"] = hit.late;
  json["signal_number"] = hit.signal == 0 ? Json(nullptr) : Json(hit.signal);
  json["signal"] = hit.signal == 0 ? Json(nullptr) : Json(signal_name(hit.signal));
  json["errno"] = hit.error == 0 ? Json(nullptr) : Json(hit.error);
  json["action"] = text_or_null(hit.action);
  json["outcome"] = text_or_null(hit.outcome);
  json["failed"] = hit.failed;
  json["held_ms"] = span_ms(hit.held_ms);
  json["output"] = text_or_null(hit.output);
  json["frames"] = array_json(hit.frames, frame_json);
  json["stack_gap"] = text_or_null(hit.stack_gap);
  json["processes"] = array_json(hit.processes, held_json);
  json["total_processes"] = hit.total_processes;
  return json;
}

Json memory_stat_json(const Incident& incident) {
  if (incident.memory_stat.empty()) {
    return nullptr;
  }
  Json json = Json::object();
  for (const auto& [name, value] : incident.memory_stat) {
    json.emplace(text(name), value);  // of a name that the log repeats the first stays: an object has it once
  }
  return json;
}

}  // namespace

Json frame_json(const Frame& frame) {
  Json json;
  json["name"] = text_or_null(frame.name);
  json["module"] = text_or_null(frame.module);
  json["file"] = text_or_null(frame.file);
  json["line"] = frame.line == 0 ? Json(nullptr) : Json(frame.line);
  json["build_id"] = text_or_null(frame.build_id);
  json["offset"] = frame.offset == 0 ? Json(nullptr) : Json(frame.offset);
  json["inlined"] = frame.inlined;
  return json;
}

Json task_json(const Trigger& task) {
  Json json;
  json["pid"] = task.pid;
  json["tid"] = task.tid;
  json["comm"] = text(task.comm);
  json["container_pid"] = pid_or_null(task.container_pid);
  return json;
}

void add_detail(Json& json, const Incident& incident) {
  json["oom"] = object_or_null(incident.oom, oom_json);
  json["reclaim"] = object_or_null(incident.reclaim, reclaim_json);
  json["swap"] = object_or_null(incident.swap, swap_json);
  json["ranking"] = object_or_null(incident.ranking, ranking_json);
  json["stuck"] = object_or_null(incident.stuck, stuck_json);
  json["charge_failure"] = object_or_null(incident.charge_failure, charge_failure_json);
  json["end"] = object_or_null(incident.end, end_json);
  json["breakpoint"] = object_or_null(incident.breakpoint, breakpoint_json);
  json["memory_stat"] = memory_stat_json(incident);
}

}  // namespace memcrest
