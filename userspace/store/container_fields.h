// SPDX-License-Identifier: Apache-2.0
// The fields of a container's identity by name: as in event_fields.h.
#pragma once

#include "identity/resolver.h"
#include "memcrest/container.h"
#include "store/event_fields.h"
#include "store/json_fields.h"

namespace memcrest {

template <>
struct EnumNames<Runtime> {
  static constexpr std::array kNames{"docker", "containerd", "cri-o", "podman", "lxc", "systemd", "none", "unknown"};
};

template <typename V, Some<Owner> E>
void fields(V& v, E& e) {
  v("kind", e.kind);
  v("name", e.name);
}

template <typename V, Some<Pod> E>
void fields(V& v, E& e) {
  v("uid", e.uid);
  v("name", e.name);
  v("namespace", e.name_space);
  v("qos", e.qos);
  v("sandbox", e.sandbox);
  v("attempt", e.attempt);
  v("labels", e.labels);
  v("owner", e.owner);
  v("unknown_reason", e.unknown_reason);
}

template <typename V, Some<RuntimeState> E>
void fields(V& v, E& e) {
  v("status", e.status);
  v("exit_code", e.exit_code);
  v("oom_killed", e.oom_killed);
  v("error", e.error);
  v("reason", e.reason);
  v("restart_count", e.restart_count);
  v("finished_unix_ns", e.finished_unix_ns);
}

template <typename V, Some<OuterContainer> E>
void fields(V& v, E& e) {
  v.always("runtime", e.runtime);
  v("id", e.id);
  v("name", e.name);
}

template <typename V, Some<Container> E>
void fields(V& v, E& e) {
  v.always("runtime", e.runtime);
  v("id", e.id);
  v("name", e.name);
  v("image", e.image);
  v("labels", e.labels);
  v("unknown_reason", e.unknown_reason);
  v("init_pid", e.init_pid);
  v("runtime_namespace", e.runtime_namespace);
  v("unit", e.unit);
  v("machine", e.machine);
  v("pod", e.pod);
  v("memory_request_bytes", e.memory_request_bytes);
  v("memory_limit_bytes", e.memory_limit_bytes);
  v("swap_limit_bytes", e.swap_limit_bytes);
  v("state", e.state);
  v("outer", e.outer);
}

}  // namespace memcrest
