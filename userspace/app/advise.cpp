// SPDX-License-Identifier: Apache-2.0
// `memcrest advise`: which limits fit the containers of a recording, or of this machine while it is observed.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>

#include "app/exit_codes.h"
#include "app/filter_options.h"
#include "app/recorded_cgroups.h"
#include "app/recorded_settings.h"
#include "app/recording_pass.h"
#include "app/session.h"
#include "app/signals.h"
#include "app/sizing_sink.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "collector/cgroup_list.h"
#include "export/frame_names.h"
#include "sizing/judge_size.h"
#include "sizing/sizing_export.h"
#include "sizing/sizing_json.h"
#include "sizing/sizing_lines.h"
#include "sizing/sizing_text.h"
#include "store/recording_reader.h"
#include "util/text.h"
#include "util/units.h"
#include "view/loss_text.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxFiles = 4096;
constexpr std::size_t kMaxTold = 16;  // gaps of different files
constexpr std::chrono::milliseconds kLastNames{2000};
constexpr const char* kFallsUnseen =
    "memory that is given back is seen with delay on this charge tier: percentiles may be too high, peaks are not";

void add_once(std::vector<std::string>& list, std::string words) {
  if (list.size() < kMaxTold && std::ranges::find(list, words) == list.end()) {
    list.push_back(std::move(words));
  }
}

void add_losses(LossCount& sum, const LossCount& more) {
  for (auto field :
       {&LossCount::critical, &LossCount::bulk, &LossCount::throttled, &LossCount::invalid, &LossCount::untracked}) {
    sum.*field += more.*field;
  }
}

void add_tier(SizingReport& report, const std::string& tier, bool falls_are_seen) {
  report.charge_tier = tier;
  if (tier == "sampled") {
    add_once(report.gaps, "usage was sampled, not seen at each charge: short peaks are in the kernel's mark alone");
  } else if (!falls_are_seen) {
    add_once(report.notes, kFallsUnseen);
  }
}

std::vector<std::string> files_of(const std::vector<std::string>& paths) {
  std::vector<std::string> out;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
      out.push_back(path);
      continue;
    }
    std::vector<std::string> inside;
    for (std::filesystem::directory_iterator at(path, error), end; !error && at != end; at.increment(error)) {
      if (at->path().extension() == ".db") {
        inside.push_back(at->path());
      }
    }
    std::ranges::sort(inside);  // their names are times
    out.insert(out.end(), inside.begin(), inside.end());
  }
  return out;
}

// Recordings into one report: as one where they follow each other, otherwise one after the other.
class RecordedSizing {
 public:
  explicit RecordedSizing(const AdviseOptions& options)
      : options_(options),
        book_(
            options.sizing,
            [this](std::uint64_t id, std::uint64_t serial, bool /*now_or_never*/) {
              return std::optional(cgroups_->find(id, serial));
            },
            [&options](const ExportedCgroup& one) { return matches(options.filter, one.container, one.path); }) {}

  [[nodiscard]] Result<void> read(SizingReport& report);
  [[nodiscard]] SizingBook& book() { return book_; }
  [[nodiscard]] bool damaged() const { return damaged_; }

 private:
  [[nodiscard]] Result<void> read_one(RecordingReader reader, SizingReport& report);
  [[nodiscard]] Result<void> read_each(const Error& why_not_one, SizingReport& report);

  const AdviseOptions& options_;
  std::optional<ExportedCgroups> cgroups_;  // of the recording that is read
  SizingBook book_;
  bool damaged_ = false;
};

Result<void> RecordedSizing::read(SizingReport& report) {
  auto reader = RecordingReader::open(options_.paths.front(), {options_.paths.begin() + 1, options_.paths.end()});
  return reader ? read_one(std::move(*reader), report) : read_each(reader.error(), report);
}

