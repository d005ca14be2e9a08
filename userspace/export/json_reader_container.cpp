// SPDX-License-Identifier: Apache-2.0
#include "export/json_reader_container.h"

namespace memcrest {
namespace {

void read_owner(const JsonReader& json, Owner& out) {
  json.text("kind", out.kind);
  json.text("name", out.name);
}

void read_pod(const JsonReader& json, Pod& out) {
  json.text("uid", out.uid);
  json.text("name", out.name);
  json.text("namespace", out.name_space);
  json.text("qos", out.qos);
  json.boolean("sandbox", out.sandbox);
  json.number("attempt", out.attempt);
  json.texts("labels", out.labels);
  json.object("owner", out.owner, read_owner);
  json.text("unknown_reason", out.unknown_reason);
}

void read_state(const JsonReader& json, RuntimeState& out) {
  json.text("status", out.status);
  json.number("exit_code", out.exit_code);
  json.boolean("oom_killed", out.oom_killed);
  json.text("error", out.error);
  json.text("reason", out.reason);
  json.number("restart_count", out.restart_count);
  if (json.has("finished")) {
    json.time("finished", out.finished_unix_ns.emplace(0));
  }
}

void read_outer(const JsonReader& json, OuterContainer& out) {
  json.word("runtime", out.runtime, kRuntimes);
  json.text("id", out.id);
  json.text("name", out.name);
}

}  // namespace

// Compose and ECS are in the labels.
void read_container(const JsonReader& json, Container& out) {
  json.word("runtime", out.runtime, kRuntimes);
  json.text("id", out.id);
  json.text("name", out.name);
  json.text("image", out.image);
  json.texts("labels", out.labels);
  json.text("unknown_reason", out.unknown_reason);
  json.number("init_pid", out.init_pid);
  json.text("runtime_namespace", out.runtime_namespace);
  json.text("unit", out.unit);
  json.text("machine", out.machine);
  json.object("pod", out.pod, read_pod);
  json.number("memory_request_bytes", out.memory_request_bytes);
  json.number("memory_limit_bytes", out.memory_limit_bytes);
  json.number("swap_limit_bytes", out.swap_limit_bytes);
  json.object("state", out.state, read_state);
  json.objects("outer", out.outer, read_outer);
}

}  // namespace memcrest
