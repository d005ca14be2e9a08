// SPDX-License-Identifier: Apache-2.0
// Ends by a signal that were no OOM, from the events to the incident: whose process it was, who sent it, and which ends
// are told at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "collector/collector.h"
#include "support/collector_fixture.h"

namespace memcrest {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class CollectorExitsTest : public CollectorFixture {
 protected:
  CollectorExitsTest() {
    settings_.ends_are_told = true;
    daemon_knows({{id_of('a'), "web", "my-app"}, {id_of('b'), "other", "my-app"}});
    web_ = box("/docker/" + id_of('a'), 64_MiB);
    tell(created(web_, 1000_ms));
    rise(web_, 1001_ms, 12);
  }
  // A process of the cgroup at `path`, whose command line an event told.
  TaskInfo process(std::uint32_t pid, const std::string& comm, const std::string& path, std::uint32_t uid = 0) {
    Box there = box(path, std::nullopt, pid);
    there.task.comm = comm;
    there.task.thread_comm = comm;
    there.task.uid = uid;
    there.task.ns_tgid = pid;
    tell(created(there, 1020_ms));
    tell(exec(there, 1021_ms, comm + std::string("\0--option\0", 10)));
    return there.task;
  }
  void signal(std::uint64_t time_ns, const TaskInfo& sender, const TaskInfo& target, std::uint32_t number = SIGKILL) {
    KillEvent out;
    out.time_ns = time_ns;
    out.sender = sender;
    out.target = target;
    out.signal = number;
    tell(out);
  }
  void ends(std::uint64_t time_ns, const TaskInfo& who, std::int32_t status) { tell(ExitEvent{time_ns, who, status}); }
  TaskInfo child(std::uint32_t pid = 50) const {
    TaskInfo out = web_.task;
    out.process = {pid, pid * 1000ULL};
    out.tid = pid;
    out.ns_tgid = 9;
    return out;
  }
  std::vector<Incident> told() {
    run_until(8000_ms);
    return incidents_;
  }
  static Cause cause_of(const Incident& incident) {
    return incident.verdict && !incident.verdict->causes.empty() ? incident.verdict->causes[0].cause : Cause::kUnknown;
  }
  Box web_;
};

TEST_F(CollectorExitsTest, TheRuntimeAskedAndThenKilled) {
  const TaskInfo runc = process(905, "runc", "/system.slice/docker.service");
  signal(1100_ms, runc, web_.task, SIGTERM);
  signal(3100_ms, runc, web_.task);
  ends(3101_ms, web_.task, SIGKILL);
  ASSERT_THAT(told(), SizeIs(1));
  const Incident& incident = incidents_[0];
  EXPECT_EQ(incident.kind, IncidentKind::kKill);
  EXPECT_EQ(incident.container.name, "web");
  EXPECT_EQ(incident.usage_bytes, 12_MiB);
  EXPECT_EQ(incident.limit.bytes, 64_MiB);
  ASSERT_TRUE(incident.end && incident.end->sender && incident.end->asked && incident.end->asked->sender);
  EXPECT_EQ(incident.end->signal, SIGKILL);
  EXPECT_EQ(incident.end->pid, web_.task.process.tgid);
  EXPECT_TRUE(incident.end->main_process);
  EXPECT_TRUE(incident.end->sender->known);
  EXPECT_EQ(incident.end->sender->comm, "runc");
  EXPECT_EQ(incident.end->sender->cmdline, "runc --option");
  EXPECT_EQ(incident.end->asked->signal, SIGTERM);
  EXPECT_NEAR(incident.end->asked->before_ms, 2000, 0.001);
  EXPECT_EQ(cause_of(incident), Cause::kStoppedByRuntime);
  EXPECT_EQ(collector().totals().kills, 1);
  EXPECT_EQ(collector().totals().ooms, 0);
}

TEST_F(CollectorExitsTest, WhoKilledAndWhoAskedComeWithTheirParents) {
  const TaskInfo shell = process(600, "bash", "/user.slice/a", 1000);
  ExecEvent told_of;
  told_of.time_ns = 1030_ms;
  told_of.task = task(601, "kill", shell.cgroup_id);
  told_of.task.uid = 1000;
  told_of.cmdline = std::string("kill\0-9\0", 8);
  told_of.parent_tgid = shell.process.tgid;
  tell(told_of);
  signal(1100_ms, told_of.task, web_.task, SIGTERM);
  signal(1500_ms, told_of.task, web_.task);
  ends(1501_ms, web_.task, SIGKILL);
  ASSERT_THAT(told(), SizeIs(1));
  ASSERT_TRUE(incidents_[0].end && incidents_[0].end->sender && incidents_[0].end->asked);
  for (const Sender& sender : {*incidents_[0].end->sender, *incidents_[0].end->asked->sender}) {
    EXPECT_EQ(sender.uid, 1000);
    ASSERT_THAT(sender.parents, SizeIs(1)) << sender.comm;
    EXPECT_EQ(sender.parents[0].comm, "bash");
    EXPECT_EQ(sender.parents[0].pid, 600);
  }
  EXPECT_EQ(cause_of(incidents_[0]), Cause::kKilledFromHost);
}

TEST_F(CollectorExitsTest, ANeighbourInTheContainerAndAnotherContainer) {
  signal(1100_ms, web_.task, child());
  ends(1101_ms, child(), SIGKILL);
  const TaskInfo other = process(700, "runc", "/docker/" + id_of('b'));  // a name that anybody can take
  signal(1200_ms, other, child(51));
  ends(1201_ms, child(51), SIGKILL);
  ASSERT_THAT(told(), SizeIs(2));
  EXPECT_EQ(cause_of(incidents_[0]), Cause::kKilledWithin);
  EXPECT_FALSE(incidents_[0].end->main_process);
  EXPECT_THAT(incidents_[0].end->sender->parents, IsEmpty()) << "not of its own container";
  EXPECT_EQ(cause_of(incidents_[1]), Cause::kKilledFromHost);
  EXPECT_EQ(incidents_[1].end->sender->container_name, "other");
}

TEST_F(CollectorExitsTest, CrashesOfMainProcessesAlone) {
  ends(1100_ms, child(), SIGSEGV);
  ends(1200_ms, web_.task, SIGABRT | 0x80);
  ASSERT_THAT(told(), SizeIs(1));
  EXPECT_EQ(cause_of(incidents_[0]), Cause::kAborted);
  EXPECT_TRUE(incidents_[0].end->core_dumped);
  EXPECT_FALSE(incidents_[0].end->sender);
}

TEST_F(CollectorExitsTest, WhatNobodyAsksAbout) {
  const TaskInfo shell = process(600, "bash", "/user.slice/a");
  signal(1100_ms, shell, web_.task, SIGTERM);
  ends(1200_ms, web_.task, SIGTERM);  // as it was asked
  const TaskInfo job = process(800, "job", "/job");
  signal(1300_ms, shell, job);
  ends(1301_ms, job, SIGKILL);  // in no container
  EXPECT_THAT(told(), IsEmpty());
}

// systemd-oomd kills services as well.
TEST_F(CollectorExitsTest, AKillerOfUserSpaceIsToldOfTheHostToo) {
  const TaskInfo killer = process(900, "systemd-oomd", "/system.slice/systemd-oomd.service", 998);
  const TaskInfo job = process(800, "job", "/job");
  signal(1300_ms, killer, job);
  ends(1301_ms, job, SIGKILL);
  ASSERT_THAT(told(), SizeIs(1));
  EXPECT_EQ(cause_of(incidents_[0]), Cause::kEarlyOomKiller);
  EXPECT_EQ(incidents_[0].end->sender->unit, "systemd-oomd.service");
}

// By the signal or by itself: earlyoom asks at its first threshold.
TEST_F(CollectorExitsTest, WhoEndsSinceAKillerOfUserSpaceAsked) {
  const TaskInfo killer = process(900, "earlyoom", "/system.slice/earlyoom.service", 997);
  const TaskInfo impostor = process(901, "earlyoom", "/user.slice/b", 1000);
  signal(1100_ms, killer, child());
  signal(1100_ms, killer, child(51), SIGTERM);
  ends(1200_ms, child(51), 143 << 8);
  signal(1300_ms, impostor, child(52), SIGTERM);
  ends(1400_ms, child(52), SIGTERM);
  ASSERT_THAT(told(), SizeIs(1));
  const Incident& incident = incidents_[0];
  EXPECT_EQ(incident.end->signal, SIGTERM);
  EXPECT_EQ(incident.end->pid, 51);
  ASSERT_TRUE(incident.end->sender);
  EXPECT_EQ(incident.end->sender->uid, 997);
  EXPECT_EQ(cause_of(incident), Cause::kEarlyOomKiller);
  EXPECT_THAT(incident.verdict->text, HasSubstr("asked it to end (SIGTERM), and it ended"));
}

TEST_F(CollectorExitsTest, WhatTheRateLimitLeftOutIsCounted) {
  const TaskInfo shell = process(600, "bash", "/user.slice/a");
  for (std::uint32_t i = 0; i < 20; ++i) {
    signal(1100_ms + i * 10_ms, shell, child(100 + i));
    ends(1101_ms + i * 10_ms, child(100 + i), SIGKILL);
  }
  signal(1400_ms, shell, web_.task);
  ends(1401_ms, web_.task, SIGKILL);
  ASSERT_THAT(told(), SizeIs(9));
  EXPECT_TRUE(incidents_.back().end->main_process);
  EXPECT_EQ(incidents_.back().end->left_out, 12);
  EXPECT_THAT(incidents_.back().evidence.gaps, Contains(HasSubstr("12 ends by a signal in this cgroup")));
}

TEST_F(CollectorExitsTest, WhereSignalsAreNotSeenNothingIsTold) {
  settings_.ends_are_told = false;
  ends(1200_ms, web_.task, SIGKILL);
  EXPECT_THAT(told(), IsEmpty());
}

}  // namespace
}  // namespace memcrest
