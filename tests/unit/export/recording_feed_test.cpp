// SPDX-License-Identifier: Apache-2.0
#include "export/recording_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/export_fixture.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

// What came, as text.
class Log final : public RecordingExporter {
 public:
  void add(const ExportedStep& step) override {
    lines.push_back("step " + step.cgroup.label + " +" + std::to_string(step.growth.bytes >> 20U) +
                    (step.growth.by_task ? " by task" : "") +
                    (step.unix_ns ? " at " + std::to_string(static_cast<std::uint64_t>(*step.unix_ns) -
                                                            static_cast<std::uint64_t>(kBootUnixNs))
                                  : ""));
  }
  void add(const ExportedEvent& event) override {
    lines.push_back("event in " + (event.cgroup == nullptr ? "none" : event.cgroup->label));
  }
  void add(const ExportedLoss& loss) override { lines.push_back("lost " + std::to_string(loss.more)); }
  void add(const ExportedIncident& incident) override { lines.push_back("incident " + incident.incident.id); }
  void finish(const ExportEnd& end) override { gaps = end.gaps; }
  std::vector<std::string> lines;
  std::vector<std::string> gaps;
};

TEST(RecordingFeed, DatesWhatCameBeforeTheFirstClock) {
  ExportFixture fixture;
  Log log;
  RecordingFeed feed(log, fixture.cgroups, fixture.filter, fixture.frames);
  feed.add(Event(base(1'000'000'000, 1_MiB)));
  feed.add(Event(grown(2'000'000'000, 3_MiB)));
  EXPECT_THAT(log.lines, IsEmpty());
  feed.add(Moment{3'000'000'000, kBootUnixNs + 3'000'000'000});
  EXPECT_THAT(log.lines, ElementsAre("step web +0 at 1000000000", "step web +2 by task at 2000000000"));
}

TEST(RecordingFeed, WithoutClocksThereIsNoWallTime) {
  ExportFixture fixture;
  Log log;
  RecordingFeed feed(log, fixture.cgroups, fixture.filter, fixture.frames);
  for (int i = 0; i < 20'000; ++i) {
    feed.add(Event(base(1, 1_MiB)));
  }
  EXPECT_THAT(log.lines, SizeIs(testing::Gt(10'000U))) << "it does not wait for ever";
  ExportEnd end;
  feed.finish(end);
  EXPECT_THAT(log.lines, SizeIs(20'000));
  EXPECT_EQ(log.lines.back(), "step web +0");
}

TEST(RecordingFeed, ClocksAtTheirEndsAreNoTrap) {
  ExportFixture fixture;
  Log log;
  RecordingFeed feed(log, fixture.cgroups, fixture.filter, fixture.frames);
  feed.add(Moment{~0ULL, std::numeric_limits<std::int64_t>::min()});
  feed.add(Event(base(0, 1)));
  feed.add(Moment{0, std::numeric_limits<std::int64_t>::max()});
  feed.add(Event(base(~0ULL, 1)));
  EXPECT_THAT(log.lines, SizeIs(2));
}

TEST(RecordingFeed, FiltersAllButLosses) {
  ExportFixture fixture;
  fixture.filter.containers = {"web"};
  Log log;
  Incident other = oom_incident();
  other.container.name = "db";
  other.container.id = "ff";
  KillEvent kill = kernel_kill(5, task(7, "x", 200), task(8, "y", 200));
  LogOomEvent nowhere;
  fixture.of(log, {base(1, 1_MiB), base(1, 1_MiB, 200), Event(kill), Event(nowhere)}, {oom_incident(), other},
             {LossCount{1, 2, 0, 0, 0}, LossCount{1, 5, 0, 0, 0}});
  EXPECT_THAT(log.lines, ElementsAre("step web +0 at 1", "event in none", "incident b7e5-000001", "lost 3", "lost 3"));
}

TEST(RecordingFeed, WhatWasLostBeforeTheRecordingIsNotItsLoss) {
  ExportFixture fixture;
  Log log;
  RecordingFeed feed(log, fixture.cgroups, fixture.filter, fixture.frames);
  feed.begin_with_loss();
  feed.add(Moment{1, 1});
  feed.add(LossCount{5, 7, 0, 0, 0});
  feed.add(LossCount{5, 9, 0, 0, 1});
  ExportEnd end;
  feed.finish(end);
  EXPECT_THAT(log.lines, ElementsAre("lost 3"));
  EXPECT_EQ(end.lost, (LossCount{0, 2, 0, 0, 1}));
}

TEST(RecordingFeed, AnEventIsOfTheCgroupThatHasItsIdNow) {
  ExportFixture fixture;
  ExportedCgroup later = web_cgroup("later");
  later.serial += 1;
  fixture.cgroups = ExportedCgroups({web_cgroup(), later});
  Log log;
  StepEvent second = base(2, 1_MiB);
  second.serial = later.serial;
  fixture.of(log, {base(1, 1_MiB), Event(sample(1, 5)), second, Event(sample(3, 5))});
  EXPECT_THAT(log.lines, ElementsAre("step web +0 at 1", "event in web", "step later +0 at 2", "event in later"));
}

TEST(RecordingFeed, IncidentsThatAreNoneAreTold) {
  ExportFixture fixture;
  Log log;
  RecordingFeed feed(log, fixture.cgroups, fixture.filter, fixture.frames);
  feed.add(Moment{1, 1});
  feed.add_incident("{");
  feed.add_incident("[]");
  std::string newer = to_json(oom_incident());
  newer.insert(1, R"("of_a_later_version":1,)");
  feed.add_incident(newer);
  std::string older = to_json(oom_incident());
  older.erase(older.find(R"("end":null,)"), 11);
  feed.add_incident(older);  // of it nothing is left out
  ExportEnd end;
  feed.finish(end);
  EXPECT_THAT(log.lines, ElementsAre("incident b7e5-000001", "incident b7e5-000001"));
  EXPECT_THAT(log.gaps,
              ElementsAre(HasSubstr("2 incidents"), HasSubstr("1 incidents were written by another version")));
}

}  // namespace
}  // namespace memcrest
