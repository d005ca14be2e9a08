// SPDX-License-Identifier: Apache-2.0
// The options by which all verbs choose containers.
#pragma once

#include <string>
#include <vector>

#include "identity/container_filter.h"

namespace CLI {
class App;
}

namespace memcrest {

// Adds --container, --pod, --namespace, --label, --image, --cgroup and --runtime to a verb. `filter` must outlive the
// parsing.
void add_filter(CLI::App& verb, ContainerFilter& filter);

// The filter as one would type it; empty: it lets all through.
[[nodiscard]] std::string describe(const ContainerFilter& filter);

// The recordings that a verb reads.
void add_recordings(CLI::App& verb, std::string& path, std::vector<std::string>& more);

}  // namespace memcrest
