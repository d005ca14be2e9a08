// SPDX-License-Identifier: Apache-2.0
#include "report/report.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

#include "export/incident_reader.h"
#include "report/detail.h"
#include "report/recorded_names.h"
#include "util/text.h"
#include "util/units.h"
#include "view/loss_text.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxJson = 4U << 20U;
constexpr std::size_t kMaxNamed = 20;  // ids in an error
constexpr std::size_t kMaxAllJson = 64U << 20U;

std::string value_of(const std::map<std::string, std::string>& meta, const char* key) {
  const auto found = meta.find(key);
  return found == meta.end() ? std::string() : found->second;
}

// What a number of nanoseconds in `meta` says, in words; it may be any text.
std::string time_words(const std::string& ns) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(ns.data(), ns.data() + ns.size(), value);
  return error == std::errc{} && end == ns.data() + ns.size() && value >= 0
             ? format_duration(std::chrono::nanoseconds(value))
             : "\"" + ns + "\"";
}

void add_notes(RecordingFacts& out, const std::map<std::string, std::string>& meta) {
  if (meta.contains("excerpt_before_ns")) {
    out.notes.push_back("an excerpt: of each incident's cgroup " + time_words(value_of(meta, "excerpt_before_ns")) +
                        " before it and " + time_words(value_of(meta, "excerpt_after_ns")) + " after it");
  }
  if (meta.contains("excerpt_cut_until_boot_ns")) {
    out.gaps.emplace_back("the oldest part of the excerpt had already been given up for want of memory");
  }
  if (meta.contains("continues")) {
    out.notes.push_back("it continues " + value_of(meta, "continues"));
  }
  if (meta.contains("continued_by")) {
    out.notes.push_back("it goes on in " + value_of(meta, "continued_by"));
  }
  if (meta.contains("filter")) {
    out.notes.push_back("it holds what matches: " + value_of(meta, "filter"));
  }
}

RecordingFacts facts_of(const std::string& path, const RecordingReader& reader, const RecordingSummary& summary) {
  const auto& meta = reader.meta();
  RecordingFacts out;
  out.file = path.substr(path.find_last_of('/') + 1);
  out.memcrest_version = value_of(meta, "memcrest_version");
  out.host = {value_of(meta, "host_name"), value_of(meta, "kernel"), value_of(meta, "boot_id")};
  out.charge_tier = value_of(meta, "charge_tier");
  out.oom_tier = value_of(meta, "oom_tier");
  out.summary = summary;
  if (reader.ended()) {
    out.ended = value_of(meta, "ended");
  }
  add_notes(out, meta);
  if (auto words = words_of_missing_names(reader); !words.empty()) {
    out.notes.push_back(std::move(words));
  }
  if (!out.ended) {
    out.gaps.emplace_back("the recording has no end: its writer was killed, or still writes");
  } else if (*out.ended != "whole") {
    out.gaps.push_back("the recording ended early: " + *out.ended);
  }
  if (summary.lost != LossCount{}) {
    out.gaps.push_back("lost before it was recorded: " + describe(summary.lost));
  }
  const std::string unrecorded = value_of(meta, "unrecorded");
  if (summary.unrecorded > 0 || !unrecorded.empty()) {
    out.gaps.push_back((unrecorded.empty() ? std::to_string(summary.unrecorded) : unrecorded) +
                       " items were left out of the recording");
  }
  return out;
}

constexpr std::size_t kMaxPassed = 65536;

// What the recording tells of incidents, later tellings in the place of earlier ones.
class Incidents {
 public:
  Incidents(const ReportRequest& request, Report& report) : request_(request), report_(report) {}
  void take(RecordedIncident told);
  // An error when the one that was asked for is none of them, or not one alone.
  [[nodiscard]] Result<void> finish() const;

 private:
  [[nodiscard]] bool wanted(const std::string& id) {
    return request_.incident.empty() || id.starts_with(request_.incident);
  }
  void name(const std::string& id);
  void pass_over(const std::string& id) {
    report_.filtered += passed_.size() >= kMaxPassed || passed_.insert(id).second ? 1 : 0;
  }

