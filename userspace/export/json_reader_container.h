// SPDX-License-Identifier: Apache-2.0
// container_json.h the other way round. For the sources of this room only.
#pragma once

#include "export/json_reader.h"
#include "memcrest/container.h"

namespace memcrest {

inline constexpr Runtime kRuntimes[] = {Runtime::kDocker, Runtime::kContainerd, Runtime::kCrio, Runtime::kPodman,
                                        Runtime::kLxc,    Runtime::kSystemd,    Runtime::kNone, Runtime::kUnknown};

void read_container(const JsonReader& json, Container& out);

}  // namespace memcrest
