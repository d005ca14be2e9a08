// SPDX-License-Identifier: Apache-2.0
// What the path of a memory cgroup alone tells: which container it belongs to and who runs it. Pure; accepts any bytes.
// Runtimes name their cgroups by fixed patterns, with the cgroupfs and the systemd driver; a container's own
// sub-cgroups belong to it; of containers inside containers the innermost counts. What no pattern covers stays
// unknown: a name is never guessed. tests/unit/identity/cgroup_paths.txt lists real paths of all runtimes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memcrest/container.h"

namespace memcrest {

// A cgroup that may be a container's own although its path cannot say so: containerd without Kubernetes makes
// "/<namespace>/<id>", where both may be any short name, and a --cgroup-parent may be anything. For a source to decide.
// It may say yes only if it knows a container of this id (in this namespace, when there is one) whose own record names
// this very cgroup, as linux.cgroupsPath of an OCI bundle does; then `id` is the container's id.
struct ContainerCandidate {
  std::string path;        // of the cgroup: a prefix of the path that was parsed, with the leading slash
  std::string id;          // containerd's rules hold for both, so they are safe as file names
  std::string name_space;  // empty: any
};

struct CgroupPath {
  // A container around another one.
  struct Outer {
    Runtime runtime = Runtime::kUnknown;
    std::string id;    // as container_id; a machine's is its name (kSystemd; kUnknown for libvirt's without systemd)
    std::string name;  // where the path tells it
    bool operator==(const Outer&) const = default;
  };

  Runtime runtime = Runtime::kNone;
  // Of the innermost container; empty: not in a container. All 64 digits; for LXC the container's name, for Nomad,
  // Garden, Fargate and steps of a BuildKit build what these use.
  std::string container_id;
  std::string container_path;    // of that container's own cgroup: a prefix of the path that was parsed
  std::vector<Outer> outer_ids;  // containers around it (docker in docker, kind, a machine), outermost first
  // The pod that the container belongs to, not one around or inside it; outside a container the pod that the cgroup
  // belongs to. Kubernetes: the uid with dashes. Podman: the pod's id of 64 digits.
  std::string pod_uid;
  std::string qos;   // of that pod: "guaranteed", "burstable", "besteffort"; empty for Podman, or when it is cut off
  std::string unit;  // innermost systemd unit that is not a container's own scope, as systemd spells it
  // Docker may know container_id although the path does not say so: a bare id under a --cgroup-parent of the user's
  // (runtime kUnknown), or under a Kubernetes pod, where Docker and containerd use the same form (kContainerd).
  bool docker_candidate = false;
  std::string reason;   // why this is no container, or not known to be one; empty when there is nothing to explain
  std::string machine;  // machined's name of the innermost machine (nspawn, VM) inside the innermost container
  std::string name;     // where the path tells the container's name (LXC, Nomad)
  std::optional<ContainerCandidate> candidate;
};

[[nodiscard]] CgroupPath parse_cgroup_path(std::string_view path);

// A full container id: 64 lower-case hexadecimal digits.
[[nodiscard]] bool is_container_id(std::string_view text);

// The container as far as the path tells; a name or an image that only a runtime knows is missing, with the reason.
[[nodiscard]] Container container_from_path(const CgroupPath& path);

}  // namespace memcrest
