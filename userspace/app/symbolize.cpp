// SPDX-License-Identifier: Apache-2.0
// `memcrest symbolize`: the stacks of incidents that were seen elsewhere or before, with names, lines and inlined
// calls from debug files that are at hand here.
#include <spdlog/spdlog.h>

#include <array>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>

#include "app/exit_codes.h"
#include "app/plural.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "export/incident_reader.h"
#include "export/json.h"
#include "identity/container_filter.h"
#include "report/report.h"
#include "symbol/debug_info.h"
#include "util/text.h"
#include "view/stacks_text.h"

namespace memcrest {
namespace {

constexpr std::size_t kLongestLine = 4U << 20U;  // as incident_from_json() takes

class SymbolizeVerb {
 public:
  SymbolizeVerb(const SymbolizeOptions& options, DebugInfo& debug_info) : options_(options), debug_info_(debug_info) {
    const Terminal terminal = terminal_of_stdout();
    style_.color = terminal.color;
    style_.columns = terminal.columns.value_or(style_.columns);
  }
  int run();

 private:
  Result<void> read_recording();
  Result<void> read_lines(std::istream& in);
  Result<void> take_line(const std::string& line);
  void tell(Incident incident);
  void summary() const;

  const SymbolizeOptions& options_;
  DebugInfo& debug_info_;
  TextStyle style_;
  std::uint64_t incidents_ = 0;
  std::uint64_t unreadable_ = 0;
  std::uint64_t line_ = 0;
};

bool is_recording(const std::string& path) {
  constexpr std::string_view kMagic = "SQLite format 3";
  std::array<char, kMagic.size()> start{};
  std::ifstream file(path, std::ios::binary);
  return file.read(start.data(), start.size()) && std::string_view(start.data(), start.size()) == kMagic;
}

void SymbolizeVerb::tell(Incident incident) {
  ++incidents_;
  if (incident.burst) {
    for (GrowthStack& stack : incident.burst->stacks) {
      debug_info_.expand(stack.frames);
    }
  }
  std::cout << (options_.json ? to_json(incident) + "\n" : stacks_text(incident, style_)) << std::flush;
}

Result<void> SymbolizeVerb::read_recording() {
  auto report = read_report(options_.request);
  if (!report) {
    return std::unexpected(report.error());
  }
  for (const std::string& gap : report->recording.gaps) {
    spdlog::warn("{}", escape_terminal(gap));
  }
  if (report->left_out > 0) {
    spdlog::warn("{} incidents more than are read at once: choose with --incident or a filter", report->left_out);
  }
  for (ReportedIncident& one : report->incidents) {
    if (!one.unreadable.empty()) {
      ++unreadable_;
      spdlog::warn("incident {}: {}", escape_terminal(one.id), escape_terminal(one.unreadable));
    } else {
      tell(std::move(one.incident));
    }
  }
  return {};
}

Result<void> SymbolizeVerb::take_line(const std::string& line) {
  auto incident = incident_from_json(line);
  if (!incident) {
    return std::unexpected(incident.error().within("read line", std::to_string(line_)));
  }
  const bool wanted = incident->id.starts_with(options_.request.incident) &&
                      matches(options_.request.filter, incident->container, incident->cgroup.path);
  if (wanted) {
    tell(std::move(*incident));
  }
  return {};
}

// One bad line costs no other.
Result<void> SymbolizeVerb::read_lines(std::istream& in) {
  std::string line;
  for (int c = in.get(); in || !line.empty(); c = in.get()) {
    if (in && c != '\n') {
      if (line.size() > kLongestLine) {
        return fail("read line", std::to_string(line_ + 1), EMSGSIZE, "it is no incident: too long");
      }
      line.push_back(static_cast<char>(c));
      continue;
    }
    ++line_;
    const bool empty = line.find_first_not_of(" \t\r") == std::string::npos;
    if (const auto taken = empty ? Result<void>() : take_line(line); !taken) {
      ++unreadable_;
      spdlog::warn("{}", escape_terminal(taken.error().message()));
    }
    line.clear();
    if (!std::cout) {
      break;
    }
  }
  return {};
}

void SymbolizeVerb::summary() const {
  const DebugInfo::Counts& counts = debug_info_.counts();
  spdlog::info("{}; of {} in files, {} a name, {} a line", plural(incidents_, "incident", "incidents"),
               plural(counts.frames, "frame", "frames"), plural(counts.named, "has", "have"), counts.lines);
  for (const auto& [build_id, module] : debug_info_.missing()) {
    spdlog::warn("no debug file for {} (build id {})", escape_terminal(module), escape_terminal(build_id));
  }
  if (counts.server_error != 0) {
    spdlog::warn("debuginfod did not answer: {}", std::strerror(counts.server_error));
  }
  if (counts.cut) {
    spdlog::warn("the directories hold more files than are looked at: name those that matter");
  }
}

int SymbolizeVerb::run() {
  const std::string& path = options_.request.path;
  Result<void> read;
  if (path == "-") {
    read = read_lines(std::cin);
  } else if (is_recording(path)) {
    read = read_recording();
  } else if (std::ifstream file(path, std::ios::binary); file) {
    read = read_lines(file);
  } else {
    read = fail("open", path, errno);
  }
  if (!read) {
    spdlog::error("{}", escape_terminal(read.error().message()));
    return kExitFailure;
  }
  summary();
  if (!std::cout) {
    spdlog::error("standard output could not be written");
    return kExitOutput;
  }
  return unreadable_ > 0 ? kExitFailure : kExitOk;
}

}  // namespace

int symbolize(const SymbolizeOptions& options) {
  auto debug_info = DebugInfo::open({.dirs = options.debug_files.dirs, .debuginfod = options.debug_files.debuginfod});
  if (!debug_info) {
    spdlog::error("{}", escape_terminal(debug_info.error().message()));
    return kExitFailure;
  }
  return SymbolizeVerb(options, *debug_info).run();
}

}  // namespace memcrest
