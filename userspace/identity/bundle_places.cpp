// SPDX-License-Identifier: Apache-2.0
#include "identity/bundle_places.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace memcrest {
namespace {

using std::string_view;

constexpr std::size_t kMaxNamespaces = 64;

// containerd's state directories. RKE2 uses k3s's.
constexpr std::array<string_view, 5> kStatesInRun = {
    "containerd", "docker/containerd/daemon", "k3s/containerd", "k0s/containerd", "snap.docker/containerd/daemon",
};
constexpr string_view kStateInVar = "snap/microk8s/common/run/containerd";
// Runtime v1 was Docker's until 20.10.
constexpr std::array<string_view, 2> kTasks = {"io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux"};
constexpr std::array<string_view, 6> kDrivers = {"overlay", "vfs", "btrfs", "zfs", "devicemapper", "aufs"};
constexpr string_view kStorageInRun = "containers/storage";
constexpr string_view kStorageInVar = "lib/containers/storage";

std::string join(string_view parent, string_view name) { return std::string(parent).append("/").append(name); }

bool may_be_task(const CgroupPath& path) {
  return path.runtime == Runtime::kDocker || path.runtime == Runtime::kContainerd || path.runtime == Runtime::kUnknown;
}

bool may_be_stored(const CgroupPath& path) {
  return path.runtime == Runtime::kCrio || path.runtime == Runtime::kPodman || path.runtime == Runtime::kUnknown;
}

// containerd's namespaces by likelihood.
std::vector<std::string> likely_namespaces(const CgroupPath& path) {
  if (path.runtime == Runtime::kDocker) {
    return {"moby"};
  }
  std::vector<std::string> names;
  if (!path.pod_uid.empty()) {
    names = {"k8s.io", "moby"};
  } else {
    names = {"moby", "default", "k8s.io"};
  }
  // `ctr` names the cgroup "/<namespace>/<id>".
  const string_view cgroup = path.container_path;
  const std::size_t slash = cgroup.rfind('/');
  if (slash != string_view::npos && slash > 1 && cgroup.find('/', 1) == slash) {
    names.insert(names.begin(), std::string(cgroup.substr(1, slash - 1)));
  }
  return names;
}

// Opens the directories below <run> or <var>, wherever those are.
class Opener {
 public:
  using Open = std::function<Result<Fd>(bool in_run, const std::string& path)>;

  Opener(Open open, uid_t owner, const PlaceVisitor& visit) : open_(std::move(open)), owner_(owner), visit_(visit) {}

  bool tasks(const CgroupPath& path) const {
    const auto names = likely_namespaces(path);
    return any_task_directory([&](bool in_run, const std::string& directory) {
             return std::ranges::any_of(names, [&](const std::string& name) {
               return place(in_run, join(directory, name), BundleKind::kTask, name);
             });
           }) ||
           other_namespaces(names);
  }

  bool storage(bool run_first) const {
    for (const bool in_run : {run_first, !run_first}) {
      for (const string_view driver : kDrivers) {
        const std::string name = join(in_run ? kStorageInRun : kStorageInVar, driver) + "-containers";
        if (place(in_run, name, BundleKind::kStorage, {})) {
          return true;
        }
      }
    }
    return false;
  }

 private:
  template <typename Try>
  static bool any_task_directory(const Try& attempt) {
    return std::ranges::any_of(kTasks, [&](string_view tasks) {
      return std::ranges::any_of(kStatesInRun, [&](string_view state) { return attempt(true, join(state, tasks)); }) ||
             attempt(false, join(kStateInVar, tasks));
    });
  }

  bool other_namespaces(const std::vector<std::string>& tried) const {
    return any_task_directory([&](bool in_run, const std::string& directory) {
      const auto tasks = open_(in_run, directory);
      return tasks && std::ranges::any_of(names_in(*tasks, kMaxNamespaces), [&](const std::string& name) {
               return std::ranges::find(tried, name) == tried.end() &&
                      place(in_run, join(directory, name), BundleKind::kTask, name);
             });
    });
  }

  bool place(bool in_run, const std::string& path, BundleKind kind, const std::string& runtime_namespace) const {
    auto directory = open_(in_run, path);
    return directory && visit_({.directory = std::move(*directory),
                                .owner = owner_,
                                .kind = kind,
                                .runtime_namespace = runtime_namespace});
  }

  Open open_;
  uid_t owner_;
  const PlaceVisitor& visit_;
};

bool visit_all(const Opener& opener, const CgroupPath& path) {
  return (may_be_task(path) && opener.tasks(path)) ||
         // Podman keeps its configuration beside the names, CRI-O where it is gone after a reboot.
         (may_be_stored(path) && opener.storage(path.runtime == Runtime::kCrio));
}

}  // namespace

bool visit_host_places(const SystemRoot& root, const CgroupPath& path, uid_t owner, const PlaceVisitor& visit) {
  const auto open = [&](bool in_run, const std::string& name) {
    return open_directory((in_run ? root.run : root.var) + "/" + name);
  };
  return visit_all(Opener(open, owner, visit), path);
}

bool visit_places_in(const Fd& root, const CgroupPath& path, uid_t owner, const PlaceVisitor& visit) {
  const auto open = [&](bool in_run, const std::string& name) {
    return open_directory_below(root, (in_run ? "run/" : "var/") + name, Symlinks::kWithinRoot);
  };
  return visit_all(Opener(open, owner, visit), path);
}

bool visit_user_places(const SystemRoot& root, uid_t user, const PlaceVisitor& visit) {
  const auto own = open_directory(root.run + "/user/" + std::to_string(user));
  if (!own) {
    return false;
  }
  const auto place = [&](const std::string& path, BundleKind kind, const std::string& runtime_namespace) {
    auto directory = open_directory_below(*own, path, Symlinks::kRefuse);
    return directory && visit({.directory = std::move(*directory),
                               .owner = user,
                               .kind = kind,
                               .runtime_namespace = runtime_namespace});
  };
  return std::ranges::any_of(kDrivers,
                             [&](string_view driver) {
                               return place(join("containers", driver) + "-containers", BundleKind::kStorage, {});
                             }) ||
         place(join("docker/containerd/daemon", kTasks.front()) + "/moby", BundleKind::kTask, "moby");
}

std::optional<uid_t> user_of_cgroup(string_view path) {
  constexpr string_view kTop = "/user.slice/user-";
  constexpr string_view kEnd = ".slice/";
  if (!path.starts_with(kTop)) {
    return std::nullopt;
  }
  path.remove_prefix(kTop.size());
  uid_t user = 0;
  const auto [end, error] = std::from_chars(path.data(), path.data() + path.size(), user);
  const auto digits = static_cast<std::size_t>(end - path.data());
  return error == std::errc() && digits > 0 && path.substr(digits).starts_with(kEnd) ? std::optional(user)
                                                                                     : std::nullopt;
}

std::optional<std::string> namespace_of_task_directory(string_view directory) {
  const std::size_t slash = directory.rfind('/');
  if (slash == string_view::npos || slash + 1 == directory.size()) {
    return std::nullopt;
  }
  const string_view parent = directory.substr(0, slash);
  const bool known = std::ranges::any_of(kTasks, [&](string_view tasks) { return parent.ends_with(join("", tasks)); });
  return known ? std::optional(std::string(directory.substr(slash + 1))) : std::nullopt;
}

}  // namespace memcrest
