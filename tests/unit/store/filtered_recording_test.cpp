// SPDX-License-Identifier: Apache-2.0
#include "store/filtered_recording.h"

#include <gmock/gmock.h>

#include "recording_fixture.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class FilteredRecordingTest : public RecordingDirectoryFixture {
 protected:
  FilteredRecordingTest() {
    auto writer = RecordingWriter::create(file(), file_, {});
    EXPECT_TRUE(writer) << writer.error().message();
    recording_.emplace(std::move(*writer),
                       [](const CgroupRef&, const Container& container) { return container.name == "web"; });
  }
  std::string file() const { return dir_.path() + "/a.db"; }
  void name(std::uint64_t id, const std::string& path, const std::string& name = "") {
    Container container;
    container.name = name;
    container.id = name;
    recording_->add(CgroupRef{id, path}, container);
  }
  void step(std::uint64_t cgroup) { events_.emplace_back(StepBuilder(cgroup).up(1_ms, 5_MiB)); }
  Contents end() {
    EXPECT_TRUE(recording_->finish());
    return read_recording(file());
  }
  static std::vector<std::uint64_t> ids(const Contents& contents) {
    std::vector<std::uint64_t> out;
    for (const StepEvent& step : contents.steps) {
      out.push_back(step.cgroup_id);
    }
    return out;
  }
  std::optional<FilteredRecording> recording_;
  std::vector<Event> events_;
};

TEST_F(FilteredRecordingTest, WhatIsWantedAndWhatIsAboveIt) {
  name(7, "/pods/a/web", "web");
  name(8, "/pods/a/db", "db");
  name(2, "/pods/a");
  name(1, "/");
  name(3, "/podium");
  for (const std::uint64_t id : {7U, 8U, 2U, 1U, 3U, 7U, 9U}) {
    step(id);
  }
  recording_->add(events_);
  EXPECT_THAT(ids(end()), ElementsAre(7, 2, 1, 7, 9)) << "9 has no name yet";
}

TEST_F(FilteredRecordingTest, ANameThatComesLaterDecides) {
  step(8);
  recording_->add(events_);
  name(8, "/pods/a/db", "db");
  recording_->add(events_);
  const Contents found = end();
  EXPECT_THAT(ids(found), ElementsAre(8));
  ASSERT_THAT(found.cgroups, SizeIs(1));
  EXPECT_EQ(found.cgroups[0].path, "/pods/a/db") << "what is there is named";
  EXPECT_EQ(found.cgroups[0].container, std::nullopt);
}

TEST_F(FilteredRecordingTest, OtherEventsStay) {
  name(8, "/pods/a/db", "db");
  ExitEvent exit;
  exit.task = task(10, "hog", 8);
  recording_->add(std::vector<Event>{exit, sample(1, 2, 8)});
  const SampleEvent samples[] = {sample(1, 2, 8), sample(1, 2, 9)};
  recording_->add(std::span(samples));
  const Contents found = end();
  EXPECT_THAT(found.others, SizeIs(1));
  ASSERT_THAT(found.samples, SizeIs(1));
  EXPECT_EQ(found.samples[0].cgroup_id, 9U);
}

TEST_F(FilteredRecordingTest, IncidentsOfOthersAreLeftOut) {
  Incident web;
  web.id = "web";
  web.container.name = "web";
  Incident db;
  db.id = "db";
  db.container.name = "db";
  recording_->add(web, "{}");
  recording_->add(db, "{}");
  EXPECT_THAT(end().incidents, ElementsAre("web"));
}

}  // namespace
}  // namespace memcrest
