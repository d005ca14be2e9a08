// SPDX-License-Identifier: Apache-2.0
// A collector's session is recorded, and played to another collector: the incidents must be the same to the byte.
#include "store/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "export/json.h"
#include "store/recorder.h"
#include "support/collector_fixture.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class ReplayTest : public CollectorFixture {
 protected:
  std::string file() const { return dir_.path() + "/a.memcrest"; }

  // The fixture's collector, with the recorder between it and the machine.
  void record() {
    auto writer = RecordingWriter::create(file(), {.min_free_bytes = 0}, {});
    ASSERT_TRUE(writer) << writer.error().message();
    writer_ = std::move(*writer);
    ignore_result(collector());  // makes what it stands on
    recording_source_.emplace(source_, *writer_);
    recording_around_.emplace(*around_, *writer_);
    collector_.emplace(*recording_source_, *recording_around_, settings_, [this](const Incident& incident) {
      incidents_.push_back(incident);
      writer_->add(incident, to_json(incident));
    });
  }
  void end_recording() {
    recording_around_->end();
    collector().finish();
    ASSERT_TRUE(writer_->finish());
    EXPECT_EQ(writer_->status().unrecorded, 0U);
  }
  std::vector<std::string> told() const {
    std::vector<std::string> out;
    for (const Incident& one : incidents_) {
      out.push_back(to_json(one));
    }
    return out;
  }
  std::vector<std::string> replayed() {
    auto reader = RecordingReader::open(file());
    EXPECT_TRUE(reader) << reader.error().message();
    Replay replay(*reader);
    std::vector<std::string> out;
    Collector again(replay, replay, settings_, [&](const Incident& incident) { out.push_back(to_json(incident)); });
    while (!replay.at_end()) {
      ignore_result(again.turn(milliseconds(0)));
    }
    again.finish();
    EXPECT_TRUE(replay.at_end());
    EXPECT_FALSE(replay.error()) << replay.error()->message();
    EXPECT_EQ(replay.unanswered(), 0U);
    std::vector<std::string> recorded;
    for (const RecordedIncident& one : replay.recorded()) {
      recorded.push_back(one.json);
    }
    EXPECT_EQ(recorded, out) << "and the recording holds them as well";
    return out;
  }

  std::unique_ptr<RecordingWriter> writer_;
  std::optional<RecordingSource> recording_source_;
  std::optional<RecordingSurroundings> recording_around_;
};

TEST_F(ReplayTest, AnOomInANamedContainer) {
  daemon_knows({{id_of('a'), "web", "my-app:latest"}});
  record();
  const Box web = box("/docker/" + id_of('a'), 64_MiB);
  tell(created(web, 1000_ms));
  tell(exec(web, 1001_ms, std::string("hog\0--token\0x\xff\0", 15)));
  rise(web, 1100_ms, 64);
  tell(chosen(web, 1164_ms));
  tell(killed(web, 1164_ms));
  tell(removed(web, 1190_ms));
  run_until(2300_ms);
  end_recording();
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].container.name, "web");
  EXPECT_THAT(replayed(), ElementsAreArray(told()));
}

// Names are asked for until they are there: a replay goes the same way, without the processes.
TEST_F(ReplayTest, KindsAndStacks) {
  record();
  const Box job = box("/job", 1_GiB);
  tell(created(job, 1000_ms));
  const std::size_t first = source_.events.size();
  rise(job, 1100_ms, 64);
  for (std::size_t i = first; i < source_.events.size(); ++i) {
    auto& step = std::get<StepEvent>(source_.events[i]);
    step.kind = i % 8 == 0 ? MemoryKind::kSlab : MemoryKind::kHugePage;
    step.user_stack = {0x1000 + i % 3, 0x2000};
    step.kernel_stack = {0xffffffff81000000 + i % 2};
  }
  fall(job, 1200_ms, 64);
  run_until(4000_ms);
  end_recording();
  ASSERT_THAT(incidents_, SizeIs(1));
  ASSERT_TRUE(incidents_[0].burst);
  EXPECT_EQ(incidents_[0].burst->kinds.at(0).kind, MemoryKind::kHugePage);
  EXPECT_EQ(incidents_[0].burst->programs.size(), 1U);
  EXPECT_THAT(incidents_[0].evidence.gaps, testing::Contains(testing::HasSubstr("have no names")));
  EXPECT_THAT(replayed(), ElementsAreArray(told()));
}

