// SPDX-License-Identifier: Apache-2.0
#include "collector/cgroup_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::string kA(64, 'a');
const std::string kB(64, 'b');

std::vector<CgroupTree::Entry> entries(const std::vector<std::string>& paths) {
  std::vector<CgroupTree::Entry> out;
  for (const std::string& path : paths) {
    out.push_back({out.size() + 1, path});
  }
  return out;
}

std::vector<std::string> list(const std::vector<std::string>& paths, bool all,
                              const std::set<std::string>& limited = {}) {
  std::vector<std::string> out;
  for (const auto& one :
       list_cgroups(entries(paths), all, [&](const std::string& path) { return limited.contains(path); })) {
    out.push_back(std::string(to_string(one.kind)) + " " + one.cgroup.path);
  }
  return out;
}

TEST(CgroupList, ContainersAlone) {
  EXPECT_THAT(list({"/", "/docker", "/system.slice", "/docker/" + kA, "/system.slice/cron.service", "/plain",
                    "/docker/" + kA + "/inner"},
                   false),
              ElementsAre("container /docker/" + kA));
  EXPECT_THAT(list({"/"}, false), IsEmpty());
  EXPECT_THAT(list({}, true), IsEmpty());
}

TEST(CgroupList, ACgroupWithinOneOfTheSameContainerIsNoSecondContainer) {
  const std::string scope = "/machine.slice/libpod-" + kA + ".scope";
  EXPECT_THAT(list({"/machine.slice", scope, scope + "/libpod-payload-" + kA}, false),
              ElementsAre("container " + scope));
}

TEST(CgroupList, AContainerWithinAContainerIsOneOfItsOwn) {
  const std::string inner = "/docker/" + kA + "/docker/" + kB;
  const auto listed = list_cgroups(entries({"/docker/" + kA, "/docker/" + kA + "/docker", inner, inner + "/x"}), false,
                                   [](const std::string&) { return false; });
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_THAT(listed[0].inner, ElementsAre("/docker/" + kA + "/docker", inner, inner + "/x"));
  EXPECT_EQ(listed[1].cgroup.path, inner);
  EXPECT_THAT(listed[1].inner, ElementsAre(inner + "/x"));
}

TEST(CgroupList, AllShowsUnitsLeavesAndLimits) {
  EXPECT_THAT(
      list({"/", "/a", "/system.slice", "/a/leaf", "/a/limited", "/system.slice/cron.service", "/a/limited/leaf",
            "/system.slice/cron.service/sub"},
           true, {"/a/limited", "/"}),
      ElementsAre("unit /system.slice", "cgroup /a/leaf", "cgroup /a/limited", "unit /system.slice/cron.service",
                  "cgroup /a/limited/leaf", "cgroup /system.slice/cron.service/sub"));
}

TEST(CgroupList, TheRootAloneIsShown) { EXPECT_THAT(list({"/"}, true), ElementsAre("cgroup /")); }

ContainerMemory row(const std::string& name, std::optional<std::uint64_t> usage, std::optional<std::uint64_t> limit,
                    std::optional<std::uint64_t> peak = std::nullopt) {
  ContainerMemory out;
  out.cgroup.path = "/" + (name.empty() ? "zz" : name);
  out.container.name = name;
  out.figures.usage_bytes = usage;
  out.figures.inactive_file_bytes = 0;
  out.figures.peak_bytes = peak;
  if (limit) {
    out.figures.effective = EffectiveLimit{.bytes = *limit, .cgroup_path = "/", .usage_bytes = std::nullopt};
  }
  return out;
}

std::vector<std::string> sorted(MemoryOrder order, std::vector<ContainerMemory> rows) {
  sort_by(order, rows);
  std::vector<std::string> out;
  for (const auto& one : rows) {
    out.push_back(one.container.name);
  }
  return out;
}

TEST(CgroupList, TheFullestFirst) {
  const std::vector<ContainerMemory> rows = {row("none", 1000, std::nullopt, 1), row("half", 50, 100, 90),
                                             row("full", 9, 10, 60), row("gone", std::nullopt, 10),
                                             row("also", 50, 100, 70)};
  EXPECT_THAT(sorted(MemoryOrder::kPercent, rows), ElementsAre("full", "also", "half", "gone", "none"));
  EXPECT_THAT(sorted(MemoryOrder::kUsage, rows), ElementsAre("none", "also", "half", "full", "gone"));
  EXPECT_THAT(sorted(MemoryOrder::kPeak, rows), ElementsAre("half", "also", "full", "none", "gone"));
  EXPECT_THAT(sorted(MemoryOrder::kLimit, rows), ElementsAre("also", "half", "full", "gone", "none"));
}

TEST(CgroupList, ByNameWithTheUnnamedLast) {
  EXPECT_THAT(sorted(MemoryOrder::kName, {row("b", 1, 1), row("", 2, 2), row("a", 3, 3)}), ElementsAre("a", "b", ""));
}

}  // namespace
}  // namespace memcrest
