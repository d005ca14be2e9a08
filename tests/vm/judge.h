// SPDX-License-Identifier: Apache-2.0
// What memcrest said against what happened. Exact: all of it, and said to be complete. Gaps: right as far as it goes,
// and said to be incomplete. Failed: wrong, missing, told twice, said to be complete when it is not, or without
// something that the rung must deliver (see `delivers`).
#pragma once

#include "vm/scenario.h"

namespace memcrest::scenarios {

// What an OOM rung must deliver. The rest may be null, and then the incident must say that it is incomplete.
struct Delivers {
  bool incident_for_host = true;  // also of OOMs outside of memory cgroups' limits
  bool victims = true;
  bool limit = true;    // whose limit, how much
  bool order = true;    // and gfp mask
  bool sysrq = true;    // whether a person asked for it
  bool lowered = true;  // whether somebody had lowered the limit
};
[[nodiscard]] Delivers delivers(const Rung& rung);

// Whether an incident is about a scenario: by cgroup, by the limit's cgroup, or by a victim.
[[nodiscard]] bool is_about(const Json& incident, const Truth& truth);

[[nodiscard]] Verdict judge_oom(const Truth& truth, const std::vector<Json>& told, const Rung& rung);
[[nodiscard]] Verdict judge_stuck(const Truth& truth, const std::vector<Json>& told, const Rung& rung);
[[nodiscard]] Verdict judge_refusals(const Truth& truth, const std::vector<Json>& told, const Rung& rung);
// A rise to a peak without an OOM.
[[nodiscard]] Verdict judge_burst(const Truth& truth, const std::vector<Json>& told, const Rung& rung);
// A line that was crossed, by what `memcrest break` itself told.
[[nodiscard]] Verdict judge_break(const Truth& truth, const std::vector<Json>& told, const Rung& rung);

}  // namespace memcrest::scenarios
