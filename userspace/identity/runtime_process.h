// SPDX-License-Identifier: Apache-2.0
// From the processes in a container's cgroup to those of its runtime outside of it: the shim or conmon that is their
// parent. All numbers of processes may be stale by the time they are used; each fact is read anew and may be missing.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "util/system_root.h"

namespace memcrest {

struct ProcessFacts {
  std::uint32_t parent = 0;
  uid_t uid = 0;  // effective
};

// Of <proc>/<pid>/status; nothing when the process has gone.
[[nodiscard]] std::optional<ProcessFacts> process_facts(const SystemRoot& root, std::uint32_t pid);

// Is the process in a cgroup one of whose directories is called `name`? By <proc>/<pid>/cgroup, any hierarchy.
[[nodiscard]] bool in_cgroup_named(const SystemRoot& root, std::uint32_t pid, const std::string& name);

// Processes in the cgroup at `directory` and in those below it: at most 32, from at most 32 directories.
[[nodiscard]] std::vector<std::uint32_t> processes_below(const std::string& directory);

// Ancestors of the container's processes that are not in the container itself (a cgroup named `name`), the nearest
// first, at most three from each process and 16 in all. Processes of another pid namespace have none.
[[nodiscard]] std::vector<std::uint32_t> runtime_processes(const SystemRoot& root,
                                                           const std::vector<std::uint32_t>& pids,
                                                           const std::string& name);

// What conmon, the monitor of Podman's and CRI-O's containers, was started with for the container `id`.
struct ConmonArguments {
  std::string bundle;    // -b
  std::string pid_file;  // -p
  std::string name;      // -n
};
[[nodiscard]] std::optional<ConmonArguments> conmon_arguments(const SystemRoot& root, std::uint32_t pid,
                                                              const std::string& id);

}  // namespace memcrest
