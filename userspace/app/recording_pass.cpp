// SPDX-License-Identifier: Apache-2.0
#include "app/recording_pass.h"

#include <utility>

namespace memcrest {

RecordingPass pass_items(RecordingReader& reader, RecordingFeed& feed, const std::function<bool()>& go_on) {
  RecordingPass out;
  while (go_on()) {
    auto item = reader.next();
    if (!item) {
      out.damage = item.error();
      return out;
    }
    if (!*item) {
      return out;
    }
    ++out.items;
    if (auto* event = std::get_if<Event>(&**item)) {
      feed.add(std::move(*event));
    } else if (const auto* sampled = std::get_if<RecordingReader::Sampled>(&**item)) {
      feed.add(Event(sampled->sample));
    } else if (const auto* moment = std::get_if<Moment>(&**item)) {
      feed.add(*moment);
    } else if (const auto* loss = std::get_if<LossCount>(&**item)) {
      feed.add(*loss);
    } else if (auto* incident = std::get_if<RecordedIncident>(&**item)) {
      feed.add_incident(std::move(incident->json));
    }
  }
  return out;
}

ExportEnd end_of(const RecordingReader& reader, const std::optional<Error>& damage) {
  ExportEnd end;
  const auto& meta = reader.meta();
  if (damage) {
    end.gaps.push_back("the recording could not be read to its end: " + damage->message());
  }
  if (!reader.ended()) {
    end.gaps.emplace_back("the recording has no end: its writer was killed, or still writes");
  } else if (meta.at("ended") != "whole") {
    end.gaps.push_back("the recording ended early: " + meta.at("ended"));
  }
  if (meta.contains("excerpt_before_ns")) {
    end.gaps.emplace_back("the recording is an excerpt: it holds what was seen around incidents");
  }
  if (meta.contains("excerpt_cut_until_boot_ns")) {
    end.gaps.emplace_back("there was no memory for all that was seen before an incident: its first part is missing");
  }
  if (const auto left_out = meta.find("unrecorded"); left_out != meta.end()) {
    end.gaps.push_back(left_out->second + " items were left out of the recording");
  }
  for (const auto& [key, words] :
       {std::pair("filter", "it holds what matches: "), std::pair("continues", "it continues "),
        std::pair("continued_by", "it goes on in ")}) {
    if (const auto found = meta.find(key); found != meta.end()) {
      end.notes.push_back(words + found->second);
    }
  }
  return end;
}

}  // namespace memcrest
