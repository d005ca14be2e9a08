// SPDX-License-Identifier: Apache-2.0
// The processes of a cgroup and of those below it, with what each holds in memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "memcrest/event.h"
#include "util/system_root.h"

namespace memcrest {

struct ContainerProcess {
  ProcessKey process;
  std::uint32_t ns_pid = 0;  // in its innermost pid namespace; 0: not known
  std::string comm;
  std::optional<std::uint64_t> rss_bytes;
};

// Of the cgroup with this directory. Largest first; one that ends while we look is left out.
[[nodiscard]] std::vector<ContainerProcess> processes_in(const std::string& cgroup_dir, const SystemRoot& root = {});

// Whose stop would stop more than the container: runtimes, their shims, the first process. In words; empty: none.
[[nodiscard]] std::string runtime_daemon_in(const std::vector<ContainerProcess>& processes,
                                            const std::vector<std::string>& allowed);

}  // namespace memcrest
