// SPDX-License-Identifier: Apache-2.0
#include "app/export_options.h"

#include <CLI/CLI.hpp>
#include <map>

#include "app/filter_options.h"

namespace memcrest {
namespace {

void add_format(CLI::App& verb, ExportFormat& format) {
  static const std::map<std::string, ExportFormat> kFormats = {
      {"perfetto", ExportFormat::kPerfetto}, {"jsonl", ExportFormat::kJsonl}, {"csv", ExportFormat::kCsv},
      {"folded", ExportFormat::kFolded},     {"pprof", ExportFormat::kPprof}, {"otlp-json", ExportFormat::kOtlpJson}};
  verb.add_option_function<std::string>(
          "--format,-f",
          [&format](const std::string& text) {
            const auto known = kFormats.find(text);
            if (known == kFormats.end()) {
              throw CLI::ValidationError("--format", "must be perfetto, jsonl, csv, folded, pprof or otlp-json");
            }
            format = known->second;
          },
          "perfetto, jsonl, csv, folded, pprof or otlp-json (docs/export.md)")
      ->type_name("FORMAT")
      ->required();
}

void add_tables(CLI::App& verb, ExportTables& tables) {
  verb.add_option_function<std::vector<std::string>>(
          "--table",
          [&tables](const std::vector<std::string>& names) {
            for (const std::string& name : names) {
              const auto table = export_table_of(name);
              if (!table) {
                throw CLI::ValidationError("--table", "must be steps, incidents, events, loss or cgroups");
              }
              tables.insert(*table);
            }
          },
          "Only this: steps, incidents, events, loss or cgroups (csv: one, default steps; otlp-json: steps as metrics, "
          "incidents as logs)")
      ->type_name("TABLE");
}

}  // namespace

CLI::App* add_export(CLI::App& app, ExportOptions& options) {
  CLI::App* verb = app.add_subcommand("export", "A recording in a format that other tools open");
  add_recordings(*verb, options.path, options.more);
  add_format(*verb, options.format);
  verb->add_option("--output,-o", options.output, "Into this file, a new one (default: standard output)")
      ->type_name("FILE");
  add_tables(*verb, options.tables);
  add_filter(*verb, options.filter);
  verb->add_flag("--containers-only", options.filter.containers_only, "Leave out cgroups that are no container")
      ->group("Containers");
  verb->footer(
      "perfetto   usage, kills, bursts and stacks over time: https://ui.perfetto.dev, trace_processor\n"
      "pprof      who grew by how much, by stack: go tool pprof; folded: the same for any flame graph tool\n"
      "jsonl      incidents, steps, events and loss, one JSON object a line; csv: one table of it\n"
      "otlp-json  incidents as logs, usage as metrics: the OpenTelemetry Collector's otlpjsonfile receiver\n"
      "Needs no privileges, and works on any machine. What was lost is told on standard error, and in the export "
      "where\n"
      "its format can carry that.\n"
      "Examples:\n"
      "  memcrest export night.memcrest --format perfetto -o night.pftrace\n"
      "  memcrest export night.memcrest --format pprof --container web -o web.pb.gz && go tool pprof -top web.pb.gz\n"
      "  memcrest export night.memcrest --format folded | flamegraph.pl --countname bytes > night.svg\n"
      "  memcrest export night.memcrest --format csv --table incidents > incidents.csv");
  return verb;
}

void check_export(const ExportOptions& options) {
  const bool takes_tables = options.format == ExportFormat::kJsonl || options.format == ExportFormat::kCsv ||
                            options.format == ExportFormat::kOtlpJson;
  if (!options.tables.empty() && !takes_tables) {
    throw CLI::ValidationError("--table", "goes with --format csv, jsonl or otlp-json");
  }
  if (options.format == ExportFormat::kCsv && options.tables.size() > 1) {
    throw CLI::ValidationError("--table", "csv holds one table");
  }
  if (options.format == ExportFormat::kOtlpJson) {
    for (const ExportTable table : options.tables) {
      if (table != ExportTable::kSteps && table != ExportTable::kIncidents) {
        throw CLI::ValidationError("--table", "of otlp-json must be steps or incidents");
      }
    }
  }
}

}  // namespace memcrest