  const ReportRequest& request_;
  Report& report_;
  std::unordered_map<std::string, std::size_t> index_;
  std::size_t bytes_ = 0;
  std::vector<std::string> names_;          // of ids, for an error
  std::unordered_set<std::string> passed_;  // not asked for: each counts once, however often it is told
  std::uint64_t unnamed_ = 0;
};

void Incidents::name(const std::string& id) {
  if (std::ranges::find(names_, id) != names_.end()) {
    return;
  }
  if (names_.size() < kMaxNamed) {
    names_.push_back(id);
  } else {
    ++unnamed_;
  }
}

void Incidents::take(RecordedIncident told) {
  name(told.id);
  if (!wanted(told.id)) {
    pass_over(told.id);
    return;
  }
  ReportedIncident one;
  one.id = told.id;
  auto read = told.json.empty() ? Result<Incident>(fail("read an incident", {}, EFBIG, "it is larger than 4 MiB"))
                                : incident_from_json(told.json);
  if (read) {
    one.incident = std::move(*read);
    one.json = clean_json_line(told.json).value_or("");
    if (!matches(request_.filter, one.incident.container, one.incident.cgroup.path)) {
      pass_over(told.id);
      return;
    }
  } else {
    one.unreadable = read.error().message();
  }
  const auto found = index_.find(told.id);
  if (found != index_.end()) {
    ReportedIncident& known = report_.incidents[found->second];
    one.told = known.told + 1;
    const std::size_t bytes = bytes_ - known.json.size() + one.json.size();
    if ((one.unreadable.empty() || !known.unreadable.empty()) && bytes <= kMaxAllJson) {
      bytes_ = bytes;
      known = std::move(one);
    } else {
      known.told = one.told;
    }
    return;
  }
  if (report_.incidents.size() >= kMaxIncidents || bytes_ + one.json.size() > kMaxAllJson) {
    ++report_.left_out;
    return;
  }
  bytes_ += one.json.size();
  index_.emplace(told.id, report_.incidents.size());
  report_.incidents.push_back(std::move(one));
}

Result<void> Incidents::finish() const {
  if (request_.incident.empty()) {
    return {};
  }
  const auto exact = std::ranges::find(report_.incidents, request_.incident, &ReportedIncident::id);
  if (exact != report_.incidents.end()) {
    ReportedIncident only = std::move(*exact);
    report_.filtered += report_.incidents.size() - 1;
    report_.incidents.clear();
    report_.incidents.push_back(std::move(only));
    return {};
  }
  if (report_.incidents.size() + report_.left_out == 1) {
    return {};
  }
  std::string known;
  for (const std::string& id : names_) {
    if (report_.incidents.empty() || id.starts_with(request_.incident)) {
      known += (known.empty() ? " " : ", ") + id;
    }
  }
  if (unnamed_ > 0) {
    known += " and " + std::to_string(unnamed_) + " more";
  }
  const char* what = report_.incidents.empty() ? "no incident of the recording has this id; there are:"
                                               : "more than one incident begins like this:";
  return fail("report incident", request_.incident, 0, known.empty() ? "the recording has no incidents" : what + known);
}

}  // namespace

Result<Report> read_report(const ReportRequest& request) {
  auto reader = RecordingReader::open(request.path, request.more);
  if (!reader) {
    return std::unexpected(reader.error());
  }
  const auto summary = reader->summary();
  if (!summary) {
    return std::unexpected(summary.error());
  }
  Report report;
  report.recording = facts_of(reader->path(), *reader, *summary);
  Incidents incidents(request, report);
  const auto damage = [&](const Error& error) {
    report.recording.damaged = true;
    report.recording.gaps.push_back("the recording is damaged: " + error.message());
  };
  if (auto read = reader->each_incident(kMaxJson, [&](RecordedIncident told) { incidents.take(std::move(told)); });
      !read) {
    damage(read.error());
  }
  if (auto right = incidents.finish(); !right) {
    return std::unexpected(right.error());
  }
  if (request.details) {
    if (auto read = read_details(*reader, report); !read) {
      damage(read.error());
    }
  }
  return report;
}

}  // namespace memcrest
