// SPDX-License-Identifier: Apache-2.0
#include "identity/cgroup_path.h"

#include <algorithm>
#include <array>
#include <utility>

#include "identity/cgroup_names.h"

namespace memcrest {
namespace {

using namespace cgroup_names;

constexpr std::size_t kIdDigits = 64;
constexpr std::size_t kMaxOuter = 16;  // deeper nesting is not real

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::ranges::find(list, text) != list.end();
}

// Walks the components from the root inwards. Each one may begin a container, describe a pod or a machine, or name a
// unit.
class PathReader {
 public:
  explicit PathReader(std::string_view path) : path_(path) {}

  // `end` is where the component ends in the path.
  void read(std::string_view name, std::size_t end) {
    ++depth_;
    if (depth_ <= first_two_.size()) {
      first_two_[depth_ - 1] = name;
    }
    below_pod_ = std::exchange(in_pod_, false);
    end_ = end;
    if (!read_container(name)) {
      read_kubernetes(name);
      if (const auto id = match_libpod_pod(name)) {
        read_podman_pod(*id);
      }
      read_machine(name);
      read_unit(name);
    }
    grandparent_ = std::exchange(parent_, container_end_ == end ? "" : name);  // below is the container's own
  }

  // "..": the kernel writes it in front, for what lies outside the reader's cgroup namespace. Anywhere else it leads
  // back out of what was read.
  void read_parent() {
    *this = PathReader(path_);
    cut_off_ = true;
  }

  CgroupPath finish() {
    out_.container_path = path_.substr(0, container_end_);
    if (out_.container_id.empty()) {
      finish_outside();
    }
    out_.candidate = candidate();
    return std::move(out_);
  }

 private:
  void begin_container(Runtime runtime, std::string_view id) {
    if (!out_.container_id.empty() && out_.container_id != id) {
      add_outer({out_.runtime, out_.container_id, out_.name});
    }
    if (!out_.machine.empty()) {
      add_outer({machine_runtime_, out_.machine, out_.machine});
      out_.machine.clear();
    }
    out_.runtime = runtime;
    out_.container_id = id;
    container_end_ = end_;
    container_depth_ = depth_;
    out_.docker_candidate = runtime == Runtime::kDocker;
    out_.unit.clear();
    out_.reason.clear();
    out_.name.clear();
    out_.qos = pod_.uid.empty() ? "" : std::exchange(pod_.qos, "");
    out_.pod_uid = std::exchange(pod_.uid, "");
    ecs_depth_ = 0;
    in_kubernetes_ = in_machine_slice_ = is_monitor_ = false;  // what lies below is the container's own
  }

  void add_outer(CgroupPath::Outer outer) {
    if (out_.outer_ids.size() < kMaxOuter) {
      out_.outer_ids.push_back(std::move(outer));
    }
  }

  // Beside a container, for it: what is inside a container belongs to that one all the same.
  void say_monitor(std::string reason) {
    if (out_.container_id.empty()) {
      out_.reason = std::move(reason);
      is_monitor_ = true;
    }
  }

  bool read_container(std::string_view name) {
    return read_runtime_name(name) || read_bare_id(name) || read_build_step(name) || read_lxc(name) ||
           read_orchestrated(name);
  }

  bool read_runtime_name(std::string_view name) {
    const auto match = match_runtime(name);
    if (!match) {
      return false;
    }
    if (!match->slice.empty()) {
      read_kubernetes(match->slice);
      in_pod_ = false;
    }
    if (match->monitor) {
      say_monitor("conmon, the monitor of container " + std::string(match->id) + ", not the container itself");
      read_unit(name);
      return true;
    }
    std::string service = match->in_service && parent_.ends_with(".service") ? std::move(out_.unit) : "";
    begin_container(match->runtime, match->id);
    out_.unit = std::move(service);
    return true;
  }

  bool read_bare_id(std::string_view id) {
    if (!is_container_id(id) || is_one_of(parent_, {"lxc.payload", "lxc.monitor"})) {
      return false;
    }
    // The CI services start dockerd with a --cgroup-parent of these names.
    if (is_one_of(parent_, {"docker", "actions_job", "azpl_job"}) || is_below_ecs_task()) {
      begin_container(Runtime::kDocker, id);
    } else if (below_pod_) {
      begin_container(Runtime::kContainerd, id);
      out_.docker_candidate = true;
    } else if (is_one_of(parent_, {"k8s.io", "nerdctl"})) {
      begin_container(Runtime::kContainerd, id);
    } else if (parent_ == "libpod_parent") {
      read_podman_pod(id);
    } else {
      begin_container(Runtime::kUnknown, id);
      out_.docker_candidate = true;
      out_.reason = "the cgroup is named like a container, but its path does not say whose";
    }
    return true;
  }

