// SPDX-License-Identifier: Apache-2.0
#include "identity/kubernetes_pod_reader.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "identity/cgroup_path.h"
#include "identity/kubernetes_quantity.h"

namespace memcrest {
namespace {

using Path = JsonHandler::Path;
using Value = JsonHandler::Value;

bool is_text(const Value& value) { return value.kind == Value::Kind::kText; }

// A name that decides who this is: too long is as if absent, never cut.
std::string identifier(const Value& value) {
  return is_text(value) && value.text.size() <= kMaxKubernetesNameBytes ? std::string(value.text) : std::string();
}

std::string prose(const Value& value) {
  return is_text(value) ? cut_text(value.text, kMaxKubernetesTextBytes) : std::string();
}

bool is_container_list(std::string_view name) {
  return name == "containers" || name == "initContainers" || name == "ephemeralContainers";
}

bool is_status_list(std::string_view name) {
  return name == "containerStatuses" || name == "initContainerStatuses" || name == "ephemeralContainerStatuses";
}

// An MD5, as the kubelet makes it: never to be taken for the uid of another pod, which has dashes.
bool is_config_hash(std::string_view text) {
  constexpr std::size_t kDigits = 32;
  return text.size() == kDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

struct RuntimeId {
  Runtime runtime = Runtime::kUnknown;
  std::string id;
};

// "containerd://<64 digits>"
RuntimeId split_id(std::string_view text) {
  struct Scheme {
    std::string_view name;
    Runtime runtime;
  };
  constexpr std::array kSchemes = {Scheme{"docker", Runtime::kDocker}, Scheme{"containerd", Runtime::kContainerd},
                                   Scheme{"cri-o", Runtime::kCrio}};
  const std::size_t at = text.find("://");
  if (at == std::string_view::npos || !is_container_id(text.substr(at + 3))) {
    return {};
  }
  const auto* const scheme = std::ranges::find(kSchemes, text.substr(0, at), &Scheme::name);
  return {.runtime = scheme == kSchemes.end() ? Runtime::kUnknown : scheme->runtime,
          .id = std::string(text.substr(at + 3))};
}

template <typename Number>
std::optional<Number> number(const Value& value) {
  if (value.kind != Value::Kind::kNumber || !std::in_range<Number>(value.number)) {
    return std::nullopt;
  }
  return static_cast<Number>(value.number);
}

}  // namespace

std::string cut_text(std::string_view text, std::size_t limit) {
  if (text.size() > limit) {
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0U) == 0x80U) {
      --limit;
    }
    text = text.substr(0, limit);
  }
  return std::string(text);
}

void KubernetesPodReader::value(Path path, const Value& value) {
  if (path.size() < 2) {
    return;
  }
  if (path[0] == "metadata") {
    take_metadata(path.subspan(1), value);
  } else if (path[0] == "spec") {
    take_spec(path.subspan(1), value);
  } else if (path[0] == "status") {
    take_status(path.subspan(1), value);
  }
}

void KubernetesPodReader::take_metadata(Path path, const Value& value) {
  const std::string& key = path[0];
  if (path.size() == 1) {
    if (key == "uid") {
      pod_.pod.uid = identifier(value);
    } else if (key == "name") {
      pod_.pod.name = identifier(value);
    } else if (key == "namespace") {
      pod_.pod.name_space = identifier(value);
    } else if (key == "resourceVersion") {
      resource_version_ = identifier(value);
    }
  } else if (path.size() == 2 && key == "labels" && is_text(value)) {
    add_label(path[1], value.text);
  } else if (path.size() == 2 && key == "annotations" && path[1] == "kubernetes.io/config.mirror") {
    const std::string hash = identifier(value);
    pod_.config_hash = is_config_hash(hash) ? hash : "";
  } else if (path.size() == 3 && key == "ownerReferences") {
    take_reference(path.subspan(2), value);
  }
}

void KubernetesPodReader::take_reference(Path path, const Value& value) {
  if (path[0] == "kind") {
    reference_.kind = identifier(value);
  } else if (path[0] == "name") {
    reference_.name = identifier(value);
  } else if (path[0] == "controller") {
    reference_.controller = value.kind == Value::Kind::kBoolean && value.boolean;
  }
}

void KubernetesPodReader::add_label(const std::string& key, std::string_view value) {
  const std::size_t bytes = key.size() + value.size();  // values of labels have 63 bytes at most: none is cut
  if (pod_.pod.labels.size() < kMaxPodLabels && label_bytes_ + bytes <= kMaxPodLabelBytes) {
    label_bytes_ += bytes;
    pod_.pod.labels.insert_or_assign(key, std::string(value));
  }
}

void KubernetesPodReader::take_spec(Path path, const Value& value) {
  if (path.size() == 1 && path[0] == "nodeName") {
    pod_.node = identifier(value);
  }
  if (path.size() < 3 || !is_container_list(path[0])) {
    return;
  }
  path = path.subspan(2);
  if (path.size() == 1 && path[0] == "name") {
    container_.name = identifier(value);
  } else if (path.size() == 1 && path[0] == "image") {
    container_.image = prose(value);
  } else if (path.size() == 3 && path[0] == "resources") {
    take_resources(container_.resources, path.subspan(1), value);
  }
}

