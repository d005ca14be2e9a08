// SPDX-License-Identifier: Apache-2.0
#include "identity/cgroup_path.h"

#include <gmock/gmock.h>

#include <random>

namespace memcrest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kA = "b5d635627bb8a1c9b5d635627bb8a1c9b5d635627bb8a1c9b5d635627bb8a1c9";
const std::string kB = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const std::string kUid = "4c9f1a30-7c0d-4f0e-9d1b-0a1b2c3d4e5f";
const std::string kUidSystemd = "4c9f1a30_7c0d_4f0e_9d1b_0a1b2c3d4e5f";

struct Case {
  std::string path;
  Runtime runtime;
  std::string id;
  bool docker_candidate = false;
};

class Containers : public ::testing::TestWithParam<Case> {};

TEST_P(Containers, AreRecognized) {
  const Case& expected = GetParam();
  const CgroupPath parsed = parse_cgroup_path(expected.path);
  EXPECT_EQ(parsed.runtime, expected.runtime) << expected.path;
  EXPECT_EQ(parsed.container_id, expected.id) << expected.path;
  EXPECT_EQ(parsed.docker_candidate, expected.docker_candidate) << expected.path;
  EXPECT_THAT(parsed.outer_ids, IsEmpty());
  EXPECT_TRUE(expected.path.starts_with(parsed.container_path));
}

INSTANTIATE_TEST_SUITE_P(
    Docker, Containers,
    ::testing::Values(Case{"/docker/" + kA, Runtime::kDocker, kA, true},
                      Case{"/docker/" + kA + "/init.scope", Runtime::kDocker, kA, true},
                      Case{"/docker/" + kA + "/system.slice/nginx.service", Runtime::kDocker, kA, true},
                      Case{"/system.slice/docker-" + kA + ".scope", Runtime::kDocker, kA, true},
                      Case{"/my.slice/my-own.slice/docker-" + kA + ".scope/child", Runtime::kDocker, kA, true},
                      Case{"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + kA + ".scope",
                           Runtime::kDocker, kA, true},
                      Case{"/batch/jobs/" + kA, Runtime::kUnknown, kA, true},
                      Case{"/ecs/0f3a/" + kA + "/x", Runtime::kUnknown, kA, true},
                      Case{"/lxc/" + kA, Runtime::kUnknown, kA, true}));

INSTANTIATE_TEST_SUITE_P(
    Kubernetes, Containers,
    ::testing::Values(
        Case{"/kubepods/burstable/pod" + kUid + "/" + kA, Runtime::kContainerd, kA, true},
        Case{"/kubepods/pod" + kUid + "/" + kA, Runtime::kContainerd, kA, true},
        Case{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kUidSystemd +
                 ".slice/cri-containerd-" + kA + ".scope",
             Runtime::kContainerd, kA},
        Case{"/kubepods.slice/kubepods-pod" + kUidSystemd + ".slice/crio-" + kA + ".scope", Runtime::kCrio, kA},
        Case{"/kubepods/besteffort/pod" + kUid + "/crio-" + kA, Runtime::kCrio, kA},
        Case{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + kUidSystemd + ".slice/docker-" + kA +
                 ".scope",
             Runtime::kDocker, kA, true},
        Case{"/system.slice/containerd.service/kubepods-burstable-pod" + kUidSystemd + ".slice:cri-containerd:" + kA,
             Runtime::kContainerd, kA}));

INSTANTIATE_TEST_SUITE_P(PodmanAndOthers, Containers,
                         ::testing::Values(Case{"/machine.slice/libpod-" + kA + ".scope", Runtime::kPodman, kA},
                                           Case{"/machine.slice/libpod-" + kA + ".scope/container", Runtime::kPodman,
                                                kA},
                                           Case{"/libpod_parent/libpod-" + kA, Runtime::kPodman, kA},
                                           Case{"/libpod_parent/" + kB + "/libpod-" + kA, Runtime::kPodman, kA},
                                           Case{"/system.slice/web.service/libpod-payload-" + kA, Runtime::kPodman, kA},
                                           Case{"/system.slice/nerdctl-" + kA + ".scope", Runtime::kContainerd, kA},
                                           Case{"/default/" + kA, Runtime::kUnknown, kA, true}));

