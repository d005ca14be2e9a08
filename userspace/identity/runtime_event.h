// SPDX-License-Identifier: Apache-2.0
// What a runtime's event stream tells of one container. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace memcrest {

struct RuntimeEvent {
  enum class Action { kCreate, kStart, kDie, kOom, kRestart, kRename, kDestroy };

  Action action = Action::kCreate;
  std::string container_id;  // full
  std::string name;          // after a rename the new one; empty when the runtime told none
  // Of kDie. Docker writes a container's labels over what it tells itself, so that a label "exitCode" forges it: use
  // it as a hint to ask again, never as a fact.
  std::optional<std::int32_t> exit_code;
  std::int64_t unix_ns = 0;  // the runtime's clock; 0: not told
};

[[nodiscard]] const char* to_string(RuntimeEvent::Action action);

}  // namespace memcrest
