// SPDX-License-Identifier: Apache-2.0
// One line of the event stream of Docker's API, which Podman offers too. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "identity/runtime_event.h"
#include "util/result.h"

namespace memcrest {

// Nothing: an event that is of no concern here, of an image or a network or of another action. An error: not JSON, or
// no full id where a container's event has one.
[[nodiscard]] Result<std::optional<RuntimeEvent>> read_runtime_event(std::string_view line);

}  // namespace memcrest
