// SPDX-License-Identifier: Apache-2.0
#include "identity/oci_json.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "support/fake_bundles.h"

namespace memcrest {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;
using testing_support::bundle_sample;

std::string repeated(const char* digits) {
  std::string id;
  for (int i = 0; i < 32; ++i) {
    id += digits;
  }
  return id;
}

OciConfig config_of(const std::string& text) {
  auto config = read_oci_config(text);
  EXPECT_TRUE(config) << config.error().message();
  return config.value_or(OciConfig{});
}

Container container_of(const std::string& sample, const std::string& id, BundleKind kind,
                       const std::string& runtime_namespace = {}) {
  auto container = container_from_oci(config_of(bundle_sample(sample)), id, kind, runtime_namespace);
  EXPECT_TRUE(container) << container.error().message();
  return container.value_or(Container{});
}

TEST(OciConfig, TakesWhatWeNeed) {
  const auto config = config_of(bundle_sample("docker.json"));
  EXPECT_EQ(config.cgroups_path, "/docker/" + repeated("1f"));
  EXPECT_EQ(config.hostname_file, "/var/lib/docker/containers/" + repeated("1f") + "/hostname");
  EXPECT_EQ(config.memory_limit_bytes, 67108864U);
  EXPECT_EQ(config.swap_limit_bytes, 134217728);
  EXPECT_THAT(config.annotations, IsEmpty());
}

TEST(OciConfig, NoSecretsAreKept) {
  for (const char* const sample : {"docker.json", "podman.json", "crio-container.json", "cri-container.json"}) {
    const std::string text = bundle_sample(sample);
    ASSERT_THAT(text, HasSubstr("hunter2")) << sample;
    for (const auto& [key, value] : config_of(text).annotations) {
      EXPECT_THAT(key + value, Not(HasSubstr("hunter2"))) << sample;
    }
  }
}

TEST(OciConfig, WrongTypesAreAsIfAbsent) {
  const auto config =
      config_of(R"({"ociVersion":"1","annotations":[1],"mounts":{"a":{"destination":"/etc/hostname","source":5}},)"
                R"("linux":{"cgroupsPath":{"x":"y"},"resources":{"memory":{"limit":"64m","swap":true}}}})");
  EXPECT_EQ(config.cgroups_path, "");
  EXPECT_EQ(config.hostname_file, "");
  EXPECT_EQ(config.memory_limit_bytes, std::nullopt);
  EXPECT_EQ(config.swap_limit_bytes, std::nullopt);
  EXPECT_THAT(config.annotations, IsEmpty());
}

TEST(OciConfig, NoLimitIsNone) {
  const auto with = [](const std::string& memory) {
    return config_of(R"({"ociVersion":"1","linux":{"resources":{"memory":)" + memory + "}}}");
  };
  EXPECT_EQ(with(R"({"limit":-1,"swap":-1})").memory_limit_bytes, std::nullopt);
  EXPECT_EQ(with(R"({"limit":-1,"swap":-1})").swap_limit_bytes, -1);
  EXPECT_EQ(with(R"({"limit":0,"swap":0})").swap_limit_bytes, std::nullopt);
  EXPECT_EQ(with(R"({"limit":9223372036854771712})").memory_limit_bytes, std::nullopt);
  EXPECT_EQ(with(R"({"limit":1.5e9})").memory_limit_bytes, std::nullopt);
  EXPECT_EQ(with(R"({"swap":9223372036854771712})").swap_limit_bytes, -1);
}

TEST(OciConfig, RefusesWhatIsNone) {
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[]"), std::string("5"), std::string("{\"ociVersion\":\"1\""),
        std::string(R"({"ociVersion":1})"), std::string(100'000, '['), std::string("\0\xff", 2)}) {
    const auto config = read_oci_config(text);
    ASSERT_FALSE(config) << text.substr(0, 30);
    EXPECT_EQ(config.error().code, EPROTO);
    EXPECT_LT(config.error().message().size(), 200U);
  }
}

TEST(OciConfig, ManyAnnotationsAreBounded) {
  json annotations = {{"io.container.manager", std::string(1 << 20, 'x')}};
  for (int i = 0; i < 1000; ++i) {
    annotations["com.docker.compose." + std::to_string(i)] = std::string(8192, 'y');
  }
  std::size_t bytes = 0;
  for (const auto& [key, value] :
       config_of(json{{"ociVersion", "1"}, {"annotations", annotations}}.dump()).annotations) {
    bytes += key.size() + value.size();
  }
  EXPECT_GT(bytes, 64U << 10U);
  EXPECT_LE(bytes, 128U << 10U);
}

TEST(CgroupMatch, PathsAsTheyStand) {
  EXPECT_EQ(match_cgroup("/docker/abc", "/docker/abc"), CgroupMatch::kSame);
  EXPECT_EQ(match_cgroup("/docker/abc", "/outer/docker/abc"), CgroupMatch::kEnding);
  EXPECT_EQ(match_cgroup("/docker/abc", "/xdocker/abc"), CgroupMatch::kNone);
  EXPECT_EQ(match_cgroup("/docker/abc", "/docker/abcd"), CgroupMatch::kNone);
  EXPECT_EQ(match_cgroup("/docker/abc", "/docker"), CgroupMatch::kNone);
  EXPECT_EQ(match_cgroup("abc", "/x/abc"), CgroupMatch::kEnding);
  EXPECT_EQ(match_cgroup("bc", "/x/abc"), CgroupMatch::kNone);
  for (const char* const path : {"", "/", ":", "::", ":::"}) {
    EXPECT_NE(match_cgroup(path, "/docker/abc"), CgroupMatch::kSame) << path;
    EXPECT_NE(match_cgroup(path, ""), CgroupMatch::kSame) << path;
  }
}

TEST(CgroupMatch, SystemdsForm) {
  EXPECT_EQ(match_cgroup("system.slice:docker:abc", "/system.slice/docker-abc.scope"), CgroupMatch::kSame);
  EXPECT_EQ(match_cgroup(":docker:abc", "/system.slice/docker-abc.scope"), CgroupMatch::kSame);
  EXPECT_EQ(match_cgroup("-.slice:docker:abc", "/docker-abc.scope"), CgroupMatch::kSame);
  EXPECT_EQ(match_cgroup("kubepods-burstable-podx.slice:cri-containerd:abc",
                         "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice/"
                         "cri-containerd-abc.scope"),
            CgroupMatch::kSame);
  EXPECT_EQ(match_cgroup("kubepods-podx.slice:cri-containerd:abc", "/sys/kubepods-podx.slice:cri-containerd:abc"),
            CgroupMatch::kEnding);
  EXPECT_EQ(match_cgroup("system.slice:docker:abc", "/other.slice/docker-abc.scope"), CgroupMatch::kNone);
}

TEST(CgroupMatch, RootlessIsBelowTheUsersOwnSystemd) {
  const std::string user = "/user.slice/user-1000.slice/user@1000.service";
  EXPECT_EQ(match_cgroup("user.slice:libpod:abc", user + "/user.slice/libpod-abc.scope"), CgroupMatch::kUsers);
  EXPECT_EQ(match_cgroup("user.slice:libpod:abc",
                         "/user.slice/user-1000.slice/user@1001.service/user.slice/libpod-abc.scope"),
            CgroupMatch::kEnding);
  EXPECT_EQ(match_cgroup("/docker/abc", user + "/deeper/docker/abc"), CgroupMatch::kEnding);
}

TEST(OciContainer, DockersNameIsElsewhere) {
  const auto container = container_of("docker.json", repeated("1f"), BundleKind::kTask, "moby");
  EXPECT_EQ(container.runtime, Runtime::kDocker);
  EXPECT_EQ(container.runtime_namespace, "moby");
  EXPECT_EQ(container.name, "");
  EXPECT_EQ(container.memory_limit_bytes, 67108864U);
}

TEST(OciContainer, ContainerdsPod) {
  const auto container = container_of("cri-container.json", repeated("3b"), BundleKind::kTask, "k8s.io");
  EXPECT_EQ(container.runtime, Runtime::kContainerd);
  EXPECT_EQ(container.runtime_namespace, "k8s.io");
  EXPECT_EQ(container.name, "app");
  EXPECT_EQ(container.image, "localhost/memcrest-test:latest");
  ASSERT_TRUE(container.pod);
  EXPECT_EQ(container.pod->name, "shop-5d9c");
  EXPECT_EQ(container.pod->name_space, "prod");
  EXPECT_EQ(container.pod->uid, "7d1c3f5e-9b0a-4c2d-8e6f-0123456789ab");
  EXPECT_FALSE(container.pod->sandbox);
  EXPECT_EQ(container.pod->attempt, std::nullopt);
  EXPECT_EQ(container.swap_limit_bytes, 67108864);
}

TEST(OciContainer, ContainerdsSandbox) {
  const auto sandbox = container_of("cri-sandbox.json", repeated("3a"), BundleKind::kTask, "k8s.io");
  EXPECT_EQ(sandbox.name, "shop-5d9c");
  ASSERT_TRUE(sandbox.pod);
  EXPECT_TRUE(sandbox.pod->sandbox);
  EXPECT_EQ(sandbox.memory_limit_bytes, std::nullopt);
  const auto other =
      container_from_oci(config_of(bundle_sample("cri-sandbox.json")), repeated("00"), BundleKind::kTask, "k8s.io");
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, EBADMSG);
}

TEST(OciContainer, WithoutKubernetesTheIdIsTheName) {
  const auto ctr = container_of("ctr.json", "my-ctr", BundleKind::kTask, "default");
  EXPECT_EQ(ctr.runtime, Runtime::kContainerd);
  EXPECT_EQ(ctr.name, "my-ctr");
  EXPECT_EQ(ctr.image, "");
  EXPECT_FALSE(ctr.pod);

  const auto config =
      config_of(R"({"ociVersion":"1","annotations":{"nerdctl/name":"web","nerdctl/namespace":"default",)"
                R"("com.docker.compose.project":"shop","note":"x"}})");
  const auto nerdctl = container_from_oci(config, repeated("55"), BundleKind::kTask, "default");
  ASSERT_TRUE(nerdctl);
  EXPECT_EQ(nerdctl->name, "web");
  EXPECT_THAT(nerdctl->labels, ElementsAre(Pair("com.docker.compose.project", "shop")));
}

TEST(OciContainer, AnOldCriTellsNoNames) {
  const auto config = config_of(R"({"ociVersion":"1","annotations":{"io.kubernetes.cri.container-type":"container"}})");
  const auto container = container_from_oci(config, repeated("55"), BundleKind::kTask, "k8s.io");
  ASSERT_TRUE(container);
  EXPECT_EQ(container->name, "");
}

TEST(OciContainer, CrioTellsAll) {
  const auto container = container_of("crio-container.json", repeated("4c"), BundleKind::kStorage);
  EXPECT_EQ(container.runtime, Runtime::kCrio);
  EXPECT_EQ(container.name, "app");
  EXPECT_EQ(container.image, "registry.example/shop/app:2");
  ASSERT_TRUE(container.pod);
  EXPECT_EQ(container.pod->name, "shop-5d9c");
  EXPECT_EQ(container.pod->name_space, "prod");
  EXPECT_EQ(container.pod->attempt, 3U);
  EXPECT_FALSE(container.pod->sandbox);
  EXPECT_THAT(container.labels, Contains(Pair("io.kubernetes.container.name", "app")));
  EXPECT_THAT(container.labels, Not(Contains(Key("kubectl.kubernetes.io/last-applied-configuration"))));
  EXPECT_FALSE(
      container_from_oci(config_of(bundle_sample("crio-container.json")), repeated("00"), BundleKind::kStorage, {}));
}

TEST(OciContainer, CriosSandbox) {
  const json annotations = {{"io.container.manager", "cri-o"},
                            {"io.kubernetes.cri-o.ContainerType", "sandbox"},
                            {"io.kubernetes.cri-o.KubeName", "shop-5d9c"},
                            {"io.kubernetes.cri-o.Namespace", "prod"},
                            {"io.kubernetes.cri-o.Labels", R"({"app":"shop","io.kubernetes.pod.uid":"u-1","n":5})"},
                            {"io.kubernetes.cri-o.Metadata", "not JSON"}};
  const auto container = container_from_oci(config_of(json{{"ociVersion", "1"}, {"annotations", annotations}}.dump()),
                                            repeated("55"), BundleKind::kStorage, {});
  ASSERT_TRUE(container);
  EXPECT_EQ(container->name, "shop-5d9c");
  ASSERT_TRUE(container->pod);
  EXPECT_TRUE(container->pod->sandbox);
  EXPECT_EQ(container->pod->uid, "u-1");
  EXPECT_EQ(container->pod->name_space, "prod");
  EXPECT_THAT(container->pod->labels, Contains(Pair("app", "shop")));
  EXPECT_EQ(container->pod->attempt, std::nullopt);
}

TEST(OciContainer, PodmansNameIsElsewhereAndItsPodIsNoKubernetes) {
  auto container = container_of("podman.json", repeated("2a"), BundleKind::kStorage);
  EXPECT_EQ(container.runtime, Runtime::kPodman);
  EXPECT_EQ(container.name, "");
  EXPECT_FALSE(container.pod);
  const auto unknown = container_from_oci(config_of(R"({"ociVersion":"1"})"), repeated("55"), BundleKind::kStorage, {});
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->runtime, Runtime::kUnknown);
}

}  // namespace
}  // namespace memcrest