Result<void> RecordedSizing::read_each(const Error& why_not_one, SizingReport& report) {
  const std::vector<std::string> files = files_of(options_.paths);
  if (files.size() < 2) {
    return std::unexpected(why_not_one);
  }
  Error last = why_not_one;
  for (std::size_t i = 0; i < std::min(files.size(), kMaxFiles) && !stop_requested(); ++i) {
    auto reader = RecordingReader::open(files[i]);
    Result<void> done = reader ? read_one(std::move(*reader), report) : std::unexpected(reader.error());
    if (!done) {
      last = done.error();
      damaged_ = true;
      add_once(report.gaps, "not read: " + last.message());
    }
  }
  if (report.recordings == 0) {
    return std::unexpected(last);
  }
  if (files.size() > kMaxFiles) {
    report.gaps.push_back("only the first " + std::to_string(kMaxFiles) + " recordings were read");
  }
  report.notes.push_back(std::to_string(report.recordings) +
                         " recordings that are not one: what several of them saw counts more than once");
  return {};
}

Result<void> RecordedSizing::read_one(RecordingReader reader, SizingReport& report) {
  auto cgroups = cgroups_of(reader);
  if (!cgroups) {
    return std::unexpected(cgroups.error());
  }
  cgroups_.emplace(std::move(*cgroups));
  const AddressNames frames;
  SizingExport sizing(book_);
  RecordingFeed feed(sizing, *cgroups_, options_.filter, frames);
  const auto& meta = reader.meta();
  if (meta.contains("continues") || meta.contains("excerpt_before_ns")) {
    feed.begin_with_loss();
  }
  const RecordingPass passed = pass_items(reader, feed, [] { return !stop_requested(); });
  ExportEnd end = end_of(reader, passed.damage);
  if (stop_requested()) {
    end.gaps.emplace_back("reading was stopped before the end");
  }
  if (meta.contains("excerpt_before_ns")) {
    add_once(report.gaps, "percentiles hold for the time around incidents alone, not for the whole");
  }
  feed.finish(end);
  for (const ExportedCgroup& one : cgroups_->all()) {
    book_.listed(one);
  }
  damaged_ = damaged_ || passed.damage.has_value();
  ++report.recordings;
  add_losses(report.lost, end.lost);
  for (std::string& gap : end.gaps) {
    add_once(report.gaps, std::move(gap));
  }
  for (std::string& note : end.notes) {
    add_once(report.notes, std::move(note));
  }
  const auto value = [&](const char* key) {
    const auto found = meta.find(key);
    return found == meta.end() ? std::string() : found->second;
  };
  const auto settings = settings_of(meta);
  add_tier(report, value("charge_tier"), settings && settings->falls_are_seen);
  report.host = report.recordings == 1 || report.host == value("host_name") ? value("host_name") : "several hosts";
  if (const auto begin = sizing.begin_unix_ns()) {
    report.begin_unix_ns = std::min(report.begin_unix_ns.value_or(*begin), *begin);
  }
  if (const auto last = sizing.end_unix_ns()) {
    report.end_unix_ns = std::max(report.end_unix_ns.value_or(*last), *last);
  }
  return {};
}

struct LiveFailure {
  Error error;
  int exit_code = kExitFailure;
};

// Containers that grew by no step meanwhile: they are there, and that is all that is known.
void list_idle(Session& session, const CgroupTree& tree, SizingBook& book) {
  const auto entries = tree.scan();
  const auto deadline = std::chrono::steady_clock::now() + kLastNames;
  for (const ListedCgroup& one : list_cgroups(entries, false, [](const std::string&) { return false; })) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    const Identity identity = session.resolver().wait(one.cgroup.id, std::max(left, std::chrono::milliseconds(0)));
    if (!identity.known) {
      continue;
    }
    ExportedCgroup cgroup{.cgroup_id = one.cgroup.id,
                          .serial = 0,
                          .path = identity.cgroup.path,
                          .container = identity.container,
                          .label = {}};
    cgroup.label = label_of(cgroup);
    book.listed(cgroup);
  }
}

void observe(Session& session, std::chrono::nanoseconds longest) {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + longest;
  while (!stop_requested()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - steady_clock::now());
    if (left <= std::chrono::milliseconds(0) ||
        session.collector().turn(std::min(left, std::chrono::milliseconds(100))) == EventSource::Status::kEnd) {
      break;
    }
  }
  ignore_result(session.collector().turn(std::chrono::milliseconds(0)));
}