  bool read_build_step(std::string_view name) {
    if (const auto id = match_docker_build_step(name)) {
      begin_container(Runtime::kDocker, *id);
    } else if (parent_ == "buildkit" && is_buildkit_id(name)) {
      begin_container(grandparent_ == "docker" ? Runtime::kDocker : Runtime::kUnknown, name);
    } else {
      return false;
    }
    out_.docker_candidate = false;
    out_.reason = "a step of a BuildKit build, which has no name";
    return true;
  }

  bool read_lxc(std::string_view name) {
    const auto match = match_lxc(parent_, name);
    if (!match || (parent_ == "lxc" && grandparent_ == "libvirt")) {  // libvirt's driver of that name is another thing
      return false;
    }
    if (match->monitor) {
      say_monitor("the monitor of LXC container " + std::string(match->name) + ", not the container itself");
      return true;
    }
    begin_container(Runtime::kLxc, match->name);
    if (may_be_lxc_retry(match->name)) {
      out_.reason = "LXC may have added the number at the end of its cgroup to the container's name";
    } else {
      out_.name = match->name;
    }
    return true;
  }

  bool read_orchestrated(std::string_view name) {
    if (const auto task = match_nomad(parent_, name)) {
      begin_container(Runtime::kUnknown, task->id);
      out_.name = task->task;
      out_.reason = "a task of Nomad, whose image the path does not tell";
      return true;
    }
    const bool in_garden = parent_ == "garden" || (grandparent_ == "garden" && is_one_of(parent_, {"good", "bad"}));
    if (in_garden && is_garden_handle(name)) {
      begin_container(Runtime::kUnknown, name);
      out_.reason = "a container of Garden, whose name the path does not tell";
      return true;
    }
    if (ecs_depth_ != 0 && is_fargate_id(parent_, name)) {
      begin_container(Runtime::kContainerd, name);
      return true;
    }
    if (name == "ecs") {
      ecs_depth_ = depth_;
    }
    return false;
  }

  // "/ecs/<task>/<id>", and older "/ecs/<cluster>/<task>/<id>".
  [[nodiscard]] bool is_below_ecs_task() const {
    return ecs_depth_ != 0 && (depth_ == ecs_depth_ + 2 || depth_ == ecs_depth_ + 3) && is_uid(parent_);
  }

  // "kubepods", "burstable", "pod<uid>" (cgroupfs driver) or "kubepods-burstable-pod<uid>.slice" (systemd driver). A
  // kubelet with a cgroup root of its own puts it in front: "kubelet-kubepods-burstable.slice".
  void read_kubernetes(std::string_view name) {
    constexpr std::string_view kSlice = ".slice";
    const bool slice = name.ends_with(kSlice);
    name.remove_suffix(slice ? kSlice.size() : 0);
    constexpr std::string_view kRoot = "kubepods";
    const std::size_t at = name.find(kRoot);
    if (at != std::string_view::npos && (at == 0 || (slice && name[at - 1] == '-'))) {
      name.remove_prefix(at + kRoot.size());
      if (name.empty()) {
        in_kubernetes_ = true;
        pod_ = {.uid = "", .qos = "guaranteed"};  // until a component says otherwise
        return;
      }
      if (!slice || name.front() != '-') {
        return;
      }
      in_kubernetes_ = true;
      name.remove_prefix(1);
    }
    if (in_kubernetes_) {
      read_pod(name, slice);
    } else if (cut_off_) {
      read_cut_off_pod(name);
    }
  }

  void read_pod(std::string_view name, bool slice) {
    for (const std::string_view qos : {"burstable", "besteffort"}) {
      if (name.starts_with(qos) && (name.size() == qos.size() || (slice && name[qos.size()] == '-'))) {
        pod_.qos = qos;
        name.remove_prefix(std::min(qos.size() + 1, name.size()));
        break;
      }
    }
    if (auto uid = match_pod(name)) {
      pod_.uid = std::move(*uid);
      if (pod_.qos.empty()) {
        pod_.qos = "guaranteed";
      }
      in_pod_ = true;
    }
  }

  // The pod of another container, seen from inside one: "/../../pod<uid>/<id>", "kubepods" being above what the path
  // shows.
  void read_cut_off_pod(std::string_view name) {
    if (depth_ == 1 && is_one_of(name, {"burstable", "besteffort"})) {
      pod_.qos = name;
    } else if ((depth_ == 1 || (depth_ == 2 && !pod_.qos.empty())) && name.starts_with("pod") &&
               is_uid(name.substr(3))) {
      pod_.uid = name.substr(3);
      in_kubernetes_ = in_pod_ = true;
    }
  }

  void read_podman_pod(std::string_view id) {
    pod_ = {.uid = std::string(id), .qos = ""};
    in_kubernetes_ = false;
  }