TEST(CgroupPath, PodAndQualityOfService) {
  for (const std::string& path :
       {"/kubepods/burstable/pod" + kUid + "/" + kA,
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kUidSystemd + ".slice/crio-" + kA +
            ".scope",
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod" +
            kUidSystemd + ".slice/cri-containerd-" + kA + ".scope",
        "/own/root/kubepods/burstable/pod" + kUid + "/" + kA,
        "/system.slice/containerd.service/kubepods-burstable-pod" + kUidSystemd + ".slice:cri-containerd:" + kA}) {
    const CgroupPath parsed = parse_cgroup_path(path);
    EXPECT_EQ(parsed.pod_uid, kUid) << path;
    EXPECT_EQ(parsed.qos, "burstable") << path;
  }
  EXPECT_EQ(parse_cgroup_path("/kubepods/pod" + kUid + "/" + kA).qos, "guaranteed");
  EXPECT_EQ(parse_cgroup_path("/kubepods.slice/kubepods-pod" + kUidSystemd + ".slice").qos, "guaranteed");
  EXPECT_EQ(parse_cgroup_path("/kubepods/besteffort/pod" + kUid).qos, "besteffort");
  EXPECT_EQ(parse_cgroup_path("/kubepods/burstable/pod0123456789abcdef0123456789abcdef/" + kA).pod_uid,
            "0123456789abcdef0123456789abcdef")
      << "static pod";
  EXPECT_EQ(parse_cgroup_path("/docker/" + kA + "/podman").pod_uid, "");
  EXPECT_EQ(parse_cgroup_path("/docker/" + kA + "/burstable").qos, "");
}

TEST(CgroupPath, InnermostContainerWins) {
  const CgroupPath dind = parse_cgroup_path("/docker/" + kA + "/docker/" + kB + "/sub");
  EXPECT_EQ(dind.container_id, kB);
  EXPECT_THAT(dind.outer_ids, ElementsAre(CgroupPath::Outer{Runtime::kDocker, kA, ""}));
  EXPECT_EQ(dind.container_path, "/docker/" + kA + "/docker/" + kB);

  const CgroupPath kind =
      parse_cgroup_path("/system.slice/docker-" + kA + ".scope/kubelet/kubepods/burstable/pod" + kUid + "/" + kB);
  EXPECT_EQ(kind.container_id, kB);
  EXPECT_EQ(kind.runtime, Runtime::kContainerd);
  EXPECT_EQ(kind.pod_uid, kUid);
  EXPECT_THAT(kind.outer_ids, ElementsAre(CgroupPath::Outer{Runtime::kDocker, kA, ""}));

  const CgroupPath twice = parse_cgroup_path("/docker/" + kA + "/docker/" + kA);
  EXPECT_EQ(twice.container_id, kA);
  EXPECT_THAT(twice.outer_ids, IsEmpty()) << "the same container is not around itself";
}

