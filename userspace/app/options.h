// SPDX-License-Identifier: Apache-2.0
// The command line as plain structs, one per verb.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/break_options.h"
#include "app/export_options.h"
#include "app/identity_options.h"
#include "collector/cgroup_list.h"
#include "identity/container_filter.h"
#include "report/report.h"
#include "sizing/sizing.h"
#include "store/filtered_recording.h"
#include "store/flight_recorder.h"
#include "store/rotating_recording.h"
#include "top/top_order.h"
#include "util/redact.h"

namespace memcrest {

// What watch and run share.
struct TraceOptions {
  std::optional<std::uint64_t> step_bytes;
  std::optional<std::uint64_t> burst_min_bytes;
  std::chrono::nanoseconds burst_window{1'000'000'000};
  IdentityOptions identity;
  std::uint64_t critical_ring_bytes = 1U << 20U;
  std::uint64_t bulk_ring_bytes = 2U << 20U;
  std::vector<std::string> disabled_hooks;
  std::optional<std::string> charge_tier;  // one of kChargeTiers; unset: the best
  std::optional<std::string> oom_tier;
  std::string btf_file;  // external BTF; empty: the kernel's own
  CmdlineDetail cmdlines = CmdlineDetail::kMasked;
  bool unwind = false;       // user stacks by .eh_frame, from copies
  bool breakpoints = false;  // lines can be set (probe/breakpoint_table.h)
};

enum class FailOn { kNothing, kOom, kBurst };

// A recording to be made beside: one file, or files in a directory. Neither: none.
struct RecordOptions {
  std::string path;
  std::string directory;
  bool flight = false;  // in the directory: only the time around incidents
  RotationSettings rotation;
  Retention retention;
  FlightSettings excerpts;
  FilteredRecording::Wanted wanted;  // unset: all of it
  std::string filter;                // the same in words
};

struct WatchOptions {
  TraceOptions trace;
  RecordOptions record;
  bool silent = false;  // incidents are recorded, not printed
  bool json = false;
  ContainerFilter filter;
  std::optional<std::chrono::nanoseconds> duration;
  FailOn fail_on = FailOn::kNothing;
};

struct RunOptions {
  TraceOptions trace;
  RecordOptions record;  // of what happens in the command's cgroup
  bool json = false;
  std::string output;  // file for the report; empty: standard error
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::uint64_t> swap_bytes;
  std::vector<std::string> command;
};

struct BreakOptions {
  BreakSettings settings;
  TraceOptions trace;
  ContainerFilter filter;
  bool json = false;
  std::optional<std::uint64_t> memory_bytes;  // of the command
  std::optional<std::uint64_t> swap_bytes;
  std::vector<std::string> command;
};

struct CheckOptions {
  IdentityOptions identity;
  bool json = false;
  std::string btf_file;
};

struct PsOptions {
  ContainerFilter filter;
  IdentityOptions identity;
  bool json = false;
  bool all = false;  // units, other cgroups and pod sandboxes too
  MemoryOrder order = MemoryOrder::kPercent;
  std::chrono::nanoseconds wait{2'000'000'000};  // for the runtimes' answers
};

// Where an agent answers.
struct AgentAddress {
  std::string url;  // http://, https:// or its unix socket; empty: none is asked
  std::string token_file;
  std::string ca_file;
};

struct TopOptions {
  std::string path;  // of a recording; empty: this machine, or the agent
  AgentAddress agent;
  std::chrono::nanoseconds interval{1'000'000'000};
  TopOrder order = TopOrder::kPercent;
  bool once = false;
  bool json = false;
  bool all = false;
  bool no_color = false;
  ContainerFilter filter;
  TraceOptions trace;  // of this machine
};

struct ReplayOptions {
  std::string path;
  std::vector<std::string> more;  // files that continue it
  bool json = false;
  ContainerFilter filter;
};

enum class ReportFormat { kText, kJson, kMarkdown, kHtml };

// Where names and lines come from that the recording lacks.
struct DebugFileOptions {
  std::vector<std::string> dirs;
  std::string debuginfod;  // URLs, separated by blanks; empty: nobody is asked
};

struct ReportOptions {
  ReportRequest request;
  DebugFileOptions debug_files;
  ReportFormat format = ReportFormat::kText;
  std::string output;  // empty: standard output
};

struct SymbolizeOptions {
  ReportRequest request;  // the path may be that of JSON Lines, or "-"
  DebugFileOptions debug_files;
  bool json = false;
};

struct WhyOptions {
  std::string target;                      // a container, pod, process, unit or cgroup; empty: whichever was last
  std::string from = "/var/lib/memcrest";  // a recording, or a directory of them
  AgentAddress agent;                      // instead, where it has a URL
  std::optional<int> exit_code;            // only what it means in general
  IdentityOptions identity;                // whom to ask for the end of a container that no incident tells of
  bool json = false;
};

enum class AdviseFormat { kText, kJson, kDocker, kCompose, kKubernetes };

struct AdviseOptions {
  std::vector<std::string> paths;                // of recordings, or directories of them
  std::optional<std::chrono::nanoseconds> live;  // instead: this machine, so long
  AdviseFormat format = AdviseFormat::kText;
  SizingSettings sizing;
  ContainerFilter filter;
  TraceOptions trace;  // of live
};

enum class Verb {
  kWatch,
  kRecord,
  kReplay,
  kExport,
  kReport,
  kSymbolize,
  kWhy,
  kAdvise,
  kRun,
  kBreak,
  kPs,
  kTop,
  kCheck,
  kVersion
};

struct Options {
  Verb verb = Verb::kVersion;
  WatchOptions watch;
  WatchOptions record;
  ReplayOptions replay;
  ExportOptions exporting;
  ReportOptions report;
  SymbolizeOptions symbolize;
  WhyOptions why;
  AdviseOptions advise;
  RunOptions run;
  BreakOptions breaking;
  PsOptions ps;
  TopOptions top;
  CheckOptions check;
};

struct ParsedOptions {
  std::optional<Options> options;  // unset: end at once with exit_code (help was printed, or an error)
  int exit_code = 0;
};

// Prints help to stdout and errors to stderr by itself.
[[nodiscard]] ParsedOptions parse_options(int argc, char** argv);

}  // namespace memcrest
