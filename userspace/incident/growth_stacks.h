// SPDX-License-Identifier: Apache-2.0
// Who and where memory came from, put together from the stacks of a burst: what differs only in addresses, processes
// or threads becomes one. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "memcrest/incident.h"
#include "memcrest/stack.h"

namespace memcrest {

// The stacks of all processes with the same functions and kind, heaviest first, at most 16. `names` are those of
// `growth`, in its order; growth without names or without any frame tells nothing and is left out. Shares are of
// `seen_bytes`.
[[nodiscard]] std::vector<GrowthStack> merge_stacks(const std::vector<StackGrowth>& growth, const StackNames& names,
                                                    std::uint64_t seen_bytes);

// Processes whose name and command line differ in digits alone together, heaviest first, at most 8: the workers of a
// pool, which often carry a number or a descriptor. `cmdline` is asked once for each of the processes that grew most.
[[nodiscard]] std::vector<Program> merge_programs(const std::vector<StackGrowth>& growth, std::uint64_t seen_bytes,
                                                  const std::function<std::string(const ProcessKey&)>& cmdline);

}  // namespace memcrest
