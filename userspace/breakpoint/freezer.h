// SPDX-License-Identifier: Apache-2.0
// Freezing all processes of a container at once: cgroup.freeze of v2, the freezer controller of v1. Only a cgroup that
// holds nobody but the container's processes is frozen.
#pragma once

#include <string>
#include <vector>

#include "breakpoint/container_processes.h"
#include "util/result.h"
#include "util/system_root.h"

namespace memcrest {

struct FreezeFile {
  std::string path;
  std::string freeze;  // what is to be written
  std::string thaw;
};

// For the container whose memory cgroup has this directory.
[[nodiscard]] Result<FreezeFile> freeze_file(const std::string& cgroup_dir, int cgroup_version,
                                             const std::vector<ContainerProcess>& processes,
                                             const SystemRoot& root = {});

}  // namespace memcrest