std::expected<void, LiveFailure> observe_machine(const AdviseOptions& options, LiveSizing& live, SizingReport& report) {
  const auto tree = CgroupTree::open(SystemRoot{});
  if (!tree) {
    return std::unexpected(LiveFailure{tree.error(), kExitUnsupported});
  }
  SessionHooks hooks;
  hooks.sink = [&live] { return std::make_unique<SizingSink>(live); };
  auto session = Session::open(options.trace, *tree, [](const Incident&) {}, {}, hooks);
  if (!session) {
    return std::unexpected(LiveFailure{session.error().error, session.error().exit_code});
  }
  const Features& features = (*session)->features();
  spdlog::info("watching · {} · cgroup v{} · for {}; Ctrl-C ends it early", describe_tiers(features), tree->version(),
               format_duration(*options.live));
  observe(**session, *options.live);
  ignore_result((*session)->finish());
  list_idle(**session, *tree, live.book);
  report.live = true;
  report.lost = live.lost;
  const Tier& charge = features.charge;
  add_tier(report, charge.name,
           charge.uses("on_page_counter_uncharge") || charge.uses("on_page_counter_uncharge_kprobe"));
  if (live.first && live.last) {
    report.begin_unix_ns = live.first->unix_ns;
    report.end_unix_ns = live.last->unix_ns;
  }
  return {};
}

void conclude(SizingReport& report, SizingBook& book, const AdviseOptions& options) {
  std::uint64_t suppressed = 0;
  bool rounded = false;
  for (SizedUsage& usage : book.take()) {
    suppressed += usage.suppressed;
    rounded = rounded || usage.peaks.grain() > 1;
    report.sizings.push_back(judge_size(std::move(usage), options.sizing));
  }
  sort_by_urgency(report.sizings);
  report.left_out = book.left_out();
  if (report.left_out > 0) {
    report.gaps.push_back("there was no room for all cgroups: " + std::to_string(report.left_out) +
                          " steps or cgroups were left out");
  }
  if (report.lost != LossCount{}) {
    report.gaps.emplace_back("records were lost: percentiles may be too low, the kernel's mark is not");
  }
  if (suppressed > 0) {
    report.notes.push_back(std::to_string(suppressed) + " steps were left out by the rate limit");
  }
  if (rounded) {
    report.notes.emplace_back("percentiles of many different values are rounded up, by less than 1 % of the peak");
  }
  if (const std::string filter = describe(options.filter); !filter.empty()) {
    report.notes.push_back("shown is what matches " + filter);
  }
}

std::string rendered(const SizingReport& report, AdviseFormat format) {
  switch (format) {
    case AdviseFormat::kText: {
      const Terminal terminal = terminal_of_stdout();
      return to_text(report, {terminal.color, terminal.columns});
    }
    case AdviseFormat::kJson:
      return to_json(report) + "\n";
    case AdviseFormat::kDocker:
      return to_lines(report, LineFormat::kDocker);
    case AdviseFormat::kCompose:
      return to_lines(report, LineFormat::kCompose);
    case AdviseFormat::kKubernetes:
      return to_lines(report, LineFormat::kKubernetes);
  }
  return {};
}

int tell(SizingReport& report, SizingBook& book, const AdviseOptions& options) {
  report.settings = options.sizing;
  conclude(report, book, options);
  std::cout << rendered(report, options.format) << std::flush;
  spdlog::info("{} containers; lost: {}", report.sizings.size(), describe(report.lost));
  if (!std::cout) {
    spdlog::error("standard output could not be written");
    return kExitOutput;
  }
  return kExitOk;
}

int failed(const Error& error, int code) {
  spdlog::error("{}", escape_terminal(error.message()));
  return code;
}

}  // namespace

int advise(const AdviseOptions& options) {
  install_stop_signals();
  SizingReport report;
  if (options.live) {
    LiveSizing live(options.sizing, options.filter);
    if (auto done = observe_machine(options, live, report); !done) {
      return failed(done.error().error, done.error().exit_code);
    }
    return tell(report, live.book, options);
  }
  RecordedSizing recorded(options);
  if (auto done = recorded.read(report); !done) {
    return failed(done.error(), kExitFailure);
  }
  const int code = tell(report, recorded.book(), options);
  return code == kExitOk && recorded.damaged() ? kExitFailure : code;
}

}  // namespace memcrest
