// SPDX-License-Identifier: Apache-2.0
// A container as far as it is known. Plain values; text comes from runtimes and users and may hold any byte. Empty and
// nullopt mean "not known".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace memcrest {

enum class Runtime { kDocker, kContainerd, kCrio, kPodman, kLxc, kSystemd, kNone, kUnknown };

[[nodiscard]] const char* to_string(Runtime runtime);

// The object that made a pod, from the pod's ownerReferences; a ReplicaSet of a Deployment is told as the Deployment.
struct Owner {
  std::string kind;  // "Deployment", "StatefulSet", "DaemonSet", "Job", ...
  std::string name;
};

// The Kubernetes or CRI pod, or Podman's, that a container belongs to.
struct Pod {
  std::string uid;
  std::string name;
  std::string name_space;
  std::string qos;                            // "guaranteed", "burstable", "besteffort"
  bool sandbox = false;                       // this container only holds the pod's namespaces ("pause", infra)
  std::optional<std::uint32_t> attempt;       // of the container within the pod: 0 for the first
  std::map<std::string, std::string> labels;  // of the pod
  std::optional<Owner> owner;
  // Why labels, owner and the containers' memory request are missing although the Kubernetes API is asked; empty: it
  // told them, or nobody asks it.
  std::string unknown_reason;
};

// What the runtime or the orchestrator says of the container's life. It may disagree with the kernel: an incident is
// never judged by it.
struct RuntimeState {
  std::string status;                     // in the runtime's words: "running", "exited"
  std::optional<std::int32_t> exit_code;  // of the last end
  std::optional<bool> oom_killed;
  std::string error;   // Docker's State.Error
  std::string reason;  // Kubernetes' lastState.terminated.reason: "OOMKilled"
  std::optional<std::uint32_t> restart_count;
  std::optional<std::int64_t> finished_unix_ns;  // of the last end, by the runtime's clock
};

// A container around this one: docker in docker, a node made by kind.
struct OuterContainer {
  Runtime runtime = Runtime::kUnknown;
  std::string id;
  std::string name;
};

struct Container {
  Runtime runtime = Runtime::kUnknown;
  std::string id;     // full, empty when there is none
  std::string name;   // empty: unknown, see unknown_reason
  std::string image;  // empty: unknown
  std::map<std::string, std::string> labels;
  std::string unknown_reason;             // why name or image is missing; empty when nothing is
  std::optional<std::uint32_t> init_pid;  // host pid of the main process, when the runtime told it
  std::string runtime_namespace;          // containerd's: "k8s.io", "default", "moby"
  std::string unit;                       // innermost systemd unit that is not the container's own scope
  std::string machine;                    // systemd-machined's name (nspawn, VMs)
  std::optional<Pod> pod;
  std::optional<std::uint64_t> memory_request_bytes;  // Kubernetes
  std::optional<std::uint64_t> memory_limit_bytes;    // as the runtime was told; nullopt: none, or not known
  std::optional<std::int64_t> swap_limit_bytes;       // memory and swap together; -1: no limit
  std::optional<RuntimeState> state;
  std::vector<OuterContainer> outer;  // innermost first
};

}  // namespace memcrest
