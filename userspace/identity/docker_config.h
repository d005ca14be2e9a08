// SPDX-License-Identifier: Apache-2.0
// Docker's own record of a container, <data root>/containers/<id>/config.v2.json: name, image and labels without asking
// the daemon, also while it is down. It holds the environment too, which is not taken. Pure.
#pragma once

#include <string>
#include <string_view>

#include "memcrest/container.h"
#include "util/result.h"

namespace memcrest {

// An error when this is not JSON, nests absurdly, lacks a name or is about another id.
[[nodiscard]] Result<Container> read_docker_config(std::string_view json, const std::string& id);

}  // namespace memcrest
