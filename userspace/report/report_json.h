// SPDX-License-Identifier: Apache-2.0
// A report as one JSON document: schema "memcrest.report.v1" (docs/report.schema.json), a public contract.
#pragma once

#include <string>

#include "report/report.h"

namespace memcrest {

// One line without the newline. Always valid UTF-8 and valid JSON; no throw.
[[nodiscard]] std::string to_json(const Report& report);

// The same report with what charts are drawn from, for the page alone: {"report":…,"charts":…}. Nothing in it can end
// the element that holds it.
[[nodiscard]] std::string page_data(const Report& report);

}  // namespace memcrest
