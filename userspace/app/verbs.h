// SPDX-License-Identifier: Apache-2.0
// The verbs: each takes its options and returns the program's exit code.
#pragma once

#include "app/agent_options.h"
#include "app/options.h"
#include "app/run_child.h"

namespace memcrest {

// Also for `record`.
[[nodiscard]] int watch(const WatchOptions& options);
// `argc` and `argv` are what parse_agent was given: a reload reads them again.
[[nodiscard]] int agent(AgentOptions options, int argc, char** argv);
[[nodiscard]] int replay(const ReplayOptions& options);
[[nodiscard]] int export_recording(const ExportOptions& options);
[[nodiscard]] int report(const ReportOptions& options);
[[nodiscard]] int symbolize(const SymbolizeOptions& options);
// `signals` was opened first thing in main: the command gets the signal mask that we were started with.
[[nodiscard]] int run(const RunOptions& options, RunSignals& signals);
// `signals`: as of run, for the form with a command; null for the other.
[[nodiscard]] int break_at(const BreakOptions& options, RunSignals* signals);
[[nodiscard]] int why(const WhyOptions& options);
[[nodiscard]] int advise(const AdviseOptions& options);
[[nodiscard]] int ps(const PsOptions& options);
[[nodiscard]] int top(const TopOptions& options);
[[nodiscard]] int check(const CheckOptions& options);

}  // namespace memcrest
