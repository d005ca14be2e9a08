// SPDX-License-Identifier: Apache-2.0
#include "collector/memory_figures.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/event_builder.h"
#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals
using Version = FakeCgroups::Version;

constexpr const char* kUnlimitedV1 = "9223372036854771712\n";

std::string bytes(std::uint64_t value) { return std::to_string(value) + "\n"; }

// A cgroup with all files, as the kernel writes them.
void fill_v2(FakeCgroups& host, const std::string& path, const std::string& max) {
  host.add(path);
  host.write(path, "memory.current", bytes(40_MiB));
  host.write(path, "memory.peak", bytes(50_MiB));
  host.write(path, "memory.max", max);
  host.write(path, "memory.stat",
             "anon 1\nfile 5\ninactive_anon 1\ninactive_file " + bytes(10_MiB) + "active_file 7\n");
  host.write(path, "memory.swap.current", bytes(1_MiB));
  host.write(path, "memory.swap.max", "max\n");
  host.write(path, "memory.events", "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n");
}

void fill_v1(FakeCgroups& host, const std::string& path, const std::string& limit, int kills = 0) {
  host.add(path);
  host.write(path, "memory.usage_in_bytes", bytes(40_MiB));
  host.write(path, "memory.max_usage_in_bytes", bytes(50_MiB));
  host.write(path, "memory.limit_in_bytes", limit);
  host.write(path, "memory.use_hierarchy", "1\n");
  host.write(path, "memory.stat", "inactive_file 1\ntotal_cache 5\ntotal_inactive_file " + bytes(10_MiB));
  host.write(path, "memory.memsw.usage_in_bytes", bytes(41_MiB));
  host.write(path, "memory.memsw.limit_in_bytes", bytes(128_MiB));
  host.write(path, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill " + std::to_string(kills) + "\n");
}

class MemoryFiguresTest : public testing::Test {
 protected:
  std::optional<MemoryFigures> read(FakeCgroups& host, const std::string& path, bool whole_view = true,
                                    const std::vector<std::string>& inner = {}) {
    const auto tree = CgroupTree::open(host.root());
    EXPECT_TRUE(tree);
    return tree ? MemoryReader(*tree, whole_view).read(path, inner) : std::nullopt;
  }
};

TEST_F(MemoryFiguresTest, AllOfACgroupOfVersion2) {
  FakeCgroups host(Version::kV2);
  fill_v2(host, "/a", bytes(64_MiB));
  const auto figures = read(host, "/a");
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->usage_bytes, 40_MiB);
  EXPECT_EQ(figures->working_set_bytes(), 30_MiB);
  EXPECT_EQ(figures->peak_bytes, 50_MiB);
  EXPECT_TRUE(figures->limit_known);
  EXPECT_EQ(figures->limit_bytes, 64_MiB);
  ASSERT_TRUE(figures->effective);
  EXPECT_EQ(figures->effective->bytes, 64_MiB);
  EXPECT_EQ(figures->effective->cgroup_path, "/a");
  EXPECT_EQ(figures->effective->usage_bytes, 40_MiB);
  EXPECT_TRUE(figures->effective_known);
  EXPECT_DOUBLE_EQ(figures->share_of_limit().value_or(-1), 30.0 / 64);
  ASSERT_TRUE(figures->swap);
  EXPECT_EQ(figures->swap->limit_bytes, std::nullopt);
  EXPECT_EQ(figures->swap->usage_bytes, 1_MiB);
  EXPECT_EQ(figures->swap->kind, "memory.swap.max");
  EXPECT_EQ(figures->oom_kills, 2);
  EXPECT_TRUE(figures->gaps.empty());
}

TEST_F(MemoryFiguresTest, AllOfACgroupOfVersion1) {
  FakeCgroups host;
  fill_v1(host, "/a", bytes(64_MiB), 3);
  const auto figures = read(host, "/a");
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->usage_bytes, 40_MiB);
  EXPECT_EQ(figures->working_set_bytes(), 30_MiB) << "with the children's, as docker stats reckons";
  EXPECT_EQ(figures->peak_bytes, 50_MiB);
  EXPECT_EQ(figures->limit_bytes, 64_MiB);
  ASSERT_TRUE(figures->swap);
  EXPECT_EQ(figures->swap->limit_bytes, 128_MiB);
  EXPECT_EQ(figures->swap->kind, "memory.memsw.limit_in_bytes");
  EXPECT_EQ(figures->oom_kills, 3);
  EXPECT_TRUE(figures->gaps.empty());
}

