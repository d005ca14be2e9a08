// SPDX-License-Identifier: Apache-2.0
// `memcrest report`: what a recording has to tell, as text, JSON, Markdown or one HTML page.
#include "report/report.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "app/exit_codes.h"
#include "app/output_file.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "export/json.h"
#include "report/report_html.h"
#include "report/report_json.h"
#include "report/report_markdown.h"
#include "report/report_text.h"
#include "symbol/debug_info.h"
#include "util/fd.h"
#include "util/text.h"

namespace memcrest {
namespace {

int failed(const Error& error) {
  spdlog::error("{}", escape_terminal(error.message()));
  return kExitFailure;
}

std::string rendered(const Report& report, const ReportOptions& options) {
  switch (options.format) {
    case ReportFormat::kText: {
      TextStyle style;
      if (options.output.empty()) {
        const Terminal terminal = terminal_of_stdout();
        style.color = terminal.color;
        style.columns = terminal.columns.value_or(style.columns);
      }
      return to_text(report, style);
    }
    case ReportFormat::kJson:
      return to_json(report) + "\n";
    case ReportFormat::kMarkdown:
      return to_markdown(report);
    case ReportFormat::kHtml:
      return to_html(report);
  }
  return {};
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat one{};
  struct stat other{};
  return ::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

Result<void> write_output(const std::string& path, const std::string& text) {
  auto output = OutputFile::replace(path);
  if (!output) {
    return std::unexpected(output.error());
  }
  output->write(text);
  return output->finish();
}

// Lines and inlined calls, and names of what was stripped, for the incidents' stacks.
Result<void> add_names(Report& report, const DebugFileOptions& options) {
  if (options.dirs.empty() && options.debuginfod.empty()) {
    return {};
  }
  auto debug_info = DebugInfo::open({.dirs = options.dirs, .debuginfod = options.debuginfod});
  if (!debug_info) {
    return std::unexpected(debug_info.error());
  }
  for (ReportedIncident& one : report.incidents) {
    if (!one.incident.burst || one.incident.burst->stacks.empty()) {
      continue;
    }
    for (GrowthStack& stack : one.incident.burst->stacks) {
      debug_info->expand(stack.frames);
    }
    one.json = to_json(one.incident);
  }
  for (const auto& [build_id, module] : debug_info->missing()) {
    spdlog::warn("no debug file for {} (build id {})", escape_terminal(module), escape_terminal(build_id));
  }
  if (const int error = debug_info->counts().server_error; error != 0) {
    spdlog::warn("debuginfod did not answer: {}", std::strerror(error));
  }
  return {};
}

}  // namespace

int report(const ReportOptions& options) {
  const auto is_output = [&](const std::string& path) { return same_file(options.output, path); };
  if (!options.output.empty() &&
      (is_output(options.request.path) || std::ranges::any_of(options.request.more, is_output))) {
    spdlog::error("--output names the recording itself");
    return kExitUsage;
  }
  auto report = read_report(options.request);
  if (!report) {
    return failed(report.error());
  }
  if (const auto named = add_names(*report, options.debug_files); !named) {
    return failed(named.error());
  }
  const std::string text = rendered(*report, options);
  if (options.output.empty()) {
    std::cout << text << std::flush;
    if (!std::cout) {
      spdlog::error("standard output could not be written");
      return kExitOutput;
    }
  } else if (auto written = write_output(options.output, text); !written) {
    return failed(written.error());
  }
  for (const std::string& gap : report->recording.gaps) {
    spdlog::warn("{}", escape_terminal(gap));
  }
  return report->recording.damaged ? kExitFailure : kExitOk;
}

}  // namespace memcrest
