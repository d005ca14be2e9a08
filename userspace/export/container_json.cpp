// SPDX-License-Identifier: Apache-2.0
#include "export/container_json.h"

#include "identity/label_facts.h"
#include "util/units.h"

namespace memcrest {
namespace {

Json labels_json(const std::map<std::string, std::string>& labels) {
  Json json = Json::object();
  for (const auto& [key, value] : labels) {
    // Two keys that differ only in invalid bytes become one: the first stays, an object must not repeat a key.
    json.emplace(text(key), text(value));
  }
  return json;
}

Json owner_json(const Owner& owner) {
  Json json;
  json["kind"] = text(owner.kind);
  json["name"] = text(owner.name);
  return json;
}

Json pod_json(const Pod& pod) {
  Json json;
  json["uid"] = text_or_null(pod.uid);
  json["name"] = text_or_null(pod.name);
  json["namespace"] = text_or_null(pod.name_space);
  json["qos"] = text_or_null(pod.qos);
  json["sandbox"] = pod.sandbox;
  json["attempt"] = number_or_null(pod.attempt);
  json["labels"] = labels_json(pod.labels);
  json["owner"] = object_or_null(pod.owner, owner_json);
  json["unknown_reason"] = text_or_null(pod.unknown_reason);
  return json;
}

Json compose_json(const ComposeService& compose) {
  Json json;
  json["project"] = text(compose.project);
  json["service"] = text(compose.service);
  json["number"] = number_or_null(compose.number);
  return json;
}

Json ecs_json(const EcsTask& task) {
  Json json;
  json["cluster"] = text_or_null(task.cluster);
  json["task_arn"] = text_or_null(task.task_arn);
  json["container"] = text_or_null(task.container_name);
  json["family"] = text_or_null(task.family);
  json["revision"] = number_or_null(task.revision);
  return json;
}

Json state_json(const RuntimeState& state) {
  Json json;
  json["status"] = text_or_null(state.status);
  json["exit_code"] = number_or_null(state.exit_code);
  json["oom_killed"] = state.oom_killed ? Json(*state.oom_killed) : Json(nullptr);
  json["error"] = text_or_null(state.error);
  json["reason"] = text_or_null(state.reason);
  json["restart_count"] = number_or_null(state.restart_count);
  json["finished"] = state.finished_unix_ns ? Json(format_rfc3339(*state.finished_unix_ns)) : Json(nullptr);
  return json;
}

Json outer_json(const OuterContainer& outer) {
  Json json;
  json["runtime"] = to_string(outer.runtime);
  json["id"] = text(outer.id);
  json["name"] = text_or_null(outer.name);
  return json;
}

}  // namespace

Json container_json(const Container& container) {
  Json json;
  json["runtime"] = to_string(container.runtime);
  json["id"] = text_or_null(container.id);
  json["name"] = text_or_null(container.name);
  json["image"] = text_or_null(container.image);
  json["labels"] = labels_json(container.labels);
  json["unknown_reason"] = text_or_null(container.unknown_reason);
  json["init_pid"] = number_or_null(container.init_pid);
  json["runtime_namespace"] = text_or_null(container.runtime_namespace);
  json["unit"] = text_or_null(container.unit);
  json["machine"] = text_or_null(container.machine);
  json["pod"] = object_or_null(container.pod, pod_json);
  json["compose"] = object_or_null(compose_of(container.labels), compose_json);
  json["ecs"] = object_or_null(ecs_of(container.labels), ecs_json);
  json["memory_request_bytes"] = number_or_null(container.memory_request_bytes);
  json["memory_limit_bytes"] = number_or_null(container.memory_limit_bytes);
  json["swap_limit_bytes"] = number_or_null(container.swap_limit_bytes);
  json["state"] = object_or_null(container.state, state_json);
  json["outer"] = array_json(container.outer, outer_json);
  return json;
}

}  // namespace memcrest
