// SPDX-License-Identifier: Apache-2.0
#include "collector/collector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/collector_fixture.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals
using CollectorTest = CollectorFixture;

TEST_F(CollectorTest, ABurstThatNoStepToldOfSaysThatNobodyKnowsWhoGrewIt) {
  const Box web = box("/docker/" + id_of('a'), 512_MiB);
  tell(created(web, 1000_ms));
  rise(web, 1100_ms, 2);
  tell(sample(1200_ms, 2_MiB, web.id));
  tell(sample(1210_ms, 98_MiB, web.id));
  run_until(4000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].kind, IncidentKind::kBurst);
  EXPECT_THAT(incidents_[0].evidence.gaps, Contains(HasSubstr("of the growth no step told")));
  EXPECT_FALSE(incidents_[0].evidence.complete);
}

TEST_F(CollectorTest, AnOomBecomesOneIncidentThatTellsItAll) {
  daemon_knows({{id_of('a'), "web", "my-app:latest"}});
  const Box web = box("/docker/" + id_of('a'), 64_MiB);
  tell(created(web, 1000_ms));
  tell(exec(web, 1001_ms, std::string("hog\0anon\0", 9)));
  rise(web, 1100_ms, 64);
  TaskInfo thread = web.task;
  thread.tid = 77;
  tell(killed(web, 1170_ms));
  tell(VictimEvent(victim(1171_ms, web.task, chain({web.full()}), thread)));  // a second mark of the same process
  tell(removed(web, 1190_ms));
  run_until(2300_ms);

  ASSERT_THAT(incidents_, SizeIs(1));
  const Incident& incident = incidents_.front();
  EXPECT_EQ(incident.kind, IncidentKind::kOom);
  EXPECT_EQ(incident.boot_ns, 1170_ms);
  EXPECT_EQ(incident.unix_ns, FakeClock::kUnixOffset + 1'170'000'000);
  EXPECT_EQ(incident.host.name, "node1");
  EXPECT_EQ(incident.container.runtime, Runtime::kDocker);
  EXPECT_EQ(incident.container.id, id_of('a'));
  EXPECT_EQ(incident.container.name, "web");
  EXPECT_EQ(incident.container.image, "my-app:latest");
  EXPECT_EQ(incident.container.labels.at("k"), "v");
  EXPECT_EQ(incident.container.unknown_reason, "");
  EXPECT_EQ(incident.cgroup.id, web.id);
  EXPECT_EQ(incident.cgroup.path, web.path);
  EXPECT_EQ(incident.scope, Scope::kMemcg);
  EXPECT_EQ(incident.limit.bytes, 64_MiB);
  EXPECT_EQ(incident.limit.kind, "memory.limit_in_bytes");
  EXPECT_EQ(incident.limit.cgroup_path, web.path);
  EXPECT_EQ(incident.usage_bytes, 64_MiB);
  EXPECT_EQ(incident.peak_bytes, 64_MiB);
  EXPECT_EQ(incident.trigger->pid, web.task.process.tgid);
  ASSERT_THAT(incident.victims, SizeIs(1));
  EXPECT_EQ(incident.victims[0].cmdline, "hog anon");
  EXPECT_EQ(incident.victims[0].anon_bytes, 60_MiB);
  EXPECT_TRUE(incident.victims[0].main_process);
  EXPECT_EQ(collector().totals().ooms, 1);
  EXPECT_EQ(collector().totals().bursts, 0);
}

TEST_F(CollectorTest, TheRiseBelongsToItsOom) {
  const Box web = box("/docker/" + id_of('a'), 64_MiB);
  tell(created(web, 1000_ms));
  rise(web, 1100_ms, 64);
  tell(killed(web, 1164_ms));
  run_until(4000_ms);

  ASSERT_THAT(incidents_, SizeIs(1));
  ASSERT_TRUE(incidents_[0].burst);
  const Burst& burst = *incidents_[0].burst;
  EXPECT_LE(burst.base_bytes, 4_MiB);
  EXPECT_EQ(burst.peak_bytes, 64_MiB);
  EXPECT_TRUE(burst.peak_exact);
  EXPECT_EQ(burst.growth_bytes, burst.peak_bytes - burst.base_bytes);
  EXPECT_NEAR(burst.duration_ms, 63, 5);
  EXPECT_EQ(burst.end, BurstEnd::kKilled);
  EXPECT_EQ(burst.start_unix_ns, FakeClock::kUnixOffset + static_cast<std::int64_t>(burst.start_boot_ns));
  ASSERT_THAT(burst.contributors, SizeIs(1));
  EXPECT_EQ(burst.contributors[0].pid, web.task.process.tgid);
  EXPECT_THAT(incidents_[0].samplers, SizeIs(3));
  EXPECT_EQ(incidents_[0].evidence.charge_tier, "charges of the test");
  EXPECT_EQ(incidents_[0].evidence.oom_tier, "ooms of the test");
}

TEST_F(CollectorTest, NothingLostAndNothingMissingIsComplete) {
  daemon_knows({{id_of('a'), "web", "my-app"}});
  const Box web = box("/docker/" + id_of('a'), 64_MiB);
  tell(created(web, 1000_ms));
  rise(web, 1100_ms, 64);
  tell(chosen(web, 1164_ms));
  tell(killed(web, 1164_ms));
  run_until(2000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_THAT(incidents_[0].evidence.gaps, IsEmpty());
  EXPECT_TRUE(incidents_[0].evidence.complete);
}

TEST_F(CollectorTest, ADaemonThatCannotBeFollowedIsAGapOfItsContainers) {
  daemon_knows({{id_of('a'), "web", "my-app"}});  // and answers 404 to who asks for events
  follow_events_ = true;
  const Box web = box("/docker/" + id_of('a'), 64_MiB, 40);
  const Box job = box("/job", 64_MiB, 41);
  collector();
  for (int i = 0; i < 300 && !is_down(resolver_->streams().at(0)); ++i) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  for (const Box* one : {&web, &job}) {
    tell(created(*one, 1000_ms));
    tell(chosen(*one, 1164_ms));
    tell(killed(*one, 1164_ms));
  }
  run_until(2000_ms);
  ASSERT_THAT(incidents_, SizeIs(2));
  for (const Incident& incident : incidents_) {
    if (incident.container.name == "web") {
      EXPECT_THAT(incident.evidence.gaps, Contains(HasSubstr("the events of Docker are not followed: ")));
      EXPECT_FALSE(incident.evidence.complete);
    } else {
      EXPECT_THAT(incident.evidence.gaps, IsEmpty());
    }
  }
}

TEST_F(CollectorTest, LossDuringTheRiseMakesItIncomplete) {
  const Box job = box("/job", 64_MiB);
  run_until(900_ms);
  tell(created(job, 1000_ms));
  rise(job, 1100_ms, 64);
  tell(killed(job, 1164_ms));
  run_until(1120_ms);
  source_.lost.critical = 2;
  source_.lost.bulk = 3;
  source_.lost.invalid = 1;
  run_until(2000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  const Evidence& evidence = incidents_[0].evidence;
  EXPECT_EQ(evidence.lost_critical, 3);
  EXPECT_EQ(evidence.lost_bulk, 3);
  EXPECT_FALSE(evidence.complete);
}

TEST_F(CollectorTest, LossJustBeforeMayHaveHiddenTheBeginning) {
  const Box job = box("/job", 64_MiB);
  run_until(900_ms);
  tell(created(job, 1000_ms));
  rise(job, 2100_ms, 64);
  tell(chosen(job, 2164_ms));
  tell(killed(job, 2164_ms));
  run_until(1800_ms);
  source_.lost.bulk = 3;
  run_until(3000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].evidence.lost_bulk, 3);
}

TEST_F(CollectorTest, LossLongBeforeDoesNotAccuseThisIncident) {
  const Box job = box("/job", 64_MiB);
  source_.lost.bulk = 3;
  run_until(900_ms);
  tell(created(job, 5000_ms));
  rise(job, 5100_ms, 64);
  tell(chosen(job, 5164_ms));
  tell(killed(job, 5164_ms));
  run_until(6000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].evidence.lost_bulk, 0);
  EXPECT_TRUE(incidents_[0].evidence.complete) << testing::PrintToString(incidents_[0].evidence.gaps);
}

TEST_F(CollectorTest, StepsLeftOutAreAGap) {
  const Box job = box("/job", 64_MiB);
  tell(created(job, 1000_ms));
  rise(job, 1100_ms, 30);
  StepEvent late = job.steps.up(1150_ms, 60_MiB);
  late.suppressed = 29;
  tell(late);
  tell(chosen(job, 1164_ms));
  tell(killed(job, 1164_ms));
  run_until(2000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_THAT(incidents_[0].evidence.gaps, ElementsAre(HasSubstr("rate limit")));
  EXPECT_FALSE(incidents_[0].evidence.complete);
}

TEST_F(CollectorTest, ABurstWithoutAnOomIsToldOnce) {
  const Box job = box("/job", 1_GiB);
  tell(created(job, 1000_ms));
  rise(job, 1100_ms, 64);
  fall(job, 1200_ms, 64);
  run_until(4000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  const Incident& incident = incidents_[0];
  EXPECT_EQ(incident.kind, IncidentKind::kBurst);
  EXPECT_EQ(incident.cgroup.path, "/job");
  EXPECT_EQ(incident.container.runtime, Runtime::kNone);
  EXPECT_THAT(incident.victims, IsEmpty());
  EXPECT_FALSE(incident.trigger);
  EXPECT_EQ(incident.limit.bytes, 1_GiB);
  EXPECT_EQ(incident.peak_bytes, 64_MiB);
  EXPECT_EQ(incident.burst->end, BurstEnd::kFell);
  EXPECT_EQ(incident.burst->peak_bytes, 64_MiB);
  EXPECT_EQ(collector().totals().bursts, 1);
}

TEST_F(CollectorTest, AnAncestorsShareOfTheSameBurstIsNotToldAgain) {
  const Box pod = box("/kubepods/pod1", 2_GiB);
  const Box app = box("/kubepods/pod1/app", 1_GiB);
  tell(created(pod, 900_ms));
  tell(created(app, 1000_ms));
  for (std::uint64_t mib = 1; mib <= 64; ++mib) {
    tell(app.steps.up(1100_ms + mib * 1_ms, mib * 1_MiB));
    StepEvent above = pod.steps.up(1100_ms + mib * 1_ms + 10'000, mib * 1_MiB);
    above.ancestor = true;
    tell(above);
  }
  run_until(4000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].cgroup.path, app.path);
}

TEST_F(CollectorTest, AnAncestorsLimitIsNamed) {
  const Box pod = box("/kubepods/pod1", 64_MiB);
  const Box app = box("/kubepods/pod1/app", std::nullopt);
  tell(created(pod, 900_ms));
  tell(created(app, 1000_ms));
  rise(app, 1100_ms, 64);
  tell(victim(1170_ms, app.task, chain({memcg(app.id, 63_MiB), memcg(pod.id, 64_MiB, 64_MiB)})));
  run_until(2000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].scope, Scope::kAncestor);
  EXPECT_EQ(incidents_[0].cgroup.path, app.path);
  EXPECT_EQ(incidents_[0].limit.cgroup_path, pod.path);
  EXPECT_EQ(incidents_[0].limit.bytes, 64_MiB);
  EXPECT_EQ(incidents_[0].usage_bytes, 64_MiB);
}

TEST_F(CollectorTest, SeveralContainersAtOnceAreEachNamedRight) {
  daemon_knows({{id_of('a'), "a", "ia"}, {id_of('b'), "b", "ib"}, {id_of('c'), "c", "ic"}});
  std::vector<Box> boxes;
  for (const char letter : {'a', 'b', 'c'}) {
    boxes.push_back(box("/docker/" + id_of(letter), 64_MiB, static_cast<std::uint32_t>(letter)));
    tell(created(boxes.back(), 1000_ms));
  }
  for (std::uint64_t mib = 1; mib <= 64; ++mib) {
    for (Box& one : boxes) {
      tell(one.steps.up(1100_ms + mib * 1_ms, mib * 1_MiB));
    }
  }
  for (Box& one : boxes) {
    tell(killed(one, 1170_ms));
    tell(removed(one, 1175_ms));
  }
  run_until(2000_ms);
  ASSERT_THAT(incidents_, SizeIs(3));
  std::vector<std::string> names;
  for (const Incident& incident : incidents_) {
    names.push_back(incident.container.name + incident.container.image);
    EXPECT_EQ(incident.victims[0].pid, static_cast<unsigned char>(incident.container.name[0]));
    EXPECT_EQ(incident.container.id, id_of(incident.container.name[0]));
    EXPECT_TRUE(incident.burst);
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre("aia", "bib", "cic"));
  EXPECT_NE(incidents_[0].id, incidents_[1].id);
  EXPECT_NE(incidents_[1].id, incidents_[2].id);
}

TEST_F(CollectorTest, AGroupKillIsOneIncident) {
  Box job = box("/job", 64_MiB);
  MemcgState full = job.full();
  full.oom_group = true;
  tell(created(job, 1000_ms));
  for (std::uint32_t i = 0; i < 3; ++i) {
    tell(victim(1100_ms + i * 3_ms, task(50 + i, "w", job.id), chain({full}), job.task));
  }
  run_until(2000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_THAT(incidents_[0].victims, SizeIs(3));
  EXPECT_EQ(collector().totals().victims, 3);
}

TEST_F(CollectorTest, ASlowDaemonHoldsBackItsOwnContainerOnly) {
  daemon_knows({{id_of('a'), "web", "my-app"}}, milliseconds(150));
  const Box web = box("/docker/" + id_of('a'), 64_MiB, 40);
  Box job = box("/job", 64_MiB, 41);
  tell(created(web, 1000_ms));
  tell(created(job, 1000_ms));
  tell(killed(web, 1100_ms));
  tell(killed(job, 1100_ms));
  clock_.set(1200_ms);
  collector().turn(milliseconds(0));
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].cgroup.path, "/job");
  run_until(1300_ms);
  ASSERT_THAT(incidents_, SizeIs(2));
  EXPECT_EQ(incidents_[1].container.name, "web");
}

TEST_F(CollectorTest, AnIncidentDoesNotWaitForeverForItsName) {
  daemon_knows({}, milliseconds(5000));
  const Box web = box("/docker/" + id_of('a'), 64_MiB);
  tell(created(web, 1000_ms));
  tell(killed(web, 1100_ms));
  clock_.set(1200_ms);
  collector().turn(milliseconds(0));
  EXPECT_THAT(incidents_, IsEmpty());
  clock_.set(1200_ms + 3000_ms);
  collector().turn(milliseconds(0));
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].container.id, id_of('a'));
  EXPECT_EQ(incidents_[0].container.name, "");
  EXPECT_NE(incidents_[0].container.unknown_reason, "");
  EXPECT_FALSE(incidents_[0].evidence.complete);
}

