// SPDX-License-Identifier: Apache-2.0
// Last stage of the path for programs: incident -> one JSON line. Field names and meanings are the contract in
// docs/incident.schema.json; null says "not known" or "there is none", so that zero and "" keep their meaning.
#include "export/json.h"

#include <cmath>

#include "export/json_detail.h"
#include "export/json_value.h"
#include "util/units.h"

namespace memcrest {
namespace {

Json container_json(const Container& container) {
  Json labels = Json::object();
  for (const auto& [key, value] : container.labels) {
    // Two keys that differ only in invalid bytes become one: the first stays, an object must not repeat a key.
    labels.emplace(text(key), text(value));
  }
  Json json;
  json["runtime"] = to_string(container.runtime);
  json["id"] = text_or_null(container.id);
  json["name"] = text_or_null(container.name);
  json["image"] = text_or_null(container.image);
  json["labels"] = std::move(labels);
  json["unknown_reason"] = text_or_null(container.unknown_reason);
  return json;
}

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
  json["usage_bytes"] = number_or_null(incident.usage_bytes);
  json["peak_bytes"] = number_or_null(incident.peak_bytes);
  json["trigger"] = object_or_null(incident.trigger, task_json);
  json["victims"] = array_json(incident.victims, victim_json);
  json["burst"] = object_or_null(incident.burst, burst_json);
  json["samplers"] = array_json(incident.samplers, sampler_json);
  add_detail(json, incident);
  json["evidence"] = evidence_json(incident.evidence);
  return json;
}

// Characters that JSON allows raw but that end a line for some readers (U+0085, U+2028, U+2029) or move or reorder a
// terminal's output (DEL, C1 controls, bidirectional marks): a container's name must not be able to do either.
bool must_escape(unsigned code_point) {
  return (code_point >= 0x7f && code_point <= 0x9f) || code_point == 0x61c || code_point == 0x200e ||
         code_point == 0x200f || (code_point >= 0x2028 && code_point <= 0x202e) ||
         (code_point >= 0x2066 && code_point <= 0x2069);
}

// `line` is valid UTF-8 JSON, so that anything beyond ASCII can only stand inside a string.
std::string harden(const std::string& line) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(line.size());
  for (std::size_t i = 0; i < line.size();) {
    const auto first = static_cast<unsigned char>(line[i]);
    const std::size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    unsigned code_point = length == 1 ? first : first & (0xffU >> (length + 1));
    for (std::size_t k = 1; k < length && i + k < line.size(); ++k) {
      code_point = (code_point << 6U) | (static_cast<unsigned char>(line[i + k]) & 0x3fU);
    }
    if (must_escape(code_point)) {
      out += "\\u";
      for (int shift = 12; shift >= 0; shift -= 4) {
        out += kHex[(code_point >> static_cast<unsigned>(shift)) & 0xfU];
      }
    } else {
      out.append(line, i, length);
    }
    i += length;
  }
  return out;
}

}  // namespace

std::string to_json(const Incident& incident) {
  // All text is valid UTF-8 by now; `replace` only makes sure that dump() can never throw.
  return harden(incident_json(incident).dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace memcrest
