// SPDX-License-Identifier: Apache-2.0
// A report as one page that needs nothing else: the bundled page with the report inside.
#pragma once

#include <string>
#include <string_view>

#include "report/report.h"

namespace memcrest {

[[nodiscard]] std::string to_html(const Report& report);

// Text for an element's content or a quoted attribute's value: valid UTF-8, nothing that HTML would read.
[[nodiscard]] std::string escape_html(std::string_view text);

}  // namespace memcrest