TEST(CgroupPath, EachContainerAroundIsTold) {
  const CgroupPath deep = parse_cgroup_path("/lxc.payload.host/machine.slice/machine-vm.scope/payload/docker/" + kA +
                                            "/kubepods/pod" + kUid + "/" + kB + "/lxc/inner-1");
  EXPECT_EQ(deep.runtime, Runtime::kLxc);
  EXPECT_EQ(deep.container_id, "inner-1");
  EXPECT_THAT(
      deep.outer_ids,
      ElementsAre(CgroupPath::Outer{Runtime::kLxc, "host", "host"}, CgroupPath::Outer{Runtime::kSystemd, "vm", "vm"},
                  CgroupPath::Outer{Runtime::kDocker, kA, ""}, CgroupPath::Outer{Runtime::kContainerd, kB, ""}));
  EXPECT_EQ(deep.machine, "") << "it is around, not inside";

  const Container container = container_from_path(deep);
  ASSERT_EQ(container.outer.size(), 4U);
  EXPECT_EQ(container.outer.front().id, kB) << "innermost first";
  EXPECT_EQ(container.outer.front().runtime, Runtime::kContainerd);
  EXPECT_EQ(container.outer.back().name, "host");
  EXPECT_EQ(container.name, "") << "the number may be LXC's";
  EXPECT_NE(container.unknown_reason, "");
}

TEST(CgroupPath, APodIsOnlyThatOfItsOwnContainer) {
  const std::string other = "11111111-2222-3333-4444-555555555555";
  const std::string pod = "/kubepods/burstable/pod" + kUid;
  const CgroupPath inner = parse_cgroup_path(pod + "/" + kA + "/docker/" + kB);
  EXPECT_EQ(inner.container_id, kB);
  EXPECT_EQ(inner.pod_uid, "") << "the pod is that of the container around";
  EXPECT_EQ(inner.qos, "");
  const CgroupPath both = parse_cgroup_path(pod + "/" + kA + "/kubepods/besteffort/pod" + other + "/" + kB);
  EXPECT_EQ(both.pod_uid, other);
  EXPECT_EQ(both.qos, "besteffort");
  const CgroupPath inside = parse_cgroup_path(pod + "/" + kA + "/kubepods/besteffort/pod" + other);
  EXPECT_EQ(inside.container_id, kA);
  EXPECT_EQ(inside.pod_uid, kUid) << "the pod inside is not the container's own";
  EXPECT_EQ(inside.qos, "burstable");
  EXPECT_EQ(inside.reason, "");
  const CgroupPath podman = parse_cgroup_path(pod + "/" + kA + "/libpod_parent/" + kB + "/libpod-" + kB);
  EXPECT_EQ(podman.pod_uid, kB);
  EXPECT_EQ(podman.qos, "");
}

TEST(CgroupPath, WhatMayBeContainerdsIsLeftToASource) {
  const CgroupPath inside = parse_cgroup_path("/default/redis/system.slice/x.service");
  ASSERT_TRUE(inside.candidate);
  EXPECT_EQ(inside.candidate->path, "/default/redis");
  EXPECT_EQ(inside.candidate->name_space, "default");
  EXPECT_EQ(inside.candidate->id, "redis");
  const CgroupPath deep = parse_cgroup_path("/batch/jobs/" + kA + "/x");
  ASSERT_TRUE(deep.candidate);
  EXPECT_EQ(deep.candidate->path, "/batch/jobs/" + kA);
  EXPECT_EQ(deep.candidate->name_space, "");
  const std::vector<std::string> not_his = {"/default",
                                            "default/redis",
                                            "/system.slice/redis",
                                            "/default/redis.service",
                                            "/../default/redis",
                                            "/a/../default/redis",
                                            "/a b/c",
                                            "/a/..b",
                                            "/docker/" + kA + "/default/redis",
                                            "/docker/" + kA + "/default/" + kB,
                                            "/kubepods/pod" + kUid,
                                            "/lxc.monitor/101",
                                            "/libpod_parent/" + kA,
                                            "/a/" + std::string(77, 'x')};
  for (const std::string& path : not_his) {
    EXPECT_FALSE(parse_cgroup_path(path).candidate) << path;
  }
}

