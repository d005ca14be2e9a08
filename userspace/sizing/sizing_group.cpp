// SPDX-License-Identifier: Apache-2.0
// Which containers are one and the same for whoever sets their limit.
#include "identity/container_filter.h"
#include "sizing/sizing_book.h"

namespace memcrest {
namespace {

std::string label(const Container& container, const char* key) {
  const auto found = container.labels.find(key);
  return found == container.labels.end() ? std::string() : found->second;
}

// Names hold no NUL: parts cannot be taken for each other.
std::string joined(const char* kind, const std::string& a, const std::string& b, const std::string& c = {}) {
  return std::string(kind) + '\0' + a + '\0' + b + '\0' + c;
}

SizingGroup by_container(const ExportedCgroup& cgroup) {
  const Container& container = cgroup.container;
  if (container.id.empty()) {
    return {joined("cgroup", cgroup.path, ""), cgroup.label};
  }
  return {joined("container", container.id, ""), cgroup.label};
}

}  // namespace

SizingGroup group_of(const ExportedCgroup& cgroup, SizingBy by) {
  const Container& container = cgroup.container;
  switch (by) {
    case SizingBy::kContainer:
      return by_container(cgroup);
    case SizingBy::kImage:
      return container.image.empty() ? by_container(cgroup)
                                     : SizingGroup{joined("image", container.image, ""), container.image};
    case SizingBy::kWorkload:
      break;
  }
  if (container.pod && container.pod->owner && !container.name.empty()) {
    const std::string owner = container.pod->owner->kind + "/" + container.pod->owner->name;
    const std::string name_space = pod_namespace(container);
    return {joined("owner", name_space, owner, container.name),
            (name_space.empty() ? "" : name_space + "/") + owner + "/" + container.name};
  }
  const std::string service = label(container, "com.docker.compose.service");
  if (!service.empty()) {
    const std::string project = label(container, "com.docker.compose.project");
    return {joined("compose", project, service), (project.empty() ? "" : project + "/") + service};
  }
  const std::string swarm = label(container, "com.docker.swarm.service.name");
  return swarm.empty() ? by_container(cgroup) : SizingGroup{joined("swarm", swarm, ""), swarm};
}

}  // namespace memcrest
