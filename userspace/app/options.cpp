// SPDX-License-Identifier: Apache-2.0
#include "app/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>

#include "app/exit_codes.h"
#include "app/filter_options.h"
#include "app/run_child.h"
#include "probe/tiers.h"
#include "util/text.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kMaxSize = 1ULL << 46U;  // 64 TiB
constexpr std::uint64_t kPage = 4096;

// Binds an option to a size; the error of a bad one names the option and the accepted forms.
template <typename Target>
CLI::Option* add_size(CLI::App& app, const std::string& name, Target& target, std::uint64_t least, std::uint64_t most,
                      const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&target, least, most, name](const std::string& text) {
            const auto size = parse_size(text);
            if (!size) {
              throw CLI::ValidationError(name, size.error().message());
            }
            if (*size < least || *size > most) {
              throw CLI::ValidationError(name, "must lie between " + format_size(least) + " and " + format_size(most));
            }
            target = *size;
          },
          help)
      ->type_name("SIZE");
}

template <typename Target>
CLI::Option* add_duration(CLI::App& app, const std::string& name, Target& target, std::chrono::nanoseconds least,
                          std::chrono::nanoseconds most, const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&target, least, most, name](const std::string& text) {
            const auto duration = parse_duration(text);
            if (!duration) {
              throw CLI::ValidationError(name, duration.error().message());
            }
            if (*duration < least || *duration > most) {
              throw CLI::ValidationError(
                  name, "must lie between " + format_duration(least) + " and " + format_duration(most));
            }
            target = *duration;
          },
          help)
      ->type_name("DURATION");
}

void add_ring(CLI::App& app, const std::string& name, std::uint64_t& target, const std::string& help) {
  app.add_option_function<std::string>(
         name,
         [&target, name](const std::string& text) {
           const auto size = parse_size(text);
           if (!size || !std::has_single_bit(*size) || *size < kPage || *size > (1ULL << 30U)) {
             throw CLI::ValidationError(name, "must be a power of two between 4 KiB and 1 GiB");
           }
           target = *size;
         },
         help)
      ->type_name("SIZE")
      ->group("Advanced");
}

void add_btf(CLI::App& app, std::string& target) {
  app.add_option("--btf", target, "The kernel's types from this file, where the kernel offers none (raw BTF or ELF)")
      ->type_name("FILE")
      ->group("Advanced");
}

template <std::size_t N>
void add_tier(CLI::App& app, const std::string& name, std::optional<std::string>& target, const char* const (&tiers)[N],
              const std::string& help) {
  std::string names;
  for (const char* tier : tiers) {
    names += (names.empty() ? "" : ", ") + std::string(tier);
  }
  app.add_option_function<std::string>(
         name,
         [&target, &tiers, name, names](const std::string& text) {
           if (std::ranges::find(tiers, text) == std::end(tiers)) {
             throw CLI::ValidationError(name, "must be one of: " + names);
           }
           target = text;
         },
         help + ": " + names)
      ->type_name("TIER")
      ->group("Advanced");
}

void add_trace(CLI::App& app, TraceOptions& trace) {
  using namespace std::chrono_literals;
  add_size(app, "--step", trace.step_bytes, kPage, kMaxSize,
           "Growth between two records of a cgroup (default: limit / 128, at least 1 MiB)")
      ->group("Detection");
  add_size(app, "--burst-min", trace.burst_min_bytes, kPage, kMaxSize,
           "Smallest rise that is a burst (default: 5 % of the limit, at least 16 MiB)")
      ->group("Detection");
  add_duration(app, "--burst-window", trace.burst_window, 1ms, 1min, "Time within which it must rise (default: 1s)")
      ->group("Detection");
  add_identity(app, trace.identity);
  app.add_flag_callback(
         "--redact-cmdline", [&trace] { trace.cmdlines = CmdlineDetail::kProgramOnly; },
         "Show programs without their arguments (default: only what looks like a secret becomes ***)")
      ->group("Privacy");
  add_ring(app, "--critical-ring", trace.critical_ring_bytes, "Ring buffer for OOM, kill and lifecycle records");
  add_ring(app, "--bulk-ring", trace.bulk_ring_bytes, "Ring buffer for usage steps");
  app.add_option("--disable-hook", trace.disabled_hooks, "Do without this program (names: memcrest check); repeatable")
      ->type_name("NAME")
      ->group("Advanced");
  add_tier(app, "--charge-tier", trace.charge_tier, kChargeTiers, "See charges this way (default: the best there is)");
  add_tier(app, "--oom-tier", trace.oom_tier, kOomTiers, "See OOM kills this way (default: the best there is)");
  add_btf(app, trace.btf_file);
}

