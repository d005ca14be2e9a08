// SPDX-License-Identifier: Apache-2.0
#include "collector/cgroup_files.h"

#include <gtest/gtest.h>

#include "support/event_builder.h"
#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

TEST(CgroupFiles, AValueIsFoundByItsWholeKey) {
  const char* text = "oom 3\noom_kill 12\noom_group_kill 1\nbad x\nlast 9";
  EXPECT_EQ(value_of(text, "oom"), 3);
  EXPECT_EQ(value_of(text, "oom_kill"), 12);
  EXPECT_EQ(value_of(text, "last"), 9);
  EXPECT_EQ(value_of(text, "oom_"), std::nullopt);
  EXPECT_EQ(value_of(text, "bad"), std::nullopt);
  EXPECT_EQ(value_of("", "oom"), std::nullopt);
  EXPECT_EQ(value_of("oom", "oom"), std::nullopt);
  EXPECT_EQ(value_of("oom 99999999999999999999", "oom"), std::nullopt);
  EXPECT_EQ(value_of("oom 1 2", "oom"), std::nullopt);
}

TEST(CgroupFiles, ReadsAgainFromTheStart) {
  FakeCgroups host;
  host.add("/a");
  host.write("/a", "memory.usage_in_bytes", "4096\n");
  const auto tree = CgroupTree::open(host.root());
  ASSERT_TRUE(tree);
  const Fd file = open_control(*tree, "/a", "memory.usage_in_bytes");
  ASSERT_TRUE(file);
  EXPECT_EQ(reread_number(file), 4096);
  host.write("/a", "memory.usage_in_bytes", "8192\n");
  EXPECT_EQ(reread_number(file), 8192);
  host.write("/a", "memory.usage_in_bytes", "max\n");
  EXPECT_EQ(reread_number(file), std::nullopt);
  EXPECT_FALSE(open_control(*tree, "/a", "memory.none"));
  EXPECT_FALSE(open_control(*tree, "/../etc", "passwd"));
  EXPECT_EQ(read_control(*tree, "/a", "memory.usage_in_bytes"), "max\n");
  EXPECT_EQ(read_control(*tree, "/b", "memory.usage_in_bytes"), std::nullopt);
}

TEST(CgroupFiles, ParentsUpToTheRoot) {
  EXPECT_EQ(parent_of("/a/b"), "/a");
  EXPECT_EQ(parent_of("/a"), "/");
  EXPECT_EQ(parent_of("/"), "");
  EXPECT_EQ(parent_of(""), "");
}

TEST(CgroupFiles, TheLowestLimitCounts) {
  FakeCgroups host(FakeCgroups::Version::kV2);
  host.add("/a/b");
  const auto tree = CgroupTree::open(host.root());
  ASSERT_TRUE(tree);
  EXPECT_EQ(lowest_limit(*tree, "/a/b"), std::nullopt);
  host.write("/a/b", "memory.max", "max\n");
  host.write("/a", "memory.max", std::to_string(64_MiB) + "\n");
  EXPECT_EQ(lowest_limit(*tree, "/a/b"), 64_MiB);
  host.write("/a/b", "memory.max", std::to_string(32_MiB) + "\n");
  EXPECT_EQ(lowest_limit(*tree, "/a/b"), 32_MiB);
  EXPECT_EQ(lowest_limit(*tree, "/a"), 64_MiB);
}

}  // namespace
}  // namespace memcrest
