// SPDX-License-Identifier: Apache-2.0
#include "collector/oom_count_poller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "support/event_builder.h"
#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class OomCountTest : public testing::Test {
 protected:
  explicit OomCountTest(FakeCgroups::Version version = FakeCgroups::Version::kV1)
      : host_(version), tree_(*CgroupTree::open(host_.root())) {}

  void machine(std::uint64_t kills) {
    std::ofstream(host_.root().proc + "/vmstat") << "nr_free_pages 1\noom_kill " << kills << "\noom_killer 9\n";
  }
  void make(const std::string& path, std::uint64_t kills = 0) {
    host_.add(path);
    count(path, kills);
  }
  void count(const std::string& path, std::uint64_t kills, std::uint64_t oom = 0, const std::string& more = "") {
    if (tree_.version() == 1) {
      host_.write(path, "memory.oom_control",
                  "oom_kill_disable 0\nunder_oom 0\noom_kill " + std::to_string(kills) + "\n");
    } else {
      host_.write(path, events_,
                  "low 0\noom " + std::to_string(oom) + "\noom_kill " + std::to_string(kills) + "\n" + more);
    }
  }
  void refresh(std::uint64_t now_ns) {
    std::vector<CgroupChange> changes;
    roster_->refresh(now_ns, changes);
    for (const CgroupChange& change : changes) {
      change.created ? poller_->added(change, now_ns) : poller_->removed(change.cgroup.id);
    }
  }
  void start(std::uint64_t now_ns = 1000_ms, bool whole_view = true) {
    const CpuClock cpu = [this] { return cpu_ += cost_; };
    roster_.emplace(tree_, RosterSettings{}, cpu);
    poller_.emplace(tree_, host_.root(), *roster_, whole_view, OomCountSettings{}, cpu);
    EXPECT_THAT(look(now_ns), IsEmpty());
  }
  std::vector<OomCountEvent> look(std::uint64_t now_ns) {
    refresh(now_ns);
    std::vector<Event> out;
    poller_->look(now_ns, roster_->take_touched(), out);
    std::vector<OomCountEvent> events;
    for (const Event& event : out) {
      events.push_back(std::get<OomCountEvent>(event));
    }
    return events;
  }

  FakeCgroups host_;
  CgroupTree tree_;
  std::string events_ = "memory.events.local";
  std::uint64_t cpu_ = 0;
  std::uint64_t cost_ = 0;
  std::optional<CgroupRoster> roster_;
  std::optional<OomCountPoller> poller_;
};

class OomCountV2Test : public OomCountTest {
 protected:
  OomCountV2Test() : OomCountTest(FakeCgroups::Version::kV2) {}
};

TEST_F(OomCountTest, AKillIsFoundWhereItWas) {
  machine(5);
  make("/docker", 2);
  make("/docker/web", 3);
  host_.write("/docker/web", "memory.limit_in_bytes", std::to_string(64_MiB) + "\n");
  start();
  EXPECT_THAT(look(1020_ms), IsEmpty()) << "the past is no news";
  machine(6);
  count("/docker/web", 4);
  host_.write("/docker/web", "memory.failcnt", "7\n");
  host_.write("/docker/web", "memory.usage_in_bytes", std::to_string(3_MiB) + "\n");
  host_.write("/docker/web", "memory.max_usage_in_bytes", std::to_string(64_MiB) + "\n");
  const auto events = look(1040_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].time_ns, 1040_ms);
  EXPECT_EQ(events[0].window_ns, 20_ms);
  EXPECT_EQ(events[0].cgroup_id, host_.id("/docker/web"));
  EXPECT_EQ(events[0].path, "/docker/web");
  EXPECT_EQ(events[0].kills, 1);
  EXPECT_FALSE(events[0].group_kill);
  EXPECT_EQ(events[0].limit_path, events[0].path);
  EXPECT_EQ(events[0].usage_bytes, 3_MiB);
  EXPECT_EQ(events[0].limit_bytes, 64_MiB);
  EXPECT_EQ(events[0].peak_bytes, 64_MiB);
  EXPECT_THAT(look(1060_ms), IsEmpty());
  EXPECT_EQ(poller_->gone_unread(), 0);
}

