// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <string_view>

#include "app/exit_codes.h"
#include "app/options.h"
#include "app/run_child.h"
#include "app/verbs.h"

namespace {

// A standard stream that is closed would be taken by the next file that we open, and written to by mistake. The
// stand-ins close on exec, so that a command sees its streams as they were. Returns whether stdout was open.
bool fill_standard_streams() {
  bool stdout_open = true;
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) {
      continue;
    }
    stdout_open = stdout_open && fd != STDOUT_FILENO;
    if (open("/dev/null", O_RDWR | O_CLOEXEC) < 0) {
      _exit(memcrest::kExitFailure);
    }
  }
  return stdout_open;
}

int dispatch(const memcrest::Options& options, memcrest::RunSignals* signals, bool stdout_open) {
  using memcrest::Verb;
  if (!stdout_open && options.verb != Verb::kRun && options.verb != Verb::kBreak) {
    spdlog::error("standard output is closed");
    return memcrest::kExitOutput;
  }
  switch (options.verb) {
    case Verb::kWatch:
      return memcrest::watch(options.watch);
    case Verb::kRecord:
      return memcrest::watch(options.record);
    case Verb::kReplay:
      return memcrest::replay(options.replay);
    case Verb::kExport:
      return memcrest::export_recording(options.exporting);
    case Verb::kReport:
      return memcrest::report(options.report);
    case Verb::kSymbolize:
      return memcrest::symbolize(options.symbolize);
    case Verb::kWhy:
      return memcrest::why(options.why);
    case Verb::kAdvise:
      return memcrest::advise(options.advise);
    case Verb::kRun:
      return memcrest::run(options.run, *signals);
    case Verb::kBreak:
      return memcrest::break_at(options.breaking, signals);
    case Verb::kPs:
      return memcrest::ps(options.ps);
    case Verb::kTop:
      return memcrest::top(options.top);
    case Verb::kCheck:
      return memcrest::check(options.check);
    case Verb::kVersion:
      std::cout << "memcrest " MEMCREST_VERSION << std::endl;
      if (!std::cout) {
        spdlog::error("standard output could not be written");
        return memcrest::kExitOutput;
      }
      return memcrest::kExitOk;
  }
  return memcrest::kExitUsage;
}

}  // namespace

int main(int argc, char** argv) {
  const bool stdout_open = fill_standard_streams();
  int failure = memcrest::kExitFailure;
  try {
    // Everything that is not an incident goes to stderr, one line each, marked as ours.
    spdlog::set_default_logger(spdlog::stderr_logger_mt("memcrest"));
    spdlog::set_pattern("memcrest: %v");
    if (argc > 1 && std::string_view(argv[1]) == "agent") {  // its options come from a file too
      memcrest::ParsedAgent agent = memcrest::parse_agent(argc - 1, argv + 1);
      return agent.options ? memcrest::agent(std::move(*agent.options), argc - 1, argv + 1) : agent.exit_code;
    }
    const memcrest::ParsedOptions parsed = memcrest::parse_options(argc, argv);
    if (!parsed.options) {
      return parsed.exit_code;
    }
    const bool runs = parsed.options->verb == memcrest::Verb::kRun ||
                      (parsed.options->verb == memcrest::Verb::kBreak && !parsed.options->breaking.command.empty());
    if (!runs) {
      return dispatch(*parsed.options, nullptr, stdout_open);
    }
    failure = memcrest::kExitRunFailed;
    auto signals = memcrest::RunSignals::open();
    if (!signals) {
      spdlog::error("{}", signals.error().message());
      return memcrest::kExitRunFailed;
    }
    return dispatch(*parsed.options, &*signals, stdout_open);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "memcrest: %s\n", error.what());
    return failure;
  }
}