TEST(CgroupPath, UpwardsForgetsWhatWasRead) {
  const CgroupPath parsed = parse_cgroup_path("/docker/" + kA + "/../libpod-" + kB);
  EXPECT_EQ(parsed.container_id, kB);
  EXPECT_THAT(parsed.outer_ids, IsEmpty());
  EXPECT_EQ(parse_cgroup_path("/docker/" + kA + "/..").container_id, "");
  EXPECT_EQ(parse_cgroup_path("/docker/../" + kA).runtime, Runtime::kUnknown);
  EXPECT_EQ(parse_cgroup_path("/../burstable/pod" + kUid + "/" + kA).qos, "burstable");
  EXPECT_EQ(parse_cgroup_path("/../burstable/x/pod" + kUid + "/" + kA).pod_uid, "");
  EXPECT_EQ(parse_cgroup_path("/../x/pod" + kUid + "/" + kA).pod_uid, "");
  EXPECT_EQ(parse_cgroup_path("/pod" + kUid + "/" + kA).pod_uid, "") << "anybody may call a cgroup so";
  EXPECT_EQ(parse_cgroup_path("/../podcast/" + kA).pod_uid, "");
}

TEST(CgroupPath, MonitorsInsideAContainerBelongToIt) {
  for (const std::string& below : {"/libpod_parent/libpod-conmon-" + kB, std::string("/lxc.monitor.web"),
                                   std::string("/machine.slice/systemd-nspawn@x.service/supervisor")}) {
    const CgroupPath parsed = parse_cgroup_path("/docker/" + kA + below);
    EXPECT_EQ(parsed.container_id, kA) << below;
    EXPECT_EQ(parsed.reason, "") << below;
    EXPECT_EQ(parsed.machine, "") << below;
  }
}

TEST(CgroupPath, MonitorsAndPodsAreNotContainers) {
  for (const std::string& path : {"/machine.slice/libpod-conmon-" + kA + ".scope", "/libpod_parent/libpod-conmon-" + kA,
                                  "/kubepods/pod" + kUid + "/crio-conmon-" + kA + ".scope"}) {
    const CgroupPath parsed = parse_cgroup_path(path);
    EXPECT_EQ(parsed.container_id, "") << path;
    EXPECT_THAT(parsed.reason, HasSubstr("conmon")) << path;
    EXPECT_FALSE(parsed.docker_candidate) << path;
  }
  const CgroupPath pod = parse_cgroup_path("/libpod_parent/" + kB);
  EXPECT_EQ(pod.container_id, "");
  EXPECT_FALSE(pod.docker_candidate);
  EXPECT_THAT(pod.reason, HasSubstr("Podman pod"));
  EXPECT_EQ(parse_cgroup_path("/kubepods/pod" + kUid).runtime, Runtime::kNone);
}

TEST(CgroupPath, SystemdUnits) {
  EXPECT_EQ(parse_cgroup_path("/system.slice/nginx.service").unit, "nginx.service");
  EXPECT_EQ(parse_cgroup_path("/system.slice/nginx.service/worker").unit, "nginx.service");
  EXPECT_EQ(parse_cgroup_path("/user.slice/user-0.slice/session-3.scope").unit, "session-3.scope");
  EXPECT_EQ(parse_cgroup_path("/system.slice").unit, "system.slice");
  for (const char* path : {"/system.slice/nginx.service", "/init.scope", "/user.slice"}) {
    EXPECT_EQ(parse_cgroup_path(path).runtime, Runtime::kSystemd) << path;
  }
  EXPECT_EQ(parse_cgroup_path("/docker/" + kA + "/system.slice/nginx.service").unit, "nginx.service");
  EXPECT_EQ(parse_cgroup_path("/system.slice/docker-" + kA + ".scope").unit, "");
  for (const char* path : {"/", "", "/docker", "/.service", "/process_api/181dfe6dae5959b002c01a205bb8f408",
                           "/kubepods", "/kubepods/burstable"}) {
    EXPECT_EQ(parse_cgroup_path(path).runtime, Runtime::kNone) << path;
    EXPECT_EQ(parse_cgroup_path(path).container_id, "") << path;
  }
}

