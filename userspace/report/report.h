// SPDX-License-Identifier: Apache-2.0
// What a recording has to tell, read once and ready to be shown in any format. The recorded incidents are the truth: a
// recording may be an excerpt that cannot be replayed. Everything in it may come from anybody. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "identity/container_filter.h"
#include "memcrest/event.h"
#include "memcrest/incident.h"
#include "report/growth.h"
#include "report/series.h"
#include "store/recording_reader.h"
#include "util/result.h"

namespace memcrest {

struct ReportRequest {
  std::string path;               // a recording, or a directory that holds one in several files
  std::vector<std::string> more;  // files that continue it
  std::string incident;           // an incident's id, or its start if only one has it; empty: all
  ContainerFilter filter;
  bool details = false;  // with what takes a pass over all that was recorded
};

// The recording itself.
struct RecordingFacts {
  std::string file;  // its name, without the directory
  std::string memcrest_version;
  Host host;
  std::string charge_tier;
  std::string oom_tier;
  RecordingSummary summary;
  std::optional<std::string> ended;  // "whole", or why it ended early; nullopt: it has no end
  std::vector<std::string> notes;    // in words: what it was meant to hold, where that is not everything
  bool damaged = false;              // it could not be read to its end
  std::vector<std::string> gaps;     // in words: what is known to be missing
};

// One cgroup's usage over the whole recording.
struct Track {
  std::uint64_t cgroup_id = 0;
  std::string path;
  Series series;
  // When its limit was told, and what: nullopt, none. At most 256.
  std::vector<std::pair<std::uint64_t, std::optional<std::uint64_t>>> limits;
};

struct IncidentDetail {
  std::optional<std::size_t> track;    // of its cgroup, in Report::tracks
  std::vector<std::size_t> ancestors;  // innermost first
  std::optional<Series> window;        // every point around it, where the track had to leave some out
  std::uint64_t growth_from_ns = 0;    // what `growth` counts, since boot
  std::uint64_t growth_to_ns = 0;
  GrowthTree growth;
  MemcgChain chain;               // as it stood at the kill; empty: not known
  std::vector<LogTask> tasks;     // all that the kernel log listed at the kill, at most 1024
  std::uint64_t total_tasks = 0;  // more than tasks.size() where some were left out
};

struct ReportedIncident {
  std::string id;
  std::string json;  // as it was told last: one line that is valid JSON and nothing more; empty: it was not
  Incident incident;
  std::string unreadable;  // why `incident` holds nothing; empty: it does
  std::uint64_t told = 1;  // how often; later ones know more
  IncidentDetail detail;
};

struct Report {
  RecordingFacts recording;
  std::vector<ReportedIncident> incidents;  // in the order of their first telling
  std::uint64_t filtered = 0;               // not of the request
  std::uint64_t left_out = 0;               // beyond kMaxIncidents
  std::vector<Track> tracks;
};

inline constexpr std::size_t kMaxIncidents = 500;
inline constexpr std::size_t kMaxPoints = 200'000;  // of one cgroup

// Errors: no such file, no recording, no such incident. What is damaged further inside is a gap of the report.
[[nodiscard]] Result<Report> read_report(const ReportRequest& request);

}  // namespace memcrest
