// SPDX-License-Identifier: Apache-2.0
// What the path of a memory cgroup alone tells: which container it belongs to and who runs it. Pure; accepts any bytes.
// Runtimes name their cgroups by fixed patterns, with the cgroupfs and the systemd driver; a container's own
// sub-cgroups belong to it; of containers inside containers the innermost counts. What no pattern covers stays
// unknown: a name is never guessed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "memcrest/incident.h"

namespace memcrest {

struct CgroupPath {
  Runtime runtime = Runtime::kNone;
  std::string container_id;            // of the innermost container, all 64 digits; empty: not in a container
  std::string container_path;          // of that container's own cgroup: a prefix of the path that was parsed
  std::vector<std::string> outer_ids;  // containers around it (docker in docker, kind), outermost first
  std::string pod_uid;                 // Kubernetes pod, with dashes
  std::string qos;                     // "guaranteed", "burstable", "besteffort"; empty outside Kubernetes
  std::string unit;                    // innermost systemd unit that is not a container's own scope
  // Docker may know container_id although the path does not say so: a bare id under a --cgroup-parent of the user's
  // (runtime kUnknown), or under a Kubernetes pod, where Docker and containerd use the same form (kContainerd).
  bool docker_candidate = false;
  std::string reason;  // why this is no container, or not known to be one; empty when there is nothing to explain
};

[[nodiscard]] CgroupPath parse_cgroup_path(std::string_view path);

// A full container id: 64 lower-case hexadecimal digits.
[[nodiscard]] bool is_container_id(std::string_view text);

// The container as far as the path tells; a name or an image that only a runtime knows is missing, with the reason.
[[nodiscard]] Container container_from_path(const CgroupPath& path);

}  // namespace memcrest
