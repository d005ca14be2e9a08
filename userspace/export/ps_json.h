// SPDX-License-Identifier: Apache-2.0
// One line of `memcrest ps --json`: schema "memcrest.ps.v1" (docs/ps.schema.json), a public contract.
#pragma once

#include <cstdint>
#include <string>

#include "memcrest/container_memory.h"

namespace memcrest {

// One line without the newline. Always valid UTF-8 and valid JSON, whatever bytes names hold; no throw. `unix_ns` is
// when the figures were read.
[[nodiscard]] std::string to_json(const ContainerMemory& memory, std::int64_t unix_ns);

}  // namespace memcrest
