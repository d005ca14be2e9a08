// SPDX-License-Identifier: Apache-2.0
// An incident as one line of JSON: schema "memcrest.incident.v1" (docs/incident.schema.json), a public contract.
#pragma once

#include <string>

#include "memcrest/incident.h"

namespace memcrest {

// One line without the newline. Always valid UTF-8 and valid JSON, whatever bytes names hold; no throw.
[[nodiscard]] std::string to_json(const Incident& incident);

}  // namespace memcrest
