// SPDX-License-Identifier: Apache-2.0
// What the scenarios share.
#pragma once

#include "util/fd.h"
#include "vm/scenario.h"

namespace memcrest::scenarios {

[[nodiscard]] std::string nothing_lacks(const Machine& machine);
[[nodiscard]] std::string only_v1(const Machine& machine);
[[nodiscard]] std::string only_v2(const Machine& machine);
[[nodiscard]] std::string only_v1_with_swap(const Machine& machine);
[[nodiscard]] std::string only_v2_with_swap(const Machine& machine);
[[nodiscard]] std::string only_vm(const Machine& machine);
[[nodiscard]] std::string only_numa(const Machine& machine);
[[nodiscard]] std::string huge_pages_off(const Machine& machine);

[[nodiscard]] Truth truth_of_limit(const Stage& stage, const Cgroup& limited, std::uint64_t bytes);
// Waits for hog to be killed, and notes who was killed and what the kernel counted.
void finish(Hog& hog, const Cgroup& cgroup, Truth& truth);
void play_until_killed(Stage& stage, const Cgroup& cgroup, const std::string& words, Truth& truth);

}  // namespace memcrest::scenarios
