// SPDX-License-Identifier: Apache-2.0
#include "identity/cgroup_tree.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using testing_support::FakeCgroups;

std::vector<std::string> paths(const std::vector<CgroupTree::Entry>& entries) {
  std::vector<std::string> names;
  for (const auto& entry : entries) {
    names.push_back(entry.path);
  }
  return names;
}

CgroupTree open_or_fail(const FakeCgroups& fake) {
  auto tree = CgroupTree::open(fake.root());
  EXPECT_TRUE(tree) << tree.error().message();
  return std::move(*tree);
}

TEST(CgroupTreeOpen, VersionOneAndItsFiles) {
  const FakeCgroups fake(FakeCgroups::Version::kV1);
  const CgroupTree tree = open_or_fail(fake);
  EXPECT_EQ(tree.version(), 1);
  EXPECT_EQ(tree.mount_point(), fake.top());
  EXPECT_STREQ(tree.limit_file(), "memory.limit_in_bytes");
  EXPECT_STREQ(tree.usage_file(), "memory.usage_in_bytes");
  EXPECT_STREQ(tree.peak_file(), "memory.max_usage_in_bytes");
  EXPECT_STREQ(tree.swap_limit_file(), "memory.memsw.limit_in_bytes");
}

TEST(CgroupTreeOpen, VersionTwoAndItsFiles) {
  const FakeCgroups fake(FakeCgroups::Version::kV2);
  const CgroupTree tree = open_or_fail(fake);
  EXPECT_EQ(tree.version(), 2);
  EXPECT_EQ(tree.mount_point(), fake.top());
  EXPECT_STREQ(tree.limit_file(), "memory.max");
  EXPECT_STREQ(tree.usage_file(), "memory.current");
  EXPECT_STREQ(tree.peak_file(), "memory.peak");
  EXPECT_STREQ(tree.swap_limit_file(), "memory.swap.max");
}

TEST(CgroupTreeOpen, HybridTakesTheHierarchyThatHasMemory) {
  FakeCgroups fake(FakeCgroups::Version::kV1);
  std::filesystem::create_directories(fake.root().sys + "/fs/cgroup/unified");
  std::ofstream(fake.root().sys + "/fs/cgroup/unified/cgroup.controllers") << "\n";
  fake.mountinfo(
      "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
      "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=memory\n"
      "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:7 master:1 - cgroup cgroup rw,hugetlb,memory\n");
  const CgroupTree tree = open_or_fail(fake);
  EXPECT_EQ(tree.version(), 1);
  EXPECT_EQ(tree.mount_point(), fake.top());
}

TEST(CgroupTreeOpen, VersionTwoWithoutMemoryIsNoHierarchy) {
  FakeCgroups fake(FakeCgroups::Version::kV2);
  fake.write("/", "cgroup.controllers", "cpu io pids memory_pressure\n");
  const auto tree = CgroupTree::open(fake.root());
  ASSERT_FALSE(tree);
  EXPECT_THAT(tree.error().message(), HasSubstr("memory controller"));
}

TEST(CgroupTreeOpen, MissingOrMalformedMountinfo) {
  EXPECT_FALSE(CgroupTree::open(SystemRoot{.proc = "/nonexistent/proc", .sys = "/nonexistent/sys"}));
  FakeCgroups fake;
  for (const char* text : {"", "\n\n", "garbage", "1 2 3 - \n", " - - - - \n", "a b c d e f -\n",
                           "1 2 0:1 / /x rw - cgroup\n", "35 31 0:32 / /sys rw - cgroup cgroup rw,memoryx\n"}) {
    fake.mountinfo(text);
    EXPECT_FALSE(CgroupTree::open(fake.root())) << text;
  }
}

TEST(CgroupTreeOpen, OctalEscapesInTheMountPoint) {
  FakeCgroups fake;
  std::filesystem::create_directories(fake.root().sys + "/my cg\\roup/web");
  fake.mountinfo("35 31 0:32 / /sys/my\\040cg\\134roup rw - cgroup cgroup rw,memory\n");
  const CgroupTree tree = open_or_fail(fake);
  EXPECT_EQ(tree.mount_point(), fake.root().sys + "/my cg\\roup");
  EXPECT_THAT(paths(tree.scan()), ElementsAre("/", "/web"));
}