TEST_F(OomCountTest, AFailcntWithoutTheLimitReachedIsNotTheOwnLimit) {
  machine(0);
  make("/a");
  host_.write("/a", "memory.limit_in_bytes", std::to_string(64_MiB) + "\n");
  host_.write("/a", "memory.failcnt", "7\n");
  start();
  machine(1);
  count("/a", 1);
  host_.write("/a", "memory.max_usage_in_bytes", std::to_string(64_MiB) + "\n");
  EXPECT_EQ(look(1020_ms).at(0).limit_path, "") << "failcnt is that of before";
  machine(2);
  count("/a", 2);
  host_.write("/a", "memory.failcnt", "8\n");
  host_.write("/a", "memory.max_usage_in_bytes", std::to_string(32_MiB) + "\n");
  EXPECT_EQ(look(1040_ms).at(0).limit_path, "") << "never near it";
  machine(3);
  count("/a", 3);
  host_.write("/a", "memory.memsw.failcnt", "1\n");
  host_.write("/a", "memory.memsw.limit_in_bytes", std::to_string(80_MiB) + "\n");
  host_.write("/a", "memory.memsw.max_usage_in_bytes", std::to_string(80_MiB) + "\n");
  const OomCountEvent both = look(1060_ms).at(0);
  EXPECT_EQ(both.limit_path, "/a");
  EXPECT_TRUE(both.memsw_hit) << "memory and swap together were";
  EXPECT_EQ(both.memsw_limit_bytes, 80_MiB);
}

TEST_F(OomCountTest, WhileTheMachineCountsNothingNoCgroupIsRead) {
  machine(0);
  make("/a");
  start();
  count("/a", 1);
  EXPECT_THAT(look(1020_ms), IsEmpty());
  machine(1);
  EXPECT_THAT(look(1030_ms), IsEmpty()) << "not before the interval is over";
  EXPECT_THAT(look(1040_ms), SizeIs(1));
}

TEST_F(OomCountTest, WithoutTheMachinesCountAllAreReadEach100Ms) {
  make("/a");
  start();
  EXPECT_EQ(poller_->gone_unread(), std::nullopt);
  count("/a", 2);
  EXPECT_THAT(look(1080_ms), IsEmpty());
  const auto events = look(1100_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].kills, 2);
  EXPECT_EQ(events[0].window_ns, 100_ms);
}

TEST_F(OomCountTest, LooksAtAllKeepToTheBudget) {
  machine(0);
  make("/a");
  start();
  cost_ = 5'000'000;  // 5 ms each time, at 0.5 % worth a second
  machine(1);
  count("/a", 1);
  EXPECT_THAT(look(1020_ms), SizeIs(1));
  machine(2);
  count("/a", 2);
  for (std::uint64_t now = 1040_ms; now < 2020_ms; now += 20_ms) {
    EXPECT_THAT(look(now), IsEmpty());
  }
  const auto events = look(2020_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].window_ns, 1000_ms);
  EXPECT_EQ(poller_->gone_unread(), 0);
}

TEST_F(OomCountTest, ANewCgroupsKillsAreNews) {
  machine(0);
  start();
  make("/young", 1);
  machine(1);
  const auto events = look(1020_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].path, "/young");
}

TEST_F(OomCountTest, WhatNoCgroupShowsIsCountedAsGoneUnread) {
  machine(0);
  make("/a");
  make("/b");
  start();
  machine(3);
  count("/a", 1);
  host_.remove("/b");
  EXPECT_THAT(look(1020_ms), SizeIs(1));
  EXPECT_EQ(poller_->gone_unread(), 0) << "it may still show";
  EXPECT_THAT(look(1040_ms), IsEmpty());
  const auto events = look(1080_ms);
  ASSERT_THAT(events, SizeIs(1)) << "told, if only as a number";
  EXPECT_EQ(events[0].kills, 2);
  EXPECT_EQ(events[0].path, "");
  EXPECT_FALSE(events[0].limit_path);
  EXPECT_EQ(poller_->gone_unread(), 2);
  machine(4);
  count("/a", 2);
  EXPECT_THAT(look(1100_ms), SizeIs(1));
  EXPECT_THAT(look(1200_ms), IsEmpty());
  EXPECT_EQ(poller_->gone_unread(), 2);
}

TEST_F(OomCountTest, InAPartialViewOthersKillsAreNotMissed) {
  machine(0);
  make("/a");
  start(1000_ms, false);
  machine(3);
  look(1020_ms);
  look(1100_ms);
  EXPECT_EQ(poller_->gone_unread(), std::nullopt);
}

TEST_F(OomCountV2Test, IsToldOfAChangeWithoutTheMachinesCount) {
  machine(0);
  make("/a");
  start();
  count("/a", 1, 1);
  const auto events = look(1003_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].kills, 1);
  EXPECT_EQ(events[0].window_ns, 3_ms);
  EXPECT_EQ(events[0].limit_path, events[0].path);
  machine(1);
  EXPECT_THAT(look(1020_ms), IsEmpty()) << "once is enough";
  EXPECT_THAT(look(1100_ms), IsEmpty());
  EXPECT_EQ(poller_->gone_unread(), 0);
}

