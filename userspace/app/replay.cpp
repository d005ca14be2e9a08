// SPDX-License-Identifier: Apache-2.0
// `memcrest replay`: a recording's events through the same detectors, its incidents to stdout as watch prints them.
#include "store/replay.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <set>

#include "app/exit_codes.h"
#include "app/recorded_settings.h"
#include "app/signals.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "export/json.h"
#include "identity/container_filter.h"
#include "util/text.h"
#include "view/loss_text.h"
#include "view/text.h"

namespace memcrest {
namespace {

class ReplayVerb {
 public:
  explicit ReplayVerb(const ReplayOptions& options) : options_(options) {
    const Terminal terminal = terminal_of_stdout();
    style_.color = terminal.color;
    style_.columns = terminal.columns.value_or(style_.columns);
  }
  int run();

 private:
  void tell(const Incident& incident);
  void compare(Replay& replay);
  [[nodiscard]] int fail(const Error& error) const;
  void summary(const RecordingReader& reader, const Replay& replay, const LossCount& lost) const;

  const ReplayOptions& options_;
  TextStyle style_;
  // By id and update: a hash of its JSON.
  std::map<std::string, std::size_t> found_;
  std::map<std::string, std::size_t> recorded_;
  std::optional<std::set<std::string>> only_;
};

void ReplayVerb::tell(const Incident& incident) {
  const std::string key = incident.id + ' ' + incident.update;
  if (only_ && !only_->contains(key)) {
    return;  // of somebody whom the recording's filter left out
  }
  const std::string json = to_json(incident);
  if (matches(options_.filter, incident.container, incident.cgroup.path)) {
    std::cout << (options_.json ? json + "\n" : to_text(incident, style_)) << std::flush;
  }
  found_.insert_or_assign(key, std::hash<std::string>()(json));
}

// What the recording says that was found.
void ReplayVerb::compare(Replay& replay) {
  for (const RecordedIncident& one : replay.recorded()) {
    recorded_.insert_or_assign(one.id + ' ' + one.update, std::hash<std::string>()(one.json));
  }
  replay.forget_recorded();
}

int ReplayVerb::fail(const Error& error) const {
  spdlog::error("{}", escape_terminal(error.message()));
  return kExitFailure;
}

void ReplayVerb::summary(const RecordingReader& reader, const Replay& replay, const LossCount& lost) const {
  const auto same = std::ranges::count_if(found_, [&](const auto& one) {
    const auto recorded = recorded_.find(one.first);
    return recorded != recorded_.end() && recorded->second == one.second;
  });
  spdlog::info("replayed {}: {} incidents, {} of them byte for byte as recorded; lost: {}",
               escape_terminal(options_.path), found_.size(), same, describe(lost));
  const auto missing = std::ranges::count_if(recorded_, [&](const auto& one) { return !found_.contains(one.first); });
  if (missing > 0) {
    spdlog::warn("{} incidents that the recording holds were not found again", missing);
  }
  const auto& meta = reader.meta();
  if (!reader.ended()) {
    spdlog::warn("the recording has no end: its writer was killed, or still writes");
  } else if (meta.at("ended") != "whole") {
    spdlog::warn("the recording ended early: {}", escape_terminal(meta.at("ended")));
  }
  if (meta.contains("continues")) {
    spdlog::warn("it continues {}: what began there may look different here", escape_terminal(meta.at("continues")));
  }
  if (meta.contains("continued_by")) {
    spdlog::warn("it goes on in {}: what had begun is told there", escape_terminal(meta.at("continued_by")));
  }
  if (meta.contains("filter")) {
    spdlog::info("it holds what matches: {}", escape_terminal(meta.at("filter")));
  }
  if (meta.contains("unrecorded")) {
    spdlog::warn("{} items were left out of the recording", escape_terminal(meta.at("unrecorded")));
  }
  if (replay.unanswered() > 0) {
    spdlog::warn("{} questions have no answer in the recording: it was made by another version, or has a gap",
                 replay.unanswered());
  }
}

int ReplayVerb::run() {
  auto reader = RecordingReader::open(options_.path, options_.more);
  if (!reader) {
    return fail(reader.error());
  }
  if (reader->meta().contains("excerpt_before_ns")) {
    return fail({"replay", options_.path, 0,
                 "it holds only the time around incidents, too little to find them again; they are in it: "
                 "memcrest report"});
  }
  const auto settings = settings_of(reader->meta());
  if (!settings) {
    return fail(settings.error());
  }
  if (reader->meta().contains("filter")) {
    auto keys = reader->incident_keys();
    if (!keys) {
      return fail(keys.error());
    }
    only_.emplace(keys->begin(), keys->end());
  }
  Replay replay(*reader);
  Collector collector(replay, replay, *settings, [this](const Incident& incident) { tell(incident); });
  while (!replay.at_end() && !stop_requested() && std::cout) {
    ignore_result(collector.turn(std::chrono::milliseconds(0)));
    compare(replay);
  }
  // What is open at the end of a file that goes on in the next is told there.
  if (!reader->meta().contains("continued_by")) {
    collector.finish();
  }
  ignore_result(replay.at_end());  // passes the incidents that finish() made in the recording
  compare(replay);
  if (replay.error()) {
    spdlog::error("{}", escape_terminal(replay.error()->message()));
  }
  summary(*reader, replay, collector.loss());
  if (!std::cout) {
    spdlog::error("standard output could not be written");
    return kExitOutput;
  }
  return replay.error() ? kExitFailure : kExitOk;
}

}  // namespace

int replay(const ReplayOptions& options) {
  install_stop_signals();
  return ReplayVerb(options).run();
}

}  // namespace memcrest
