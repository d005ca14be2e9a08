// SPDX-License-Identifier: Apache-2.0
// What the agent may do to a container whose memory reaches a line: nothing, unless the configuration says so.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/break_options.h"
#include "util/result.h"

namespace memcrest {

struct BreakPolicyOptions {
  std::optional<LineRule> at;            // unset: off
  std::vector<std::string> allowed;      // actions, in words
  std::string exec;                      // what the action "exec" is
  std::string label = "memcrest.break";  // of a container: the action that it wants
  std::string otherwise;                 // the action for whoever has no such label; empty: none
  std::chrono::nanoseconds hold{std::chrono::seconds(10)};
  std::chrono::nanoseconds every{std::chrono::minutes(10)};  // for each container
  std::uint32_t most_per_hour = 12;                          // on this host
  std::string output;

  [[nodiscard]] bool is_on() const { return at.has_value(); }
};

// "stop", "signal:USR2", "smaps", "core", "python", "jvm", "node", "go", "exec" as settings of the policy. Errors are
// for a person, without an operation.
[[nodiscard]] Result<BreakSettings> action_of(std::string_view word, const BreakPolicyOptions& options);

// Whether all of it goes together, and the tools are there. What is said begins with the option's name.
[[nodiscard]] Result<void> check_policy(const BreakPolicyOptions& options);

}  // namespace memcrest
