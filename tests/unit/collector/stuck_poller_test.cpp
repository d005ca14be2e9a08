// SPDX-License-Identifier: Apache-2.0
#include "collector/stuck_poller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "support/event_builder.h"
#include "support/fake_proc.h"

namespace memcrest {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class StuckPollerTest : public testing::Test {
 protected:
  StuckPollerTest() : tree_(*CgroupTree::open(host_.root())) {}

  void make(const std::string& path, bool disabled, bool under_oom = false) {
    host_.add(path);
    control(path, disabled, under_oom);
  }
  void control(const std::string& path, bool disabled, bool under_oom) {
    host_.write(path, "memory.oom_control",
                "oom_kill_disable " + std::to_string(disabled ? 1 : 0) + "\nunder_oom " +
                    std::to_string(under_oom ? 1 : 0) + "\noom_kill 0\n");
  }
  void start(StuckSettings settings = {}) {
    const CpuClock cpu = [this] { return cpu_ += cost_; };
    roster_.emplace(tree_, RosterSettings{}, cpu);
    poller_.emplace(tree_, host_.root(), *roster_, settings, cpu);
  }
  std::vector<StuckEvent> look(std::uint64_t now_ns) {
    std::vector<CgroupChange> changes;
    std::vector<Event> out;
    roster_->refresh(now_ns, changes);
    for (const CgroupChange& change : changes) {
      change.created ? poller_->added(change.cgroup.id, now_ns) : poller_->removed(change.cgroup, now_ns, out);
    }
    poller_->look(now_ns, out);
    std::vector<StuckEvent> events;
    for (const Event& event : out) {
      events.push_back(std::get<StuckEvent>(event));
    }
    return events;
  }
  // Looks each 100 ms from `from` to just before `to`; all events.
  std::vector<StuckEvent> looks(std::uint64_t from, std::uint64_t to) {
    std::vector<StuckEvent> all;
    for (std::uint64_t now = from; now < to; now += 100_ms) {
      for (StuckEvent& event : look(now)) {
        all.push_back(std::move(event));
      }
    }
    return all;
  }

  FakeCgroups host_;
  CgroupTree tree_;
  std::uint64_t cpu_ = 0;
  std::uint64_t cost_ = 0;
  std::optional<CgroupRoster> roster_;
  std::optional<StuckPoller> poller_;
};

TEST_F(StuckPollerTest, AHangOfASecondIsToldWithItsTasksAndAgainWhenItIsOver) {
  make("/box", true);
  make("/box/kid", false);
  host_.write("/box", "tasks", "10\n");
  host_.write("/box/kid", "tasks", "20\n30\n");
  host_.write("/box", "memory.usage_in_bytes", std::to_string(16_MiB) + "\n");
  host_.write("/box", "memory.limit_in_bytes", std::to_string(16_MiB) + "\n");
  put_task(host_, {10, 10, "init", 'S', "do_wait"});
  put_task(host_, {20, 20, "web", 'D', "mem_cgroup_oom_synchronize"});
  put_task(host_, {30, 30, "db", 'D', "mem_cgroup_oom_synchronize"});
  start();
  EXPECT_THAT(looks(1000_ms, 2000_ms), IsEmpty());
  control("/box", true, true);
  control("/box/kid", false, true);
  EXPECT_THAT(looks(2000_ms, 3000_ms), IsEmpty());
  auto events = look(3000_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].time_ns, 3000_ms);
  EXPECT_EQ(events[0].since_ns, 2000_ms);
  EXPECT_FALSE(events[0].ended);
  EXPECT_EQ(events[0].cgroup_id, host_.id("/box"));
  EXPECT_EQ(events[0].path, "/box");
  EXPECT_EQ(events[0].usage_bytes, 16_MiB);
  EXPECT_EQ(events[0].limit_bytes, 16_MiB);
  ASSERT_THAT(events[0].tasks, SizeIs(2));
  EXPECT_EQ(events[0].tasks[0].comm, "web");
  EXPECT_EQ(events[0].total_tasks, 2);
  EXPECT_THAT(looks(3100_ms, 9000_ms), IsEmpty()) << "once";

