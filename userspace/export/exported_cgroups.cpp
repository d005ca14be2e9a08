// SPDX-License-Identifier: Apache-2.0
#include "export/exported_cgroups.h"

#include "identity/container_filter.h"

namespace memcrest {
namespace {

constexpr std::size_t kShortId = 12;  // as docker ps shows it

std::string container_label(const Container& container) {
  const std::string name = !container.name.empty()
                               ? container.name
                               : std::string(to_string(container.runtime)) + " " + container.id.substr(0, kShortId);
  const std::string pod = pod_name(container);
  if (pod.empty()) {
    return name;
  }
  const std::string name_space = pod_namespace(container);
  return (name_space.empty() ? "" : name_space + "/") + pod + "/" + name;
}

int known(const ExportedCgroup& cgroup) {
  return (cgroup.path.empty() ? 0 : 1) + (cgroup.container.id.empty() ? 0 : 2) +
         (cgroup.container.name.empty() ? 0 : 4);
}

}  // namespace

std::string label_of(const ExportedCgroup& cgroup) {
  const Container& container = cgroup.container;
  if (container.id.empty()) {
    return cgroup.path.empty() ? "cgroup " + std::to_string(cgroup.cgroup_id) : cgroup.path;
  }
  const std::string label = container_label(container);
  // A cgroup below the container's own, such as that of an init inside.
  const auto own = cgroup.path.rfind(container.id);
  const auto below = own == std::string::npos ? std::string::npos : cgroup.path.find('/', own);
  return below == std::string::npos ? label : label + cgroup.path.substr(below);
}

ExportedCgroups::ExportedCgroups(std::vector<ExportedCgroup> listed) : listed_(std::move(listed)) {
  for (std::size_t i = 0; i < listed_.size(); ++i) {
    ExportedCgroup& one = listed_[i];
    one.label = label_of(one);
    const auto [found, is_new] = by_key_.try_emplace({one.cgroup_id, one.serial}, i);
    if (!is_new && known(one) >= known(listed_[found->second])) {
      found->second = i;
    }
    by_id_[one.cgroup_id] = found->second;
  }
}

const ExportedCgroup& ExportedCgroups::find(std::uint64_t cgroup_id, std::uint64_t serial) {
  if (const auto found = by_key_.find({cgroup_id, serial}); found != by_key_.end()) {
    by_id_[cgroup_id] = found->second;
    return listed_[found->second];
  }
  unlisted_ = {.cgroup_id = cgroup_id, .serial = serial, .path = {}, .container = {}, .label = {}};
  unlisted_.label = label_of(unlisted_);
  return unlisted_;
}

const ExportedCgroup& ExportedCgroups::find(std::uint64_t cgroup_id) {
  if (const auto found = by_id_.find(cgroup_id); found != by_id_.end()) {
    return listed_[found->second];
  }
  return find(cgroup_id, 0);
}

}  // namespace memcrest
