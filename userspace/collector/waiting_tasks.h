// SPDX-License-Identifier: Apache-2.0
// Which tasks of a v1 cgroup wait for memory that nobody frees: those that sleep in the kernel's OOM handling.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "identity/cgroup_tree.h"
#include "memcrest/event.h"
#include "util/system_root.h"

namespace memcrest {

struct WaitingTasks {
  std::vector<StuckTask> tasks;  // at most 64, with the lowest thread ids
  std::uint64_t total = 0;
};

// Of all cgroups in `paths`. Looks at 4096 tasks at most. A task whose place in the kernel may not be read counts as
// waiting: it takes CAP_SYS_PTRACE to see more.
[[nodiscard]] WaitingTasks find_waiting(const CgroupTree& tree, const SystemRoot& root,
                                        const std::vector<std::string>& paths);

}  // namespace memcrest
