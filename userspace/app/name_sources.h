// SPDX-License-Identifier: Apache-2.0
// Who would tell the names of containers here, tried once, for `memcrest check`.
#pragma once

#include <string>
#include <vector>

#include "app/identity_options.h"
#include "identity/cgroup_tree.h"

namespace memcrest {

struct NameSource {
  enum class State { kWorks, kAbsent, kFails, kNotAsked };

  std::string name;   // "Docker"
  std::string tells;  // what would be missed without it
  State state = State::kNotAsked;
  std::string reason;  // why it does not work, not escaped; empty when it does
};

// "works", "absent", "fails", "not_asked".
[[nodiscard]] const char* to_string(NameSource::State state);

// Waits for the daemons' answers, two seconds at most.
[[nodiscard]] std::vector<NameSource> try_name_sources(const IdentityOptions& options, const CgroupTree& tree);

}  // namespace memcrest
