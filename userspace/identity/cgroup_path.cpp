// SPDX-License-Identifier: Apache-2.0
#include "identity/cgroup_path.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace memcrest {
namespace {

constexpr std::size_t kIdDigits = 64;
constexpr std::size_t kMaxOuter = 16;  // deeper nesting is not real

bool is_lower_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

bool strip_suffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) {
    return false;
  }
  text.remove_suffix(suffix.size());
  return true;
}

// A cgroup name of the form PREFIX-<id>, as runtimes make it.
struct RuntimeName {
  Runtime runtime = Runtime::kUnknown;
  bool monitor = false;  // conmon: it watches the container from outside
  std::string_view id;
  std::string_view slice;  // in front of ':' in "SLICE:PREFIX:ID"
};

struct Prefix {
  std::string_view text;
  Runtime runtime;
  bool monitor;
};

constexpr std::array kPrefixes = {
    Prefix{"docker", Runtime::kDocker, false},         Prefix{"cri-containerd", Runtime::kContainerd, false},
    Prefix{"nerdctl", Runtime::kContainerd, false},    Prefix{"crio", Runtime::kCrio, false},
    Prefix{"crio-conmon", Runtime::kCrio, true},       Prefix{"libpod", Runtime::kPodman, false},
    Prefix{"libpod-payload", Runtime::kPodman, false}, Prefix{"libpod-conmon", Runtime::kPodman, true},
};

// "docker-<id>.scope", "libpod-<id>", and "SLICE:cri-containerd:<id>": what runc makes of a systemd path when it runs
// with the cgroupfs driver.
std::optional<RuntimeName> match_runtime_name(std::string_view name) {
  strip_suffix(name, ".scope");
  if (name.size() <= kIdDigits + 1) {
    return std::nullopt;
  }
  RuntimeName match{.id = name.substr(name.size() - kIdDigits)};
  name.remove_suffix(kIdDigits);
  const char separator = name.back();
  if (!is_container_id(match.id) || (separator != '-' && separator != ':')) {
    return std::nullopt;
  }
  name.remove_suffix(1);
  if (separator == ':') {
    const std::size_t colon = name.rfind(':');
    if (colon == std::string_view::npos) {
      return std::nullopt;
    }
    match.slice = name.substr(0, colon);
    name.remove_prefix(colon + 1);
  }
  const auto* const known = std::ranges::find(kPrefixes, name, &Prefix::text);
  if (known == kPrefixes.end()) {
    return std::nullopt;
  }
  match.runtime = known->runtime;
  match.monitor = known->monitor;
  return match;
}

// "pod<uid>" -> the uid with dashes; the systemd driver writes them as underscores. Static pods use 32 plain digits.
std::optional<std::string> match_pod(std::string_view text) {
  constexpr std::string_view kPod = "pod";
  constexpr std::size_t kShortest = 8;
  constexpr std::size_t kLongest = 64;
  if (!text.starts_with(kPod)) {
    return std::nullopt;
  }
  std::string uid(text.substr(kPod.size()));
  std::ranges::replace(uid, '_', '-');
  const bool plausible = uid.size() >= kShortest && uid.size() <= kLongest &&
                         std::ranges::all_of(uid, [](char c) { return is_lower_hex(c) || c == '-'; });
  return plausible ? std::optional(std::move(uid)) : std::nullopt;
}

bool is_unit(std::string_view name) {
  constexpr std::array<std::string_view, 6> kSuffixes = {".service", ".scope", ".slice", ".mount", ".socket", ".swap"};
  return std::ranges::any_of(
      kSuffixes, [name](std::string_view suffix) { return name.size() > suffix.size() && name.ends_with(suffix); });
}

// Walks the components from the root inwards. Each one may begin a container, describe a pod or name a unit.
class PathReader {
 public:
  explicit PathReader(CgroupPath& out) : out_(out) {}

  // `end` is where the component ends in the path.
  void read(std::string_view name, std::size_t end) {
    const bool below_pod = std::exchange(in_pod_, false);
    if (const auto match = match_runtime_name(name)) {
      if (!match->slice.empty()) {
        read_kubernetes(match->slice);
        in_pod_ = false;
      }
      if (match->monitor) {
        out_.reason = "conmon, the monitor of container " + std::string(match->id) + ", not the container itself";
        read_unit(name);
      } else {
        begin_container(match->runtime, match->id, end);
      }
    } else if (is_container_id(name)) {
      read_bare_id(name, below_pod, end);
    } else {
      read_kubernetes(name);
      read_unit(name);
    }
    parent_ = name;
  }

