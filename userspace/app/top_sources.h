// SPDX-License-Identifier: Apache-2.0
// The three sources of `memcrest top`, and how to ask an agent.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "app/options.h"
#include "top/top_source.h"
#include "util/result.h"

namespace memcrest {

struct TopFailure {
  Error error;
  int exit_code;
};
using TopOpened = std::expected<std::unique_ptr<TopSource>, TopFailure>;

// Hooks this machine's kernel (top_live.cpp).
[[nodiscard]] TopOpened open_live_top(const TopOptions& options);
// Reads it all, once (top_recording.cpp).
[[nodiscard]] TopOpened open_recorded_top(const TopOptions& options);
// Asks at once, to say what is wrong now rather than later (top_agent.cpp).
[[nodiscard]] TopOpened open_agent_top(const TopOptions& options);

}  // namespace memcrest
