// SPDX-License-Identifier: Apache-2.0
// What the memory was at an OOM kill, by the best evidence the incident holds, with its source. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "memcrest/incident.h"

namespace memcrest {

// Nullopt: the evidence tells nothing of it. Contradictory figures are left out, never bent to fit.
[[nodiscard]] std::optional<Composition> composition_of(const Incident& incident);

// 0..1 of the whole; 0 where the part is not told.
[[nodiscard]] double share_of(const Composition& composition, std::string_view name);

}  // namespace memcrest
