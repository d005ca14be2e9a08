// SPDX-License-Identifier: Apache-2.0
// From an incident's evidence to its likeliest causes. Pure: the same incident gives the same verdict.
#pragma once

#include <optional>

#include "memcrest/incident.h"

namespace memcrest {

// Nullopt: nothing went wrong that has a cause in this sense (a burst that stayed well below the limit).
[[nodiscard]] std::optional<Verdict> judge(const Incident& incident);

// Fills what can be derived from the rest: settings, composition, verdict and advice.
void conclude(Incident& incident);

}  // namespace memcrest
