// SPDX-License-Identifier: Apache-2.0
// The pass over all that was recorded: usage over time, who grew, what stood at the kill. For the sources of this room.
#pragma once

#include "report/report.h"

namespace memcrest {

// Fills tracks and each incident's detail. An error says where reading stopped; what came before it is there.
[[nodiscard]] Result<void> read_details(RecordingReader& reader, Report& report);

}  // namespace memcrest
