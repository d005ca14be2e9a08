// SPDX-License-Identifier: Apache-2.0
#include "store/flight_recorder.h"

#include <gmock/gmock.h>

#include "recording_fixture.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace std::chrono_literals;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kBoot = 1000 * kSecond;

class FlightRecorderTest : public RecordingDirectoryFixture {
 protected:
  FlightRecorderTest() {
    settings_.before = 10s;
    settings_.after = 5s;
    settings_.file.min_free_bytes = 0;
    settings_.patience = 60s;
  }
  FlightRecorder& flight() {
    if (!flight_) {
      flight_.emplace(open(), settings_, std::map<std::string, std::string>{{"host_name", "node1"}});
    }
    return *flight_;
  }
  void at(std::uint64_t second) { flight().add(Moment{kBoot + second * kSecond, kNow}); }
  void step(std::uint64_t cgroup, std::uint64_t second, std::uint64_t bytes) {
    at(second);
    const Event event = StepBuilder(cgroup).up(kBoot + second * kSecond, bytes);
    flight().add(std::span(&event, 1));
  }
  void name(std::uint64_t id, const std::string& path) { flight().add(CgroupRef{id, path}, Container{}); }
  static Incident oom(std::uint64_t cgroup, const std::string& path, const std::string& id = "i-1") {
    Incident out;
    out.id = id;
    out.cgroup = {cgroup, path};
    return out;
  }
  void tell(const Incident& incident) { flight().add(incident, "{}"); }
  // The only file there is, after the end.
  Contents end() {
    EXPECT_TRUE(flight().finish());
    EXPECT_THAT(files(), SizeIs(1));
    return files().empty() ? Contents{} : read_recording(files().front());
  }
  static std::vector<std::uint64_t> seconds(const Contents& contents) {
    std::vector<std::uint64_t> out;
    for (const StepEvent& step : contents.steps) {
      out.push_back((step.time_ns - kBoot) / kSecond);
    }
    return out;
  }
  FlightSettings settings_;
  std::optional<FlightRecorder> flight_;
};

TEST_F(FlightRecorderTest, NothingWithoutAnIncident) {
  step(7, 1, 5_MiB);
  EXPECT_TRUE(flight().finish());
  EXPECT_THAT(files(), IsEmpty());
  EXPECT_EQ(flight().status().files, 0U);
}

TEST_F(FlightRecorderTest, WhatWasBeforeAndWhatFollows) {
  for (std::uint64_t second = 0; second <= 20; ++second) {
    step(7, second, (second + 1) * 1_MiB);
    step(8, second, 9_MiB);  // somebody else
  }
  tell(oom(7, "/docker/a"));
  step(7, 24, 2_MiB);
  step(7, 25, 3_MiB);
  step(7, 26, 4_MiB);  // later than 5 s after it
  const Contents found = end();
  EXPECT_THAT(seconds(found), ElementsAre(10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 24, 25));
  for (const StepEvent& step : found.steps) {
    EXPECT_EQ(step.cgroup_id, 7U);
  }
  EXPECT_THAT(found.incidents, ElementsAre("i-1"));
  EXPECT_EQ(found.meta.at("excerpt_before_ns"), "10000000000");
  EXPECT_EQ(found.meta.at("host_name"), "node1");
  EXPECT_EQ(found.meta.at("ended"), "whole");
  EXPECT_FALSE(found.meta.contains("excerpt_cut_until_boot_ns"));
}

TEST_F(FlightRecorderTest, CgroupsAboveAndThoseThatShareTheLimit) {
  name(1, "/");
  name(2, "/pod");
  name(7, "/pod/a");
  name(8, "/pod/b");
  name(9, "/podium");
  for (const std::uint64_t cgroup : {1U, 2U, 7U, 8U, 9U}) {
    step(cgroup, 1, cgroup * 1_MiB);
  }
  Incident incident = oom(7, "/pod/a");
  incident.scope = Scope::kAncestor;
  incident.limit.cgroup_path = "/pod";
  tell(incident);
  const Contents found = end();
  std::vector<std::uint64_t> ids;
  for (const StepEvent& step : found.steps) {
    ids.push_back(step.cgroup_id);
  }
  EXPECT_THAT(ids, ElementsAre(1, 2, 7, 8));
  EXPECT_THAT(found.cgroups, SizeIs(4));
  EXPECT_EQ(found.cgroups.front().path, "/");
}

