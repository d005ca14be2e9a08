// SPDX-License-Identifier: Apache-2.0
// From what was seen to a limit: too small, fine or wasteful, why, and which would do. Pure.
#pragma once

#include <vector>

#include "sizing/sizing.h"

namespace memcrest {

[[nodiscard]] Sizing judge_size(SizedUsage usage, const SizingSettings& settings);

// What wants action first, the larger stake before the smaller.
void sort_by_urgency(std::vector<Sizing>& sizings);

}  // namespace memcrest
