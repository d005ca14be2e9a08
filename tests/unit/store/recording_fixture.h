// SPDX-License-Identifier: Apache-2.0
// A directory for recordings, and what one holds.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "store/recording_directory.h"
#include "store/recording_reader.h"
#include "support/event_builder.h"
#include "support/fake_cgroups.h"

namespace memcrest::testing_support {

struct Contents {
  std::vector<StepEvent> steps;
  std::vector<SampleEvent> samples;
  std::vector<Event> others;
  std::vector<std::string> incidents;  // ids
  std::vector<LossCount> losses;
  std::vector<std::string> questions;
  std::map<std::string, std::string> meta;
  std::vector<RecordedCgroup> cgroups;
};

inline Contents read_recording(const std::string& path) {
  Contents out;
  auto reader = RecordingReader::open(path);
  if (!reader) {
    ADD_FAILURE() << reader.error().message();
    return out;
  }
  for (auto item = reader->next(); item && *item; item = reader->next()) {
    if (const auto* event = std::get_if<Event>(&**item)) {
      if (const auto* step = std::get_if<StepEvent>(event)) {
        out.steps.push_back(*step);
      } else {
        out.others.push_back(*event);
      }
    } else if (const auto* sampled = std::get_if<RecordingReader::Sampled>(&**item)) {
      out.samples.push_back(sampled->sample);
    } else if (const auto* incident = std::get_if<RecordedIncident>(&**item)) {
      out.incidents.push_back(incident->id);
    } else if (const auto* loss = std::get_if<LossCount>(&**item)) {
      out.losses.push_back(*loss);
    } else if (const auto* answer = std::get_if<Answer>(&**item)) {
      out.questions.push_back(answer->question);
    }
  }
  out.meta = reader->meta();
  out.cgroups = reader->cgroups().value_or(std::vector<RecordedCgroup>());
  return out;
}

class RecordingDirectoryFixture : public testing::Test {
 protected:
  static constexpr std::int64_t kNow = 1'795'000'000'000'000'000;  // 2026-11-18
  std::string path() const { return dir_.path() + "/recordings"; }
  std::unique_ptr<RecordingDirectory> open(const Retention& retention = {}) const {
    auto out = RecordingDirectory::open(path(), retention);
    EXPECT_TRUE(out) << out.error().message();
    return std::move(*out);
  }
  // Oldest first, whole paths.
  std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(path())) {
      out.push_back(entry.path());
    }
    std::ranges::sort(out);
    return out;
  }
  TempDir dir_;
  RecordingSettings file_{.min_free_bytes = 0};
};

}  // namespace memcrest::testing_support