TEST_F(FlightRecorderTest, EventsOfNoCgroupAndSamplesAreThere) {
  at(1);
  LogOomEvent log;
  log.time_ns = kBoot + kSecond;
  const Event event = log;
  flight().add(std::span(&event, 1));
  const SampleEvent samples[] = {sample(kBoot + kSecond, 5_MiB, 7), sample(kBoot + kSecond, 6_MiB, 8)};
  flight().add(std::span(samples));
  tell(oom(7, "/a"));
  flight().add(std::span(samples));
  const Contents found = end();
  EXPECT_THAT(found.others, SizeIs(1));
  EXPECT_THAT(found.samples, SizeIs(2));
}

TEST_F(FlightRecorderTest, ASecondIncidentJoins) {
  step(7, 1, 5_MiB);
  step(8, 1, 6_MiB);
  tell(oom(7, "/a", "i-1"));
  step(8, 3, 7_MiB);
  tell(oom(8, "/b", "i-2"));
  step(8, 8, 8_MiB);  // 5 s after the second
  const Contents found = end();
  EXPECT_THAT(found.incidents, ElementsAre("i-1", "i-2"));
  EXPECT_THAT(seconds(found), ElementsAre(1, 1, 3, 8)) << "nothing twice";
}

TEST_F(FlightRecorderTest, EachCgroupIsFollowedAfterItsOwnIncident) {
  step(7, 1, 5_MiB);
  tell(oom(7, "/a", "i-1"));
  step(7, 4, 6_MiB);
  step(8, 4, 6_MiB);
  tell(oom(8, "/b", "i-2"));
  step(7, 8, 7_MiB);  // 7 s after its incident
  step(8, 8, 7_MiB);
  tell(oom(8, "/b", "i-3"));
  step(7, 9, 8_MiB);
  const Contents found = end();
  EXPECT_THAT(found.incidents, ElementsAre("i-1", "i-2", "i-3"));
  EXPECT_THAT(seconds(found), ElementsAre(1, 4, 4, 8));
}

TEST_F(FlightRecorderTest, WhatComesWhileTheDiskHangsIsThereAfterwards) {
  settings_.patience = 0ms;
  step(7, 1, 5_MiB);
  tell(oom(7, "/a", "i-1"));
  step(7, 3, 6_MiB);
  tell(oom(7, "/a", "i-2"));
  const Contents found = end();
  EXPECT_THAT(found.incidents, ElementsAre("i-1", "i-2"));
  EXPECT_THAT(seconds(found), ElementsAre(1, 3)) << "nothing twice";
}

TEST_F(FlightRecorderTest, EachInAFileOfItsOwnWhenTheyLieApart) {
  step(7, 1, 5_MiB);
  tell(oom(7, "/a", "i-1"));
  step(7, 9, 6_MiB);
  tell(oom(7, "/a", "i-2"));
  EXPECT_TRUE(flight().finish());
  ASSERT_THAT(files(), SizeIs(2));
  EXPECT_THAT(read_recording(files()[0]).incidents, ElementsAre("i-1"));
  const Contents second = read_recording(files()[1]);
  EXPECT_THAT(second.incidents, ElementsAre("i-2"));
  EXPECT_THAT(seconds(second), ElementsAre(1, 9)) << "also what the first holds";
  EXPECT_EQ(flight().status().files, 2U);
  EXPECT_EQ(flight().status().path, files()[1]);
}

