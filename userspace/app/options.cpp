// SPDX-License-Identifier: Apache-2.0
#include "app/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>

#include "app/advise_options.h"
#include "app/agent_options.h"
#include "app/break_options.h"
#include "app/completion.h"
#include "app/exit_codes.h"
#include "app/filter_options.h"
#include "app/option_values.h"
#include "app/record_options.h"
#include "app/report_options.h"
#include "app/run_child.h"
#include "app/top_options.h"
#include "app/trace_options.h"
#include "util/text.h"
#include "util/units.h"

namespace memcrest {
namespace {

CLI::App* add_watch(CLI::App& app, WatchOptions& options) {
  CLI::App* verb = app.add_subcommand("watch", "Print each OOM kill and each burst of memory the moment it happens");
  verb->add_flag("--json", options.json, "One JSON object per incident on stdout (docs/incident.md)");
  add_filter(*verb, options.filter);
  verb->add_flag("--containers-only", options.filter.containers_only, "Leave out cgroups that are no container")
      ->group("Containers");
  add_duration(*verb, "--duration", options.duration, std::chrono::milliseconds(1), std::chrono::hours(24 * 365),
               "Stop after this time");
  verb->add_option_function<std::string>(
          "--fail-on",
          [&options](const std::string& text) {
            if (text != "oom" && text != "burst") {
              throw CLI::ValidationError("--fail-on", "must be oom or burst");
            }
            options.fail_on = text == "oom" ? FailOn::kOom : FailOn::kBurst;
          },
          "At the end, exit with code 4 if one was seen (oom: a kill; burst: either)")
      ->type_name("oom|burst");
  add_flight(*verb, options.record);
  add_trace(*verb, options.trace);
  verb->footer(
      "Examples:\n"
      "  memcrest watch\n"
      "  memcrest watch --container web --json > incidents.jsonl\n"
      "  memcrest watch --flight-recorder /var/lib/memcrest --keep-count 100\n"
      "  memcrest watch --duration 10m --fail-on oom");
  return verb;
}

CLI::App* add_replay(CLI::App& app, ReplayOptions& options) {
  CLI::App* verb = app.add_subcommand("replay", "Find the incidents of a recording again, as watch would print them");
  add_recordings(*verb, options.path, options.more);
  verb->add_flag("--json", options.json, "One JSON object per incident on stdout (docs/incident.md)");
  add_filter(*verb, options.filter);
  verb->footer(
      "Needs no privileges, and works on any machine.\n"
      "Example: memcrest replay night.memcrest --container web --json");
  return verb;
}

CLI::App* add_symbolize(CLI::App& app, SymbolizeOptions& options) {
  CLI::App* verb = app.add_subcommand(
      "symbolize", "Name the functions, lines and inlined calls of incidents' stacks, from debug files at hand");
  verb->add_option("file", options.request.path, "A recording, or what --json printed (- reads it from standard input)")
      ->required();
  add_debug_files(*verb, options.debug_files);
  verb->add_option("--incident", options.request.incident, "Only this incident: its id, or the id's start")
      ->type_name("ID");
  verb->add_flag("--json", options.json, "The incidents as JSON Lines (docs/incident.md), with what was found");
  add_filter(*verb, options.request.filter);
  verb->footer(
      "Needs no privileges. The file stays as it is. Without --debug-dir only names that were there are shown.\n"
      "Examples:\n"
      "  memcrest symbolize night.db --debug-dir /usr/lib/debug\n"
      "  memcrest symbolize incidents.jsonl --debug-dir ./build --json | jq .burst.stacks");
  return verb;
}

CLI::App* add_why(CLI::App& app, WhyOptions& options) {
  CLI::App* verb = app.add_subcommand("why", "Tell why a container was killed, from what was recorded");
  verb->add_option("target", options.target,
                   "Container (name or id), pod, process id, systemd unit or cgroup (default: whichever was last)");
  CLI::Option* from =
      verb->add_option("--from", options.from,
                       "A recording, a flight recorder's directory or the agent's (default: /var/lib/memcrest)")
          ->type_name("FILE|DIR");
  add_agent_address(*verb, options.agent)->excludes(from);
  verb->add_option("--exit-code", options.exit_code, "Only say what this exit code means, and what does not follow")
      ->check(CLI::Range(0, 255))
      ->type_name("N");
  verb->add_flag("--json", options.json, "The incident as one JSON object (docs/incident.md)");
  add_engine_sockets(*verb, options.identity);
  verb->footer(
      "Kills come before bursts that were survived; of these the newest is told. Exit code 1: there is none; then\n"
      "Docker and Podman are asked what they know of the container's end.\n"
      "Examples:\n"
      "  memcrest why web\n"
      "  memcrest why shop/cart --from /var/lib/memcrest\n"
      "  memcrest why web --agent http://127.0.0.1:9464\n"
      "  memcrest why --exit-code 137");
  return verb;
}

CLI::App* add_run(CLI::App& app, RunOptions& options) {
  CLI::App* verb = app.add_subcommand("run", "Run a command in a memory cgroup of its own and report what it needed");
  add_size(*verb, "--memory,-m", options.memory_bytes, 64 * kPage, kMaxSize, "Memory limit (default: none)");
  add_size(*verb, "--swap", options.swap_bytes, 0, kMaxSize, "Swap on top of --memory (default: the kernel's)");
  verb->add_flag("--json", options.json, "The report as one JSON object");
  verb->add_option("--output,-o", options.output, "Write the report to this file instead of standard error")
      ->type_name("FILE");
  verb->add_option("command", options.command, "The command and its arguments, after --")->required();
  verb->positionals_at_end();
  add_trace(*verb, options.trace);
  verb->footer(
      "Exit code: the command's own; 128 + n when signal n ended it; 125 when memcrest itself failed,\n"
      "126 when the command cannot be run, 127 when it was not found.\n"
      "Examples:\n"
      "  memcrest run -- make -j8\n"
      "  memcrest run --memory 256m --swap 0 -- python3 app.py");
  return verb;
}

void add_order(CLI::App& verb, MemoryOrder& order) {
  static const std::map<std::string, MemoryOrder> kOrders = {{"percent", MemoryOrder::kPercent},
                                                             {"usage", MemoryOrder::kUsage},
                                                             {"peak", MemoryOrder::kPeak},
                                                             {"limit", MemoryOrder::kLimit},
                                                             {"name", MemoryOrder::kName}};
  verb.add_option_function<std::string>(
          "--sort",
          [&order](const std::string& text) {
            const auto known = kOrders.find(text);
            if (known == kOrders.end()) {
              throw CLI::ValidationError("--sort", "must be percent, usage, peak, limit or name");
            }
            order = known->second;
          },
          "percent (of the effective limit, the default), usage (working set), peak, limit (effective), largest first; "
          "or name")
      ->type_name("ORDER");
}

CLI::App* add_ps(CLI::App& app, PsOptions& options) {
  using namespace std::chrono_literals;
  CLI::App* verb = app.add_subcommand("ps", "List the containers: what each uses, what it may use, whose limit counts");
  verb->add_flag("--json", options.json, "One JSON object per container on stdout (docs/ps.md)");
  verb->add_flag("--all", options.all,
                 "Also systemd's units, cgroups that have a limit or none below them, and pod sandboxes");
  add_order(*verb, options.order);
  add_duration(*verb, "--wait", options.wait, 0ns, 1min, "Wait at most so long for the names (default: 2s)");
  add_filter(*verb, options.filter);
  add_identity(*verb, options.identity);
  verb->footer(
      "WORKSET is usage without the files that were not read lately (usage - inactive_file): what docker stats and\n"
      "kubectl top call usage; % is its share of the effective limit. USAGE is all that is charged: what the limit is\n"
      "compared with. PEAK is the kernel's own mark of USAGE. EFFECTIVE is the lowest limit of the container and the\n"
      "cgroups around it, SET BY whose it is. OOM counts the processes that the OOM killer took.\n"
      "Needs no BPF, and no root but for the runtime's socket.\n"
      "Examples:\n"
      "  memcrest ps\n"
      "  memcrest ps --sort peak --label com.docker.compose.project=shop\n"
      "  memcrest ps --json --namespace 'team-*' | jq .peak_bytes");
  return verb;
}

struct Describing {
  CLI::App* completion = nullptr;
  CLI::App* manual = nullptr;
  Shell shell = Shell::kBash;
  std::string verb;
};

void add_describing(CLI::App& app, Describing& out) {
  static const std::map<std::string, Shell> kShells = {
      {"bash", Shell::kBash}, {"zsh", Shell::kZsh}, {"fish", Shell::kFish}};
  out.completion = app.add_subcommand("completion", "Print a script that completes commands and options in a shell");
  out.completion
      ->add_option_function<std::string>(
          "shell",
          [&out](const std::string& text) {
            const auto known = kShells.find(text);
            if (known == kShells.end()) {
              throw CLI::ValidationError("shell", "must be bash, zsh or fish");
            }
            out.shell = known->second;
          },
          "bash, zsh or fish")
      ->required()
      ->type_name("");
  out.completion->footer("Example: memcrest completion bash > /etc/bash_completion.d/memcrest");
  out.manual = app.add_subcommand("man", "Print the manual page of a command, for man -l");
  out.manual->add_option("command", out.verb, "The command (default: memcrest as a whole)")->type_name("");
  out.manual->footer("Example: memcrest man top | man -l -");
}

// The same tree that --help shows; the agent's options are read elsewhere, and join it here.
int describe(CLI::App& app, const Describing& what) {
  const auto agent = describe_agent(*app.get_subcommand("agent"));
  if (what.completion->parsed()) {
    std::cout << completion_script(app, what.shell) << std::flush;
    return std::cout ? kExitOk : kExitOutput;
  }
  const CLI::App* verb = nullptr;
  if (!what.verb.empty()) {
    const auto all = app.get_subcommands([](const CLI::App*) { return true; });
    const auto found = std::ranges::find(all, what.verb, [](const CLI::App* one) { return one->get_name(); });
    verb = found == all.end() ? nullptr : *found;
    if (verb == nullptr) {
      std::cerr << "memcrest: no such command: " << escape_terminal(what.verb) << "\n";
      return kExitUsage;
    }
  }
  std::cout << manual_page(app, verb) << std::flush;
  return std::cout ? kExitOk : kExitOutput;
}

}  // namespace

ParsedOptions parse_options(int argc, char** argv) {
  Options options;
  CLI::App app("memcrest tells why a container ran out of memory, and shows the burst that did it.", "memcrest");
  app.require_subcommand(1);
  app.set_version_flag("--version", "memcrest " MEMCREST_VERSION);
  const CLI::App* watch = add_watch(app, options.watch);
  std::vector<std::string> command;
  const CLI::App* record = add_record(app, options.record, command);
  const CLI::App* replay = add_replay(app, options.replay);
  const CLI::App* exporting = add_export(app, options.exporting);
  const CLI::App* report = add_report(app, options.report);
  const CLI::App* symbolize = add_symbolize(app, options.symbolize);
  const CLI::App* why = add_why(app, options.why);
  const CLI::App* advise = add_advise(app, options.advise);
  const CLI::App* run = add_run(app, options.run);
  const CLI::App* breaking = add_break(app, options);
  const CLI::App* ps = add_ps(app, options.ps);
  const CLI::App* top = add_top(app, options.top);
  CLI::App* check = app.add_subcommand("check", "Say what this kernel and these privileges allow");
  check->add_flag("--json", options.check.json, "As one JSON object");
  add_btf(*check, options.check.btf_file);
  add_identity(*check, options.check.identity);
  check->footer("Exit code: 0 when watch works here, 3 when it does not.");
  app.add_subcommand("agent", "Watch this node for months: incidents and metrics over HTTP, kept on disk");  // see main
  Describing describing;
  add_describing(app, describing);
  app.add_subcommand("version", "Print the version");
  app.footer(
      "Exit codes: 0 fine, 1 failure, 2 wrong command line, 3 not supported here, 4 --fail-on matched,\n"
      "5 standard output could not be written.\n"
      "Example: memcrest watch");
  try {
    app.parse(argc, argv);
    check_trace(options.watch.trace);
    check_trace(options.record.trace);
    check_trace(options.run.trace);
    check_trace(options.top.trace);
    check_trace(options.breaking.trace);
    check_break(*breaking, options);
    check_record(*record, options, command);
    if (exporting->parsed()) {
      check_export(options.exporting);
    }
    if (advise->parsed()) {
      check_advise(*advise, options.advise);
    }
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      return {std::nullopt, app.exit(error)};
    }
    const std::string first = argc > 1 ? argv[1] : "";
    if (!first.starts_with('-') && app.get_subcommands().empty() && !first.empty()) {
      std::cerr << "memcrest: no such command: " << escape_terminal(first) << "\nTry 'memcrest --help'.\n";
      return {std::nullopt, kExitUsage};
    }
    // `run` keeps the low codes for its command.
    std::cerr << "memcrest: " << escape_terminal(error.what()) << "\nTry 'memcrest --help'.\n";
    return {std::nullopt, run->parsed() || (breaking->parsed() && !options.breaking.command.empty())
                              ? kExitRunFailed
                              : static_cast<int>(kExitUsage)};
  }
  if (describing.completion->parsed() || describing.manual->parsed()) {
    return {std::nullopt, describe(app, describing)};
  }
  if (watch->parsed()) {
    options.verb = Verb::kWatch;
  } else if (record->parsed()) {
    options.verb = command.empty() ? Verb::kRecord : Verb::kRun;
  } else if (replay->parsed()) {
    options.verb = Verb::kReplay;
  } else if (exporting->parsed()) {
    options.verb = Verb::kExport;
  } else if (report->parsed()) {
    options.verb = Verb::kReport;
  } else if (symbolize->parsed()) {
    options.verb = Verb::kSymbolize;
  } else if (why->parsed()) {
    options.verb = Verb::kWhy;
  } else if (advise->parsed()) {
    options.verb = Verb::kAdvise;
  } else if (run->parsed()) {
    options.verb = Verb::kRun;
  } else if (breaking->parsed()) {
    options.verb = Verb::kBreak;
  } else if (ps->parsed()) {
    options.verb = Verb::kPs;
  } else if (top->parsed()) {
    options.verb = Verb::kTop;
  } else if (check->parsed()) {
    options.verb = Verb::kCheck;
  }
  return {std::move(options), kExitOk};
}

}  // namespace memcrest
