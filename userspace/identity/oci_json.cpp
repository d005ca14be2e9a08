// SPDX-License-Identifier: Apache-2.0
#include "identity/oci_json.h"

#include <algorithm>
#include <array>

#include "identity/json_walker.h"

namespace memcrest {
namespace {

using std::string_view;

constexpr std::size_t kMaxTextBytes = 4096;
constexpr std::size_t kMaxAnnotations = 256;
constexpr std::size_t kMaxAnnotationBytes = 64U << 10U;  // one value: CRI-O keeps all labels in one
constexpr std::size_t kMaxAllBytes = 128U << 10U;

constexpr std::array<string_view, 23> kFacts = {
    "io.kubernetes.cri.container-type",
    "io.kubernetes.cri.sandbox-id",
    "io.kubernetes.cri.sandbox-name",
    "io.kubernetes.cri.sandbox-namespace",
    "io.kubernetes.cri.sandbox-uid",
    "io.kubernetes.cri.container-name",
    "io.kubernetes.cri.image-name",
    "io.kubernetes.cri-o.ContainerID",
    "io.kubernetes.cri-o.ContainerType",
    "io.kubernetes.cri-o.Image",
    "io.kubernetes.cri-o.ImageName",
    "io.kubernetes.cri-o.KubeName",
    "io.kubernetes.cri-o.Labels",
    "io.kubernetes.cri-o.Metadata",
    "io.kubernetes.cri-o.Namespace",
    "io.kubernetes.cri-o.SandboxID",
    "io.kubernetes.container.name",
    "io.kubernetes.pod.name",
    "io.kubernetes.pod.namespace",
    "io.kubernetes.pod.uid",
    "io.container.manager",
    "nerdctl/name",
    "nerdctl/namespace",
};

// Annotations that say which container of which application this is, kept as labels. Others are the user's own, and
// of a pod's one holds whole manifests with environments (kubectl.kubernetes.io/last-applied-configuration).
constexpr std::array<string_view, 3> kLabelPrefixes = {"com.docker.compose.", "io.podman.compose.",
                                                       "com.amazonaws.ecs."};

bool is_label(string_view key) {
  return std::ranges::any_of(kLabelPrefixes, [key](string_view prefix) { return key.starts_with(prefix); });
}

using Path = JsonWalker::Path;
using Value = JsonWalker::Value;

class ConfigReader {
 public:
  void take(const Path& path, const Value& value) {
    if (value.is_text()) {
      take_text(path, value.text);
    } else if (value.is_number() && path.size() == 4 && path[0] == "linux" && path[1] == "resources" &&
               path[2] == "memory") {
      take_memory(path[3], value.number);
    }
  }
  void close(std::size_t depth) {
    if (depth == 2) {  // of a mount, or something else with neither
      if (mount_to_ == "/etc/hostname") {
        config.hostname_file = mount_from_;
      }
      mount_to_.clear();
      mount_from_.clear();
    }
  }

  OciConfig config;
  bool is_oci = false;

 private:
  void take_text(const Path& path, string_view text) {
    if (path.size() == 1 && path[0] == "ociVersion") {
      is_oci = true;
    } else if (path.size() == 2 && path[0] == "annotations") {
      add_annotation(path[1], text);
    } else if (path.size() == 2 && path[0] == "linux" && path[1] == "cgroupsPath") {
      config.cgroups_path = whole(text);
    } else if (path.size() == 3 && path[0] == "mounts" && path[2] == "destination") {
      mount_to_ = whole(text);
    } else if (path.size() == 3 && path[0] == "mounts" && path[2] == "source") {
      mount_from_ = whole(text);
    }
  }
  void take_memory(const std::string& key, std::int64_t number) {
    constexpr std::int64_t kNoLimit = std::numeric_limits<std::int64_t>::max() - 4096;  // as v1 shows it
    if (key == "limit" && number > 0 && number < kNoLimit) {
      config.memory_limit_bytes = static_cast<std::uint64_t>(number);
    } else if (key == "swap" && number != 0) {
      config.swap_limit_bytes = number < 0 || number >= kNoLimit ? -1 : number;
    }
  }
  void add_annotation(const std::string& key, string_view text) {
    const bool fact = std::ranges::find(kFacts, key) != kFacts.end();
    if (!fact && !is_label(key)) {
      return;
    }
    std::string kept = cut_utf8(text, fact ? kMaxAnnotationBytes : kMaxTextBytes);
    const std::size_t bytes = key.size() + kept.size();
    if (config.annotations.size() < kMaxAnnotations && bytes_ + bytes <= kMaxAllBytes) {
      bytes_ += bytes;
      config.annotations.insert_or_assign(key, std::move(kept));
    }
  }
  // A path that was cut would be another one.
  static std::string whole(string_view text) { return std::string(text.size() <= kMaxTextBytes ? text : ""); }

