// SPDX-License-Identifier: Apache-2.0
// Signals to a process for good (pid and start time), and whether it is stopped. A pid that belongs to somebody else by
// now gets nothing. Usable in a forked process without threads.
#pragma once

#include <string>

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

// Whether it has a handler for this signal. False also where that is not known.
[[nodiscard]] bool catches(const ProcessKey& process, int signal, const SystemRoot& root = {});
[[nodiscard]] bool catches(const std::string& proc_folder, int signal);

// ESRCH: it is gone.
[[nodiscard]] Result<void> send_signal(const ProcessKey& process, int signal, const SystemRoot& root = {});

}  // namespace memcrest
