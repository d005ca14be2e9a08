// SPDX-License-Identifier: Apache-2.0
// Which cgroups a list of containers shows, and in which order. Pure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "identity/cgroup_tree.h"
#include "memcrest/container_memory.h"

namespace memcrest {

struct ListedCgroup {
  CgroupKind kind = CgroupKind::kContainer;
  CgroupTree::Entry cgroup;
  std::vector<std::string> inner;  // of a container: paths of all cgroups below it, other containers' included
};

// The own cgroup of each container, in the order of `entries` (parents before children, as scan() gives them). With
// `all` also systemd's units, and of the other cgroups those that have none below or for which `has_limit` is true;
// the hierarchy's root is not among them unless it is alone.
[[nodiscard]] std::vector<ListedCgroup> list_cgroups(const std::vector<CgroupTree::Entry>& entries, bool all,
                                                     const std::function<bool(const std::string&)>& has_limit);

enum class MemoryOrder { kPercent, kUsage, kPeak, kLimit, kName };

// Largest first (kName: by name, then path); what is not known comes last. kPercent is the share of the effective
// limit, kUsage the working set, kLimit the effective limit with those that have none last. Equal ones by path.
void sort_by(MemoryOrder order, std::vector<ContainerMemory>& rows);

}  // namespace memcrest
