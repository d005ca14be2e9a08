// SPDX-License-Identifier: Apache-2.0
// The stacks of an incident's burst in full, a frame a line. Everything from outside is escaped. Pure.
#pragma once

#include <string>

#include "memcrest/incident.h"
#include "view/text.h"

namespace memcrest {

// Empty where the incident has none.
[[nodiscard]] std::string stacks_text(const Incident& incident, const TextStyle& style);

}  // namespace memcrest
