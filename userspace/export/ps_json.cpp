// SPDX-License-Identifier: Apache-2.0
#include "export/ps_json.h"

#include "export/container_json.h"
#include "export/json_value.h"
#include "util/units.h"

namespace memcrest {
namespace {

Json effective_json(const EffectiveLimit& limit) {
  Json json;
  json["bytes"] = limit.bytes;
  json["cgroup_path"] = text(limit.cgroup_path);
  json["usage_bytes"] = number_or_null(limit.usage_bytes);
  return json;
}

Json swap_json(const Swap& swap) {
  Json json;
  json["usage_bytes"] = number_or_null(swap.usage_bytes);
  json["limit_bytes"] = number_or_null(swap.limit_bytes);
  json["kind"] = text(swap.kind);
  return json;
}

// An optional share, for a limit that may be far below the use.
Json share_json(const std::optional<double>& share) { return share ? Json(finite(*share)) : Json(nullptr); }

}  // namespace

std::string to_json(const ContainerMemory& memory, std::int64_t unix_ns) {
  const MemoryFigures& figures = memory.figures;
  Json json;
  json["schema"] = "memcrest.ps.v1";
  json["time"] = format_rfc3339(unix_ns);
  json["kind"] = to_string(memory.kind);
  json["container"] = container_json(memory.container);
  json["cgroup"]["id"] = memory.cgroup.id;
  json["cgroup"]["path"] = text(memory.cgroup.path);
  json["usage_bytes"] = number_or_null(figures.usage_bytes);
  json["working_set_bytes"] = number_or_null(figures.working_set_bytes());
  json["peak_bytes"] = number_or_null(figures.peak_bytes);
  json["has_limit"] = figures.limit_known ? Json(figures.limit_bytes.has_value()) : Json(nullptr);
  json["limit_bytes"] = number_or_null(figures.limit_bytes);
  json["effective_limit"] = object_or_null(figures.effective, effective_json);
  json["effective_limit_known"] = figures.effective_known;
  json["share_of_limit"] = share_json(figures.share_of_limit());
  json["swap"] = object_or_null(figures.swap, swap_json);
  json["oom_kills"] = number_or_null(figures.oom_kills);
  json["gaps"] = array_json(figures.gaps, text);
  return to_line(json);
}

}  // namespace memcrest
