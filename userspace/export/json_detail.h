// SPDX-License-Identifier: Apache-2.0
// The parts of an incident that only some kinds have: how the kill came about, stalls, swap, the machine's ranking,
// tasks that hang, refused charges, the kernel log's memory.stat. For the sources of this room only.
#pragma once

#include "export/json_value.h"
#include "memcrest/incident.h"

namespace memcrest {

// One task as `trigger` and `stuck.tasks` show it.
[[nodiscard]] Json task_json(const Trigger& task);

// One function of a stack.
[[nodiscard]] Json frame_json(const Frame& frame);

// Adds all of them, null where unset.
void add_detail(Json& json, const Incident& incident);

}  // namespace memcrest