void check_trace(const TraceOptions& trace) {
  if (trace.step_bytes && trace.burst_min_bytes && *trace.burst_min_bytes < *trace.step_bytes) {
    throw CLI::ValidationError("--burst-min", "is smaller than --step: such a burst could not be seen");
  }
}

constexpr auto kYear = std::chrono::hours(24 * 365);

// `group`: of the help. Files that end are removed by these, the oldest first.
void add_retention(CLI::App& verb, Retention& retention, const std::string& group) {
  verb.add_option("--keep-count", retention.max_count, "Keep so many recordings that have ended")
      ->type_name("N")
      ->group(group);
  add_size(verb, "--keep-size", retention.max_bytes, 1U << 20U, kMaxSize, "Keep recordings of so much in all")
      ->group(group);
  add_duration(verb, "--keep-age", retention.max_age, std::chrono::minutes(1), kYear, "Keep recordings for so long")
      ->group(group);
}

void add_flight(CLI::App& verb, RecordOptions& options) {
  using namespace std::chrono_literals;
  const std::string group = "Flight recorder";
  verb.add_option("--flight-recorder", options.directory,
                  "Keep the last seconds in memory, and record the time around each OOM into this directory")
      ->type_name("DIR")
      ->group(group)
      ->each([&options](const std::string&) { options.flight = true; });
  add_duration(verb, "--flight-before", options.excerpts.before, 1s, 1h, "Time before it (default: 30s)")->group(group);
  add_duration(verb, "--flight-after", options.excerpts.after, 1s, 1h, "Time after it (default: 10s)")->group(group);
  add_size(verb, "--flight-memory", options.excerpts.max_bytes, 64U << 10U, 4ULL << 30U,
           "Memory for what may be wanted (default: 8 MiB)")
      ->group(group);
  verb.add_flag("--flight-bursts", options.excerpts.bursts, "Record the time around bursts as well")->group(group);
  add_retention(verb, options.retention, group);
}

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

CLI::App* add_record(CLI::App& app, WatchOptions& options, std::vector<std::string>& command) {
  using namespace std::chrono_literals;
  options.silent = true;
  CLI::App* verb = app.add_subcommand("record", "Write all that is seen, and what is found, into a file");
  auto* file = verb->add_option("--output,-o", options.record.path,
                                "The recording, an SQLite file (docs/recording.md); a new one")
                   ->type_name("FILE");
  auto* directory = verb->add_option("--directory", options.record.directory,
                                     "Instead: recordings that follow each other in this directory")
                        ->type_name("DIR");
  file->excludes(directory);
  add_size(*verb, "--max-size", options.record.rotation.max_bytes, 1U << 20U, kMaxSize,
           "Stop at this size, or begin the next file (default: none)");
  add_size(*verb, "--min-free", options.record.rotation.file.min_free_bytes, 0, kMaxSize,
           "Stop when less of the disk is left (default: 256 MiB)");
  add_duration(*verb, "--max-time", options.record.rotation.max_age, 1s, kYear, "Begin the next file after this time")
      ->needs(directory);
  add_retention(*verb, options.record.retention, "Directory");
  add_duration(*verb, "--duration", options.duration, std::chrono::milliseconds(1), kYear, "Stop after this time");
  add_filter(*verb, options.filter);
  verb->add_flag("--containers-only", options.filter.containers_only, "Leave out cgroups that are no container")
      ->group("Containers");
  verb->add_option("command", command, "After --: run this in a cgroup of its own, as run does, and record that alone");
  verb->positionals_at_end();
  add_trace(*verb, options.trace);
  verb->footer(
      "Written once a second: what is older than that survives the death of memcrest and of the machine.\n"
      "Examples:\n"
      "  memcrest record -o night.db --duration 8h --max-size 2g\n"
      "  memcrest record -o build.db -- make -j8\n"
      "  memcrest record --directory /var/lib/memcrest --max-time 1h --keep-age 7d --container 'web*'\n"
      "  memcrest replay night.db\n"
      "  sqlite3 night.db 'SELECT id, container_name FROM incidents'");
  return verb;
}