TEST(CgroupTreeOpen, PrefersTheWholeHierarchyAndTheGivenTree) {
  FakeCgroups fake;
  const std::string part = "35 31 0:32 /docker/abc /sys/fs/cgroup/part rw - cgroup cgroup rw,memory\n";
  const std::string whole = "36 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
  fake.mountinfo(part + whole);
  EXPECT_EQ(open_or_fail(fake).mount_point(), fake.top());
  fake.mountinfo(whole + part);
  EXPECT_EQ(open_or_fail(fake).mount_point(), fake.top());
  const std::string bound = fake.root().sys + "/bound";
  std::filesystem::create_directories(bound);
  fake.mountinfo(whole + "37 31 0:32 / " + bound + " rw - cgroup cgroup rw,memory\n");
  EXPECT_EQ(open_or_fail(fake).mount_point(), bound) << "a host's tree mounted where the root says";
}

TEST(CgroupTreeDirOf, InsideTheMountOnly) {
  const FakeCgroups fake;
  const CgroupTree tree = open_or_fail(fake);
  EXPECT_EQ(tree.dir_of("/"), fake.top());
  EXPECT_EQ(tree.dir_of("/docker/abc"), fake.top() + "/docker/abc");
  EXPECT_EQ(tree.dir_of("/docker/"), fake.top() + "/docker");
  for (const std::string& path :
       {std::string(), std::string("docker"), std::string("/.."), std::string("/a/../../b"), std::string("/a\0b", 4)}) {
    EXPECT_EQ(tree.dir_of(path), std::nullopt) << path;
  }
}

TEST(CgroupTreeDirOf, MountOfAPart) {
  FakeCgroups fake;
  fake.add("/child");
  fake.mountinfo("35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  fake.own_cgroup("4:memory:/docker/abc\n");
  const CgroupTree tree = open_or_fail(fake);
  EXPECT_EQ(tree.dir_of("/docker/abc"), fake.top());
  EXPECT_EQ(tree.dir_of("/docker/abc/child"), fake.top() + "/child");
  EXPECT_EQ(tree.dir_of("/docker/abcd"), std::nullopt);
  EXPECT_EQ(tree.dir_of("/docker"), std::nullopt);
  EXPECT_EQ(tree.dir_of("/"), std::nullopt);
  EXPECT_THAT(paths(tree.scan()), ElementsAre("/docker/abc", "/docker/abc/child"));
  EXPECT_EQ(tree.own_path(), "/docker/abc");
  EXPECT_FALSE(tree.whole_hierarchy());
}

TEST(CgroupTreeDirOf, MountFromAboveTheNamespace) {
  FakeCgroups fake;
  fake.add("/docker/abc/inner");
  const std::string above = "35 31 0:32 /../.. /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
  fake.mountinfo(above);
  fake.own_cgroup("4:memory:/inner\n");
  EXPECT_THAT(paths(open_or_fail(fake).scan()), Contains("/docker/abc"));
  EXPECT_FALSE(open_or_fail(fake).own_path()) << "no mount shows the namespace's own view";

  // The namespace's own view of the same hierarchy: here a link, in a container another mount.
  std::filesystem::create_directory_symlink(fake.top() + "/docker/abc", fake.root().sys + "/own");
  fake.mountinfo("34 31 0:32 / /sys/own rw - cgroup cgroup rw,memory\n" + above);
  EXPECT_EQ(open_or_fail(fake).own_path(), "/docker/abc/inner");
}

TEST(CgroupTreeScan, ParentsBeforeChildrenWithTheirInodes) {
  FakeCgroups fake;
  const auto web = fake.add("/docker/web");
  fake.add("/docker/web/init.scope");
  fake.add("/system.slice/with space\n");
  fake.write("/docker", "memory.limit_in_bytes", "1");
  std::filesystem::create_directory_symlink("/", fake.top() + "/link");
  const auto entries = open_or_fail(fake).scan();
  EXPECT_THAT(paths(entries), UnorderedElementsAre("/", "/docker", "/docker/web", "/docker/web/init.scope",
                                                   "/system.slice", "/system.slice/with space\n"));
  EXPECT_THAT(entries, Contains(::testing::AllOf(Field(&CgroupTree::Entry::id, web),
                                                 Field(&CgroupTree::Entry::path, "/docker/web"))));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto slash = entries[i].path.rfind('/');
    const auto parent = slash == 0 ? "/" : entries[i].path.substr(0, slash);
    const auto names = paths(entries);
    EXPECT_LE(std::ranges::find(names, parent) - names.begin(), static_cast<std::ptrdiff_t>(i));
  }
  EXPECT_EQ(entries.front().path, "/");
}

