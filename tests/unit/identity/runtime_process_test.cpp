// SPDX-License-Identifier: Apache-2.0
#include "identity/runtime_process.h"

#include <gmock/gmock.h>

#include "support/fake_bundles.h"

namespace memcrest {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing_support::FakeBundles;

const std::string kId(64, 'a');

TEST(ProcessFacts, ParentAndEffectiveUser) {
  FakeBundles host;
  host.add({.pid = 10, .parent = 5, .uid = 1000});
  const auto facts = process_facts(host.cgroups.root(), 10);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->parent, 5U);
  EXPECT_EQ(facts->uid, 1000U);
  EXPECT_FALSE(process_facts(host.cgroups.root(), 11));
  for (const char* const text : {"", "PPid:\t5\n", "PPid:\tx\nUid:\t1\t1\t1\t1\n", "PPid:\t5\nUid:\t1\n"}) {
    host.put("/proc/12/status", text);
    EXPECT_FALSE(process_facts(host.cgroups.root(), 12)) << text;
  }
}

TEST(ProcessFacts, CgroupByName) {
  FakeBundles host;
  host.add({.pid = 10, .cgroup = "/docker/" + kId + "/inner"});
  EXPECT_TRUE(in_cgroup_named(host.cgroups.root(), 10, kId));
  EXPECT_TRUE(in_cgroup_named(host.cgroups.root(), 10, "inner"));
  EXPECT_FALSE(in_cgroup_named(host.cgroups.root(), 10, kId.substr(1)));
  EXPECT_FALSE(in_cgroup_named(host.cgroups.root(), 10, "dock"));
  EXPECT_FALSE(in_cgroup_named(host.cgroups.root(), 11, kId));
}

TEST(RuntimeProcesses, NearestFirstAndNoneOfTheContainers) {
  FakeBundles host;
  const std::string cgroup = "/docker/" + kId;
  host.add({.pid = 20, .parent = 1, .cgroup = "/system.slice/docker.service"});
  host.add({.pid = 21, .parent = 20, .cgroup = "/system.slice/docker.service"});
  host.add({.pid = 30, .parent = 21, .cgroup = cgroup});
  host.add({.pid = 31, .parent = 30, .cgroup = cgroup});
  host.add({.pid = 32, .parent = 30, .cgroup = cgroup + "/sub"});
  host.add({.pid = 33, .parent = 0, .cgroup = cgroup});
  const auto pids = processes_below(host.cgroups.top() + cgroup);
  EXPECT_THAT(pids, ElementsAre(30, 31, 33, 32));
  EXPECT_THAT(runtime_processes(host.cgroups.root(), pids, kId), ElementsAre(21, 20));
  // Its parent is in the container, though the list does not have it.
  EXPECT_THAT(runtime_processes(host.cgroups.root(), {32}, kId), IsEmpty());
  EXPECT_THAT(runtime_processes(host.cgroups.root(), {999}, kId), IsEmpty());
}

TEST(RuntimeProcesses, BoundedWhateverIsThere) {
  FakeBundles host;
  host.cgroups.add("/docker/x");
  std::string many;
  for (int i = 0; i < 10'000; ++i) {
    many += std::to_string(1000 + i) + "\n";
  }
  host.cgroups.write("/docker/x", "cgroup.procs", many);
  EXPECT_EQ(processes_below(host.cgroups.top() + "/docker/x").size(), 32U);
  host.cgroups.write("/docker/x", "cgroup.procs", "0\n-5\nx\n\n99999999999999999999\n7\n");
  EXPECT_THAT(processes_below(host.cgroups.top() + "/docker/x"), ElementsAre(7));
  for (int i = 0; i < 100; ++i) {
    host.cgroups.add("/wide/" + std::to_string(i) + "/deep");
  }
  EXPECT_THAT(processes_below(host.cgroups.top() + "/wide"), IsEmpty());
  EXPECT_THAT(processes_below(host.cgroups.top() + "/none"), IsEmpty());
  // Parents in a circle, as stale numbers could make them.
  host.add({.pid = 50, .parent = 51});
  host.add({.pid = 51, .parent = 50});
  EXPECT_THAT(runtime_processes(host.cgroups.root(), {50}, kId), ElementsAre(51));
}

TEST(Conmon, ItsArgumentsOnly) {
  FakeBundles host;
  host.add({.pid = 10,
            .cmdline = {"/usr/bin/conmon",
                        "--api-version",
                        "1",
                        "-c",
                        kId,
                        "-u",
                        kId,
                        "-r",
                        "/usr/bin/runc",
                        "-b",
                        "/srv/x/userdata",
                        "-p",
                        "/srv/run/pidfile",
                        "-n",
                        "web",
                        "--exit-command",
                        "/usr/bin/podman",
                        "--exit-command-arg",
                        "-b",
                        "--exit-command-arg",
                        "/evil",
                        "--runtime-arg",
                        "-n",
                        "--runtime-arg",
                        "evil"}});
  const auto arguments = conmon_arguments(host.cgroups.root(), 10, kId);
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->bundle, "/srv/x/userdata");
  EXPECT_EQ(arguments->name, "web");
  EXPECT_FALSE(conmon_arguments(host.cgroups.root(), 10, std::string(64, 'b')));
  host.add({.pid = 11, .cmdline = {"/usr/bin/notconmon", "-c", kId, "-b", "/x"}});
  EXPECT_FALSE(conmon_arguments(host.cgroups.root(), 11, kId));
  host.add({.pid = 12, .cmdline = {}});
  EXPECT_FALSE(conmon_arguments(host.cgroups.root(), 12, kId));
  host.add({.pid = 13, .cmdline = {"conmon", "-c"}});
  EXPECT_FALSE(conmon_arguments(host.cgroups.root(), 13, kId));
}

}  // namespace
}  // namespace memcrest