TEST_F(MemoryFiguresTest, WithoutALimitAnywhere) {
  FakeCgroups v2(Version::kV2);
  fill_v2(v2, "/a/b", "max\n");
  v2.write("/a", "memory.max", "max\n");
  FakeCgroups v1;
  fill_v1(v1, "/a/b", kUnlimitedV1);
  fill_v1(v1, "/a", kUnlimitedV1);
  for (FakeCgroups* host : {&v1, &v2}) {
    const auto figures = read(*host, "/a/b");
    ASSERT_TRUE(figures);
    EXPECT_TRUE(figures->limit_known);
    EXPECT_EQ(figures->limit_bytes, std::nullopt);
    EXPECT_TRUE(figures->effective_known);
    EXPECT_FALSE(figures->effective);
    EXPECT_EQ(figures->share_of_limit(), std::nullopt);
    EXPECT_TRUE(figures->gaps.empty());
  }
}

TEST_F(MemoryFiguresTest, TheLowestLimitAboveCounts) {
  FakeCgroups host(Version::kV2);
  fill_v2(host, "/a/b/c", bytes(512_MiB));
  host.write("/a/b", "memory.max", bytes(64_MiB));
  host.write("/a/b", "memory.current", bytes(60_MiB));
  host.write("/a", "memory.max", bytes(256_MiB));
  host.write("/a", "memory.current", bytes(200_MiB));
  const auto figures = read(host, "/a/b/c");
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->limit_bytes, 512_MiB);
  ASSERT_TRUE(figures->effective);
  EXPECT_EQ(figures->effective->bytes, 64_MiB);
  EXPECT_EQ(figures->effective->cgroup_path, "/a/b");
  EXPECT_EQ(figures->effective->usage_bytes, 60_MiB);
  EXPECT_DOUBLE_EQ(figures->share_of_limit().value_or(-1), 30.0 / 64);
}

TEST_F(MemoryFiguresTest, OfEqualLimitsTheInnermostCounts) {
  FakeCgroups host(Version::kV2);
  fill_v2(host, "/a/b", bytes(64_MiB));
  host.write("/a", "memory.max", bytes(64_MiB));
  const auto figures = read(host, "/a/b");
  ASSERT_TRUE(figures && figures->effective);
  EXPECT_EQ(figures->effective->cgroup_path, "/a/b");
}

TEST_F(MemoryFiguresTest, ALimitOfZeroIsFull) {
  FakeCgroups host(Version::kV2);
  fill_v2(host, "/a", "0\n");
  const auto figures = read(host, "/a");
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->limit_bytes, 0);
  EXPECT_EQ(figures->share_of_limit(), 1.0);
}

TEST_F(MemoryFiguresTest, Version1WithoutHierarchyIsNotHeldByItsParent) {
  FakeCgroups host;
  fill_v1(host, "/a/b", kUnlimitedV1);
  fill_v1(host, "/a", bytes(64_MiB));
  host.write("/a", "memory.use_hierarchy", "0\n");
  const auto figures = read(host, "/a/b");
  ASSERT_TRUE(figures);
  EXPECT_FALSE(figures->effective);
  EXPECT_TRUE(figures->effective_known);
}

TEST_F(MemoryFiguresTest, OldKernelsKeepNoPeak) {
  FakeCgroups host(Version::kV2);
  fill_v2(host, "/a", "max\n");
  std::filesystem::remove(host.top() + "/a/memory.peak");
  const auto figures = read(host, "/a");
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->peak_bytes, std::nullopt);
  ASSERT_EQ(figures->gaps.size(), 1U);
  EXPECT_NE(figures->gaps[0].find("5.19"), std::string::npos);
}

TEST_F(MemoryFiguresTest, WithoutSwapAccountingThereIsNoSwap) {
  FakeCgroups host;
  fill_v1(host, "/a", bytes(64_MiB));
  std::filesystem::remove(host.top() + "/a/memory.memsw.limit_in_bytes");
  const auto figures = read(host, "/a");
  ASSERT_TRUE(figures);
  EXPECT_FALSE(figures->swap);
  EXPECT_TRUE(figures->gaps.empty());
}

TEST_F(MemoryFiguresTest, ACgroupThatHasGoneHasNoFigures) {
  FakeCgroups host;
  EXPECT_FALSE(read(host, "/a"));
  EXPECT_FALSE(read(host, "/../etc"));
}