TEST(CgroupTreeScan, Bounded) {
  FakeCgroups fake;
  for (int i = 0; i < 20; ++i) {
    fake.add("/c" + std::to_string(i));
  }
  EXPECT_EQ(open_or_fail(fake).scan(5).size(), 5U);
  EXPECT_EQ(open_or_fail(fake).scan(0).size(), 0U);
  EXPECT_EQ(open_or_fail(fake).scan().size(), 21U);
}

TEST(CgroupTreeScan, NothingWhenTheMountHasGone) {
  FakeCgroups fake;
  const CgroupTree tree = open_or_fail(fake);
  std::filesystem::remove_all(fake.top());
  EXPECT_TRUE(tree.scan().empty());
}

TEST(CgroupTreeOwnPath, PerVersion) {
  FakeCgroups v1(FakeCgroups::Version::kV1);
  v1.own_cgroup("9:name=systemd:/s\n5:cpu,memory:/a:b/c\n0::/unified\n");
  EXPECT_EQ(open_or_fail(v1).own_path(), "/a:b/c");
  v1.own_cgroup("0::/unified\n");
  EXPECT_FALSE(open_or_fail(v1).own_path());
  for (const char* text : {"", "\n", ":", "::", "4", "4:memory"}) {
    v1.own_cgroup(text);
    EXPECT_FALSE(open_or_fail(v1).own_path()) << text;
  }
  FakeCgroups v2(FakeCgroups::Version::kV2);
  v2.own_cgroup("5:cpu,memory:/a\n0::/system.slice/memcrest.service\n");
  EXPECT_EQ(open_or_fail(v2).own_path(), "/system.slice/memcrest.service");
}

TEST(CgroupTreeReadNumber, LimitsAndNoLimits) {
  FakeCgroups fake;
  const CgroupTree tree = open_or_fail(fake);
  fake.add("/web");
  const auto value = [&](const std::string& text) {
    fake.write("/web", "memory.limit_in_bytes", text);
    return tree.read_number("/web", "memory.limit_in_bytes");
  };
  EXPECT_EQ(value("67108864\n").value(), std::optional<std::uint64_t>(67108864));
  EXPECT_EQ(value("0\n").value(), std::optional<std::uint64_t>(0));
  EXPECT_EQ(value("max\n").value(), std::optional<std::uint64_t>());
  EXPECT_EQ(value("9223372036854771712\n").value(), std::optional<std::uint64_t>());
  EXPECT_EQ(value("9223372036854710272\n").value(), std::optional<std::uint64_t>()) << "64 KiB pages";
  EXPECT_EQ(value("18446744073709551615").value(), std::optional<std::uint64_t>());
  EXPECT_EQ(value("4611686018427387903").value(), std::optional<std::uint64_t>(4611686018427387903));
  for (const char* text : {"", "\n", "-1\n", "12 13\n", "0x10\n", "18446744073709551616\n", "maximum\n"}) {
    EXPECT_FALSE(value(text)) << text;
  }
}

TEST(CgroupTreeReadNumber, MissingIsAnErrorWithErrno) {
  FakeCgroups fake;
  const CgroupTree tree = open_or_fail(fake);
  EXPECT_EQ(tree.read_number("/gone", "memory.limit_in_bytes").error().code, ENOENT);
  EXPECT_EQ(tree.read_number("/..", "memory.limit_in_bytes").error().code, ENOENT);
  EXPECT_EQ(tree.read_number("/", "../x").error().code, ENOENT);
  EXPECT_EQ(tree.read_number("/", "").error().code, ENOENT);
}

}  // namespace
}  // namespace memcrest
