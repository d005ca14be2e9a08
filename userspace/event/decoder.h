// SPDX-License-Identifier: Apache-2.0
// Bytes of a ring-buffer record into a typed event. The bytes are not trusted: every size and count is checked.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "memcrest/event.h"
#include "util/result.h"

namespace memcrest {

// Pure. An error names what was wrong with the record; it never reads outside `bytes`.
[[nodiscard]] Result<Event> decode(std::span<const std::byte> bytes);

}  // namespace memcrest
