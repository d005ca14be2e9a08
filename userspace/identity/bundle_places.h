// SPDX-License-Identifier: Apache-2.0
// The directories in which runtimes keep the bundles of their containers, each in a directory named by the container's
// id: the usual ones of the host, of a user, or of a root inside of a container.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "identity/cgroup_path.h"
#include "identity/oci_json.h"
#include "identity/owned_file.h"
#include "util/system_root.h"

namespace memcrest {

struct BundlePlace {
  Fd directory;
  uid_t owner = 0;  // of all files that count here
  BundleKind kind = BundleKind::kTask;
  std::string runtime_namespace;  // containerd's

  // Relative to `directory`.
  [[nodiscard]] std::string file_of(const std::string& id, const char* name) const {
    return id + (kind == BundleKind::kStorage ? "/userdata/" : "/") + name;
  }
};

// Returns true when it has found what it wants: no more places then.
using PlaceVisitor = std::function<bool(const BundlePlace&)>;

// The usual places of the host that may hold the container of `path`, the likeliest first; if none did, also those of
// containerd's namespaces that have other names (at most 64 in each place). `owner` is root.
bool visit_host_places(const SystemRoot& root, const CgroupPath& path, uid_t owner, const PlaceVisitor& visit);
// The same in a container's root.
bool visit_places_in(const Fd& root, const CgroupPath& path, uid_t owner, const PlaceVisitor& visit);
// Those of rootless runtimes in the user's own part of /run.
bool visit_user_places(const SystemRoot& root, uid_t user, const PlaceVisitor& visit);

// Whose systemd manages this cgroup: 1000 for "/user.slice/user-1000.slice/...", which only root can make.
[[nodiscard]] std::optional<uid_t> user_of_cgroup(std::string_view path);

// "<state>/io.containerd.runtime.v2.task/<namespace>": the namespace. Nothing for other directories.
[[nodiscard]] std::optional<std::string> namespace_of_task_directory(std::string_view directory);

}  // namespace memcrest
