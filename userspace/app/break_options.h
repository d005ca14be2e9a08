// SPDX-License-Identifier: Apache-2.0
// The options of `memcrest break`.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "breakpoint/dump.h"
#include "breakpoint/growth_rule.h"
#include "breakpoint/line_rule.h"

namespace CLI {
class App;
}

namespace memcrest {

struct Options;

enum class BreakAction { kStop, kSignal, kExec, kDump };

// Beside what BreakOptions (options.h) shares with other verbs.
struct BreakSettings {
  std::optional<LineRule> at;  // this, growth, or both
  std::optional<GrowthRule> growth;
  BreakAction action = BreakAction::kStop;
  int signal = 0;    // kSignal
  std::string exec;  // kExec: a command for the shell
  std::optional<DumpKind> dump;
  std::optional<std::chrono::nanoseconds> hold{std::chrono::seconds(30)};  // nullopt: until somebody resumes it
  bool once = false;
  std::optional<std::uint64_t> rearm_below;
  bool freeze = false;
  std::string output = "/var/tmp/memcrest-break";  // directory for what actions write
  std::uint64_t most_output = 4ULL << 30U;         // of each file, and of smaps in all
  std::vector<std::string> allowed;                // runtime daemons that may be stopped too
  bool all_containers = false;
  bool resume = false;  // only end the holds of another memcrest break
  // Of a policy: armed again so long after a hit, once usage lies a tenth below the line.
  std::optional<std::chrono::nanoseconds> rearm_after;
  bool only_crossings = false;  // whoever is above the line already is not told of, but waited for
};

[[nodiscard]] CLI::App* add_break(CLI::App& app, Options& options);
// Throws CLI::ValidationError where options contradict each other.
void check_break(const CLI::App& verb, Options& options);

}  // namespace memcrest
