// SPDX-License-Identifier: Apache-2.0
// Right-sizing as one JSON object on one line: docs/advise.schema.json. Pure.
#pragma once

#include <string>

#include "sizing/sizing.h"

namespace memcrest {

// Without a line end.
[[nodiscard]] std::string to_json(const SizingReport& report);

}  // namespace memcrest