TEST(CgroupPath, AlmostAnIdIsNone) {
  std::string upper = kA;
  upper[0] = 'B';
  std::string newline = kA;
  newline[63] = '\n';
  for (const std::string& name : {kA.substr(1), kA + "0", upper, newline, "docker-" + kA.substr(1) + ".scope",
                                  "docker-" + upper + ".scope", "docker" + kA, "-" + kA, "docker-" + kA + ".service",
                                  ":" + kA, "docker:" + kA, kA + ".scope", std::string("docker-.scope")}) {
    EXPECT_EQ(parse_cgroup_path("/docker/" + name).container_id, "") << name;
  }
  EXPECT_EQ(parse_cgroup_path("/evil-" + kA + ".scope").runtime, Runtime::kSystemd)
      << "an unknown prefix is no runtime";
}

TEST(CgroupPath, HostilePaths) {
  EXPECT_EQ(parse_cgroup_path("../../docker/" + kA).container_id, kA);
  EXPECT_EQ(parse_cgroup_path("//docker//" + kA + "//").container_id, kA);
  EXPECT_EQ(parse_cgroup_path("docker/" + kA).container_id, kA);
  EXPECT_EQ(parse_cgroup_path("/docker/x\n/docker/" + kA).container_id, kA);
  EXPECT_EQ(parse_cgroup_path(std::string(3, '\0') + "/docker/" + kA).container_id, kA);
  std::string deep;
  for (int i = 0; i < 20000; ++i) {
    deep += "/" + (i % 2 == 0 ? kA : kB);
  }
  EXPECT_EQ(parse_cgroup_path(deep).container_id, kB);
  EXPECT_LE(parse_cgroup_path(deep).outer_ids.size(), 16U) << "bounded";
  EXPECT_EQ(parse_cgroup_path(std::string(1 << 20, 'a')).runtime, Runtime::kNone);
  EXPECT_EQ(parse_cgroup_path(std::string(1 << 20, '/')).runtime, Runtime::kNone);
}

TEST(CgroupPath, RandomPathsDoNotCrash) {
  const std::vector<std::string> parts = {"/",    "docker",   "-",  kA,   ".scope", "kubepods", ".slice",
                                          "pod",  kUid,       ":",  "..", "libpod", "conmon",   "burstable",
                                          "crio", "\xff\x1b", "\n", "",   "system"};
  std::mt19937 random(11);
  for (int round = 0; round < 20000; ++round) {
    std::string path;
    for (auto i = random() % 12; i > 0; --i) {
      path += parts[random() % parts.size()];
    }
    const CgroupPath parsed = parse_cgroup_path(path);
    EXPECT_TRUE(path.starts_with(parsed.container_path)) << path;
    EXPECT_TRUE(parsed.runtime != Runtime::kUnknown || !parsed.reason.empty()) << path;
  }
}

TEST(ContainerFromPath, SaysWhatIsMissing) {
  const Container unit = container_from_path(parse_cgroup_path("/system.slice/nginx.service"));
  EXPECT_EQ(unit.name, "nginx.service");
  EXPECT_EQ(unit.unknown_reason, "");
  const Container none = container_from_path(parse_cgroup_path("/"));
  EXPECT_EQ(none.runtime, Runtime::kNone);
  EXPECT_EQ(none.unknown_reason, "");
  for (const std::string& path : {"/docker/" + kA, "/x/" + kA, "/kubepods/pod" + kUid + "/crio-" + kA,
                                  "/machine.slice/libpod-" + kA + ".scope", "/system.slice/nerdctl-" + kA + ".scope"}) {
    const Container container = container_from_path(parse_cgroup_path(path));
    EXPECT_EQ(container.id, kA) << path;
    EXPECT_EQ(container.name, "") << path;
    EXPECT_NE(container.unknown_reason, "") << path;
  }
}

}  // namespace
}  // namespace memcrest
