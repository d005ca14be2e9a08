// SPDX-License-Identifier: Apache-2.0
#include "app/record_options.h"

#include <CLI/CLI.hpp>

#include "app/filter_options.h"
#include "app/option_values.h"
#include "app/trace_options.h"

namespace memcrest {
namespace {

// `group`: of the help. Files that end are removed by these, the oldest first.
void add_retention(CLI::App& verb, Retention& retention, const std::string& group, CLI::Option* directory) {
  verb.add_option("--keep-count", retention.max_count, "Keep so many recordings that have ended")
      ->type_name("N")
      ->group(group)
      ->needs(directory);
  add_size(verb, "--keep-size", retention.max_bytes, 1U << 20U, kMaxSize, "Keep recordings of so much in all")
      ->group(group)
      ->needs(directory);
  add_duration(verb, "--keep-age", retention.max_age, std::chrono::minutes(1), kYear, "Keep recordings for so long")
      ->group(group)
      ->needs(directory);
}

}  // namespace

void add_flight(CLI::App& verb, RecordOptions& options) {
  using namespace std::chrono_literals;
  const std::string group = "Flight recorder";
  auto* flight =
      verb.add_option("--flight-recorder", options.directory,
                      "Keep the last seconds in memory, and record the time around each OOM into this directory")
          ->type_name("DIR")
          ->group(group)
          ->each([&options](const std::string&) { options.flight = true; });
  add_duration(verb, "--flight-before", options.excerpts.before, 1s, 1h, "Time before it (default: 30s)")
      ->group(group)
      ->needs(flight);
  add_duration(verb, "--flight-after", options.excerpts.after, 1s, 1h, "Time after it (default: 10s)")
      ->group(group)
      ->needs(flight);
  add_size(verb, "--flight-memory", options.excerpts.max_bytes, 64U << 10U, 4ULL << 30U,
           "Memory for what may be wanted (default: 4 MiB)")
      ->group(group)
      ->needs(flight);
  verb.add_flag("--flight-bursts", options.excerpts.bursts, "Record the time around bursts as well")
      ->group(group)
      ->needs(flight);
  add_retention(verb, options.retention, group, flight);
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
  add_retention(*verb, options.record.retention, "Directory", directory);
  add_duration(*verb, "--duration", options.duration, std::chrono::milliseconds(1), kYear, "Stop after this time");
  add_filter(*verb, options.filter);
  verb->add_flag("--containers-only", options.filter.containers_only, "Leave out cgroups that are no container")
      ->group("Containers");
  verb->add_option("command", command, "After --: run this in a cgroup of its own, as run does, and record that alone");
  verb->positionals_at_end();
  add_trace(*verb, options.trace);
  verb->footer(
      "Written once a second: what is older than that survives the death of memcrest and, where the disk keeps its "
      "word, of the machine.\n"
      "Examples:\n"
      "  memcrest record -o night.db --duration 8h --max-size 2g\n"
      "  memcrest record -o build.db -- make -j8\n"
      "  memcrest record --directory /var/lib/memcrest --max-time 1h --keep-age 7d --container 'web*'\n"
      "  memcrest replay night.db\n"
      "  sqlite3 night.db 'SELECT id, container_name FROM incidents'");
  return verb;
}

void check_record(const CLI::App& verb, Options& options, const std::vector<std::string>& command) {
  RecordOptions& record = options.record.record;
  if (!verb.parsed()) {
    return;
  }
  if (record.path.empty() && record.directory.empty()) {
    throw CLI::ValidationError("record", "--output FILE or --directory DIR is needed");
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

}  // namespace memcrest
