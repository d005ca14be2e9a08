// SPDX-License-Identifier: Apache-2.0
// A report for a ticket, in GitHub's Markdown. Pure.
#pragma once

#include <string>
#include <string_view>

#include "report/report.h"

namespace memcrest {

[[nodiscard]] std::string to_markdown(const Report& report);

// Text from outside as a code span that fits into a table's cell: no markup, no mention, no link, one line.
[[nodiscard]] std::string markdown_code(std::string_view text);

}  // namespace memcrest