TEST_F(MemoryFiguresTest, WhereTheControllerIsNotActiveTheOneAboveCounts) {
  FakeCgroups host(Version::kV2);
  fill_v2(host, "/a", bytes(64_MiB));
  host.add("/a/b");
  host.write("/a/b", "cgroup.procs", "");
  const auto figures = read(host, "/a/b");
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->usage_bytes, std::nullopt);
  EXPECT_EQ(figures->share_of_limit(), std::nullopt);
  EXPECT_EQ(figures->limit_bytes, std::nullopt);
  ASSERT_TRUE(figures->effective);
  EXPECT_EQ(figures->effective->cgroup_path, "/a");
  ASSERT_EQ(figures->gaps.size(), 1U);
  EXPECT_NE(figures->gaps[0].find("not active"), std::string::npos);
}

TEST_F(MemoryFiguresTest, BrokenFilesAreGapsNotNumbers) {
  FakeCgroups host(Version::kV2);
  fill_v2(host, "/a", "lots\n");
  host.write("/a", "memory.current", "-1\n");
  host.write("/a", "memory.peak", "\n");
  host.write("/a", "memory.stat", "inactive_file x\n");
  host.write("/a", "memory.events", "");
  const auto figures = read(host, "/a");
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->usage_bytes, std::nullopt);
  EXPECT_EQ(figures->working_set_bytes(), std::nullopt);
  EXPECT_EQ(figures->peak_bytes, std::nullopt);
  EXPECT_FALSE(figures->limit_known);
  EXPECT_FALSE(figures->effective_known);
  EXPECT_EQ(figures->oom_kills, std::nullopt);
  EXPECT_GE(figures->gaps.size(), 5U);
}

TEST_F(MemoryFiguresTest, MoreInactiveThanUsedIsNoNegativeWorkingSet) {
  FakeCgroups host(Version::kV2);
  fill_v2(host, "/a", "max\n");
  host.write("/a", "memory.current", bytes(1_MiB));
  const auto figures = read(host, "/a");
  ASSERT_TRUE(figures);
  EXPECT_EQ(figures->working_set_bytes(), 0);
}

TEST_F(MemoryFiguresTest, WithoutTheWholeViewALowerLimitMayBeOutOfSight) {
  FakeCgroups host(Version::kV2);
  fill_v2(host, "/a", bytes(64_MiB));
  host.write("/", "memory.max", bytes(32_MiB));  // the root of what is seen, a container's own cgroup
  const auto figures = read(host, "/a", false);
  ASSERT_TRUE(figures && figures->effective);
  EXPECT_FALSE(figures->effective_known);
  EXPECT_EQ(figures->effective->bytes, 32_MiB);
  EXPECT_EQ(figures->effective->cgroup_path, "/");
  EXPECT_EQ(figures->gaps.size(), 1U);
}

TEST_F(MemoryFiguresTest, AMountOfAPartEndsTheView) {
  FakeCgroups host;
  fill_v1(host, "/a", bytes(64_MiB));
  host.mountinfo("35 31 0:32 /docker/x /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n");
  const auto figures = read(host, "/docker/x/a", false);
  ASSERT_TRUE(figures && figures->effective);
  EXPECT_EQ(figures->effective->bytes, 64_MiB);
  EXPECT_FALSE(figures->effective_known);
}

TEST_F(MemoryFiguresTest, Version1CountsKillsOfInnerCgroupsApart) {
  FakeCgroups host;
  fill_v1(host, "/c", kUnlimitedV1, 1);
  fill_v1(host, "/c/in", kUnlimitedV1, 4);
  EXPECT_EQ(read(host, "/c", true, {"/c/in", "/c/gone"})->oom_kills, 5);
  FakeCgroups v2(Version::kV2);
  fill_v2(v2, "/c", "max\n");
  fill_v2(v2, "/c/in", "max\n");
  EXPECT_EQ(read(v2, "/c", true, {"/c/in"})->oom_kills, 2) << "version 2 counts them in";
}

TEST_F(MemoryFiguresTest, ReadsACommonParentOnce) {
  FakeCgroups host(Version::kV2);
  fill_v2(host, "/a/b", "max\n");
  fill_v2(host, "/a/c", "max\n");
  host.write("/a", "memory.max", bytes(64_MiB));
  const auto tree = CgroupTree::open(host.root());
  ASSERT_TRUE(tree);
  MemoryReader reader(*tree, true);
  EXPECT_EQ(reader.read("/a/b")->effective->bytes, 64_MiB);
  host.write("/a", "memory.max", bytes(32_MiB));
  EXPECT_EQ(reader.read("/a/c")->effective->bytes, 64_MiB) << "one list shows one state";
}

}  // namespace
}  // namespace memcrest
