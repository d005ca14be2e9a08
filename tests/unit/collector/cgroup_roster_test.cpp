// SPDX-License-Identifier: Apache-2.0
#include "collector/cgroup_roster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "support/event_builder.h"
#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

class CgroupRosterTest : public testing::Test {
 protected:
  explicit CgroupRosterTest() : tree_(*CgroupTree::open(host_.root())) {}

  CgroupRoster& roster(RosterSettings settings = {}) {
    if (!roster_) {
      roster_.emplace(tree_, settings, [this] { return cpu_ += 1000; });
    }
    return *roster_;
  }
  // "+/a" for one that came, "=/a" when it was there before us, "-/a" for one that went.
  std::vector<std::string> changes(std::uint64_t now_ns) {
    std::vector<CgroupChange> out;
    roster().refresh(now_ns, out);
    std::vector<std::string> text;
    for (const CgroupChange& one : out) {
      text.push_back((!one.created ? "-" : one.at_start ? "=" : "+") + one.cgroup.path);
    }
    return text;
  }

  FakeCgroups host_;
  CgroupTree tree_;
  std::uint64_t cpu_ = 0;
  std::optional<CgroupRoster> roster_;
};

TEST_F(CgroupRosterTest, BeginsWithAllThatExistParentsFirst) {
  const std::uint64_t a = host_.add("/a");
  const std::uint64_t b = host_.add("/a/b");
  EXPECT_THAT(changes(1000_ms), ElementsAre("=/", "=/a", "=/a/b"));
  EXPECT_THAT(changes(1001_ms), IsEmpty());
  EXPECT_EQ(roster().find(b)->parent_id, a);
  EXPECT_EQ(roster().find_path("/a/b")->id, b);
  EXPECT_EQ(roster().find(0), nullptr);
  EXPECT_EQ(roster().find_path("/c"), nullptr);
  EXPECT_TRUE(roster().all_watched());
}

TEST_F(CgroupRosterTest, IsToldWhatComesAndGoes) {
  changes(1000_ms);
  const std::uint64_t first = host_.add("/a/b/c");
  EXPECT_THAT(changes(1001_ms), ElementsAre("+/a", "+/a/b", "+/a/b/c"));
  host_.add("/a/b/d");
  EXPECT_THAT(changes(1002_ms), ElementsAre("+/a/b/d"));
  host_.write("/a/b", "cgroup.procs", "1\n");  // a file is no cgroup
  EXPECT_THAT(changes(1003_ms), IsEmpty());
  host_.remove("/a/b");
  EXPECT_THAT(changes(1004_ms), UnorderedElementsAre("-/a/b/c", "-/a/b/d", "-/a/b"));
  EXPECT_EQ(roster().find(first), nullptr);
  EXPECT_TRUE(roster().all_watched());
}

TEST_F(CgroupRosterTest, OneThatCameAndWentLeavesNothing) {
  changes(1000_ms);
  host_.add("/a/b");
  host_.remove("/a");
  changes(1001_ms);
  EXPECT_THAT(roster().all(), testing::SizeIs(1));
}

TEST_F(CgroupRosterTest, WhatCannotBeWatchedIsLookedForEachSecond) {
  host_.add("/a");
  roster({.max_watches = 1});
  changes(1000_ms);
  EXPECT_FALSE(roster().all_watched());
  host_.add("/a/b");
  EXPECT_THAT(changes(1999_ms), IsEmpty());
  EXPECT_THAT(changes(2000_ms), ElementsAre("+/a/b"));
  host_.remove("/a/b");
  EXPECT_THAT(changes(3000_ms), ElementsAre("-/a/b"));
}

TEST_F(CgroupRosterTest, ATreeThatTakesLongIsLookedAtLessOften) {
  host_.add("/a");
  std::uint64_t cost = 10'000'000;
  roster_.emplace(tree_, RosterSettings{.max_watches = 1}, [&] { return cpu_ += cost; });
  changes(1000_ms);
  host_.add("/a/b");
  EXPECT_THAT(changes(5900_ms), IsEmpty()) << "10 ms at 0.2 % of a CPU are 5 s";
  EXPECT_THAT(changes(6000_ms), ElementsAre("+/a/b"));
}

TEST_F(CgroupRosterTest, TheFullAreCounted) {
  for (const char* path : {"/a", "/b", "/c"}) {
    host_.add(path);
  }
  roster({.max_cgroups = 2});
  EXPECT_THAT(changes(1000_ms), testing::SizeIs(2));
  EXPECT_GT(roster().untracked(), 0);
}

TEST_F(CgroupRosterTest, AWatchedFileTouchesItsCgroup) {
  const std::uint64_t id = host_.add("/a");
  host_.write("/a", "memory.events.local", "oom 0\n");
  changes(1000_ms);
  EXPECT_TRUE(roster().watch_file(id, "memory.events.local"));
  EXPECT_FALSE(roster().watch_file(id + 1, "memory.events.local"));
  changes(1001_ms);
  EXPECT_THAT(roster().take_touched(), IsEmpty());
  host_.write("/a", "memory.events.local", "oom 1\n");
  changes(1002_ms);
  EXPECT_THAT(roster().take_touched(), ElementsAre(id));
  EXPECT_THAT(roster().take_touched(), IsEmpty());
  EXPECT_FALSE(roster().watch_file(id, "no.such.file"));
}

}  // namespace
}  // namespace memcrest
