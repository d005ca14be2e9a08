// SPDX-License-Identifier: Apache-2.0
#include "report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/report_text.h"
#include "support/detail_builder.h"
#include "support/report_builder.h"

namespace memcrest {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class ReportTest : public testing::Test {
 protected:
  std::string file() const { return dir_.path() + "/a.memcrest"; }
  std::string error(ReportRequest request) {
    request.path = file();
    const auto report = read_report(request);
    return report ? "" : report.error().message();
  }
  TempDir dir_;
};

Incident with_id(std::string id, IncidentKind kind = IncidentKind::kOom) {
  Incident out = oom_incident();
  out.kind = kind;
  out.id = std::move(id);
  return out;
}

TEST_F(ReportTest, TellsTheRecordingAndItsIncident) {
  RecordingBuilder recording(file());
  record_oom(recording);
  recording.finish();
  const Report report = report_of(file());
  EXPECT_EQ(report.recording.file, "a.memcrest");
  EXPECT_EQ(report.recording.host.name, "node1");
  EXPECT_EQ(report.recording.summary.steps, 102U);
  EXPECT_EQ(report.recording.ended, "whole");
  EXPECT_THAT(report.recording.gaps, IsEmpty());
  ASSERT_THAT(report.incidents, SizeIs(1));
  EXPECT_EQ(report.incidents[0].json, to_json(oom_incident()));
  EXPECT_EQ(to_json(report.incidents[0].incident), report.incidents[0].json);
}

TEST_F(ReportTest, FindsUsageGrowthAndWhatStoodAtTheKill) {
  RecordingBuilder recording(file());
  record_oom(recording);
  recording.finish();
  const Report report = report_of(file());
  const IncidentDetail& detail = report.incidents.at(0).detail;
  ASSERT_TRUE(detail.track);
  const auto& points = report.tracks[*detail.track].series.points();
  ASSERT_EQ(points.size(), 103U);  // 102 steps and a sample
  EXPECT_EQ(points[101].usage_bytes, 2012_MiB);
  EXPECT_EQ(points[102].usage_bytes, 1_MiB);
  ASSERT_THAT(report.tracks[*detail.track].limits, SizeIs(1));
  EXPECT_EQ(report.tracks[*detail.track].limits[0].second, 2_GiB);
  EXPECT_FALSE(detail.window);
  EXPECT_EQ(detail.growth.total_bytes(), 1600_MiB);  // of the burst, not what was before it
  ASSERT_THAT(detail.growth.processes(), SizeIs(2));
  EXPECT_EQ(detail.growth.processes()[0].comm, "python");
  EXPECT_EQ(detail.growth.processes()[0].bytes, 1440_MiB);
  EXPECT_THAT(detail.chain.entries, SizeIs(2));
  ASSERT_THAT(detail.tasks, SizeIs(2));
  EXPECT_EQ(detail.tasks[1].comm, "sidecar");
}

TEST_F(ReportTest, AncestorsThatWereThereAreDrawnToo) {
  RecordingBuilder recording(file());
  CgroupEvent made;
  made.created = true;
  made.time_ns = 1_ms;
  made.cgroup_id = 50;
  made.path = "/docker";
  recording.add(made);
  CgroupEvent namesake = made;
  namesake.cgroup_id = 51;
  namesake.path = "/dock";  // no ancestor, though its path begins alike
  recording.add(namesake);
  StepBuilder parent(50);
  recording.add(parent.limit(4_GiB).up(oom_incident().boot_ns - 100_ms, 3_GiB));
  recording.add(StepBuilder(51).up(oom_incident().boot_ns - 100_ms, 3_GiB));
  record_oom(recording);
  recording.finish();
  const Report report = report_of(file());
  ASSERT_THAT(report.incidents.at(0).detail.ancestors, SizeIs(1));
  EXPECT_EQ(report.tracks[report.incidents[0].detail.ancestors[0]].path, "/docker");
}

TEST_F(ReportTest, WhatIsToldAgainStandsInThePlaceOfTheFirst) {
  RecordingBuilder recording(file());
  record_oom(recording);
  Incident again = oom_incident();
  again.update = "runtime_state";
  again.container.state = RuntimeState{.status = "exited", .exit_code = 137, .finished_unix_ns = again.unix_ns + 1};
  recording.add(again);
  recording.finish();
  const Report report = report_of(file());
  ASSERT_THAT(report.incidents, SizeIs(1));
  EXPECT_EQ(report.incidents[0].told, 2U);
  EXPECT_EQ(report.incidents[0].incident.update, "runtime_state");
  const std::string text = to_text(report, TextStyle{});
  EXPECT_THAT(text, HasSubstr("OOM KILL"));  // in full, not only what is new
  EXPECT_THAT(text, HasSubstr("exit code 137"));
  EXPECT_THAT(text, HasSubstr("samplers"));
}

TEST_F(ReportTest, OneIncidentByItsIdOrTheIdsStart) {
  RecordingBuilder recording(file());
  recording.add(with_id("aa-1")).add(with_id("aa-10")).add(with_id("b\x1b[2J", IncidentKind::kBurst));
  recording.finish();
  EXPECT_THAT(report_of(file(), {.incident = "aa-1"}).incidents, SizeIs(1));
  EXPECT_EQ(report_of(file(), {.incident = "aa-1"}).filtered, 2U);
  EXPECT_EQ(report_of(file(), {.incident = "aa-10"}).incidents.at(0).id, "aa-10");
  EXPECT_THAT(report_of(file(), {.incident = "b"}).incidents, SizeIs(1));
  EXPECT_THAT(error({.incident = "aa"}), HasSubstr("more than one incident begins like this: aa-1, aa-10"));
  EXPECT_THAT(error({.incident = "c"}), HasSubstr("there are: aa-1, aa-10, b"));
  RecordingBuilder(dir_.path() + "/empty").finish();
  EXPECT_THAT(read_report({.path = dir_.path() + "/empty", .incident = "x"}).error().message(),
              HasSubstr("has no incidents"));
}

TEST_F(ReportTest, FiltersAsReplayDoes) {
  RecordingBuilder recording(file());
  Incident other = with_id("other");
  other.container.name = "db";
  recording.add(oom_incident()).add(other);
  recording.finish();
  const Report report = report_of(file(), {.filter = {.containers = {"w*"}}});
  ASSERT_THAT(report.incidents, SizeIs(1));
  EXPECT_EQ(report.incidents[0].incident.container.name, "web");
  EXPECT_EQ(report.filtered, 1U);
  EXPECT_THAT(words_of_left_out(report), HasSubstr("not shown: 1"));
}

TEST_F(ReportTest, AnIncidentThatCannotBeReadIsSaidAndStopsNothing) {
  RecordingBuilder recording(file());
  recording.add(with_id("broken"), "{\"kind\":").add(with_id("deep"), std::string(1000, '[')).add(oom_incident());
  recording.finish();
  const Report report = report_of(file());
  ASSERT_THAT(report.incidents, SizeIs(3));
  EXPECT_THAT(report.incidents[0].unreadable, HasSubstr("read JSON"));
  EXPECT_THAT(report.incidents[1].unreadable, HasSubstr("nested too deep"));
  EXPECT_THAT(to_text(report, TextStyle{}), HasSubstr("cannot be read"));
  EXPECT_THAT(count_of(report), HasSubstr("1 OOM kill, 2 that cannot be read"));

  Report every;
  for (const IncidentKind kind : {IncidentKind::kOom, IncidentKind::kBurst, IncidentKind::kKill,
                                  IncidentKind::kChargeFailure, IncidentKind::kBreakpoint}) {
    every.incidents.emplace_back().incident.kind = kind;
  }
  EXPECT_EQ(count_of(every), "1 OOM kill, 1 burst, 1 kill, 1 refusal of memory, 1 breakpoint");
}

TEST_F(ReportTest, NoMoreIncidentsThanAReportHolds) {
  RecordingBuilder recording(file());
  for (std::size_t i = 0; i < kMaxIncidents + 7; ++i) {
    recording.add(with_id("i-" + std::to_string(i) + "."));
  }
  recording.finish();
  const Report report = report_of(file());
  EXPECT_THAT(report.incidents, SizeIs(kMaxIncidents));
  EXPECT_EQ(report.left_out, 7U);
  EXPECT_THAT(words_of_left_out(report), HasSubstr("7 more are not shown"));
  EXPECT_EQ(report_of(file(), {.incident = "i-" + std::to_string(kMaxIncidents + 3) + "."}).incidents.size(), 1U);
}

TEST_F(ReportTest, MoreStepsThanAChartHoldsKeepAllPointsAroundTheIncident) {
  RecordingBuilder recording(file());
  const Incident incident = oom_incident();
  StepBuilder steps(incident.cgroup.id);
  constexpr std::uint64_t kSteps = 250'000;
  const std::uint64_t first = incident.boot_ns - kSteps * 4_ms;  // 1000 s before
  std::vector<Event> batch;
  for (std::uint64_t i = 0; i < kSteps; ++i) {
    recording.add(i % 2 == 0 ? steps.up(first + i * 4_ms, 40_MiB) : steps.down(first + i * 4_ms, 39_MiB));
  }
  recording.add(incident);
  recording.finish();
  const Report report = report_of(file());
  const IncidentDetail& detail = report.incidents.at(0).detail;
  const Series& whole = report.tracks.at(*detail.track).series;
  EXPECT_EQ(whole.seen(), kSteps);
  EXPECT_GT(whole.stride(), 1U);
  EXPECT_LE(whole.points().size(), kMaxPoints);
  ASSERT_TRUE(detail.window);
  EXPECT_EQ(detail.window->stride(), 1U);
  EXPECT_GT(detail.window->points().size(), 15'000U);  // a minute before the burst, each 4 ms
}

TEST_F(ReportTest, LossAndAnEarlyEndAreGaps) {
  RecordingBuilder recording(file());
  recording.add(Moment{1, 2}).add(LossCount{.critical = 3}).add(oom_incident());
  recording.finish();
  const Report report = report_of(file());
  EXPECT_THAT(to_text(report, TextStyle{}), HasSubstr("not complete"));
  EXPECT_THAT(report.recording.gaps, testing::ElementsAre(HasSubstr("3 critical records")));
}

TEST_F(ReportTest, AnExcerptAndAFilterAreSaid) {
  RecordingSettings settings;
  settings.min_free_bytes = 0;
  auto writer = RecordingWriter::create(file(), settings,
                                        {{"excerpt_before_ns", "30000000000"},
                                         {"excerpt_after_ns", "any\x1b[2J"},
                                         {"excerpt_cut_until_boot_ns", "5"},
                                         {"filter", "--container web"}});
  ASSERT_TRUE(writer);
  ASSERT_TRUE((*writer)->finish());
  const std::string text = to_text(report_of(file()), TextStyle{});
  EXPECT_THAT(text, HasSubstr("30.0 s before it"));
  EXPECT_THAT(text, HasSubstr("any\\x1b[2J"));
  EXPECT_THAT(text, HasSubstr("--container web"));
  EXPECT_THAT(text, HasSubstr("not complete"));
}

TEST_F(ReportTest, HostileTextMovesNoTerminal) {
  RecordingBuilder recording(file());
  recording.add(hostile_detail());
  recording.finish();
  const std::string text = to_text(report_of(file()), TextStyle{});
  for (const char* raw : {"\x1b", "\x07", "\xc2\x9b", "\xe2\x80\xae", "\xff"}) {
    EXPECT_THAT(text, Not(HasSubstr(raw)));
  }
}

TEST_F(ReportTest, WhatIsNoRecordingIsAnError) { EXPECT_THAT(error({}), HasSubstr("a.memcrest")); }

}  // namespace
}  // namespace memcrest
