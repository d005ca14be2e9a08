// SPDX-License-Identifier: Apache-2.0
// The kernel log's report of an OOM as part of a finding: it adds what a hook could not see, or stands for the hook.
// Pure.
#pragma once

#include "incident/oom_assembler.h"

namespace memcrest {

// Whether the report is about one of these victims.
[[nodiscard]] bool is_about(const LogOomEvent& log, const std::vector<VictimEvent>& victims);

// Adds order, gfp mask, constraint and the limit that was hit. What the hooks saw themselves stays.
void add_report(OomFinding& finding, const LogOomEvent& log);

// A finding from the report alone.
[[nodiscard]] OomFinding finding_of(const LogOomEvent& log);

}  // namespace memcrest
