// SPDX-License-Identifier: Apache-2.0
#include "identity/bundle_search.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "identity/container_source.h"
#include "identity/container_storage.h"
#include "identity/docker_config.h"
#include "identity/runtime_process.h"

namespace memcrest {
namespace {

using std::string_view;

// Where in `cgroup` the innermost of the containers around it ends.
std::size_t end_of_outer(string_view cgroup, string_view outer_id) {
  const std::size_t leaf = cgroup.rfind('/');
  const std::size_t id = leaf == string_view::npos ? leaf : cgroup.substr(0, leaf).rfind(outer_id);
  return id == string_view::npos ? 0 : cgroup.find('/', id);
}

string_view parent_of(string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == string_view::npos ? string_view() : path.substr(0, slash);
}

string_view leaf_of(string_view path) { return path.substr(path.rfind('/') + 1); }

bool same_file(const Fd& one, const Fd& other) {
  struct stat a{};
  struct stat b{};
  return ::fstat(one.get(), &a) == 0 && ::fstat(other.get(), &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

std::optional<std::uint32_t> pid_from(string_view text) {
  constexpr std::uint32_t kMaxPid = 1U << 22U;  // PID_MAX_LIMIT
  std::uint32_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  const string_view rest = text.substr(static_cast<std::size_t>(end - text.data()));
  const bool good = error == std::errc() && (rest.empty() || rest == "\n") && pid > 0 && pid <= kMaxPid;
  return good ? std::optional(pid) : std::nullopt;
}

}  // namespace

BundleSearch::BundleSearch(const SystemRoot& root, const CgroupTree& tree, const CgroupPath& path,
                           const std::stop_token& stop)
    : root_(root), tree_(tree), path_(path), stop_(stop), cgroup_(path.container_path), top_(root.proc + "/1/root") {
  if (nested()) {
    cgroup_.remove_prefix(end_of_outer(cgroup_, path.outer_ids.back().id));
  }
  leaf_ = leaf_of(cgroup_);
  const auto run = open_directory(root.run);
  const auto owner = run ? owner_of(*run) : Result<uid_t>(0);
  host_owner_ = owner.value_or(0);
}

Result<std::optional<Container>> BundleSearch::run(const std::vector<LearnedPlace>& learned) {
  if (nested()) {
    search_outer_root();
  } else {
    search_host(learned);
  }
  if (!found_ && !stop_.stop_requested()) {
    search_processes();
  }
  if (found_) {
    return std::move(found_);
  }
  if (trouble_) {
    return std::unexpected(*trouble_);
  }
  return std::nullopt;
}

void BundleSearch::search_host(const std::vector<LearnedPlace>& learned) {
  const auto visit = [&](const BundlePlace& place) { return try_place(place, Trust::kPlace); };
  const auto user = user_of_cgroup(path_.container_path);
  for (const LearnedPlace& place : learned) {
    if (place.owner == host_owner_ || place.owner == user) {
      auto directory = open_learned(place);
      const bool hit =
          directory && (place.kind == BundleKind::kTask ? visit_namespaces(*directory, path_, place.owner, visit)
                                                        : visit({std::move(*directory), place.owner, place.kind, {}}));
      if (hit) {
        return;
      }
    }
  }
  if (!user || !visit_user_places(root_, *user, visit)) {
    visit_host_places(root_, path_, host_owner_, visit);
  }
}

// Files of a runtime that itself runs in a container: those that its main process sees. It is the one whose parent is
// not in there; a process of the container that is asked for, or of its neighbours, could show a root of its own
// making.
void BundleSearch::search_outer_root() {
  const std::string outer = path_.container_path.substr(0, path_.container_path.size() - cgroup_.size());
  const auto directory = tree_.dir_of(outer);
  const std::string outer_leaf(leaf_of(outer));
  if (!directory || outer.empty()) {
    return;
  }
  for (const std::uint32_t pid : processes_below(*directory)) {
    const auto facts = process_facts(root_, pid);
    if (!facts || facts->parent <= 1 || !process_facts(root_, facts->parent) ||
        in_cgroup_named(root_, facts->parent, outer_leaf)) {
      continue;
    }
    top_ = root_.proc + "/" + std::to_string(pid) + "/root";
    const auto top = open_directory(top_);
    const auto owner = top ? owner_of(*top) : Result<uid_t>(std::unexpected(top.error()));
    if (owner) {
      visit_places_in(*top, path_, *owner, [&](const BundlePlace& place) { return try_place(place, Trust::kPlace); });
    }
    return;
  }
}

void BundleSearch::search_processes() {
  const auto directory = tree_.dir_of(path_.container_path);
  if (!directory) {
    return;
  }
  auto pids = runtime_processes(root_, processes_below(*directory), leaf_);
  std::ranges::move(monitors_beside(), std::back_inserter(pids));
  for (const std::uint32_t pid : pids) {
    const auto facts = process_facts(root_, pid);
    if (facts && may_own(facts->uid) && (try_shim(pid, facts->uid) || try_conmon(pid, facts->uid))) {
      return;
    }
  }
}

// conmon is there before the container's first process is.
std::vector<std::uint32_t> BundleSearch::monitors_beside() const {
  std::vector<std::uint32_t> pids;
  const std::string beside(parent_of(path_.container_path));
  for (const std::string& name : {"libpod-conmon-" + path_.container_id + ".scope",
                                  "crio-conmon-" + path_.container_id + ".scope", std::string("conmon")}) {
    if (const auto directory = tree_.dir_of(beside + "/" + name)) {
      std::ranges::move(processes_below(*directory), std::back_inserter(pids));
    }
  }
  return pids;
}

// A runtime's process is root's, or of the user to whom root gave this cgroup. In another container anything goes: all
// that it can tell of is its own.
bool BundleSearch::may_own(uid_t uid) const {
  if (uid == host_owner_ || nested()) {
    return true;
  }
  if (const auto user = user_of_cgroup(path_.container_path)) {
    return uid == *user;
  }
  const auto directory = tree_.dir_of(path_.container_path);
  struct stat info{};
  return directory && ::lstat(directory->c_str(), &info) == 0 && info.st_uid == uid;
}

// A shim's working directory is a bundle, in a pod the sandbox's; those of its other containers are beside it.
bool BundleSearch::try_shim(std::uint32_t pid, uid_t uid) {
  const std::string link = root_.proc + "/" + std::to_string(pid) + "/cwd";
  std::error_code failed;
  const std::string bundle = std::filesystem::read_symlink(link, failed).string();
  const string_view directory = parent_of(bundle);
  const auto runtime_namespace = namespace_of_task_directory(directory);
  if (failed || !runtime_namespace) {
    return false;
  }
  const auto own = open_directory(link);
  auto parent = own ? open_parent(*own) : Result<Fd>(std::unexpected(own.error()));
  if (!parent) {
    note(parent.error());
    return false;
  }
  const BundlePlace place{std::move(*parent), uid, BundleKind::kTask, *runtime_namespace};
  top_ = root_.proc + "/" + std::to_string(pid) + "/root";
  if (!try_place(place, Trust::kProcess)) {
    return false;
  }
  if (const auto tasks = open_parent(place.directory)) {
    learn({std::string(parent_of(directory)), uid, BundleKind::kTask}, *tasks);
  }
  return true;
}

bool BundleSearch::try_conmon(std::uint32_t pid, uid_t uid) {
  const auto arguments = conmon_arguments(root_, pid, path_.container_id);
  const std::string ending = "/" + path_.container_id + "/userdata";
  if (!arguments || !arguments->bundle.ends_with(ending)) {
    return false;
  }
  top_ = root_.proc + "/" + std::to_string(pid) + "/root";
  const std::string base = arguments->bundle.substr(0, arguments->bundle.size() - ending.size());
  BundlePlace place{.owner = uid, .kind = BundleKind::kStorage};
  auto directory = open_recorded(place, base);
  if (!directory) {
    note(directory.error());
    return false;
  }
  place.directory = std::move(*directory);
  if (!try_place(place, Trust::kProcess)) {
    return false;
  }
  if (found_->name.empty() && found_->runtime == Runtime::kPodman) {
    found_->name = arguments->name;
  }
  learn({base, uid, BundleKind::kStorage}, place.directory);
  return true;
}

bool BundleSearch::try_place(const BundlePlace& place, Trust trust) {
  const std::string file = place.file_of(path_.container_id, "config.json");
  const auto text = read_owned(place.directory, file, place.owner, kMaxBundleBytes);
  if (!text) {
    if (text.error().code != ENOENT) {
      note(text.error());
    }
    return false;
  }
  const auto config = read_oci_config(*text);
  if (!config) {
    note(Error{config.error().operation, file, config.error().code, config.error().detail});
    return false;
  }
  if (!is_here(place, *config, trust)) {
    note(Error{"read the bundle's configuration", file, EBADMSG, "it is about another cgroup"});
    return false;
  }
  auto container = container_from_oci(*config, path_.container_id, place.kind, place.runtime_namespace);
  if (!container) {
    note(Error{container.error().operation, file, container.error().code, container.error().detail});
    return false;
  }
  complete(place, *config, *container);
  found_ = std::move(*container);
  return true;
}

bool BundleSearch::is_here(const BundlePlace& place, const OciConfig& config, Trust trust) const {
  const CgroupMatch match = match_cgroup(config.cgroups_path, cgroup_);
  if (trust == Trust::kProcess) {
    return match != CgroupMatch::kNone || config.cgroups_path.empty();
  }
  return match == CgroupMatch::kSame ||
         (match == CgroupMatch::kUsers && place.owner == user_of_cgroup(path_.container_path));
}

void BundleSearch::complete(const BundlePlace& place, const OciConfig& config, Container& container) {
  // A user's own files may call a container of his anything, but whether it belongs to a pod of Kubernetes, the kubelet
  // says, by the cgroup.
  if (place.owner != host_owner_ && container.pod && container.pod->uid != path_.pod_uid) {
    container.pod.reset();
  }
  if (container.runtime == Runtime::kDocker) {
    add_docker_record(place, config, container);
  } else if (container.runtime == Runtime::kPodman) {
    add_stored_names(place, container);
    // Nothing but its name tells the container that holds a pod's namespaces. Podman takes it from the pod's id.
    constexpr std::size_t kShortId = 12;
    if (is_container_id(path_.pod_uid) && container.name == path_.pod_uid.substr(0, kShortId) + "-infra") {
      container.pod = Pod{.uid = path_.pod_uid, .sandbox = true};
    }
  }
  if (!nested()) {  // else the number is one of another pid namespace
    add_init_pid(place, config, container);
  }
  if (container.unknown_reason.empty() && (container.name.empty() || container.image.empty())) {
    container.unknown_reason =
        container.name.empty() ? "its OCI bundle tells no name" : "its OCI bundle tells no image";
  }
}

// What is mounted as /etc/hostname is <data root>/containers/<id>/hostname; in a shared network the other's id.
void BundleSearch::add_docker_record(const BundlePlace& place, const OciConfig& config, Container& container) {
  const string_view containers = parent_of(parent_of(config.hostname_file));
  if (leaf_of(containers) != "containers") {
    return;
  }
  const auto directory = open_recorded(place, std::string(containers));
  const auto text = directory ? read_owned(*directory, container.id + "/config.v2.json", place.owner, kMaxBundleBytes)
                              : Result<std::string>(std::unexpected(directory.error()));
  auto record = text ? read_docker_config(*text, container.id) : Result<Container>(std::unexpected(text.error()));
  if (record) {
    merge(container, std::move(*record));
  } else {
    container.unknown_reason = record.error().message();
  }
}

void BundleSearch::add_stored_names(const BundlePlace& place, Container& container) {
  auto names = find_stored_names(place.directory, place.owner, container.id, stop_);
  if (!names) {
    container.unknown_reason = names.error().message();
  } else if (*names) {
    container.name = std::move((*names)->name);
    container.image = std::move((*names)->image);
  }
}

void BundleSearch::add_init_pid(const BundlePlace& place, const OciConfig& config, Container& container) {
  constexpr std::size_t kLongest = 32;
  const char* const name = place.kind == BundleKind::kTask ? "init.pid" : "pidfile";
  auto text = read_owned(place.directory, place.file_of(container.id, name), place.owner, kLongest);
  const string_view run = parent_of(config.hostname_file);
  if (!text && place.kind == BundleKind::kStorage && run.ends_with("/" + container.id + "/userdata")) {
    if (const auto directory = open_recorded(place, std::string(run))) {
      text = read_owned(*directory, name, place.owner, kLongest);
    }
  }
  const auto pid = text ? pid_from(*text) : std::nullopt;
  if (pid && in_cgroup_named(root_, *pid, leaf_)) {
    container.init_pid = pid;
  }
}

// A path that the runtime itself wrote down, in the tree that it sees.
Result<Fd> BundleSearch::open_recorded(const BundlePlace& place, const std::string& directory) const {
  const auto top = open_directory(top_);
  if (!top) {
    return std::unexpected(top.error());
  }
  return open_directory_below(*top, directory, place.owner == host_owner_ ? Symlinks::kWithinRoot : Symlinks::kRefuse);
}

Result<Fd> BundleSearch::open_learned(const LearnedPlace& place) const {
  const auto top = open_directory(root_.proc + "/1/root");
  if (!top) {
    return std::unexpected(top.error());
  }
  return open_directory_below(*top, place.path, place.owner == host_owner_ ? Symlinks::kWithinRoot : Symlinks::kRefuse);
}

void BundleSearch::learn(LearnedPlace place, const Fd& directory) {
  const auto same = nested() ? Result<Fd>(Fd()) : open_learned(place);
  if (same && same_file(*same, directory)) {
    learned_ = std::move(place);
  }
}

void BundleSearch::note(Error error) {
  if (!trouble_) {
    if (error.code == ETIMEDOUT) {
      error.code = EIO;
    }
    trouble_ = std::move(error);
  }
}

}  // namespace memcrest