void KubernetesPodReader::take_resources(Resources& resources, Path path, const Value& value) {
  if (path[1] != "memory" || !is_text(value)) {
    return;
  }
  auto bytes = parse_quantity(value.text);
  if (bytes && *bytes == 0) {
    bytes.reset();  // none
  }
  if (path[0] == "requests") {
    resources.request = bytes;
  } else if (path[0] == "limits") {
    resources.limit = bytes;
  }
}

void KubernetesPodReader::take_status(Path path, const Value& value) {
  if (path.size() == 1 && path[0] == "qosClass") {
    pod_.pod.qos = identifier(value);
    for (char& c : pod_.pod.qos) {  // "BestEffort": as in cgroup paths
      c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  if (path.size() < 3 || !is_status_list(path[0])) {
    return;
  }
  path = path.subspan(2);
  const std::string& key = path[0];
  if (path.size() == 1) {
    if (key == "name") {
      container_status_.name = identifier(value);
    } else if (key == "image") {
      container_status_.image = prose(value);
    } else if (key == "containerID") {
      container_status_.id = identifier(value);
    } else if (key == "restartCount") {
      container_status_.restarts = number<std::uint32_t>(value);
    }
  } else if (key == "state" || key == "lastState") {
    take_state(path, value);
  } else if (path.size() == 3 && key == "resources") {
    take_resources(container_status_.resources, path.subspan(1), value);
  }
}

// {state,lastState}.{running,waiting,terminated}.KEY
void KubernetesPodReader::take_state(Path path, const Value& value) {
  if (path.size() != 3) {
    return;
  }
  if (path[0] == "lastState") {
    if (path[1] == "terminated") {
      take_ended(container_status_.last, path[2], value);
    }
    return;
  }
  if (path[1] == "running" || path[1] == "waiting" || path[1] == "terminated") {
    container_status_.phase = path[1];
  }
  if (path[1] == "terminated") {
    take_ended(container_status_.ended, path[2], value);
  }
}

void KubernetesPodReader::take_ended(Ended& ended, std::string_view key, const Value& value) {
  ended.told = true;
  if (key == "containerID") {
    ended.id = identifier(value);
  } else if (key == "reason") {
    ended.reason = prose(value);
  } else if (key == "exitCode") {
    ended.exit_code = number<std::int32_t>(value);
  }
}

void KubernetesPodReader::close(Path path) {
  if (path.size() != 3) {
    return;
  }
  if (path[0] == "metadata" && path[1] == "ownerReferences") {
    if (reference_.controller && !reference_.kind.empty() && !reference_.name.empty()) {
      controller_ = reference_;
    }
    reference_ = {};
  } else if (path[0] == "spec" && is_container_list(path[1])) {
    if (specs_.size() < kMaxPodContainers && !container_.name.empty()) {
      specs_.push_back(std::move(container_));
    }
    container_ = {};
  } else if (path[0] == "status" && is_status_list(path[1])) {
    if (statuses_.size() < kMaxPodContainers && !container_status_.name.empty()) {
      statuses_.push_back(std::move(container_status_));
    }
    container_status_ = {};
  }
}

KubernetesContainer KubernetesPodReader::join(const Spec* spec, const Status& status) {
  KubernetesContainer out{.name = status.name, .image = status.image};
  auto [runtime, id] = split_id(status.id);
  out.runtime = runtime;
  out.id = std::move(id);
  // The kubelet tells a bare digest for an image that it knows by no name; a changed spec waits for the restart.
  if (spec != nullptr && (out.image.empty() || out.image.starts_with("sha256:"))) {
    out.image = spec->image;
  }
  // Since resources can change in place, what the kubelet has put in force counts more than what is asked for.
  if (status.resources.limit || status.resources.request || spec == nullptr) {
    out.memory_limit_bytes = status.resources.limit;
    out.memory_request_bytes = status.resources.request;
  } else {
    out.memory_limit_bytes = spec->resources.limit;
    out.memory_request_bytes = spec->resources.request;
  }
  const Ended& end = status.ended.told ? status.ended : status.last;
  out.state = {
      .status = status.phase, .exit_code = end.exit_code, .reason = end.reason, .restart_count = status.restarts};
  auto [previous_runtime, previous_id] = split_id(status.last.id);
  if (!previous_id.empty() && previous_id != out.id) {
    out.previous_id = std::move(previous_id);
    out.previous_state = {.status = "terminated",
                          .exit_code = status.last.exit_code,
                          .reason = status.last.reason,
                          .restart_count = status.restarts};
    if (out.id.empty()) {
      out.runtime = previous_runtime;
    }
  }
  return out;
}

std::optional<KubernetesPod> KubernetesPodReader::take() {
  for (const Status& status : statuses_) {
    const auto spec = std::ranges::find(specs_, status.name, &Spec::name);
    pod_.containers.push_back(join(spec == specs_.end() ? nullptr : &*spec, status));
  }
  if (controller_) {
    pod_.pod.owner = owner_of(std::move(controller_->kind), std::move(controller_->name), pod_.pod.labels);
  }
  KubernetesPod pod = std::move(std::exchange(*this, KubernetesPodReader()).pod_);
  if (pod.pod.uid.empty() || pod.pod.name.empty() || pod.pod.name_space.empty()) {
    return std::nullopt;
  }
  return pod;
}

}  // namespace memcrest
