// SPDX-License-Identifier: Apache-2.0
#include "collector/cgroup_list.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "collector/cgroup_files.h"
#include "identity/cgroup_path.h"

namespace memcrest {
namespace {

// The component's own: "/a/b.service" is b.service's cgroup, "/a/b.service/c" is not.
bool is_unit_cgroup(const std::string& path, const CgroupPath& parsed) {
  return parsed.container_path.empty() && !parsed.unit.empty() && path.ends_with("/" + parsed.unit);
}

std::optional<double> rank(MemoryOrder order, const MemoryFigures& figures) {
  const auto number = [](const std::optional<std::uint64_t>& value) {
    return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
  };
  switch (order) {
    case MemoryOrder::kPercent:
      return figures.share_of_limit();
    case MemoryOrder::kUsage:
      return number(figures.working_set_bytes() ? figures.working_set_bytes() : figures.usage_bytes);
    case MemoryOrder::kPeak:
      return number(figures.peak_bytes);
    case MemoryOrder::kLimit:
      return figures.effective ? number(figures.effective->bytes) : std::nullopt;
    case MemoryOrder::kName:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::vector<ListedCgroup> list_cgroups(const std::vector<CgroupTree::Entry>& entries, bool all,
                                       const std::function<bool(const std::string&)>& has_limit) {
  std::unordered_set<std::string> parents;
  for (const auto& entry : entries) {
    parents.insert(parent_of(entry.path));
  }
  std::vector<ListedCgroup> listed;
  std::unordered_map<std::string, std::size_t> containers;  // by path
  std::unordered_set<std::string> ids;
  for (const auto& entry : entries) {
    const CgroupPath parsed = parse_cgroup_path(entry.path);
    // Some runtimes put a container's cgroup into one that bears its id too: the outer one holds it all.
    const bool container = !parsed.container_path.empty() && parsed.container_path == entry.path &&
                           (parsed.container_id.empty() || ids.insert(parsed.container_id).second);
    if (container) {
      containers.emplace(entry.path, listed.size());
      listed.push_back({CgroupKind::kContainer, entry, {}});
    } else if (all && is_unit_cgroup(entry.path, parsed)) {
      listed.push_back({CgroupKind::kUnit, entry, {}});
    } else if (all && (!parents.contains(entry.path) || (entry.path != "/" && has_limit(entry.path)))) {
      listed.push_back({CgroupKind::kOther, entry, {}});
    }
    for (std::string up = parent_of(entry.path); !up.empty(); up = parent_of(up)) {
      if (const auto around = containers.find(up); around != containers.end()) {
        listed[around->second].inner.push_back(entry.path);
      }
    }
  }
  return listed;
}

void sort_by(MemoryOrder order, std::vector<ContainerMemory>& rows) {
  std::ranges::sort(rows, [order](const ContainerMemory& a, const ContainerMemory& b) {
    if (order == MemoryOrder::kName && a.container.name != b.container.name) {
      // Those without a name last.
      return a.container.name.empty() != b.container.name.empty() ? b.container.name.empty()
                                                                  : a.container.name < b.container.name;
    }
    const auto left = rank(order, a.figures);
    const auto right = rank(order, b.figures);
    return left != right ? left > right : a.cgroup.path < b.cgroup.path;  // nullopt is less than any value
  });
}

}  // namespace memcrest
