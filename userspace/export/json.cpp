// SPDX-License-Identifier: Apache-2.0
// Last stage of the path for programs: incident -> one JSON line. Field names and meanings are the contract in
// docs/incident.schema.json; null says "not known" or "there is none", so that zero and "" keep their meaning.
#include "export/json.h"

#include <cmath>

#include "export/container_json.h"
#include "export/json_detail.h"
#include "export/json_value.h"
#include "export/json_verdict.h"
#include "util/units.h"

namespace memcrest {
namespace {

Json parent_json(const Parent& parent) {
  Json json;
  json["pid"] = parent.pid;
  json["container_pid"] = pid_or_null(parent.container_pid);
  json["comm"] = text(parent.comm);
  json["cmdline"] = text_or_null(parent.cmdline);
  return json;
}

Json victim_json(const Victim& victim) {
  Json json;
  json["pid"] = victim.pid;
  json["container_pid"] = pid_or_null(victim.container_pid);
  json["comm"] = text(victim.comm);
  json["cmdline"] = text_or_null(victim.cmdline);
  json["uid"] = victim.uid;
  json["oom_score_adj"] = victim.oom_score_adj;
  json["anon_bytes"] = victim.anon_bytes;
  json["file_bytes"] = victim.file_bytes;
  json["shmem_bytes"] = victim.shmem_bytes;
  json["swap_bytes"] = victim.swap_bytes;
  json["pagetable_bytes"] = victim.pagetable_bytes;
  json["main_process"] = victim.main_process;
  json["main_process_known"] = victim.main_process_known;
  json["exe"] = text_or_null(victim.exe);
  json["environment"] = text_or_null(victim.environment);
  json["start"] = victim.start_boot_ns == 0 ? Json(nullptr) : Json(format_rfc3339(victim.start_unix_ns));
  json["start_boot_time_ns"] = victim.start_boot_ns == 0 ? Json(nullptr) : Json(victim.start_boot_ns);
  json["parents"] = array_json(victim.parents, parent_json);
  json["parents_complete"] = victim.parents_complete;
  return json;
}

Json contributor_json(const Contributor& contributor) {
  Json json;
  json["pid"] = contributor.pid;
  json["comm"] = text(contributor.comm);
  json["bytes"] = contributor.bytes;
  json["share"] = finite(contributor.share);
  return json;
}

Json program_json(const Program& program) {
  Json json;
  json["comm"] = text(program.comm);
  json["cmdline"] = text_or_null(program.cmdline);
  json["processes"] = program.processes;
  json["bytes"] = program.bytes;
  json["share"] = finite(program.share);
  return json;
}

Json thread_json(const ThreadPool& pool) {
  Json json;
  json["comm"] = text(pool.comm);
  json["thread"] = text(pool.thread);
  json["threads"] = pool.threads;
  json["bytes"] = pool.bytes;
  json["share"] = finite(pool.share);
  return json;
}

Json kind_json(const KindShare& kind) {
  Json json;
  json["kind"] = to_string(kind.kind);
  json["bytes"] = kind.bytes;
  json["share"] = finite(kind.share);
  return json;
}

Json stack_json(const GrowthStack& stack) {
  Json json;
  json["frames"] = array_json(stack.frames, frame_json);
  json["kind"] = to_string(stack.kind);
  json["bytes"] = stack.bytes;
  json["share"] = finite(stack.share);
  json["gap"] = text_or_null(stack.gap);
  return json;
}

Json burst_json(const Burst& burst) {
  Json json;
  json["start"] = format_rfc3339(burst.start_unix_ns);
  json["duration_ms"] = finite(burst.duration_ms);
  json["base_bytes"] = burst.base_bytes;
  json["peak_bytes"] = burst.peak_bytes;
  json["growth_bytes"] = burst.growth_bytes;
  // Growth is never zero, so neither is its speed: what is not above zero was too short to time.
  json["slope_bytes_per_s"] = std::isfinite(burst.slope_bytes_per_s) && burst.slope_bytes_per_s > 0
                                  ? Json(burst.slope_bytes_per_s)
                                  : Json(nullptr);
  json["contributors"] = array_json(burst.contributors, contributor_json);
  json["peak_exact"] = burst.peak_exact;
  json["page_cache_bytes"] = burst.page_cache_bytes;
  json["above_half_ms"] = finite(burst.above_half_ms);
  json["end"] = to_string(burst.end);
  json["end_uncertainty_ms"] = finite(burst.end_uncertainty_ms);
  json["shape"] = burst.shape;
  json["kinds"] = array_json(burst.kinds, kind_json);
  json["programs"] = array_json(burst.programs, program_json);
  json["threads"] = array_json(burst.threads, thread_json);
  json["stacks"] = array_json(burst.stacks, stack_json);
  json["hints"] = array_json(burst.hints, text);
  return json;
}

Json sampler_json(const SamplerView& sampler) {
  Json json;
  json["name"] = text(sampler.name);
  json["interval_ms"] = sampler.interval_ms;
  json["typical_seen_bytes"] = sampler.typical_seen_bytes;
  json["chance_seen"] = finite(sampler.chance_seen);
  return json;
}

Json evidence_json(const Evidence& evidence) {
  Json json;
  json["charge_tier"] = text(evidence.charge_tier);
  json["oom_tier"] = text(evidence.oom_tier);
  json["lost_critical"] = evidence.lost_critical;
  json["lost_bulk"] = evidence.lost_bulk;
  json["complete"] = evidence.complete;
  json["gaps"] = array_json(evidence.gaps, text);
  return json;
}

Json incident_json(const Incident& incident) {
  Json json;
  json["schema"] = "memcrest.incident.v1";
  json["kind"] = to_string(incident.kind);
  json["id"] = text(incident.id);
  json["update"] = text_or_null(incident.update);
  json["time"] = format_rfc3339(incident.unix_ns);
  json["boot_time_ns"] = incident.boot_ns;
  json["host"]["name"] = text(incident.host.name);
  json["host"]["kernel"] = text(incident.host.kernel);
  json["host"]["boot_id"] = text(incident.host.boot_id);
  json["container"] = container_json(incident.container);
  json["cgroup"]["id"] = incident.cgroup.id;
  json["cgroup"]["path"] = text_or_null(incident.cgroup.path);
  json["scope"] = to_string(incident.scope);
  json["limit"]["bytes"] = number_or_null(incident.limit.bytes);
  json["limit"]["kind"] = text_or_null(incident.limit.kind);
  json["limit"]["cgroup_path"] = text_or_null(incident.limit.cgroup_path);
  json["limit"]["own_usage_bytes"] = number_or_null(incident.limit.own_usage_bytes);
  json["limit"]["own"] = is_own_limit(incident);
  json["limit"]["of_pod"] = is_limit_of_pod(incident);
  json["usage_bytes"] = number_or_null(incident.usage_bytes);
  json["peak_bytes"] = number_or_null(incident.peak_bytes);
  json["trigger"] = object_or_null(incident.trigger, task_json);
  json["victims"] = array_json(incident.victims, victim_json);
  json["burst"] = object_or_null(incident.burst, burst_json);
  json["samplers"] = array_json(incident.samplers, sampler_json);
  add_detail(json, incident);
  add_verdict(json, incident);
  json["evidence"] = evidence_json(incident.evidence);
  return json;
}

}  // namespace

std::string to_json(const Incident& incident) { return to_line(incident_json(incident)); }

}  // namespace memcrest
