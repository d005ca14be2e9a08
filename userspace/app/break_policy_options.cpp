// SPDX-License-Identifier: Apache-2.0
#include "app/break_policy_options.h"

#include <algorithm>

#include "breakpoint/action_child.h"
#include "util/signal_name.h"

namespace memcrest {
namespace {

constexpr std::string_view kSignal = "signal:";

}  // namespace

Result<BreakSettings> action_of(std::string_view word, const BreakPolicyOptions& options) {
  BreakSettings out;
  out.at = options.at;
  out.hold = options.hold;
  out.rearm_after = options.every;
  out.only_crossings = true;
  out.output = options.output;
  if (word == "stop") {
    out.action = BreakAction::kStop;
  } else if (word == "exec") {
    out.action = BreakAction::kExec;
    out.exec = options.exec;
  } else if (word.starts_with(kSignal)) {
    out.action = BreakAction::kSignal;
    out.signal = parse_signal(std::string(word.substr(kSignal.size())));
    if (out.signal == 0) {
      return fail("", "", 0, std::string(word) + ": no such signal");
    }
    if (stops(out.signal)) {
      return fail("", "", 0, std::string(word) + ": whom it stops nobody would resume; the action stop does");
    }
  } else if (const auto dump = parse_dump_kind(word)) {
    out.action = BreakAction::kDump;
    out.dump = dump;
  } else {
    return fail("", "", 0,
                "'" + std::string(word) + "' is none of stop, signal:SIG, smaps, core, python, jvm, node, go and exec");
  }
  return out;
}

Result<void> check_policy(const BreakPolicyOptions& options) {
  const auto refuse = [](const std::string& option, const std::string& why) -> Result<void> {
    return fail(option, "", 0, why);
  };
  if (!options.is_on()) {
    return options.allowed.empty() && options.exec.empty() && options.otherwise.empty()
               ? Result<void>()
               : refuse("--break-at", "is needed: the line at which something is to be done");
  }
  if (options.allowed.empty()) {
    return refuse("--break-allow", "is needed: what may be done at --break-at");
  }
  for (const std::string& word : options.allowed) {
    const auto action = action_of(word, options);
    if (!action) {
      return refuse("--break-allow", action.error().detail);
    }
    if (const std::string tool = action->dump ? missing_tool(*action->dump) : ""; !tool.empty()) {
      return refuse("--break-allow", word + ": " + tool + " is not installed");
    }
    if (word == "exec" && options.exec.empty()) {
      return refuse("--break-exec", "is needed for the action exec");
    }
  }
  if (!options.otherwise.empty() && std::ranges::find(options.allowed, options.otherwise) == options.allowed.end()) {
    return refuse("--break-default", "must be one of --break-allow");
  }
  if (options.label.empty()) {
    return refuse("--break-label", "must not be empty");
  }
  return {};
}

}  // namespace memcrest
