// SPDX-License-Identifier: Apache-2.0
// Last stage of the path for programs: incident -> one JSON line. Field names and meanings are the contract in
// docs/incident.schema.json; null says "not known" or "there is none", so that zero and "" keep their meaning.
#include "export/json.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "util/text.h"
#include "util/units.h"

namespace memcrest {
namespace {

using Json = nlohmann::ordered_json;

std::string text(const std::string& raw) { return to_valid_utf8(raw); }

Json text_or_null(const std::string& raw) { return raw.empty() ? Json(nullptr) : Json(text(raw)); }

template <typename T>
Json number_or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json pid_or_null(std::uint32_t pid) { return pid == 0 ? Json(nullptr) : Json(pid); }

// JSON has no NaN and no infinity.
double finite(double value) { return std::isfinite(value) ? value : 0; }

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

Json trigger_json(const std::optional<Trigger>& trigger) {
  if (!trigger) {
    return nullptr;
  }
  Json json;
  json["pid"] = trigger->pid;
  json["tid"] = trigger->tid;
  json["comm"] = text(trigger->comm);
  json["container_pid"] = pid_or_null(trigger->container_pid);
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

Json burst_json(const std::optional<Burst>& burst) {
  if (!burst) {
    return nullptr;
  }
  Json contributors = Json::array();
  for (const auto& contributor : burst->contributors) {
    contributors.push_back(contributor_json(contributor));
  }
  Json json;
  json["start"] = format_rfc3339(burst->start_unix_ns);
  json["duration_ms"] = finite(burst->duration_ms);
  json["base_bytes"] = burst->base_bytes;
  json["peak_bytes"] = burst->peak_bytes;
  json["growth_bytes"] = burst->growth_bytes;
  // Growth is never zero, so neither is its speed: what is not above zero was too short to time.
  json["slope_bytes_per_s"] = std::isfinite(burst->slope_bytes_per_s) && burst->slope_bytes_per_s > 0
                                  ? Json(burst->slope_bytes_per_s)
                                  : Json(nullptr);
  json["contributors"] = std::move(contributors);
  json["peak_exact"] = burst->peak_exact;
  json["page_cache_bytes"] = burst->page_cache_bytes;
  json["above_half_ms"] = finite(burst->above_half_ms);
  json["end"] = to_string(burst->end);
  json["end_uncertainty_ms"] = finite(burst->end_uncertainty_ms);
  json["shape"] = burst->shape;
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
  Json gaps = Json::array();
  for (const auto& gap : evidence.gaps) {
    gaps.push_back(text(gap));
  }
  Json json;
  json["charge_tier"] = text(evidence.charge_tier);
  json["oom_tier"] = text(evidence.oom_tier);
  json["lost_critical"] = evidence.lost_critical;
  json["lost_bulk"] = evidence.lost_bulk;
  json["complete"] = evidence.complete;
  json["gaps"] = std::move(gaps);
  return json;
}

template <typename T, typename F>
Json array_json(const std::vector<T>& values, F one) {
  Json json = Json::array();
  for (const auto& value : values) {
    json.push_back(one(value));
  }
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
  json["trigger"] = trigger_json(incident.trigger);
  json["victims"] = array_json(incident.victims, victim_json);
  json["burst"] = burst_json(incident.burst);
  json["samplers"] = array_json(incident.samplers, sampler_json);
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
