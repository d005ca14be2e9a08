// SPDX-License-Identifier: Apache-2.0
#include "identity/cgroup_names.h"

#include <gmock/gmock.h>

namespace memcrest::cgroup_names {
namespace {

using ::testing::Eq;
using ::testing::Optional;

const std::string kId = "b5d635627bb8a1c9b5d635627bb8a1c9b5d635627bb8a1c9b5d635627bb8a1c9";
const std::string kUid = "4c9f1a30-7c0d-4f0e-9d1b-0a1b2c3d4e5f";

TEST(CgroupNames, DockersBuildSteps) {
  const std::string id = "jvifp9a6b1lxa1kuw8bwfcovf";
  EXPECT_THAT(match_docker_build_step("docker-" + id + ".scope"), Optional(Eq(id)));
  EXPECT_THAT(match_docker_build_step("system.slice:docker:" + id), Optional(Eq(id)));
  for (const std::string& name :
       {"docker-" + id, "docker:" + id, "x:docker:" + id, "docker-" + id + "0.scope", "docker-" + kId + ".scope",
        "system.slice:cri:" + id, id, std::string("docker-internationalizationservi.scope")}) {
    EXPECT_EQ(match_docker_build_step(name), std::nullopt) << name;
  }
}

TEST(CgroupNames, UidsAreWhole) {
  EXPECT_TRUE(is_uid(kUid));
  EXPECT_TRUE(is_uid("0123456789abcdef0123456789abcdef"));
  for (const std::string& text :
       {kUid.substr(1), kUid + "0", kUid + "-", "-" + kUid, std::string(),
        std::string("4C9f1a30-7c0d-4f0e-9d1b-0a1b2c3d4e5f"), std::string("4c9f1a307-c0d-4f0e-9d1b-0a1b2c3d4e5f")}) {
    EXPECT_FALSE(is_uid(text)) << text;
  }
  EXPECT_TRUE(is_garden_handle("6f265890-5165-7fab-6b52-18d1"));
  EXPECT_TRUE(is_garden_handle(kUid));
  EXPECT_FALSE(is_garden_handle("6f265890-5165-7fab-6b52-18d1-healthcheck"));
  EXPECT_TRUE(is_fargate_id(kUid, kUid + "-12"));
  for (const std::string& name : {kUid, kUid + "-", kUid + "-1a", "0" + kUid + "-1", kUid + "1"}) {
    EXPECT_FALSE(is_fargate_id(kUid, name)) << name;
  }
  EXPECT_FALSE(is_fargate_id("", "-12"));
}

TEST(CgroupNames, LxcAddsANumberWhenACgroupIsLeftOver) {
  for (const char* name : {"web-1", "web-999", "a-b-12"}) {
    EXPECT_TRUE(may_be_lxc_retry(name)) << name;
  }
  for (const char* name : {"web", "web-01", "web-1000", "web-", "-1", "web-1a", "101", "web1", ""}) {
    EXPECT_FALSE(may_be_lxc_retry(name)) << name;
  }
  EXPECT_EQ(match_lxc("", "lxc.payload."), std::nullopt);
  EXPECT_EQ(match_lxc("", "lxc.payloads.web"), std::nullopt);
  EXPECT_EQ(match_lxc("xlxc", "web"), std::nullopt);
}

TEST(CgroupNames, NomadsTasksHaveAnAllocation) {
  const std::string scope = kUid + ".web.v2.scope";  // the answer refers to it
  const auto task = match_nomad("reserve.slice", scope);
  ASSERT_TRUE(task);
  EXPECT_EQ(task->id, kUid + ".web.v2");
  EXPECT_EQ(task->task, "web.v2");
  EXPECT_TRUE(match_nomad("nomad", kUid + ".web"));
  for (const std::string& name : {kUid + ".scope", kUid + "..scope", std::string("web.scope"), kUid + ".web"}) {
    EXPECT_FALSE(match_nomad("nomad.slice", name)) << name;
  }
  EXPECT_EQ(match_nomad("system.slice", kUid + ".web.scope"), std::nullopt);
}

TEST(CgroupNames, MachinesAreMadeByWhoMakesMachines) {
  EXPECT_THAT(match_machine(R"(machine-my\x2dbox.scope)", true), Optional(Eq("my-box")));
  EXPECT_EQ(match_machine(R"(machine-my\x2dbox.scope)", false), std::nullopt);
  EXPECT_THAT(match_machine(R"(machine-qemu\x2d12\x2dvm.scope)", false), Optional(Eq("qemu-12-vm")));
  EXPECT_THAT(match_machine(R"(systemd-nspawn@my\x2dbox.service)", false), Optional(Eq(R"(my\x2dbox)")));
  for (const char* name :
       {R"(machine-qemu\x2d\x2dvm.scope)", R"(machine-qemu\x2d1\x2d.scope)", "machine-qemu-1-vm.scope",
        R"(machine-xen\x2d1\x2dvm.scope)", "systemd-nspawn@.service", ".libvirt-qemu"}) {
    EXPECT_EQ(match_machine(name, false), std::nullopt) << name;
  }
  EXPECT_EQ(match_machine("machine-.scope", true), std::nullopt);
  EXPECT_EQ(match_machine("machine-x.slice", true), std::nullopt);
}

TEST(CgroupNames, EscapesOfUnits) {
  EXPECT_EQ(decode_unit(R"(a\x2db\x40c)"), "a-b@c");
  EXPECT_EQ(decode_unit(R"(a\x5cx2db)"), R"(a\x2db)") << "once only";
  for (const char* text : {R"(\x)", R"(\x2)", R"(\xg1)", R"(\x00)", R"(\x2f)", R"(\\)", "a-b", ""}) {
    EXPECT_EQ(decode_unit(text), text);
  }
  EXPECT_EQ(match_unit("_cpu.service"), "cpu.service");
  EXPECT_EQ(match_unit("__x.service"), "_x.service");
  EXPECT_EQ(match_unit("_.service"), "");
  EXPECT_EQ(match_unit("x.timer"), "");
}

TEST(CgroupNames, IdentifiersOfContainerdAreSafeFileNames) {
  for (const std::string& text : {std::string("redis"), std::string("k8s.io"), std::string("a-b_c.d"), std::string("0"),
                                  kId, std::string(76, 'A')}) {
    EXPECT_TRUE(is_containerd_identifier(text)) << text;
  }
  for (const std::string& text :
       {std::string(), std::string("."), std::string(".."), std::string("-a"), std::string("a-"), std::string("a--b"),
        std::string("a..b"), std::string("a/b"), std::string("a b"), std::string("a\0b", 3), std::string("\xc1"),
        std::string("a\n"), std::string(77, 'a')}) {
    EXPECT_FALSE(is_containerd_identifier(text)) << text;
  }
}

}  // namespace
}  // namespace memcrest::cgroup_names
