// SPDX-License-Identifier: Apache-2.0
#include "export/exported_cgroups.h"

#include <gtest/gtest.h>

#include "support/export_fixture.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

TEST(ExportedCgroups, AreCalledAsPeopleCallThem) {
  ExportedCgroup cgroup = web_cgroup();
  EXPECT_EQ(label_of(cgroup), "web");
  cgroup.path += "/init.scope";
  EXPECT_EQ(label_of(cgroup), "web/init.scope");
  cgroup = web_cgroup("");
  EXPECT_EQ(label_of(cgroup), "docker b5d635627bb8");
  cgroup = web_cgroup("app");
  cgroup.container.labels.clear();
  cgroup.container.pod = Pod{};
  cgroup.container.pod->name = "shop-1";
  EXPECT_EQ(label_of(cgroup), "shop-1/app");
  cgroup.container.pod->name_space = "prod";
  EXPECT_EQ(label_of(cgroup), "prod/shop-1/app");
  EXPECT_EQ(label_of(plain_cgroup()), "/system.slice/cron.service");
  EXPECT_EQ(label_of(plain_cgroup("")), "cgroup 200");
}

TEST(ExportedCgroups, TheBestKnownOfSeveralRowsCounts) {
  ExportedCgroup unknown = web_cgroup();
  unknown.path.clear();
  unknown.container = Container();
  for (auto rows : {std::vector{unknown, web_cgroup()}, std::vector{web_cgroup(), unknown}}) {
    ExportedCgroups cgroups(std::move(rows));
    EXPECT_EQ(cgroups.find(100, 1'000'100).label, "web");
    EXPECT_EQ(cgroups.find(100).label, "web");
  }
}

TEST(ExportedCgroups, WhatIsNotListedIsItsId) {
  ExportedCgroups cgroups({});
  EXPECT_EQ(cgroups.find(4711, 5).label, "cgroup 4711");
  EXPECT_EQ(cgroups.find(4711, 5).serial, 5U);
  EXPECT_EQ(cgroups.find(~0ULL).label, "cgroup 18446744073709551615");
}

}  // namespace
}  // namespace memcrest