TEST_F(CollectorTest, FinishTellsAnOomThatWasStillOpen) {
  const Box job = box("/job", 64_MiB);
  tell(created(job, 1000_ms));
  tell(killed(job, 1170_ms));
  clock_.set(1171_ms);
  collector().turn(milliseconds(0));
  EXPECT_THAT(incidents_, IsEmpty());
  collector().finish();
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].cgroup.path, "/job");
}

TEST_F(CollectorTest, FallsThatNoHookSeesAreReadFromTheUsageFile) {
  settings_.falls_are_seen = false;
  const Box job = box("/job", 1_GiB);
  tell(created(job, 1000_ms));
  rise(job, 1100_ms, 64);
  cgroups_.write("/job", "memory.usage_in_bytes", "67108864\n");
  clock_.set(1163_ms);
  run_until(1200_ms);
  EXPECT_THAT(incidents_, IsEmpty());
  cgroups_.write("/job", "memory.usage_in_bytes", "1048576\n");
  run_until(1300_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].burst->end, BurstEnd::kFell);
  EXPECT_GT(incidents_[0].burst->end_uncertainty_ms, 0);
  EXPECT_LE(incidents_[0].burst->end_uncertainty_ms, 20);
}

TEST_F(CollectorTest, WithoutChargesTheGapIsNamed) {
  settings_.standing_gaps = {"no BPF program runs: no kernel BTF"};
  Box job = box("/job", 64_MiB);
  tell(killed(job, 1100_ms));
  run_until(5000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_FALSE(incidents_[0].burst);
  EXPECT_THAT(incidents_[0].samplers, IsEmpty());
  EXPECT_THAT(incidents_[0].evidence.gaps, Contains(HasSubstr("no BPF program runs")));
}

// A machine out of breath: the agent stands still while records wait in the ring.
TEST_F(CollectorTest, RefusalsThatWaitToBeReadBelongToTheFirstOnes) {
  const Box job = box("/job", 64_MiB);
  const auto refused = [&](std::uint64_t time_ns, std::uint64_t count) {
    ChargeFailureEvent out;
    out.time_ns = time_ns;
    out.task = job.task;
    out.serial = 7;
    out.cgroup_id = job.id;
    out.count = count;
    out.error = ENOMEM;
    return out;
  };
  tell(created(job, 1000_ms));
  tell(refused(1100_ms, 1));
  tell(refused(1250_ms, 3));
  clock_.set(1100_ms);
  source_.after_poll = [&, calls = 0]() mutable {
    if (++calls == 2) {
      clock_.set(4000_ms);  // between the first record's handling and what is then looked through
    }
  };
  collector().turn(milliseconds(0));
  collector().turn(milliseconds(0));
  source_.after_poll = nullptr;
  run_until(6000_ms);
  collector().finish();
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_EQ(incidents_[0].charge_failure->count, 3);
}

TEST_F(CollectorTest, ABreakpointIsAnIncidentWithTheThreadThatCrossed) {
  daemon_knows({{id_of('a'), "web", "my-app:latest"}});
  const Box web = box("/docker/" + id_of('a'), 64_MiB);
  tell(created(web, 1000_ms));
  BreakpointEvent hit;
  hit.time_ns = 1100_ms;
  hit.cgroup_id = web.id;
  hit.line_bytes = 48_MiB;
  hit.usage_bytes = 49_MiB;
  hit.limit_bytes = 64_MiB;
  hit.signal = 19;
  hit.task = web.task;
  hit.task.tid = 77;
  hit.task.thread_comm = "worker-3";
  tell(hit);
  BreakpointEvent late = hit;
  late.time_ns = 1200_ms;
  late.late = true;
  late.task = {};
  tell(late);
  run_until(4000_ms);
  ASSERT_THAT(incidents_, SizeIs(2));
  const Incident& incident = incidents_.front();
  EXPECT_EQ(incident.kind, IncidentKind::kBreakpoint);
  EXPECT_EQ(incident.boot_ns, 1100_ms);
  EXPECT_EQ(incident.container.name, "web");
  EXPECT_EQ(incident.usage_bytes, 49_MiB);
  EXPECT_EQ(incident.limit.bytes, 64_MiB);
  EXPECT_EQ(incident.scope, Scope::kMemcg);
  EXPECT_EQ(incident.trigger->tid, 77);
  EXPECT_EQ(incident.trigger->comm, "worker-3");
  EXPECT_EQ(incident.breakpoint->line_bytes, 48_MiB);
  EXPECT_EQ(incident.breakpoint->overshoot_bytes, 1_MiB);
  EXPECT_FALSE(incident.breakpoint->late);
  EXPECT_FALSE(incidents_[1].trigger);
  EXPECT_TRUE(incidents_[1].breakpoint->late);
  EXPECT_THAT(incidents_[1].evidence.gaps, Contains(HasSubstr("who crossed the line is not known")));
  EXPECT_EQ(collector().totals().breakpoints, 2);
}

TEST_F(CollectorTest, AHundredKillsInARowAreAHundredIncidents) {
  for (std::uint32_t i = 0; i < 100; ++i) {
    Box job = box("/job" + std::to_string(i), 64_MiB, 1000 + i);
    const std::uint64_t start = 1000_ms + i * 100_ms;
    tell(created(job, start));
    rise(job, start + 1_ms, 64, 200'000);
    tell(killed(job, start + 20_ms));
    for (std::uint64_t mib = 63; mib > 0; --mib) {
      tell(job.steps.down(start + 21_ms + (64 - mib) * 10'000, mib * 1_MiB));
    }
    tell(removed(job, start + 30_ms));
    if (i % 7 == 0) {
      clock_.set(start + 30_ms);
      collector().turn(milliseconds(0));
    }
  }
  run_until(20'000_ms);
  ASSERT_THAT(incidents_, SizeIs(100));
  for (const Incident& incident : incidents_) {
    EXPECT_EQ(incident.kind, IncidentKind::kOom);
    EXPECT_TRUE(incident.burst) << incident.cgroup.path;
    EXPECT_EQ(incident.cgroup.path, "/job" + std::to_string(incident.victims[0].pid - 1000));
  }
}

TEST_F(CollectorTest, TwoKillsInOneBatchKeepTheirOwnRise) {
  Box job = box("/job", 64_MiB);
  tell(created(job, 1000_ms));
  rise(job, 1100_ms, 64);
  tell(killed(job, 1164_ms));
  fall(job, 1164_ms, 20);
  for (std::uint64_t m = 45; m <= 64; ++m)
    tell(job.steps.up(1166_ms + m * 10'000, m * 1_MiB));
  tell(victim(1168_ms, task(99, "two", job.id), chain({job.full()})));
  clock_.set(1168_ms);
  run_until(3000_ms);
  ASSERT_THAT(incidents_, SizeIs(2));
  EXPECT_LE(incidents_[0].burst->base_bytes, 4_MiB);
}
TEST_F(CollectorTest, UnknownHitIsNotTheHost) {
  Box job = box("/job", std::nullopt);
  settings_.host_memory_bytes = 4_GiB;
  VictimEvent v = victim(1100_ms, job.task, chain({memcg(job.id, 10_MiB)}));
  v.memcg_oom = true;
  tell(v);
  run_until(3000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_NE(incidents_[0].limit.kind, "host");
}
TEST_F(CollectorTest, OpenBurstAtFinish) {
  Box job = box("/job", 1_GiB);
  tell(created(job, 1000_ms));
  rise(job, 1100_ms, 64);
  clock_.set(1170_ms);
  collector().turn(milliseconds(0));
  collector().finish();
  EXPECT_THAT(incidents_, SizeIs(1));
}
TEST_F(CollectorTest, ThrottledToTheKill) {
  Box job = box("/job", 64_MiB);
  tell(created(job, 1000_ms));
  rise(job, 1100_ms, 30);
  ThrottleEvent t;
  t.time_ns = 1131_ms;
  t.cgroup_id = job.id;
  t.steps_per_window = 30;
  t.window_ns = 1000_ms;
  tell(t);
  tell(killed(job, 1164_ms));
  source_.lost.throttled = 34;
  run_until(3000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_FALSE(incidents_[0].evidence.complete);
}
TEST_F(CollectorTest, MainProcessAfterARestart) {
  socket_ = dir_.path() + "/docker.sock";
  daemon_.emplace(socket_, [](FakeDaemon::Connection& c) {
    const std::string id = id_of('a');
    if (c.target().starts_with("/containers/json"))
      c.answer(200, R"([{"Id":")" + id + R"(","Names":["/web"],"Image":"i","Labels":{}}])");
    else
      c.answer(200, R"({"Id":")" + id + R"(","Name":"/web","State":{"Pid":4242},"Config":{"Image":"i"}})");
  });
  Box web = box("/docker/" + id_of('a'), 64_MiB, 40);
  tell(created(web, 1000_ms));
  tell(killed(web, 1010_ms));
  run_until(2000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_TRUE(incidents_[0].victims[0].main_process);
}

TEST_F(CollectorTest, LatePathCut) {
  // victim event arrives one turn after a sample saw the fall
  settings_.falls_are_seen = false;
  Box job = box("/job", 64_MiB);
  tell(created(job, 1000_ms));
  for (std::uint64_t m = 54; m <= 64; ++m)
    tell(job.steps.up(1100_ms + m * 100'000, m * 1_MiB));
  tell(killed(job, 1110_ms));
  std::vector<Event> later{source_.events.back()};
  source_.events.pop_back();
  cgroups_.write("/job", "memory.usage_in_bytes", "67108864\n");
  clock_.set(1107_ms);
  collector().turn(milliseconds(0));
  cgroups_.write("/job", "memory.usage_in_bytes", "1048576\n");
  clock_.set(1113_ms);
  collector().turn(milliseconds(0));
  source_.events.push_back(later[0]);
  run_until(3000_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  EXPECT_TRUE(incidents_[0].burst);
}

}  // namespace
}  // namespace memcrest
