// SPDX-License-Identifier: Apache-2.0
// `memcrest replay`: a recording's events through the same detectors, its incidents to stdout as watch prints them.
#include "store/replay.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iostream>

#include "app/exit_codes.h"
#include "app/loss_text.h"
#include "app/recorded_settings.h"
#include "app/signals.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "export/json.h"
#include "identity/container_filter.h"
#include "util/text.h"
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
  [[nodiscard]] int fail(const Error& error) const;
  void summary(const RecordingReader& reader, const Replay& replay, const LossCount& lost) const;

  const ReplayOptions& options_;
  TextStyle style_;
  std::vector<RecordedIncident> found_;
};

void ReplayVerb::tell(const Incident& incident) {
  std::string json = to_json(incident);
  if (matches(options_.filter, incident.container, incident.cgroup.path)) {
    std::cout << (options_.json ? json + "\n" : to_text(incident, style_)) << std::flush;
  }
  found_.push_back({incident.id, incident.update, std::move(json)});
}

int ReplayVerb::fail(const Error& error) const {
  spdlog::error("{}", escape_terminal(error.message()));
  return kExitFailure;
}

void ReplayVerb::summary(const RecordingReader& reader, const Replay& replay, const LossCount& lost) const {
  std::size_t same = 0;
  for (std::size_t i = 0; i < std::min(found_.size(), replay.recorded().size()); ++i) {
    same += found_[i].json == replay.recorded()[i].json ? 1 : 0;
  }
  spdlog::info("replayed {}: {} incidents, {} of them byte for byte as recorded; lost: {}",
               escape_terminal(options_.path), found_.size(), same, describe(lost));
  const auto& meta = reader.meta();
  if (!reader.ended()) {
    spdlog::warn("the recording has no end: its writer was killed, or still writes");
  } else if (meta.at("ended") != "whole") {
    spdlog::warn("the recording ended early: {}", escape_terminal(meta.at("ended")));
  }
  if (meta.contains("continues")) {
    spdlog::warn("it continues {}: what began there may look different here", escape_terminal(meta.at("continues")));
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
  auto reader = RecordingReader::open(options_.path);
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
  Replay replay(*reader);
  Collector collector(replay, replay, *settings, [this](const Incident& incident) { tell(incident); });
  while (!replay.at_end() && !stop_requested() && std::cout) {
    ignore_result(collector.turn(std::chrono::milliseconds(0)));
  }
  collector.finish();
  ignore_result(replay.at_end());  // passes the incidents that finish() made in the recording
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