TEST_F(FlightRecorderTest, BurstsJoinOnly) {
  Incident burst = oom(7, "/a", "burst");
  burst.kind = IncidentKind::kBurst;
  step(7, 1, 5_MiB);
  tell(burst);
  EXPECT_THAT(files(), IsEmpty());
  tell(oom(7, "/a", "oom"));
  tell(burst);
  Incident elsewhere = burst;
  elsewhere.cgroup = {8, "/b"};
  elsewhere.id = "elsewhere";
  tell(elsewhere);
  EXPECT_THAT(end().incidents, ElementsAre("oom", "burst"));
}

TEST_F(FlightRecorderTest, BurstsWhenAsked) {
  settings_.bursts = true;
  Incident burst = oom(7, "/a", "burst");
  burst.kind = IncidentKind::kBurst;
  step(7, 1, 5_MiB);
  tell(burst);
  EXPECT_THAT(end().incidents, ElementsAre("burst"));
}

TEST_F(FlightRecorderTest, TheLoudestGivesWay) {
  settings_.max_bytes = 64U << 10U;
  step(7, 1, 5_MiB);
  for (std::uint64_t i = 0; i < 2000; ++i) {
    step(8, 2, i * 1_MiB);
    EXPECT_LE(flight().kept_bytes(), settings_.max_bytes);
  }
  tell(oom(7, "/a"));
  const Contents found = end();
  EXPECT_THAT(seconds(found), ElementsAre(1)) << "the quiet one keeps its history";
  EXPECT_FALSE(found.meta.contains("excerpt_cut_until_boot_ns")) << "and of it nothing is missing";
}

TEST_F(FlightRecorderTest, ItKeepsLessWhereThereIsLessRoom) {
  const auto room = std::make_shared<std::atomic<std::uint64_t>>(1U << 20U);
  settings_.room = room;
  for (std::uint64_t i = 0; i < 500; ++i) {
    step(7, 1, i * 1_MiB);
  }
  EXPECT_GT(flight().kept_bytes(), 64U << 10U);
  room->store(64U << 10U);
  step(8, 3, 1_MiB);  // of another cgroup, and time passes
  EXPECT_LE(flight().kept_bytes(), 64U << 10U);
  EXPECT_TRUE(flight().is_cut(7));
  EXPECT_FALSE(flight().is_cut(8));
  tell(oom(7, "/a"));
  EXPECT_TRUE(end().meta.contains("excerpt_cut_until_boot_ns"));
}

TEST_F(FlightRecorderTest, WhatWasDoneAtABreakpointIsInItsFile) {
  step(7, 1, 5_MiB);
  Incident hit = oom(7, "/a");
  hit.kind = IncidentKind::kBreakpoint;
  hit.breakpoint.emplace();
  tell(hit);
  at(20);  // longer than it follows others
  hit.update = "breakpoint";
  hit.breakpoint->outcome = "a dump";
  tell(hit);
  EXPECT_THAT(end().incidents, ElementsAre("i-1", "i-1"));
}