TEST_F(OomCountV2Test, TheOwnLimitIsRememberedUntilTheKill) {
  machine(0);
  make("/a");
  make("/b");
  start();
  count("/a", 0, 1);
  EXPECT_THAT(look(1020_ms), IsEmpty());
  count("/a", 1, 1);
  count("/b", 1, 0);
  auto events = look(1500_ms);
  ASSERT_THAT(events, SizeIs(2));
  std::ranges::sort(events, {}, &OomCountEvent::path);
  EXPECT_EQ(events[0].limit_path, events[0].path);
  EXPECT_NE(events[1].limit_path, events[1].path) << "an ancestor's, or the machine's";
  count("/a", 2, 1);
  EXPECT_EQ(look(9000_ms).at(0).limit_path, "") << "that hit is long over";
}

TEST_F(OomCountV2Test, TheLimitOfAnAncestorIsFound) {
  machine(0);
  make("/pod");
  make("/pod/a");
  start();
  host_.write("/pod", "memory.max", std::to_string(64_MiB) + "\n");
  count("/pod/a", 1, 0);
  count("/pod", 0, 1);
  const auto events = look(1020_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].path, "/pod/a");
  EXPECT_EQ(events[0].limit_path, "/pod");
  EXPECT_EQ(events[0].limit_bytes, 64_MiB);
}

TEST_F(OomCountV2Test, AGroupKillIsOneEventWithoutTheOneThatIsCountedTwice) {
  machine(0);
  make("/pod");
  host_.write("/pod", "memory.oom.group", "1\n");
  start();
  count("/pod", 1, 1);
  EXPECT_THAT(look(1010_ms), IsEmpty()) << "more may follow";
  count("/pod", 4, 1);
  machine(4);
  EXPECT_THAT(look(1020_ms), IsEmpty());
  const auto events = look(1060_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].time_ns, 1010_ms);
  EXPECT_EQ(events[0].kills, 3);
  EXPECT_TRUE(events[0].group_kill);
  EXPECT_EQ(events[0].limit_path, events[0].path);
  EXPECT_EQ(events[0].path, "/pod");
}

TEST_F(OomCountV2Test, TheKernelsOwnCountOfGroupKillsIsBelieved) {
  machine(0);
  make("/pod");
  count("/pod", 0, 0, "oom_group_kill 0\n");
  host_.write("/pod", "memory.oom.group", "1\n");
  start();
  count("/pod", 8, 2, "oom_group_kill 2\n");
  look(1010_ms);
  EXPECT_EQ(look(1060_ms).at(0).kills, 6) << "two groups";
  count("/pod", 9, 2, "oom_group_kill 2\n");
  look(1100_ms);
  EXPECT_EQ(look(1160_ms).at(0).kills, 1) << "the last one of them, late";
}

TEST_F(OomCountV2Test, AGroupOfSeveralCgroupsIsToldAsTheGroup) {
  machine(0);
  make("/pod");
  make("/pod/a");
  make("/pod/b");
  host_.write("/pod", "memory.oom.group", "1\n");
  start();
  count("/pod", 0, 1);
  count("/pod/a", 2);
  count("/pod/b", 2);
  look(1010_ms);
  const auto events = look(1060_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].path, "/pod");
  EXPECT_EQ(events[0].cgroup_id, host_.id("/pod"));
  EXPECT_EQ(events[0].kills, 3);
  EXPECT_EQ(events[0].limit_path, events[0].path);
}

TEST_F(OomCountV2Test, WithoutLocalFilesASumIsNotToldAgain) {
  events_ = "memory.events";
  machine(0);
  make("/pod");
  make("/pod/a");
  start();
  count("/pod", 1, 1);
  count("/pod/a", 1, 1);
  auto events = look(1010_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].path, "/pod/a");
  count("/pod", 3, 1);
  count("/pod/a", 2, 1);
  events = look(1020_ms);
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[1].path, "/pod");
  EXPECT_EQ(events[1].kills, 1) << "one of its own";
}

TEST_F(OomCountV2Test, FilesThatAreNoFilesAreNoKills) {
  machine(0);
  host_.add("/bare");
  make("/odd");
  start();
  host_.write("/odd", events_, "oom_kill many\n");
  std::filesystem::remove(host_.top() + "/bare");
  machine(1);
  EXPECT_THAT(look(1020_ms), IsEmpty());
  host_.write("/odd", events_, "");
  EXPECT_THAT(look(1040_ms), IsEmpty());
}

}  // namespace
}  // namespace memcrest
