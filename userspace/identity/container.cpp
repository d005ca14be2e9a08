// SPDX-License-Identifier: Apache-2.0
#include "memcrest/container.h"

#include <utility>

#include "identity/container_source.h"

namespace memcrest {
namespace {

void fill(std::string& known, std::string& more) {
  if (known.empty()) {
    known = std::move(more);
  }
}

template <typename T>
void fill(std::optional<T>& known, std::optional<T>& more) {
  if (!known) {
    known = std::move(more);
  }
}

void fill(std::map<std::string, std::string>& known, std::map<std::string, std::string>& more) { known.merge(more); }

void merge_pod(Pod& known, Pod& more) {
  fill(known.uid, more.uid);
  fill(known.name, more.name);
  fill(known.name_space, more.name_space);
  fill(known.qos, more.qos);
  known.sandbox = known.sandbox || more.sandbox;
  fill(known.attempt, more.attempt);
  fill(known.labels, more.labels);
  fill(known.owner, more.owner);
}

// The state changes: what comes later replaces what it tells anew.
void merge_state(RuntimeState& known, RuntimeState& more) {
  const auto replace = [](auto& old, auto& fresh) {
    if (fresh != std::remove_cvref_t<decltype(fresh)>{}) {
      old = std::move(fresh);
    }
  };
  replace(known.status, more.status);
  replace(known.exit_code, more.exit_code);
  replace(known.oom_killed, more.oom_killed);
  replace(known.error, more.error);
  replace(known.reason, more.reason);
  replace(known.restart_count, more.restart_count);
  replace(known.finished_unix_ns, more.finished_unix_ns);
}

}  // namespace

void merge(Container& known, Container more) {
  if (more.runtime != Runtime::kUnknown) {
    known.runtime = more.runtime;
  }
  fill(known.id, more.id);
  fill(known.name, more.name);
  fill(known.image, more.image);
  fill(known.labels, more.labels);
  fill(known.init_pid, more.init_pid);
  fill(known.runtime_namespace, more.runtime_namespace);
  fill(known.unit, more.unit);
  fill(known.machine, more.machine);
  if (known.pod && more.pod) {
    merge_pod(*known.pod, *more.pod);
  } else {
    fill(known.pod, more.pod);
  }
  fill(known.memory_request_bytes, more.memory_request_bytes);
  fill(known.memory_limit_bytes, more.memory_limit_bytes);
  fill(known.swap_limit_bytes, more.swap_limit_bytes);
  if (known.state && more.state) {
    merge_state(*known.state, *more.state);
  } else {
    fill(known.state, more.state);
  }
  if (known.outer.empty()) {
    known.outer = std::move(more.outer);
  }
}

const char* to_string(Runtime runtime) {
  switch (runtime) {
    case Runtime::kDocker:
      return "docker";
    case Runtime::kContainerd:
      return "containerd";
    case Runtime::kCrio:
      return "cri-o";
    case Runtime::kPodman:
      return "podman";
    case Runtime::kLxc:
      return "lxc";
    case Runtime::kSystemd:
      return "systemd";
    case Runtime::kNone:
      return "none";
    case Runtime::kUnknown:
      return "unknown";
  }
  return "unknown";
}

}  // namespace memcrest