  void read_machine(std::string_view name) {
    if (auto machine = match_machine(name, in_machine_slice_)) {
      machine_runtime_ = match_unit(name).empty() ? Runtime::kUnknown : Runtime::kSystemd;
      out_.machine = std::move(*machine);
      machine_depth_ = depth_;
    } else if (name == "supervisor" && !out_.machine.empty() && machine_depth_ + 1 == depth_) {
      say_monitor("systemd-nspawn, which runs machine " + out_.machine + ", not the machine itself");
      out_.machine.clear();
    }
    in_machine_slice_ = in_machine_slice_ || name == "machine.slice";
  }

  void read_unit(std::string_view name) {
    if (const std::string_view unit = match_unit(name); !unit.empty()) {
      out_.unit = unit;
    }
  }

  void finish_outside() {
    const bool kubernetes = in_kubernetes_;
    out_.qos = pod_.uid.empty() ? "" : std::move(pod_.qos);
    out_.pod_uid = std::move(pod_.uid);
    if (!out_.pod_uid.empty() && out_.reason.empty()) {
      out_.reason = kubernetes ? "the cgroup of a Kubernetes pod, not of one container"
                               : "the cgroup of a Podman pod, not of one container";
    }
    if (!out_.unit.empty()) {
      out_.runtime = Runtime::kSystemd;
    }
  }

  [[nodiscard]] std::optional<ContainerCandidate> candidate() const {
    if (cut_off_ || !path_.starts_with('/') || !out_.outer_ids.empty()) {
      return std::nullopt;
    }
    const auto& [first, second] = first_two_;
    const bool two_names = is_containerd_identifier(first) && is_containerd_identifier(second) &&
                           match_unit(first).empty() && match_unit(second).empty();
    if (out_.runtime == Runtime::kUnknown) {
      const bool of_two = two_names && container_depth_ == 2;
      if (!of_two && !is_container_id(out_.container_id)) {
        return std::nullopt;
      }
      return ContainerCandidate{out_.container_path, out_.container_id, of_two ? std::string(first) : ""};
    }
    if (!two_names || !out_.container_id.empty() || is_monitor_ || in_kubernetes_ || !out_.pod_uid.empty() ||
        !out_.machine.empty()) {
      return std::nullopt;
    }
    return ContainerCandidate{"/" + std::string(first) + "/" + std::string(second), std::string(second),
                              std::string(first)};
  }

  struct PodRead {
    std::string uid;
    std::string qos;
  };

  std::string_view path_;
  CgroupPath out_;
  std::string_view parent_;  // empty after a container's own cgroup
  std::string_view grandparent_;
  std::array<std::string_view, 2> first_two_;
  std::size_t depth_ = 0;            // of the component being read, 1 below the root
  std::size_t end_ = 0;              // where it ends in the path
  std::size_t container_end_ = 0;    // where the innermost container's own cgroup ends in the path
  std::size_t container_depth_ = 0;  // of that cgroup
  std::size_t ecs_depth_ = 0;        // of "ecs"; 0: not seen
  std::size_t machine_depth_ = 0;    // of the innermost machine's own cgroup
  PodRead pod_;                      // read, and no container in it yet
  Runtime machine_runtime_ = Runtime::kSystemd;
  bool in_kubernetes_ = false;
  bool in_pod_ = false;     // the component just read was a pod
  bool below_pod_ = false;  // the one before it was
  bool in_machine_slice_ = false;
  bool is_monitor_ = false;  // of a container, outside of it
  bool cut_off_ = false;     // the path does not begin at the root of the hierarchy
};

}  // namespace

bool is_container_id(std::string_view text) {
  return text.size() == kIdDigits &&
         std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

CgroupPath parse_cgroup_path(std::string_view path) {
  PathReader reader(path);
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    if (name == "..") {
      reader.read_parent();
    } else if (!name.empty() && name != ".") {
      reader.read(name, end);
    }
    begin = end + 1;
  }
  return reader.finish();
}

Container container_from_path(const CgroupPath& path) {
  Container container;
  container.runtime = path.runtime;
  container.id = path.container_id;
  container.name = path.name;
  container.unknown_reason = path.reason;
  container.unit = path.unit;
  container.machine = path.machine;
  if (!path.pod_uid.empty()) {
    container.pod = Pod{.uid = path.pod_uid, .qos = path.qos};
  }
  for (auto outer = path.outer_ids.rbegin(); outer != path.outer_ids.rend(); ++outer) {
    container.outer.push_back({outer->runtime, outer->id, outer->name});
  }
  if (!path.container_id.empty()) {
    if (container.name.empty() && container.unknown_reason.empty()) {
      container.unknown_reason = "nobody was asked for the container's name";
    }
  } else if (!path.machine.empty()) {
    container.name = path.machine;
  } else if (path.runtime == Runtime::kSystemd) {
    container.name = decode_unit(path.unit);
  }
  return container;
}

}  // namespace memcrest
