// SPDX-License-Identifier: Apache-2.0
// Signals to a process for good (pid and start time), and whether it is stopped. A pid that belongs to somebody else by
// now gets nothing. Usable in a forked process without threads.
#pragma once

#include "memcrest/event.h"
#include "util/result.h"
#include "util/system_root.h"

namespace memcrest {

enum class RunState {
  kGone,
  kRuns,     // or sleeps
  kStopped,  // by a signal, or about to: at least one of its threads
};

[[nodiscard]] RunState state_of(const ProcessKey& process, const SystemRoot& root = {});

// ESRCH: it is gone.
[[nodiscard]] Result<void> send_signal(const ProcessKey& process, int signal, const SystemRoot& root = {});

}  // namespace memcrest
