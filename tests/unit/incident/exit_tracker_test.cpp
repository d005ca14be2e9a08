// SPDX-License-Identifier: Apache-2.0
#include "incident/exit_tracker.h"

#include <gtest/gtest.h>

#include <csignal>

#include "support/event_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

KillEvent kill_of(std::uint64_t time_ns, const TaskInfo& target, std::uint32_t signal = SIGKILL) {
  KillEvent out;
  out.time_ns = time_ns;
  out.sender = task(905, "sender", 7);
  out.target = target;
  out.signal = signal;
  return out;
}

ExitEvent exit_of(std::uint64_t time_ns, const TaskInfo& who, std::int32_t status = SIGKILL) {
  return {time_ns, who, status};
}

TEST(ExitTracker, AnEndComesWithWhoSentItAndWhoHadAsked) {
  ExitTracker tracker;
  const TaskInfo web = task(10, "web");
  tracker.feed(kill_of(1000_ms, web, SIGTERM));
  tracker.feed(kill_of(1500_ms, web, SIGTERM));  // the same wish
  tracker.feed(kill_of(11'000_ms, web), 7_MiB);
  tracker.feed(kill_of(11'001_ms, web));
  tracker.feed(exit_of(11'002_ms, web), 1_MiB);
  EXPECT_TRUE(tracker.take(11'010_ms).empty()) << "a victim's record may still come";
  ASSERT_TRUE(tracker.deadline());
  EXPECT_EQ(*tracker.deadline(), 11'022_ms);
  const auto found = tracker.take(11'022_ms);
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].signal, SIGKILL);
  ASSERT_TRUE(found[0].kill && found[0].asked);
  EXPECT_EQ(found[0].kill->time_ns, 11'000_ms);
  EXPECT_EQ(found[0].asked->signal, SIGTERM);
  EXPECT_EQ(found[0].usage_bytes, 7_MiB) << "when the signal came";
  EXPECT_FALSE(tracker.deadline());
}

TEST(ExitTracker, WhatTheOomKillerEndedIsNotAmongThem) {
  ExitTracker tracker;
  const TaskInfo victim = task(10);
  const TaskInfo sibling = task(11);
  KillEvent kill = kill_of(1000_ms, victim);
  kill.from_kernel = true;
  tracker.feed(kill);
  kill = kill_of(1001_ms, sibling);
  kill.from_kernel = true;
  tracker.feed(kill);
  VictimEvent mark;
  mark.time_ns = 1002_ms;
  mark.task = victim;
  mark.trigger = kill.sender;
  tracker.feed(exit_of(1003_ms, victim));
  tracker.feed(exit_of(1004_ms, sibling));
  tracker.feed(mark);  // read late
  EXPECT_TRUE(tracker.take(2000_ms).empty());
}

TEST(ExitTracker, WhoGoesWithTheFirstProcessOfANamespaceIsNotTold) {
  ExitTracker tracker;
  TaskInfo init = task(10, "init");
  init.ns_tgid = 1;
  tracker.feed(kill_of(1000_ms, init));
  for (std::uint32_t pid = 20; pid < 30; ++pid) {
    KillEvent kill = kill_of(1001_ms, task(pid));
    kill.sender = init;
    kill.from_kernel = true;
    tracker.feed(kill);
    tracker.feed(exit_of(1002_ms, task(pid)));
  }
  tracker.feed(exit_of(1003_ms, init));
  const auto found = tracker.take(2000_ms);
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].task.process, init.process);
}

TEST(ExitTracker, CrashesHaveNoSenderAndWhatAsksIsNoKill) {
  ExitTracker tracker;
  tracker.feed(kill_of(999_ms, task(10)));  // too late to matter: it was crashing already
  tracker.feed(exit_of(1000_ms, task(10), SIGSEGV | 0x80));
  for (const int signal : {0, SIGTERM, SIGINT, SIGPIPE, SIGHUP}) {
    tracker.feed(exit_of(1000_ms, task(20), signal));
  }
  const auto found = tracker.take(2000_ms);
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].signal, SIGSEGV);
  EXPECT_TRUE(found[0].core_dumped);
  EXPECT_FALSE(found[0].kill);
}

// earlyoom asks first. Whoever handles that ends by itself, with whatever code it likes.
TEST(ExitTracker, WhoEndsSinceAKillerOfUserSpaceAskedIsTold) {
  for (const std::int32_t status : {SIGTERM, 0, 143 << 8U}) {
    ExitTracker tracker;
    KillEvent asked = kill_of(1000_ms, task(10), SIGTERM);
    asked.sender.comm = "earlyoom";
    tracker.feed(asked, 90_MiB);
    tracker.feed(exit_of(1500_ms, task(10), status), 1_MiB);
    const auto found = tracker.take(2000_ms);
    ASSERT_EQ(found.size(), 1) << status;
    EXPECT_EQ(found[0].signal, SIGTERM);
    ASSERT_TRUE(found[0].kill);
    EXPECT_EQ(found[0].kill->sender.comm, "earlyoom");
    EXPECT_FALSE(found[0].asked);
    EXPECT_EQ(found[0].usage_bytes, 90_MiB);
    tracker.feed(asked);
    tracker.feed(exit_of(90'000_ms, task(11), status));
    tracker.feed(exit_of(90'000_ms, task(10, "again"), status));
    EXPECT_TRUE(tracker.take(~0ULL).empty()) << "another's end, or long after";
  }
}

TEST(ExitTracker, WhoWasAskedAgainAndAgainIsTold) {
  ExitTracker tracker;
  KillEvent asked = kill_of(1000_ms, task(10), SIGTERM);
  asked.sender.comm = "earlyoom";
  tracker.feed(asked);
  asked.time_ns = 70'000_ms;
  tracker.feed(asked);
  tracker.feed(exit_of(71'000_ms, task(10), 0));
  EXPECT_EQ(tracker.take(72'000_ms).size(), 1);
}

TEST(ExitTracker, WhoIsEndedByAnotherSignalWasNotEndedByTheKiller) {
  ExitTracker tracker;
  KillEvent asked = kill_of(1000_ms, task(10), SIGTERM);
  asked.sender.comm = "earlyoom";
  tracker.feed(asked);
  tracker.feed(exit_of(1500_ms, task(10), SIGINT));
  EXPECT_TRUE(tracker.take(~0ULL).empty());
}

TEST(ExitTracker, AKillerOfUserSpaceThatAskedAndThenKilled) {
  ExitTracker tracker;
  KillEvent one = kill_of(1000_ms, task(10), SIGTERM);
  one.sender.comm = "earlyoom";
  tracker.feed(one);
  one.signal = SIGKILL;
  one.time_ns = 3000_ms;
  tracker.feed(one);
  tracker.feed(exit_of(3001_ms, task(10)));
  const auto found = tracker.take(4000_ms);
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].signal, SIGKILL);
  ASSERT_TRUE(found[0].kill && found[0].asked);
  EXPECT_EQ(found[0].asked->time_ns, 1000_ms);
}

TEST(ExitTracker, AStormInOneCgroupIsCountedAndHidesNoOther) {
  ExitTracker tracker;
  for (std::uint32_t pid = 1; pid <= 10'000; ++pid) {
    tracker.feed(exit_of(1000_ms + pid, task(pid)));
  }
  tracker.feed(exit_of(1500_ms, task(20'000, "other", 101)));
  const auto found = tracker.take(2000_ms);
  EXPECT_EQ(found.size(), 65);
  EXPECT_EQ(found.back().task.comm, "other");
  EXPECT_EQ(tracker.take_left_out(100), 9936);
  EXPECT_EQ(tracker.take_left_out(100), 0);
  tracker.feed(exit_of(3000_ms, task(30'000)));
  EXPECT_EQ(tracker.take(4000_ms).size(), 1) << "those before are over";
}

TEST(ExitTracker, HowManyMayBeTold) {
  ExitTracker tracker;
  int told = 0;
  for (int i = 0; i < 100; ++i) {
    told += tracker.may_tell(100, 1000_ms) ? 1 : 0;
  }
  EXPECT_EQ(told, 8);
  EXPECT_TRUE(tracker.may_tell(101, 1000_ms));
  EXPECT_TRUE(tracker.may_tell(100, 12'000_ms)) << "the next window";
  EXPECT_EQ(tracker.take_left_out(100), 92);
  for (std::uint64_t cgroup = 200; cgroup < 300; ++cgroup) {
    told += tracker.may_tell(cgroup, 13'000_ms) ? 1 : 0;
  }
  EXPECT_EQ(told, 8 + 50) << "60 of all in a minute";
}

TEST(ExitTracker, TwoThreadsThatWereBothTheLastAreOneEnd) {
  ExitTracker tracker;
  tracker.feed(kill_of(1000_ms, task(10)));
  tracker.feed(exit_of(1001_ms, task(10)));
  tracker.feed(exit_of(1001_ms, thread_of(task(10), 11)));
  EXPECT_EQ(tracker.take(2000_ms).size(), 1);
  tracker.feed(exit_of(2001_ms, thread_of(task(10), 12)));
  EXPECT_TRUE(tracker.take(3000_ms).empty());
}

TEST(ExitTracker, AnOldSignalIsNotBlamed) {
  ExitTracker tracker;
  tracker.feed(kill_of(1000_ms, task(10)));
  tracker.feed(kill_of(1000_ms, task(10), SIGTERM));
  tracker.feed(exit_of(4'000'000_ms, task(10)));
  const auto found = tracker.take(~0ULL);
  ASSERT_EQ(found.size(), 1);
  EXPECT_FALSE(found[0].kill);
  EXPECT_FALSE(found[0].asked);
}

TEST(ExitTracker, AThreadDumpBeforeDoesNotHideTheWishToEnd) {
  ExitTracker tracker;
  tracker.feed(kill_of(1000_ms, task(10), SIGQUIT));
  tracker.feed(kill_of(8'000'000_ms, task(10), SIGTERM));
  tracker.feed(kill_of(8'010'000_ms, task(10)));
  tracker.feed(exit_of(8'010'001_ms, task(10)));
  const auto found = tracker.take(~0ULL);
  ASSERT_EQ(found.size(), 1);
  ASSERT_TRUE(found[0].asked);
  EXPECT_EQ(found[0].asked->signal, SIGTERM);
}

TEST(ExitTracker, IsBounded) {
  ExitTracker tracker;
  for (std::uint32_t pid = 1; pid < 50'000; ++pid) {
    TaskInfo one = task(pid, "x", pid);
    tracker.feed(kill_of(pid * 1_us, one));
    VictimEvent victim;
    victim.time_ns = pid * 1_us;
    victim.task = task(pid + 100'000);
    tracker.feed(victim);
    tracker.feed(kill_of(pid * 1_us, one, SIGTERM));
    tracker.feed(exit_of(pid * 1_us, one));
  }
  EXPECT_LE(tracker.size(), 4U * 4096);
  EXPECT_LE(tracker.take(~0ULL).size(), 4096);
}

}  // namespace
}  // namespace memcrest
