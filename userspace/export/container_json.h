// SPDX-License-Identifier: Apache-2.0
// A container as a JSON object: the same in every format that names one (docs/incident.schema.json, ps.schema.json).
// For sources only, never for another header, since it shows nlohmann/json.
#pragma once

#include "export/json_value.h"
#include "memcrest/container.h"

namespace memcrest {

[[nodiscard]] Json container_json(const Container& container);

}  // namespace memcrest
