// SPDX-License-Identifier: Apache-2.0
// A report for a terminal: the recording, a list of incidents, then each incident's full story as `watch` tells it.
#pragma once

#include <string>

#include "report/report.h"
#include "view/text.h"

namespace memcrest {

[[nodiscard]] std::string to_text(const Report& report, const TextStyle& style);

// The words that every format uses. "2026-11-22 09:35:43 UTC"; "OOM kill"; the name that a person knows, not escaped.
[[nodiscard]] std::string words_of_time(std::int64_t unix_ns);
[[nodiscard]] std::string words_of_kind(const Incident& incident);
[[nodiscard]] std::string name_of(const Incident& incident);
// "1 OOM kill, 2 bursts"; "none".
[[nodiscard]] std::string count_of(const Report& report);
// What the report does not show, and how to see it; empty: nothing.
[[nodiscard]] std::string words_of_left_out(const Report& report);

}  // namespace memcrest
