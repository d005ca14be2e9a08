// SPDX-License-Identifier: Apache-2.0
#include "app/break_options.h"

#include <CLI/CLI.hpp>

#include "app/filter_options.h"
#include "app/option_values.h"
#include "app/options.h"
#include "app/trace_options.h"
#include "util/signal_name.h"

namespace memcrest {
namespace {

constexpr const char* kActions = "Action";

void add_actions(CLI::App& verb, BreakSettings& settings) {
  verb.add_flag_callback(
          "--stop", [&settings] { settings.action = BreakAction::kStop; },
          "Stop the process that crossed the line, and whoever goes on to grow (the default)")
      ->group(kActions);
  verb.add_option_function<std::string>(
          "--signal",
          [&settings](const std::string& text) {
            settings.signal = parse_signal(text);
            if (settings.signal == 0) {
              throw CLI::ValidationError("--signal", "must be a signal's name or number, such as USR1");
            }
            if (stops(settings.signal)) {
              throw CLI::ValidationError("--signal", "whom that stops nobody would resume: --stop does");
            }
            settings.action = BreakAction::kSignal;
          },
          "Send it this signal instead; nothing is held")
      ->type_name("SIG")
      ->group(kActions);
  verb.add_option_function<std::string>(
          "--exec",
          [&settings](const std::string& text) {
            settings.exec = text;
            settings.action = BreakAction::kExec;
          },
          "Stop it and run this command (sh -c) meanwhile; it finds MEMCREST_PID and others in its environment")
      ->type_name("COMMAND")
      ->group(kActions);
  verb.add_option_function<std::string>(
          "--dump",
          [&settings](const std::string& text) {
            settings.dump = parse_dump_kind(text);
            if (!settings.dump) {
              throw CLI::ValidationError("--dump", "must be smaps, core, python, jvm, node or go");
            }
            settings.action = BreakAction::kDump;
          },
          "Stop it and write: smaps (of all processes), core (gcore), python (py-spy or gdb), jvm (jcmd), node "
          "(SIGUSR2), go "
          "(SIGQUIT); the last three are resumed for it")
      ->type_name("KIND")
      ->group(kActions);
}

void add_limits(CLI::App& verb, BreakSettings& settings) {
  verb.add_option_function<std::string>(
          "--hold",
          [&settings](const std::string& text) {
            if (text == "forever") {
              settings.hold = std::nullopt;
              return;
            }
            const auto duration = parse_duration(text);
            if (!duration || *duration < std::chrono::milliseconds(1) || *duration > std::chrono::hours(24)) {
              throw CLI::ValidationError("--hold", "must be 'forever' or a duration up to 24h, such as 30s");
            }
            settings.hold = *duration;
          },
          "Resume after this time at the latest (default: 30s); forever: until Ctrl-C or 'memcrest break --resume'")
      ->type_name("DURATION")
      ->group(kActions);
  verb.add_flag("--freeze", settings.freeze, "Freeze all processes of the container as well")->group(kActions);
  verb.add_flag("--once", settings.once, "End after the first container that crosses its line")->group(kActions);
  add_size(verb, "--rearm-below", settings.rearm_below, kPage, kMaxSize,
           "Arm the line again once usage fell below this (default: once for each container)")
      ->group(kActions);
  verb.add_option("--output,-o", settings.output,
                  "Directory for what actions write, made with mode 0700 (default: /var/tmp/memcrest-break)")
      ->type_name("DIR")
      ->group(kActions);
  add_size(verb, "--max-output", settings.most_output, 4096, kMaxSize,
           "Most that a file of it may grow to (default: 4 GiB)")
      ->group(kActions);
  verb.add_option("--allow", settings.allowed,
                  "A daemon of this name may be stopped too, such as containerd; without it, its cgroup gets no line")
      ->type_name("NAME")
      ->group(kActions);
}

}  // namespace

CLI::App* add_break(CLI::App& app, Options& options) {
  BreakOptions& out = options.breaking;
  CLI::App* verb = app.add_subcommand(
      "break", "Stop a container's process, or dump it, when its memory reaches a line, before the kill");
  verb->add_option_function<std::string>(
          "--at",
          [&out](const std::string& text) {
            auto rule = parse_line_rule(text);
            if (!rule) {
              throw CLI::ValidationError("--at", rule.error().detail);
            }
            out.settings.at = *rule;
          },
          "The line: a size, or a part of the limit that counts")
      ->type_name("SIZE|PERCENT%");
  verb->add_option_function<std::string>(
          "--growth",
          [&out](const std::string& text) {
            auto rule = parse_growth_rule(text);
            if (!rule) {
              throw CLI::ValidationError("--growth", rule.error().detail);
            }
            out.settings.growth = *rule;
          },
          "A line that goes with usage: so much above the lowest of this time, such as 200m/10s")
      ->type_name("SIZE/DURATION");
  verb->add_flag("--json", out.json, "One JSON object per hit, and one more when it is over (docs/incident.md)");
  add_size(*verb, "--memory,-m", out.memory_bytes, 64 * kPage, kMaxSize, "Memory limit of the command (default: none)");
  add_size(*verb, "--swap", out.swap_bytes, 0, kMaxSize, "Swap of the command on top of --memory");
  verb->add_flag("--resume", out.settings.resume, "Only end what another 'memcrest break' holds now");
  verb->add_option("command", out.command, "A command to run in a memory cgroup of its own, after --");
  verb->positionals_at_end();
  add_actions(*verb, out.settings);
  add_limits(*verb, out.settings);
  add_filter(*verb, out.filter);
  verb->add_flag("--all-containers", out.settings.all_containers, "Every container")->group("Containers");
  add_trace(*verb, out.trace);
  verb->footer(
      "Whoever is held is resumed when memcrest ends, also when it is killed. A container that is held may fail its\n"
      "liveness probe, and is restarted then.\n"
      "Exit code: with a command that of the command, as of 'memcrest run'.\n"
      "Examples:\n"
      "  memcrest break --at 90% --container web --dump smaps\n"
      "  memcrest break --at 400m --hold forever --container web\n"
      "  memcrest break --at 90% -m 256m --exec 'gcore -o /tmp/core $MEMCREST_PID' -- python3 app.py");
  return verb;
}

void check_break(const CLI::App& verb, Options& options) {
  const BreakOptions& out = options.breaking;
  const BreakSettings& settings = out.settings;
  if (!verb.parsed() || settings.resume) {
    return;
  }
  if (!settings.at && !settings.growth) {
    throw CLI::ValidationError("--at", "or --growth is needed: the line, such as 400m, 90% or 200m/10s");
  }
  const ContainerFilter& filter = out.filter;
  const bool filtered = !filter.containers.empty() || !filter.pods.empty() || !filter.namespaces.empty() ||
                        !filter.labels.empty() || !filter.images.empty() || !filter.cgroups.empty() ||
                        !filter.runtimes.empty();
  if (!out.command.empty() && (filtered || settings.all_containers)) {
    throw CLI::ValidationError("break", "a command is watched alone: no filter goes with it");
  }
  if (out.command.empty() && !filtered && !settings.all_containers) {
    throw CLI::ValidationError("break", "whom? Name containers (--container web), --all-containers, or a command");
  }
  if (out.command.empty() && (out.memory_bytes || out.swap_bytes)) {
    throw CLI::ValidationError("--memory", "is for a command");
  }
  if (settings.once && settings.rearm_below) {
    throw CLI::ValidationError("--once", "does not go with --rearm-below");
  }
  const int given =
      static_cast<int>(verb.count("--stop") + verb.count("--signal") + verb.count("--exec") + verb.count("--dump"));
  if (given > 1) {
    throw CLI::ValidationError("break", "one of --stop, --signal, --exec and --dump");
  }
  if (settings.action == BreakAction::kSignal && (settings.freeze || verb.count("--hold") > 0)) {
    throw CLI::ValidationError("--signal", "holds nobody: no --freeze and no --hold");
  }
  if (!out.command.empty() && settings.at && settings.at->percent && !out.memory_bytes) {
    throw CLI::ValidationError("--at", "a part of the limit: give the command one with --memory");
  }
}

}  // namespace memcrest