  [[nodiscard]] std::size_t container_end() const { return container_end_; }

 private:
  void begin_container(Runtime runtime, std::string_view id, std::size_t end) {
    if (!out_.container_id.empty() && out_.container_id != id && out_.outer_ids.size() < kMaxOuter) {
      out_.outer_ids.push_back(out_.container_id);
    }
    out_.runtime = runtime;
    out_.container_id = id;
    container_end_ = end;
    out_.docker_candidate = runtime == Runtime::kDocker;
    out_.unit.clear();
    out_.reason.clear();
    in_kubernetes_ = false;  // what lies below is the container's own
  }

  void read_bare_id(std::string_view id, bool below_pod, std::size_t end) {
    if (parent_ == "docker") {
      begin_container(Runtime::kDocker, id, end);
    } else if (below_pod) {
      begin_container(Runtime::kContainerd, id, end);
      out_.docker_candidate = true;
    } else if (parent_ == "libpod_parent") {
      if (out_.container_id.empty()) {
        out_.reason = "the cgroup of a Podman pod, not of one container";
      }
    } else {
      begin_container(Runtime::kUnknown, id, end);
      out_.docker_candidate = true;
      out_.reason = "the cgroup is named like a container, but its path does not say whose";
    }
  }

  // "kubepods", "burstable", "pod<uid>" (cgroupfs driver) or "kubepods-burstable-pod<uid>.slice" (systemd driver). A
  // kubelet with a cgroup root of its own puts it in front: "kubelet-kubepods-burstable.slice".
  void read_kubernetes(std::string_view name) {
    const bool slice = strip_suffix(name, ".slice");
    constexpr std::string_view kRoot = "kubepods";
    const std::size_t at = name.find(kRoot);
    if (at != std::string_view::npos && (at == 0 || (slice && name[at - 1] == '-'))) {
      name.remove_prefix(at + kRoot.size());
      if (name.empty()) {
        in_kubernetes_ = true;
        out_.qos = "guaranteed";  // until a component says otherwise
        out_.pod_uid.clear();
        return;
      }
      if (!slice || name.front() != '-') {
        return;
      }
      in_kubernetes_ = true;
      name.remove_prefix(1);
    }
    if (!in_kubernetes_) {
      return;
    }
    for (const std::string_view qos : {"burstable", "besteffort"}) {
      if (name.starts_with(qos) && (name.size() == qos.size() || (slice && name[qos.size()] == '-'))) {
        out_.qos = qos;
        name.remove_prefix(std::min(qos.size() + 1, name.size()));
        break;
      }
    }
    if (auto uid = match_pod(name)) {
      out_.pod_uid = std::move(*uid);
      if (out_.qos.empty()) {
        out_.qos = "guaranteed";
      }
      in_pod_ = true;
    }
  }

  void read_unit(std::string_view name) {
    if (is_unit(name)) {
      out_.unit = name;
    }
  }

  CgroupPath& out_;
  std::string_view parent_;
  std::size_t container_end_ = 0;  // where the innermost container's own cgroup ends in the path
  bool in_kubernetes_ = false;
  bool in_pod_ = false;  // the previous component was a pod
};

}  // namespace

bool is_container_id(std::string_view text) {
  return text.size() == kIdDigits && std::ranges::all_of(text, is_lower_hex);
}

CgroupPath parse_cgroup_path(std::string_view path) {
  CgroupPath result;
  PathReader reader(result);
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view name = path.substr(begin, end - begin);
    if (!name.empty() && name != "." && name != "..") {
      reader.read(name, end);
    }
    begin = end + 1;
  }
  result.container_path = path.substr(0, reader.container_end());
  if (result.container_id.empty() && !result.unit.empty()) {
    result.runtime = Runtime::kSystemd;
  }
  return result;
}

Container container_from_path(const CgroupPath& path) {
  Container container;
  container.runtime = path.runtime;
  container.id = path.container_id;
  container.unknown_reason = path.reason;
  container.unit = path.unit;
  if (!path.pod_uid.empty()) {
    container.pod = Pod{.uid = path.pod_uid, .qos = path.qos};
  }
  for (auto outer = path.outer_ids.rbegin(); outer != path.outer_ids.rend(); ++outer) {
    container.outer.push_back({.id = *outer});
  }
  if (path.runtime == Runtime::kSystemd) {
    container.name = path.unit;
  } else if (container.unknown_reason.empty() && path.runtime != Runtime::kNone) {
    container.unknown_reason = "nobody was asked for the container's name";
  }
  return container;
}

}  // namespace memcrest
