// SPDX-License-Identifier: Apache-2.0
#include "app/report_options.h"

#include <CLI/CLI.hpp>
#include <map>

#include "app/filter_options.h"

namespace memcrest {
namespace {

void set_format(ReportOptions& options, const std::string& text) {
  static const std::map<std::string, ReportFormat> kFormats = {{"text", ReportFormat::kText},
                                                               {"json", ReportFormat::kJson},
                                                               {"markdown", ReportFormat::kMarkdown},
                                                               {"html", ReportFormat::kHtml}};
  const auto known = kFormats.find(text);
  if (known == kFormats.end()) {
    throw CLI::ValidationError("--format", "must be text, json, markdown or html");
  }
  options.format = known->second;
}

// By the name of the output where no format is asked for.
ReportFormat format_of(const std::string& output) {
  for (const auto& [ending, format] :
       {std::pair(".html", ReportFormat::kHtml), std::pair(".md", ReportFormat::kMarkdown),
        std::pair(".json", ReportFormat::kJson)}) {
    if (output.ends_with(ending)) {
      return format;
    }
  }
  return ReportFormat::kText;
}

}  // namespace

void add_debug_files(CLI::App& verb, DebugFileOptions& options) {
  verb.add_option("--debug-dir", options.dirs,
                  "Directory with debug files, or with the very programs; found by build id (may be repeated)")
      ->type_name("DIR");
  verb.add_option("--debuginfod", options.debuginfod, "Ask these servers for what is not there (URLs, one argument)")
      ->type_name("URLS");
}

CLI::App* add_report(CLI::App& app, ReportOptions& options) {
  CLI::App* verb = app.add_subcommand("report", "Tell all that a recording knows of its incidents");
  add_recordings(*verb, options.request.path, options.request.more);
  verb->add_option("--incident", options.request.incident, "Only this incident: its id, or the id's start")
      ->type_name("ID");
  verb->add_option("--output,-o", options.output, "Write to this file instead of standard output")->type_name("FILE");
  verb->add_option_function<std::string>(
          "--format", [&options](const std::string& text) { set_format(options, text); },
          "text, json (docs/report.schema.json), markdown (for a ticket) or html (one offline page with charts); "
          "default: by the ending of --output (.json, .md, .html), else text")
      ->type_name("FORMAT");
  verb->final_callback([verb, &options] {
    if (verb->count("--format") == 0) {
      options.format = format_of(options.output);
    }
    options.request.details = options.format != ReportFormat::kText;
  });
  add_debug_files(*verb, options.debug_files);
  add_filter(*verb, options.request.filter);
  verb->footer(
      "Needs no privileges, and works on any machine. The incidents are those that were recorded.\n"
      "Examples:\n"
      "  memcrest report night.memcrest\n"
      "  memcrest report night.memcrest --container web -o web.html\n"
      "  memcrest report night.memcrest --incident 6f1c3c1e --format markdown");
  return verb;
}

}  // namespace memcrest
