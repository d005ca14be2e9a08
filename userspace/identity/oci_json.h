// SPDX-License-Identifier: Apache-2.0
// What an OCI runtime configuration (a bundle's config.json) tells of the container, and nothing else of it: no
// environment, no command line, none of the annotations that users write, which may hold secrets. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "memcrest/container.h"
#include "util/result.h"

namespace memcrest {

struct OciConfig {
  std::map<std::string, std::string> annotations;  // those that identify the container
  std::string cgroups_path;                        // where runc was told to put it, see match_cgroup
  std::string hostname_file;                       // what is mounted as /etc/hostname: lies among the runtime's files
  std::optional<std::uint64_t> memory_limit_bytes;
  std::optional<std::int64_t> swap_limit_bytes;  // memory and swap together; -1: no limit
};

// An error when this is not JSON, nests absurdly or is no OCI configuration. Wrong types are as if absent.
[[nodiscard]] Result<OciConfig> read_oci_config(std::string_view json);

// Is `cgroup` (a path, without the part that belongs to a container around it) where a container with this
// `cgroups_path` is put?
enum class CgroupMatch {
  kSame,    // from the root on; rootless: from the user's own systemd on
  kEnding,  // it ends so: right if the runtime itself runs in a cgroup below
  kNone,
};
[[nodiscard]] CgroupMatch match_cgroup(std::string_view cgroups_path, std::string_view cgroup);

// By whose layout of directories a bundle was found.
enum class BundleKind {
  kTask,     // containerd's, Docker's too: <state>/io.containerd.runtime.v2.task/<namespace>/<id>
  kStorage,  // of containers/storage (CRI-O, Podman): <root>/<driver>-containers/<id>/userdata
};

// The container `id` as its configuration tells it. `runtime_namespace` is containerd's, empty for kStorage. An error
// when an annotation says that it is about another container.
[[nodiscard]] Result<Container> container_from_oci(const OciConfig& config, const std::string& id, BundleKind kind,
                                                   const std::string& runtime_namespace);

}  // namespace memcrest