TEST_F(ReplayTest, BurstsThatAreSampledAndLossOnTheWay) {
  settings_.falls_are_seen = false;
  record();
  const Box job = box("/job", 1_GiB);
  tell(created(job, 1000_ms));
  rise(job, 1100_ms, 64);
  cgroups_.write(job.path, "memory.usage_in_bytes", std::to_string(64_MiB));
  run_until(1180_ms);
  source_.lost.bulk = 3;
  cgroups_.write(job.path, "memory.usage_in_bytes", std::to_string(1_MiB));
  run_until(4000_ms);
  end_recording();
  ASSERT_THAT(incidents_, Not(IsEmpty()));
  EXPECT_EQ(incidents_.back().kind, IncidentKind::kBurst);
  EXPECT_EQ(incidents_.back().evidence.lost_bulk, 3U);
  EXPECT_THAT(replayed(), ElementsAreArray(told()));
}

TEST_F(ReplayTest, TheHostsOwnOomWithItsRanking) {
  record();
  const Box one = box("/one", std::nullopt);
  const Box two = box("/two", std::nullopt, 41);
  cgroups_.write(one.path, "memory.usage_in_bytes", std::to_string(300_MiB));
  cgroups_.write(two.path, "memory.usage_in_bytes", std::to_string(200_MiB));
  tell(created(one, 1000_ms));
  tell(created(two, 1000_ms));
  OomEvent host = chosen(one, 1100_ms);
  host.memcg_id = 0;
  host.constraint = Constraint::kNone;
  host.chain = {};
  tell(host);
  tell(killed(one, 1101_ms));
  run_until(4000_ms);
  end_recording();
  ASSERT_THAT(incidents_, SizeIs(1));
  ASSERT_TRUE(incidents_[0].ranking);
  EXPECT_THAT(replayed(), ElementsAreArray(told()));
}

TEST_F(ReplayTest, WhatIsStillOpenAtTheEnd) {
  record();
  const Box job = box("/job", 1_GiB);
  tell(created(job, 1000_ms));
  rise(job, 1100_ms, 64);
  run_until(1170_ms);
  end_recording();
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].burst->end, BurstEnd::kOpen);
  EXPECT_THAT(replayed(), ElementsAreArray(told()));
}

TEST_F(ReplayTest, SeveralContainers) {
  std::vector<Known> all;
  for (int i = 0; i < 8; ++i) {
    all.push_back({id_of(static_cast<char>('0' + i)), "n" + std::to_string(i), "image"});
  }
  daemon_knows(all);
  record();
  for (std::uint32_t i = 0; i < 8; ++i) {
    const Box one = box("/docker/" + id_of(static_cast<char>('0' + i)), 64_MiB, 40 + i);
    tell(created(one, 1000_ms + i * 100_ms));
    rise(one, 1001_ms + i * 100_ms, 64);
    tell(killed(one, 1080_ms + i * 100_ms));
  }
  run_until(5000_ms);
  end_recording();
  ASSERT_THAT(incidents_, SizeIs(8));
  EXPECT_THAT(replayed(), ElementsAreArray(told()));
}

TEST_F(ReplayTest, NothingIsRecordedTwice) {
  record();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(recording_around_->number("/no", "memory.max"), std::nullopt);
  }
  end_recording();
  auto reader = RecordingReader::open(file());
  int answers = 0;
  for (auto item = reader->next(); item && *item; item = reader->next()) {
    answers += std::holds_alternative<Answer>(**item) ? 1 : 0;
  }
  EXPECT_EQ(answers, 2) << "and the end";
}

TEST_F(ReplayTest, QuestionsThatNobodyAskedAreCounted) {
  record();
  end_recording();
  auto reader = RecordingReader::open(file());
  Replay replay(*reader);
  EXPECT_FALSE(replay.find(5).known);
  EXPECT_EQ(replay.number("/x", "memory.max"), std::nullopt);
  EXPECT_EQ(replay.unanswered(), 2U);
}

}  // namespace
}  // namespace memcrest