// Both ways of recording, after the whole line is known.
void check_record(const CLI::App& verb, Options& options, const std::vector<std::string>& command) {
  RecordOptions& record = options.record.record;
  if (!verb.parsed()) {
    return;
  }
  if (record.path.empty() && record.directory.empty()) {
    throw CLI::ValidationError("record", "--output FILE or --directory DIR is needed");
  }
  const Retention& keep = record.retention;
  const bool kept = keep.max_count != 0 || keep.max_bytes != 0 || keep.max_age.count() != 0;
  if (kept && record.directory.empty()) {
    throw CLI::ValidationError("record", "--keep-count, --keep-size and --keep-age are for --directory");
  }
  record.filter = describe(options.record.filter);
  if (command.empty()) {
    if (!record.filter.empty()) {
      record.wanted = [filter = options.record.filter](const CgroupRef& cgroup, const Container& container) {
        return matches(filter, container, cgroup.path);
      };
    }
    return;
  }
  if (!record.directory.empty() || !record.filter.empty() || options.record.duration) {
    throw CLI::ValidationError("record", "a command is recorded alone, until it ends: with --output, and no filter");
  }
  options.run.trace = options.record.trace;
  options.run.record = record;
  options.run.command = command;
}

CLI::App* add_replay(CLI::App& app, ReplayOptions& options) {
  CLI::App* verb = app.add_subcommand("replay", "Find the incidents of a recording again, as watch would print them");
  verb->add_option("file", options.path, "The recording")->required();
  verb->add_flag("--json", options.json, "One JSON object per incident on stdout (docs/incident.md)");
  add_filter(*verb, options.filter);
  verb->footer(
      "Needs no privileges, and works on any machine.\n"
      "Example: memcrest replay night.memcrest --container web --json");
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
  const CLI::App* run = add_run(app, options.run);
  const CLI::App* ps = add_ps(app, options.ps);
  CLI::App* check = app.add_subcommand("check", "Say what this kernel and these privileges allow");
  check->add_flag("--json", options.check.json, "As one JSON object");
  add_btf(*check, options.check.btf_file);
  add_identity(*check, options.check.identity);
  check->footer("Exit code: 0 when watch works here, 3 when it does not.");
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
    check_record(*record, options, command);
    if (exporting->parsed()) {
      check_export(options.exporting);
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
    return {std::nullopt, run->parsed() ? kExitRunFailed : static_cast<int>(kExitUsage)};
  }
  if (watch->parsed()) {
    options.verb = Verb::kWatch;
  } else if (record->parsed()) {
    options.verb = command.empty() ? Verb::kRecord : Verb::kRun;
  } else if (replay->parsed()) {
    options.verb = Verb::kReplay;
  } else if (exporting->parsed()) {
    options.verb = Verb::kExport;
  } else if (run->parsed()) {
    options.verb = Verb::kRun;
  } else if (ps->parsed()) {
    options.verb = Verb::kPs;
  } else if (check->parsed()) {
    options.verb = Verb::kCheck;
  }
  return {std::move(options), kExitOk};
}

}  // namespace memcrest