  control("/box", true, false);
  host_.write("/box", "memory.limit_in_bytes", std::to_string(64_MiB) + "\n");
  events = looks(9000_ms, 10000_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_TRUE(events[0].ended);
  EXPECT_EQ(events[0].time_ns, 9000_ms) << "when it was free first";
  EXPECT_EQ(events[0].since_ns, 2000_ms);
  EXPECT_EQ(events[0].limit_bytes, 64_MiB);
  EXPECT_THAT(events[0].tasks, SizeIs(2)) << "those of the beginning";
  control("/box", true, true);
  EXPECT_THAT(looks(10000_ms, 11100_ms), SizeIs(1)) << "a new hang";
}

TEST_F(StuckPollerTest, ABreathInBetweenEndsNothing) {
  make("/box", true, true);
  start();
  EXPECT_THAT(looks(1000_ms, 2100_ms), SizeIs(1));
  control("/box", true, false);
  EXPECT_THAT(look(2100_ms), IsEmpty());
  control("/box", true, true);
  EXPECT_THAT(looks(2200_ms, 4000_ms), IsEmpty());
}

TEST_F(StuckPollerTest, AShortOneIsNotToldNorOneThatKills) {
  make("/short", true, true);
  make("/kills", false, true);
  start();
  EXPECT_THAT(looks(1000_ms, 1900_ms), IsEmpty());
  control("/short", true, false);
  EXPECT_THAT(looks(1900_ms, 2000_ms), IsEmpty());
  control("/short", true, true);
  EXPECT_THAT(looks(2000_ms, 2900_ms), IsEmpty()) << "counted from anew";
  EXPECT_THAT(looks(2900_ms, 3100_ms), SizeIs(1));
}

TEST_F(StuckPollerTest, OneHangIsToldWhereTheLimitIsAlthoughAllBelowAreMarked) {
  make("/box", true, true);
  make("/box/a", true, true);
  make("/box/a/b", true, true);
  start();
  const auto events = looks(1000_ms, 5000_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].path, "/box");
}

TEST_F(StuckPollerTest, ItEndsWithItsCgroupOrWhenKillingIsAllowedAgain) {
  make("/gone", true, true);
  make("/allowed", true, true);
  start();
  EXPECT_THAT(looks(1000_ms, 2100_ms), SizeIs(2));
  host_.remove("/gone");
  auto events = look(2150_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_TRUE(events[0].ended);
  EXPECT_EQ(events[0].path, "/gone");
  EXPECT_EQ(events[0].time_ns, 2150_ms);
  control("/allowed", false, true);
  events = look(2250_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].path, "/allowed");
}

TEST_F(StuckPollerTest, OneThatIsSetLaterIsFoundByTheWalk) {
  for (int i = 0; i < 100; ++i) {
    make("/c" + std::to_string(i), false);
  }
  start();
  cost_ = 10'000;  // 10 us each, at 0.15 % worth 7 ms
  looks(1000_ms, 4000_ms);
  control("/c57", true, true);
  const auto events = looks(4000_ms, 7000_ms);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].path, "/c57");
  EXPECT_GT(poller_->round(), std::chrono::milliseconds(400));
  EXPECT_LT(poller_->round(), std::chrono::milliseconds(1500));
}

TEST_F(StuckPollerTest, MoreThanMayBeKeptOpenAreStillWatched) {
  for (int i = 0; i < 10; ++i) {
    make("/c" + std::to_string(i), true, true);
  }
  start({.max_open = 3});
  EXPECT_THAT(looks(1000_ms, 2300_ms), SizeIs(10));
}

TEST_F(StuckPollerTest, NothingWithVersion2) {
  FakeCgroups other(FakeCgroups::Version::kV2);
  other.add("/a");
  other.write("/a", "memory.oom_control", "oom_kill_disable 1\nunder_oom 1\n");
  const auto tree = CgroupTree::open(other.root());
  ASSERT_TRUE(tree);
  CgroupRoster roster(*tree, {}, [] { return 0; });
  StuckPoller poller(*tree, other.root(), roster, {}, [] { return 0; });
  std::vector<CgroupChange> changes;
  std::vector<Event> out;
  roster.refresh(1000_ms, changes);
  for (std::uint64_t now = 1000_ms; now < 4000_ms; now += 100_ms) {
    poller.look(now, out);
  }
  EXPECT_THAT(out, IsEmpty());
}

}  // namespace
}  // namespace memcrest
