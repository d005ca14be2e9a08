// SPDX-License-Identifier: Apache-2.0
#include "collector/polling_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <fstream>
#include <memory>

#include "support/event_builder.h"
#include "support/fake_cgroups.h"
#include "support/fake_clock.h"

namespace memcrest {
namespace {

using namespace std::chrono_literals;
using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class PollingSourceTest : public testing::Test {
 protected:
  PollingSourceTest() : tree_(*CgroupTree::open(host_.root())) {
    std::ofstream(host_.root().proc + "/vmstat") << "oom_kill 0\n";
  }
  void make(const std::string& path, std::uint64_t usage) {
    host_.add(path);
    host_.write(path, "memory.usage_in_bytes", std::to_string(usage) + "\n");
    host_.write(path, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
  }
  void start(PollingSettings settings) {
    auto opened = PollingSource::open(tree_, clock_, host_.root(), settings, [] { return 0; });
    ASSERT_TRUE(opened) << opened.error().message();
    source_ = std::move(*opened);
  }
  std::vector<Event> at(std::uint64_t now_ns) {
    clock_.set(now_ns);
    std::vector<Event> out;
    EXPECT_EQ(source_->poll(0ms, out), EventSource::Status::kMore);
    return out;
  }

  FakeCgroups host_;
  CgroupTree tree_;
  FakeClock clock_;
  std::unique_ptr<PollingSource> source_;
};

TEST_F(PollingSourceTest, EachPartIsThereOnlyWhenWanted) {
  make("/a", 1_MiB);
  start({});
  at(1000_ms);
  make("/b", 1_MiB);
  host_.write("/a", "memory.usage_in_bytes", std::to_string(9_MiB) + "\n");
  std::ofstream(host_.root().proc + "/vmstat") << "oom_kill 1\n";
  host_.write("/a", "memory.oom_control", "oom_kill_disable 1\nunder_oom 1\noom_kill 1\n");
  for (std::uint64_t now = 1020_ms; now < 4000_ms; now += 20_ms) {
    EXPECT_THAT(at(now), IsEmpty());
  }
}

TEST_F(PollingSourceTest, LifecycleTellsWhatCameAndWentButNotWhatWasThere) {
  make("/a", 1_MiB);
  start({.usage = true, .lifecycle = true});
  EXPECT_THAT(at(1000_ms), SizeIs(1)) << "one base line, no creation";
  make("/a/b", 7_MiB);
  auto events = at(1005_ms);
  ASSERT_THAT(events, SizeIs(2));
  const auto& created = std::get<CgroupEvent>(events[0]);
  EXPECT_TRUE(created.created);
  EXPECT_EQ(created.time_ns, 1005_ms);
  EXPECT_EQ(created.cgroup_id, host_.id("/a/b"));
  EXPECT_EQ(created.parent_id, host_.id("/a"));
  EXPECT_EQ(created.path, "/a/b");
  EXPECT_FALSE(created.path_cut);
  EXPECT_EQ(std::get<StepEvent>(events[1]).usage_bytes, 7_MiB) << "its base line at once";
  const std::uint64_t id = created.cgroup_id;
  host_.remove("/a/b");
  events = at(1030_ms);
  ASSERT_THAT(events, SizeIs(1));
  const auto& removed = std::get<CgroupEvent>(events[0]);
  EXPECT_FALSE(removed.created);
  EXPECT_EQ(removed.cgroup_id, id);
  EXPECT_EQ(removed.path, "/a/b");
  EXPECT_EQ(removed.watermark_bytes, 7_MiB);
}

TEST_F(PollingSourceTest, AllPartsTogetherInOrderOfTime) {
  make("/a", 1_MiB);
  host_.write("/a", "memory.oom_control", "oom_kill_disable 1\nunder_oom 1\noom_kill 0\n");
  start({.usage = true, .oom_counts = true, .lifecycle = true, .stuck = true});
  std::vector<Event> all;
  for (std::uint64_t now = 1000_ms; now <= 2600_ms; now += 20_ms) {
    if (now == 2000_ms) {
      host_.write("/a", "memory.usage_in_bytes", std::to_string(9_MiB) + "\n");
      std::ofstream(host_.root().proc + "/vmstat") << "oom_kill 1\n";
      host_.write("/a", "memory.oom_control", "oom_kill_disable 1\nunder_oom 1\noom_kill 1\n");
    }
    for (Event& event : at(now)) {
      all.push_back(std::move(event));
    }
  }
  EXPECT_TRUE(std::ranges::is_sorted(all, {}, time_of));
  std::size_t steps = 0;
  std::size_t counts = 0;
  std::size_t stuck = 0;
  for (const Event& event : all) {
    steps += std::holds_alternative<StepEvent>(event) ? 1 : 0;
    counts += std::holds_alternative<OomCountEvent>(event) ? 1 : 0;
    stuck += std::holds_alternative<StuckEvent>(event) ? 1 : 0;
  }
  EXPECT_EQ(steps, 2);
  EXPECT_EQ(counts, 1);
  EXPECT_EQ(stuck, 1);
  EXPECT_EQ(all.size(), 4);
  EXPECT_TRUE(source_->all_watched());
  EXPECT_EQ(source_->loss(), LossCount{});
}

TEST_F(PollingSourceTest, CanBeWaitedForBesideOthers) {
  start({.lifecycle = true});
  at(1000_ms);
  pollfd wait{source_->wait_fd(), POLLIN, 0};
  ASSERT_GE(wait.fd, 0);
  EXPECT_EQ(::poll(&wait, 1, 0), 0);
  make("/a", 0);
  EXPECT_EQ(::poll(&wait, 1, 0), 1) << "a new cgroup wakes at once";
  EXPECT_THAT(at(1001_ms), SizeIs(1));
  EXPECT_EQ(::poll(&wait, 1, 0), 0);
  EXPECT_EQ(::poll(&wait, 1, 1500), 1) << "and the timer does in any case";
}

TEST_F(PollingSourceTest, CgroupsWithoutRoomAreLost) {
  make("/a", 0);
  make("/b", 0);
  PollingSettings settings{.usage = true};
  settings.roster.max_cgroups = 2;
  start(settings);
  at(1000_ms);
  EXPECT_GT(source_->loss().untracked, 0);
}

}  // namespace
}  // namespace memcrest
