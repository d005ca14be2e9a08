// SPDX-License-Identifier: Apache-2.0
// What the course of usage says of an incident's cause: a burst over a flat floor, floors that rise, a rise that
// levels off. Pure.
#pragma once

#include <vector>

#include "memcrest/incident.h"

namespace memcrest {

[[nodiscard]] std::vector<JudgedCause> judge_course(const Incident& incident);

}  // namespace memcrest