TEST_F(FlightRecorderTest, WhatIsToldAgainBeginsNoFile) {
  step(7, 1, 5_MiB);
  Incident again = oom(7, "/a");
  again.update = "runtime_state";
  tell(again);
  EXPECT_TRUE(flight().finish());
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(FlightRecorderTest, NamesOfWhatIsGoneGoFirst) {
  settings_.max_bytes = 64U << 10U;
  at(1);
  for (std::uint64_t i = 0; i < 400; ++i) {
    CgroupEvent removed;
    removed.cgroup_id = 100 + i;
    removed.time_ns = kBoot + kSecond;
    const Event event = removed;
    name(100 + i, "/kubepods/pod" + std::to_string(i));
    if (i < 390) {
      flight().add(std::span(&event, 1));
    }
  }
  at(3);
  EXPECT_GE(flight().kept_names(), 10U) << "of those that are there all";
  EXPECT_LT(flight().kept_names(), 390U);
}

TEST_F(FlightRecorderTest, NamesTakeOfTheSameRoom) {
  settings_.max_bytes = 64U << 10U;
  for (std::uint64_t i = 0; i < 100; ++i) {
    name(100 + i, "/kubepods/pod" + std::to_string(i));
  }
  for (std::uint64_t i = 0; i < 500; ++i) {
    step(7, 1, i * 1_MiB);
    EXPECT_LE(flight().kept_bytes(), settings_.max_bytes - 100 * sizeof(CgroupRef));
  }
  EXPECT_GE(flight().kept_bytes(), settings_.max_bytes / 4) << "half of it is for events";
}

TEST_F(FlightRecorderTest, WhatIsCutIsSaidAlsoOfOneThatJoins) {
  settings_.max_bytes = 64U << 10U;
  step(7, 1, 5_MiB);
  tell(oom(7, "/a"));
  for (std::uint64_t i = 0; i < 2000; ++i) {
    step(8, 2, i * 1_MiB);
  }
  tell(oom(8, "/b", "i-2"));
  EXPECT_EQ(end().meta.at("excerpt_cut_until_boot_ns"), std::to_string(kBoot + 2 * kSecond));
}

TEST_F(FlightRecorderTest, IncidentsWithoutEndBeginANewFileAtLast) {
  for (std::uint64_t second = 1; second < 120; second += 4) {
    step(7, second, second * 1_MiB);
    tell(oom(7, "/a", "i-" + std::to_string(second)));
  }
  EXPECT_TRUE(flight().finish());
  ASSERT_THAT(files(), SizeIs(3)) << "of 50 s each";
  std::size_t incidents = 0;
  for (const std::string& file : files()) {
    incidents += read_recording(file).incidents.size();
  }
  EXPECT_EQ(incidents, 30U) << "none lost, none twice";
}

TEST_F(FlightRecorderTest, WhatIsOldIsForgotten) {
  for (std::uint64_t second = 0; second < 100; ++second) {
    step(second + 10, second, 5_MiB);
  }
  EXPECT_LT(flight().kept_bytes(), 13 * (sizeof(StepEvent) + 200));
}

TEST_F(FlightRecorderTest, NamesOfWhatIsGoneAreForgottenAlsoIfTheyCameLate) {
  const auto changed = [&](std::uint64_t cgroup, std::uint64_t second, bool created) {
    at(second);
    CgroupEvent change;
    change.cgroup_id = cgroup;
    change.created = created;
    change.time_ns = kBoot + second * kSecond;
    const Event event = change;
    flight().add(std::span(&event, 1));
  };
  changed(7, 1, true);
  name(7, "/docker/a");
  changed(7, 2, false);
  name(7, "/docker/a");  // its name is told once more
  changed(8, 2, false);
  name(8, "/docker/b");
  name(9, "/docker/c");  // it is there
  EXPECT_EQ(flight().kept_names(), 3U);
  at(30);
  EXPECT_EQ(flight().kept_names(), 1U);
}

TEST_F(FlightRecorderTest, LossIsInIt) {
  at(1);
  flight().add(LossCount{.bulk = 5});
  tell(oom(7, "/a"));
  flight().add(LossCount{.bulk = 6});
  const Contents found = end();
  ASSERT_THAT(found.losses, SizeIs(2));
  EXPECT_EQ(found.losses[0].bulk, 5U);
  EXPECT_EQ(found.losses[1].bulk, 6U);
}

TEST_F(FlightRecorderTest, AFileThatCannotBeMadeIsTold) {
  step(7, 1, 5_MiB);
  std::filesystem::remove_all(path());
  tell(oom(7, "/a"));
  EXPECT_THAT(flight().status().stopped, HasSubstr("No such file"));
  EXPECT_TRUE(flight().status().recording) << "the next one is tried again";
  std::filesystem::create_directory(path());
  tell(oom(7, "/a", "i-2"));
  EXPECT_EQ(flight().status().stopped, "");
  EXPECT_THAT(end().incidents, ElementsAre("i-2"));
}

}  // namespace
}  // namespace memcrest