  std::size_t bytes_ = 0;
  std::string mount_to_;
  std::string mount_from_;
};

// "a-b.slice" -> "/a.slice/a-b.slice"
std::string expand_slice(string_view slice) {
  constexpr string_view kSuffix = ".slice";
  std::string out;
  if (!slice.ends_with(kSuffix) || slice == "-.slice") {
    return out;
  }
  const string_view name = slice.substr(0, slice.size() - kSuffix.size());
  for (std::size_t dash = name.find('-'); dash != string_view::npos; dash = name.find('-', dash + 1)) {
    out.append("/").append(name.substr(0, dash)).append(kSuffix);
  }
  return out.append("/").append(slice);
}

bool ends_below(string_view path, string_view ending) {
  return !ending.empty() && path.ends_with(ending) &&
         (ending.front() == '/' || (path.size() > ending.size() && path[path.size() - ending.size() - 1] == '/'));
}

// "/user.slice/user-1000.slice/user@1000.service": all that systemd lets a user manage lies below.
bool is_users_systemd(string_view path) {
  constexpr string_view kTop = "/user.slice/user-";
  constexpr string_view kMiddle = ".slice/user@";
  constexpr string_view kEnd = ".service";
  if (!path.starts_with(kTop) || !path.ends_with(kEnd)) {
    return false;
  }
  path = path.substr(kTop.size(), path.size() - kTop.size() - kEnd.size());
  const std::size_t middle = path.find(kMiddle);
  return middle != string_view::npos && path.substr(0, middle) == path.substr(middle + kMiddle.size());
}

const std::string& annotation(const OciConfig& config, const std::string& key) {
  static const std::string kNone;
  const auto found = config.annotations.find(key);
  return found == config.annotations.end() ? kNone : found->second;
}

std::string name_from(const std::string& text) { return cut_utf8(text, kMaxTextBytes); }

std::unexpected<Error> about_another() {
  return fail("read the bundle's configuration", {}, EBADMSG, "it is about another container");
}

void add_labels(Container& container, const OciConfig& config) {
  for (const auto& [key, value] : config.annotations) {
    if (is_label(key)) {
      container.labels.emplace(key, value);
    }
  }
}

// containerd's CRI plugin.
Result<void> read_cri(Container& container, const OciConfig& config) {
  const std::string& type = annotation(config, "io.kubernetes.cri.container-type");
  Pod pod{.uid = name_from(annotation(config, "io.kubernetes.cri.sandbox-uid")),
          .name = name_from(annotation(config, "io.kubernetes.cri.sandbox-name")),
          .name_space = name_from(annotation(config, "io.kubernetes.cri.sandbox-namespace")),
          .sandbox = type == "sandbox"};
  const std::string& sandbox_id = annotation(config, "io.kubernetes.cri.sandbox-id");
  if (pod.sandbox && !sandbox_id.empty() && sandbox_id != container.id) {
    return about_another();
  }
  // A sandbox has no name of its own; crictl shows its pod's.
  container.name = pod.sandbox ? pod.name : name_from(annotation(config, "io.kubernetes.cri.container-name"));
  container.image = name_from(annotation(config, "io.kubernetes.cri.image-name"));
  container.pod = std::move(pod);
  return {};
}

Result<void> read_task(Container& container, const OciConfig& config, const std::string& runtime_namespace) {
  container.runtime_namespace = runtime_namespace;
  if (runtime_namespace == "moby" || runtime_namespace == "plugins.moby") {
    container.runtime = Runtime::kDocker;
    return {};
  }
  container.runtime = Runtime::kContainerd;
  if (!annotation(config, "io.kubernetes.cri.container-type").empty()) {
    return read_cri(container, config);
  }
  // nerdctl gives names; to ctr and others the id is the name.
  container.name = name_from(annotation(config, "nerdctl/name"));
  if (container.name.empty()) {
    container.name = container.id;
  }
  return {};
}

// CRI-O keeps labels and metadata as JSON in an annotation.
void read_crio_labels(Container& container, const std::string& json) {
  JsonWalker walker;
  std::size_t bytes = 0;
  walker.on_value = [&](const Path& path, const Value& value) {
    if (path.size() == 1 && value.is_text() && container.labels.size() < kMaxAnnotations &&
        bytes + path[0].size() + value.text.size() <= kMaxAnnotationBytes) {
      bytes += path[0].size() + value.text.size();
      container.labels.insert_or_assign(path[0], cut_utf8(value.text, kMaxTextBytes));
    }
  };
  ignore_result(walker.walk(json));  // what was read until an error is as good
}

void read_crio_metadata(Container& container, const std::string& json) {
  JsonWalker walker;
  walker.on_value = [&](const Path& path, const Value& value) {
    if (path.size() == 1 && path[0] == "attempt" && value.is_number() && value.number >= 0 &&
        value.number <= std::numeric_limits<std::uint32_t>::max()) {
      container.pod->attempt = static_cast<std::uint32_t>(value.number);
    } else if (path.size() == 1 && path[0] == "name" && value.is_text() && container.name.empty()) {
      container.name = cut_utf8(value.text, kMaxTextBytes);
    }
  };
  ignore_result(walker.walk(json));
}

void read_crio(Container& container, const OciConfig& config) {
  container.runtime = Runtime::kCrio;
  read_crio_labels(container, annotation(config, "io.kubernetes.cri-o.Labels"));
  const auto either = [&](const std::string& key) {
    const std::string& own = annotation(config, key);
    const auto label = container.labels.find(key);
    return name_from(!own.empty() || label == container.labels.end() ? own : label->second);
  };
  Pod pod{.uid = either("io.kubernetes.pod.uid"),
          .name = either("io.kubernetes.pod.name"),
          .name_space = either("io.kubernetes.pod.namespace"),
          .sandbox = annotation(config, "io.kubernetes.cri-o.ContainerType") == "sandbox"};
  if (pod.name_space.empty()) {
    pod.name_space = name_from(annotation(config, "io.kubernetes.cri-o.Namespace"));
  }
  if (pod.sandbox) {
    if (pod.name.empty()) {
      pod.name = name_from(annotation(config, "io.kubernetes.cri-o.KubeName"));
    }
    container.name = pod.name;
    pod.labels = container.labels;
  } else {
    container.name = either("io.kubernetes.container.name");
  }
  container.image = name_from(annotation(config, "io.kubernetes.cri-o.ImageName"));
  if (container.image.empty()) {
    container.image = name_from(annotation(config, "io.kubernetes.cri-o.Image"));
  }
  container.pod = std::move(pod);
  read_crio_metadata(container, annotation(config, "io.kubernetes.cri-o.Metadata"));
}

Result<void> read_storage(Container& container, const OciConfig& config) {
  const std::string& manager = annotation(config, "io.container.manager");
  const std::string& crio_id = annotation(config, "io.kubernetes.cri-o.ContainerID");
  if (!crio_id.empty() && crio_id != container.id) {
    return about_another();
  }
  if (manager == "libpod") {
    container.runtime = Runtime::kPodman;
  } else if (manager == "cri-o" || !crio_id.empty()) {
    read_crio(container, config);
  }
  return {};
}

}  // namespace

Result<OciConfig> read_oci_config(string_view json) {
  ConfigReader reader;
  JsonWalker walker;
  walker.on_value = [&](const Path& path, const Value& value) { reader.take(path, value); };
  walker.on_close = [&](std::size_t depth) { reader.close(depth); };
  if (!walker.walk(json)) {
    return fail("read the bundle's configuration", {}, EPROTO, walker.why());
  }
  if (!reader.is_oci) {
    return fail("read the bundle's configuration", {}, EPROTO, "it has no ociVersion");
  }
  return std::move(reader.config);
}

CgroupMatch match_cgroup(string_view cgroups_path, string_view cgroup) {
  if (cgroups_path.empty()) {
    return CgroupMatch::kNone;
  }
  const std::size_t first = cgroups_path.find(':');
  const std::size_t second = cgroups_path.find(':', first == string_view::npos ? first : first + 1);
  std::string own(cgroups_path);
  if (cgroups_path.front() != '/' && second != string_view::npos) {  // systemd's form: "slice:prefix:name"
    const string_view slice = cgroups_path.substr(0, first);
    const string_view prefix = cgroups_path.substr(first + 1, second - first - 1);
    const string_view name = cgroups_path.substr(second + 1);
    if (ends_below(cgroup, cgroups_path)) {
      return CgroupMatch::kEnding;  // runc with the cgroupfs driver makes one directory of it
    }
    own = expand_slice(slice.empty() ? "system.slice" : slice) + "/";
    own.append(prefix).append(prefix.empty() ? "" : "-").append(name).append(name.ends_with(".slice") ? "" : ".scope");
  }
  if (cgroup == own) {
    return CgroupMatch::kSame;
  }
  if (!ends_below(cgroup, own)) {
    return CgroupMatch::kNone;
  }
  return is_users_systemd(cgroup.substr(0, cgroup.size() - own.size())) ? CgroupMatch::kSame : CgroupMatch::kEnding;
}

Result<Container> container_from_oci(const OciConfig& config, const std::string& id, BundleKind kind,
                                     const std::string& runtime_namespace) {
  Container container;
  container.id = id;
  add_labels(container, config);
  container.memory_limit_bytes = config.memory_limit_bytes;
  container.swap_limit_bytes = config.swap_limit_bytes;
  const auto read =
      kind == BundleKind::kTask ? read_task(container, config, runtime_namespace) : read_storage(container, config);
  if (!read) {
    return std::unexpected(read.error());
  }
  return container;
}

}  // namespace memcrest
