// SPDX-License-Identifier: Apache-2.0
// `memcrest export`: a recording in a format that other tools open; what is missing in it to stderr.
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>

#include "app/exit_codes.h"
#include "app/output_file.h"
#include "app/recorded_cgroups.h"
#include "app/recording_pass.h"
#include "app/signals.h"
#include "app/verbs.h"
#include "export/csv_export.h"
#include "export/folded_export.h"
#include "export/jsonl_export.h"
#include "export/otlp_json_export.h"
#include "export/perfetto_export.h"
#include "export/pprof_export.h"
#include "export/recording_feed.h"
#include "report/recorded_names.h"
#include "store/event_json.h"
#include "store/recording_reader.h"
#include "util/text.h"
#include "util/units.h"
#include "view/loss_text.h"

namespace memcrest {
namespace {

constexpr EventText kEventText{kind_of, event_to_json};

std::unique_ptr<RecordingExporter> exporter_of(const ExportOptions& options, const ExportContext& context) {
  switch (options.format) {
    case ExportFormat::kJsonl:
      return std::make_unique<JsonlExport>(context, kEventText, options.tables);
    case ExportFormat::kCsv:
      return std::make_unique<CsvExport>(context, kEventText,
                                         options.tables.empty() ? ExportTable::kSteps : *options.tables.begin());
    case ExportFormat::kFolded:
      return std::make_unique<FoldedExport>(context);
    case ExportFormat::kPprof:
      return std::make_unique<PprofExport>(context);
    case ExportFormat::kPerfetto:
      return std::make_unique<PerfettoExport>(context);
    case ExportFormat::kOtlpJson:
      return std::make_unique<OtlpJsonExport>(context, options.tables);
  }
  return nullptr;
}

class ExportVerb {
 public:
  explicit ExportVerb(const ExportOptions& options) : options_(options) {}
  int run();

 private:
  [[nodiscard]] Result<OutputFile> open_output() const;
  [[nodiscard]] Result<void> pass_all(RecordingReader& reader, RecordingFeed& feed, const OutputFile& output);
  void summary(const ExportEnd& end, const RecordingExporter& exporter, const OutputFile& output) const;
  [[nodiscard]] int fail(const Error& error, int code = kExitFailure) const;

  const ExportOptions& options_;
  std::optional<Error> damage_;  // why reading stopped before the end
  std::uint64_t items_ = 0;
};

int ExportVerb::fail(const Error& error, int code) const {
  spdlog::error("{}", escape_terminal(error.message()));
  return code;
}

Result<OutputFile> ExportVerb::open_output() const {
  return options_.to_stdout() ? OutputFile::of_stream(STDOUT_FILENO, "standard output")
                              : OutputFile::create(options_.output);
}

// What comes before damage is exported; what could not be read is said.
Result<void> ExportVerb::pass_all(RecordingReader& reader, RecordingFeed& feed, const OutputFile& output) {
  RecordingPass passed = pass_items(reader, feed, [&] { return !output.failed() && !stop_requested(); });
  items_ = passed.items;
  damage_ = std::move(passed.damage);
  if (stop_requested()) {
    return memcrest::fail("export", options_.path, 0, "stopped before the end");
  }
  return {};
}

void ExportVerb::summary(const ExportEnd& end, const RecordingExporter& exporter, const OutputFile& output) const {
  for (const std::string& gap : end.gaps) {
    spdlog::warn("{}", escape_terminal(gap));
  }
  for (const std::string& what : exporter.left_out()) {
    spdlog::warn("{}", escape_terminal(what));
  }
  for (const std::string& note : end.notes) {
    spdlog::info("{}", escape_terminal(note));
  }
  spdlog::info("exported {} items of {} in {}; lost: {}", items_, escape_terminal(options_.path),
               format_size(output.bytes()), describe(end.lost));
}

int ExportVerb::run() {
  if (options_.to_stdout() && is_binary(options_.format) && ::isatty(STDOUT_FILENO) != 0) {
    spdlog::error("this format is binary, and standard output a terminal: give -o FILE, or a pipe");
    return kExitUsage;
  }
  auto reader = RecordingReader::open(options_.path, options_.more);
  if (!reader) {
    return fail(reader.error());
  }
  auto cgroups = cgroups_of(*reader);
  if (!cgroups) {
    return fail(cgroups.error());
  }
  auto output = open_output();
  if (!output) {
    return fail(output.error());
  }
  const RecordedNames frames(*reader);
  const auto exporter = exporter_of(options_, {*output, reader->meta(), *cgroups, frames});
  RecordingFeed feed(*exporter, *cgroups, options_.filter, frames);
  if (reader->meta().contains("continues") || reader->meta().contains("excerpt_before_ns")) {
    feed.begin_with_loss();
  }
  if (auto passed = pass_all(*reader, feed, *output); !passed) {
    return fail(passed.error());
  }
  ExportEnd end = end_of(*reader, damage_);
  if (auto words = words_of_missing_names(*reader); !words.empty()) {
    end.notes.push_back(std::move(words));
  }
  feed.finish(end);
  if (auto done = output->finish(); !done) {
    return fail(done.error(), options_.to_stdout() ? kExitOutput : kExitFailure);
  }
  summary(end, *exporter, *output);
  return damage_ ? kExitFailure : kExitOk;
}

}  // namespace

int export_recording(const ExportOptions& options) {
  install_stop_signals();
  return ExportVerb(options).run();
}

}  // namespace memcrest
