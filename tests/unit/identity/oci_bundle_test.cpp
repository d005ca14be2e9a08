// SPDX-License-Identifier: Apache-2.0
#include "identity/oci_bundle.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <chrono>

#include "support/fake_bundles.h"

namespace memcrest {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;
using testing_support::bundle_sample;
using testing_support::FakeBundles;
using testing_support::replaced;

std::string repeated(const char* digits) {
  std::string id;
  for (int i = 0; i < 32; ++i) {
    id += digits;
  }
  return id;
}

const std::string kDocker = repeated("1f");
const std::string kPodman = repeated("2a");
const std::string kSandbox = repeated("3a");
const std::string kPodContainer = repeated("3b");
const std::string kCrio = repeated("4c");
const std::string kPodUid = "7d1c3f5e-9b0a-4c2d-8e6f-0123456789ab";
const std::string kPodCgroup = "/kubepods/burstable/pod" + kPodUid;
const std::string kTasks = "/io.containerd.runtime.v2.task/";
const std::string kMoby = "/run/docker/containerd/daemon" + kTasks + "moby/";
const std::string kStorage = "/var/lib/containers/storage/vfs-containers/";

class Bundles : public ::testing::Test {
 protected:
  void put_docker() const {
    host_.put(kMoby + kDocker + "/config.json", bundle_sample("docker.json"));
    host_.put("/var/lib/docker/containers/" + kDocker + "/config.v2.json", bundle_sample("docker.v2.json"));
  }
  void put_podman(const std::string& storage) const {
    host_.put(storage + kPodman + "/userdata/config.json", bundle_sample("podman.json"));
    host_.put(storage + "containers.json", bundle_sample("containers.json"));
  }

  // The source lives as long as the test: it learns.
  OciBundle& source() {
    if (!source_) {
      source_ = std::make_unique<OciBundle>(host_.cgroups.root(), host_.tree());
    }
    return *source_;
  }
  Result<std::optional<Container>> ask(const std::string& cgroup) {
    return source().look_up(parse_cgroup_path(cgroup));
  }
  Container found(const std::string& cgroup) {
    auto answer = ask(cgroup);
    EXPECT_TRUE(answer) << answer.error().message();
    EXPECT_TRUE(answer && *answer) << "no bundle of " << cgroup;
    return answer && *answer ? **answer : Container{};
  }
  // Why there is none; empty when nothing speaks of it.
  std::string refusal(const std::string& cgroup) {
    const auto answer = ask(cgroup);
    EXPECT_FALSE(answer && *answer) << (*answer)->name;
    return answer ? std::string() : answer.error().message();
  }

  FakeBundles host_;

 private:
  std::unique_ptr<OciBundle> source_;
};

TEST_F(Bundles, DockersWithItsNameFromDockersOwnRecord) {
  put_docker();
  const auto container = found("/docker/" + kDocker);
  EXPECT_EQ(container.runtime, Runtime::kDocker);
  EXPECT_EQ(container.id, kDocker);
  EXPECT_EQ(container.name, "web");
  EXPECT_EQ(container.image, "memcrest-test:latest");
  EXPECT_EQ(container.runtime_namespace, "moby");
  EXPECT_EQ(container.unknown_reason, "");
  EXPECT_THAT(container.labels, Contains(Pair("com.docker.compose.project", "shop")));
  EXPECT_EQ(container.memory_limit_bytes, 67108864U);
  EXPECT_EQ(container.swap_limit_bytes, 134217728);
}

TEST_F(Bundles, WithoutTheRecordTheNameStaysUnknown) {
  host_.put(kMoby + kDocker + "/config.json", bundle_sample("docker.json"));
  const auto container = found("/docker/" + kDocker);
  EXPECT_EQ(container.name, "");
  EXPECT_THAT(container.unknown_reason, HasSubstr("No such file"));
  host_.put("/var/lib/docker/containers/" + kDocker + "/config.v2.json",
            replaced(bundle_sample("docker.v2.json"), kDocker, repeated("00")));
  EXPECT_THAT(found("/docker/" + kDocker).unknown_reason, HasSubstr("another container"));
}

TEST_F(Bundles, InANetworkOfAnotherContainer) {
  put_docker();
  host_.put(kMoby + kDocker + "/config.json",
            replaced(bundle_sample("docker.json"), "containers/" + kDocker, "containers/" + repeated("77")));
  EXPECT_EQ(found("/docker/" + kDocker).name, "web");
}

TEST_F(Bundles, InitPidIfItIsThatContainers) {
  put_docker();
  const std::string cgroup = "/docker/" + kDocker;
  host_.put(kMoby + kDocker + "/init.pid", "4711");
  EXPECT_EQ(found(cgroup).init_pid, std::nullopt) << "it has gone";
  host_.add({.pid = 4711, .parent = 1, .cgroup = "/docker/" + repeated("00")});
  EXPECT_EQ(found(cgroup).init_pid, std::nullopt) << "its number is another's by now";
  EXPECT_FALSE(source().inspect(parse_cgroup_path(cgroup)).value());
  host_.add({.pid = 4711, .parent = 1, .cgroup = cgroup});
  EXPECT_EQ(found(cgroup).init_pid, 4711U);
  EXPECT_EQ(source().inspect(parse_cgroup_path(cgroup)).value()->init_pid, 4711U);
  for (const char* const text : {"", "x", "-1", "0", "4711x", "99999999999"}) {
    host_.put(kMoby + kDocker + "/init.pid", text);
    EXPECT_EQ(found(cgroup).init_pid, std::nullopt) << text;
  }
}

TEST_F(Bundles, PodsOfContainerd) {
  host_.put("/run/k3s/containerd" + kTasks + "k8s.io/" + kPodContainer + "/config.json",
            bundle_sample("cri-container.json"));
  host_.put("/run/k3s/containerd" + kTasks + "k8s.io/" + kSandbox + "/config.json", bundle_sample("cri-sandbox.json"));
  const auto container = found(kPodCgroup + "/" + kPodContainer);
  EXPECT_EQ(container.runtime, Runtime::kContainerd);
  EXPECT_EQ(container.name, "app");
  ASSERT_TRUE(container.pod);
  EXPECT_EQ(container.pod->name, "shop-5d9c");
  EXPECT_EQ(container.unknown_reason, "");
  const auto sandbox = found(kPodCgroup + "/" + kSandbox);
  EXPECT_TRUE(sandbox.pod && sandbox.pod->sandbox);
  EXPECT_THAT(sandbox.unknown_reason, HasSubstr("no image"));
}

TEST_F(Bundles, OfContainerdsOwnToolWhoseCgroupSaysNothing) {
  host_.put("/run/containerd" + kTasks + "default/my-ctr/config.json", bundle_sample("ctr.json"));
  const auto path = source().confirm("/default/my-ctr", "my-ctr");
  ASSERT_TRUE(path);
  const auto container = source().look_up(*path);
  ASSERT_TRUE(container && *container);
  EXPECT_EQ((*container)->name, "my-ctr");
  EXPECT_EQ((*container)->runtime, Runtime::kContainerd);
  EXPECT_TRUE(source().may_add(*path, {}));
  for (const char* const other :
       {"/other/my-ctr", "/my-ctr", "/default/my-ctr/sub", "/default/none", "/", "", "my-ctr", "/x.slice/my-ctr"}) {
    EXPECT_FALSE(source().confirm(other, "my-ctr")) << other;
  }
  EXPECT_FALSE(source().confirm("/default/..", ".."));
  EXPECT_FALSE(source().confirm("/default/a/b", "a/b"));
  EXPECT_FALSE(source().confirm("/docker/" + kDocker, kDocker)) << "the path itself tells";
}

TEST_F(Bundles, OfANamespaceNobodyExpects) {
  const std::string cgroup = "/mine/" + repeated("55");
  host_.put("/run/containerd" + kTasks + "my.own/" + repeated("55") + "/config.json",
            R"({"ociVersion":"1","linux":{"cgroupsPath":")" + cgroup + R"("}})");
  EXPECT_EQ(found(cgroup).runtime_namespace, "my.own");
}

TEST_F(Bundles, Podmans) {
  put_podman(kStorage);
  const std::string cgroup = "/libpod_parent/libpod-" + kPodman;
  host_.put("/run/containers/storage/vfs-containers/" + kPodman + "/userdata/pidfile", "4711");
  host_.add({.pid = 4711, .parent = 1, .cgroup = cgroup});
  const auto container = found(cgroup);
  EXPECT_EQ(container.runtime, Runtime::kPodman);
  EXPECT_EQ(container.name, "pweb");
  EXPECT_EQ(container.image, "localhost/memcrest-test:latest");
  EXPECT_EQ(container.memory_limit_bytes, 67108864U);
  EXPECT_EQ(container.init_pid, 4711U);
  EXPECT_EQ(container.unknown_reason, "");
}

TEST_F(Bundles, PodmansInfraContainerIsASandbox) {
  const std::string pod = repeated("66");
  const std::string cgroup = "/libpod_parent/" + pod + "/libpod-" + kPodman;
  put_podman(kStorage);
  host_.put(kStorage + kPodman + "/userdata/config.json",
            replaced(bundle_sample("podman.json"), "/libpod_parent/", "/libpod_parent/" + pod + "/"));
  host_.put(kStorage + "containers.json", replaced(bundle_sample("containers.json"), "pweb", "666666666666-infra"));
  auto path = parse_cgroup_path(cgroup);
  path.pod_uid = pod;
  const auto container = source().look_up(path);
  ASSERT_TRUE(container && *container);
  ASSERT_TRUE((*container)->pod);
  EXPECT_TRUE((*container)->pod->sandbox);
  EXPECT_EQ((*container)->pod->uid, pod);
}

TEST_F(Bundles, Crios) {
  host_.put("/run/containers/storage/overlay-containers/" + kCrio + "/userdata/config.json",
            bundle_sample("crio-container.json"));
  const std::string pod = replaced(kPodUid, "-", "_");
  const auto container = found("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + pod +
                               ".slice/crio-" + kCrio + ".scope");
  EXPECT_EQ(container.runtime, Runtime::kCrio);
  EXPECT_EQ(container.name, "app");
  ASSERT_TRUE(container.pod);
  EXPECT_EQ(container.pod->attempt, 3U);
}

TEST_F(Bundles, InAnUnusualPlaceThroughTheShimAndFromThenOnDirectly) {
  const std::string state = host_.top() + "/srv/state" + kTasks + "k8s.io/";
  host_.put("/srv/state" + kTasks + "k8s.io/" + kSandbox + "/config.json", bundle_sample("cri-sandbox.json"));
  host_.put("/srv/state" + kTasks + "k8s.io/" + kPodContainer + "/config.json", bundle_sample("cri-container.json"));
  host_.link("/proc/1/root", "/");
  EXPECT_EQ(refusal(kPodCgroup + "/" + kPodContainer), "");
  host_.add({.pid = 20, .parent = 1, .cgroup = "/system.slice/containerd.service", .cwd = state + kSandbox});
  host_.add({.pid = 30, .parent = 20, .cgroup = kPodCgroup + "/" + kPodContainer});
  EXPECT_EQ(found(kPodCgroup + "/" + kPodContainer).name, "app");
  std::filesystem::remove_all(host_.cgroups.root().proc + "/20");
  EXPECT_EQ(found(kPodCgroup + "/" + kSandbox).name, "shop-5d9c") << "it has no process yet";
}

TEST_F(Bundles, InAnUnusualPlaceThroughConmon) {
  put_podman("/srv/storage/vfs-containers/");
  host_.link("/proc/1/root", "/");
  const std::string cgroup = "/libpod_parent/libpod-" + kPodman;
  EXPECT_EQ(refusal(cgroup), "");
  host_.add({.pid = 20,
             .parent = 1,
             .cgroup = "/libpod_parent/conmon",
             .cmdline = {"conmon", "-c", kPodman, "-b", "/srv/storage/vfs-containers/" + kPodman + "/userdata", "-n",
                         "fallback"}});
  EXPECT_EQ(found(cgroup).name, "pweb") << "conmon is there before the container's first process";
  std::filesystem::remove(host_.top() + "/srv/storage/vfs-containers/containers.json");
  EXPECT_EQ(found(cgroup).name, "fallback");
}

// As one whose arguments lie in memory that its own file system does not deliver.
TEST_F(Bundles, AProcessThatHangsCostsItsOwnContainersNames) {
  const std::string outer = "/docker/" + repeated("99");
  const std::string hostile = outer + "/libpod_parent/libpod-" + kPodman;
  host_.add({.pid = 20, .parent = 1, .cgroup = outer + "/libpod_parent/conmon"});
  const std::string cmdline = host_.top() + "/proc/20/cmdline";
  std::filesystem::remove(cmdline);
  ASSERT_EQ(::mkfifo(cmdline.c_str(), 0600), 0);
  put_docker();

  const auto begin = std::chrono::steady_clock::now();
  host_.cgroups.add(hostile);
  EXPECT_THAT(refusal(hostile), HasSubstr("does not answer"));
  EXPECT_THAT(refusal(hostile), HasSubstr("does not answer"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
  EXPECT_EQ(found("/docker/" + kDocker).name, "web");
  const int writer = ::open(cmdline.c_str(), O_WRONLY | O_NONBLOCK);  // lets the reader go
  EXPECT_GE(writer, 0) << "nobody reads it";
  ::close(writer);
}

TEST_F(Bundles, Rootless) {
  const std::string user = std::to_string(::getuid());
  const std::string slice = "/user.slice/user-" + user + ".slice/user@" + user + ".service";
  const std::string cgroup = slice + "/user.slice/libpod-" + kPodman + ".scope";
  const std::string config =
      replaced(bundle_sample("podman.json"), "/libpod_parent/libpod-" + kPodman, "user.slice:libpod:" + kPodman);
  put_podman("/run/user/" + user + "/containers/vfs-containers/");
  host_.put("/run/user/" + user + "/containers/vfs-containers/" + kPodman + "/userdata/config.json", config);
  EXPECT_EQ(found(cgroup).name, "pweb");
  EXPECT_THAT(refusal(slice + "/deeper/libpod-" + kPodman + ".scope"), HasSubstr("another cgroup"));
}

TEST_F(Bundles, AUserCannotNameAContainerOfAnother) {
  const std::string cgroup = "/libpod_parent/libpod-" + kPodman;
  put_podman("/home/u/vfs-containers/");
  host_.add({.pid = 20,
             .parent = 1,
             .cgroup = "/libpod_parent/conmon",
             .cmdline = {"conmon", "-c", kPodman, "-b", "/home/u/vfs-containers/" + kPodman + "/userdata"},
             .uid = ::getuid() + 1});
  host_.add({.pid = 30, .parent = 20, .cgroup = cgroup});
  EXPECT_EQ(refusal(cgroup), "") << "a process of a user to whom this cgroup does not belong";
  // The user's own cgroup, but somebody else's files.
  const std::string user = std::to_string(::getuid() + 1);
  put_podman("/run/user/" + user + "/containers/vfs-containers/");
  EXPECT_THAT(refusal("/user.slice/user-" + user + ".slice/user@" + user + ".service/libpod_parent/libpod-" + kPodman),
              HasSubstr("does not belong"));
}

TEST_F(Bundles, ACgroupCalledLikeAnotherContainersGetsNoName) {
  put_docker();
  const std::string user = "/user.slice/user-1000.slice/user@1000.service";
  for (const std::string& cgroup : {"/docker/" + repeated("99") + "/docker/" + kDocker, user + "/docker/" + kDocker,
                                    "/mine/" + kDocker, "/system.slice/docker-" + kDocker + ".scope"}) {
    refusal(cgroup);
  }
  EXPECT_THAT(refusal("/mine/" + kDocker), HasSubstr("another cgroup"));
}

TEST_F(Bundles, NestedInTheRootOfTheContainerAround) {
  const std::string outer = "/docker/" + repeated("99");
  const std::string inner = "/srv/inner";  // the outer container's root on the host
  host_.put(inner + kMoby + kDocker + "/config.json", bundle_sample("docker.json"));
  host_.put(inner + "/var/lib/docker/containers/" + kDocker + "/config.v2.json", bundle_sample("docker.v2.json"));
  // A neighbour of the asked container shows a root of its own making.
  host_.put("/srv/evil" + kMoby + kDocker + "/config.json", bundle_sample("docker.json"));
  host_.put("/srv/evil/var/lib/docker/containers/" + kDocker + "/config.v2.json",
            replaced(bundle_sample("docker.v2.json"), "/web", "/evil"));
  host_.add({.pid = 20, .parent = 1, .cgroup = "/system.slice/docker.service"});
  host_.add({.pid = 29, .parent = 30, .cgroup = outer, .root = host_.top() + "/srv/evil"});
  EXPECT_EQ(refusal(outer + "/docker/" + kDocker), "");
  host_.add({.pid = 30, .parent = 20, .cgroup = outer, .root = host_.top() + inner});
  EXPECT_EQ(found(outer + "/docker/" + kDocker).name, "web");
}

TEST_F(Bundles, NestedThroughTheShim) {
  const std::string outer = "/docker/" + repeated("99");
  host_.put("/srv/inner/odd" + kTasks + "moby/" + kDocker + "/config.json", bundle_sample("docker.json"));
  host_.put("/srv/inner/var/lib/docker/containers/" + kDocker + "/config.v2.json", bundle_sample("docker.v2.json"));
  host_.put("/srv/inner/odd" + kTasks + "moby/" + kDocker + "/init.pid", "30");
  host_.add({.pid = 20,
             .parent = 1,
             .cgroup = outer,
             .cwd = host_.top() + "/srv/inner/odd" + kTasks + "moby/" + kDocker,
             .root = host_.top() + "/srv/inner"});
  host_.add({.pid = 30, .parent = 20, .cgroup = outer + "/docker/" + kDocker});
  const auto container = found(outer + "/docker/" + kDocker);
  EXPECT_EQ(container.name, "web");
  EXPECT_EQ(container.init_pid, std::nullopt) << "a number of another pid namespace";
}

TEST_F(Bundles, AProcessOfTheContainerIsNoRuntime) {
  const std::string cgroup = "/docker/" + kDocker;
  host_.put("/srv/fake" + kTasks + "moby/" + kDocker + "/config.json", bundle_sample("docker.json"));
  host_.add({.pid = 20, .parent = 1, .cgroup = cgroup, .cwd = host_.top() + "/srv/fake" + kTasks + "moby/" + kDocker});
  host_.add({.pid = 30, .parent = 20, .cgroup = cgroup});
  EXPECT_EQ(refusal(cgroup), "");
}

TEST_F(Bundles, AnotherContainersBundleIsRefused) {
  host_.put("/run/containerd" + kTasks + "k8s.io/" + kPodContainer + "/config.json",
            replaced(bundle_sample("cri-sandbox.json"), "\"cgroupsPath\": \"" + kPodCgroup + "/" + kSandbox,
                     "\"cgroupsPath\": \"" + kPodCgroup + "/" + kPodContainer));
  EXPECT_THAT(refusal(kPodCgroup + "/" + kPodContainer), HasSubstr("another container"));
}

TEST_F(Bundles, HostileFilesAreRefusedAtOnceAndHarmOnlyThemselves) {
  put_docker();
  const std::string evil = repeated("ee");
  const std::string directory = host_.top() + kMoby + evil;
  const std::string file = directory + "/config.json";
  host_.put("/outside/config.json", replaced(bundle_sample("docker.json"), kDocker, evil));
  const auto write = [&](const std::string& text) { std::ofstream(file) << text; };
  const std::vector<std::pair<const char*, std::function<void()>>> cases = {
      {"symbolic links", [&] { std::filesystem::create_symlink(host_.top() + "/outside/config.json", file); }},
      {"symbolic links",
       [&] {
         std::filesystem::remove(directory);
         std::filesystem::create_directory_symlink(host_.top() + "/outside", directory);
       }},
      {"not a regular file", [&] { ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0); }},
      {"not a regular file", [&] { std::filesystem::create_directories(file); }},
      {"more than 4194304 bytes",
       [&] {
         write("{");
         std::filesystem::resize_file(file, 1U << 30U);
       }},
      {"nested deeper", [&] { write(std::string(1'000'000, '[')); }},
      {"not JSON", [&] { write("\xff\xfe"); }},
      {"not JSON", [&] { write(""); }},
      {"no ociVersion", [&] { write("{}"); }},
      {"another cgroup", [&] { write(bundle_sample("docker.json")); }},
      {"anybody may write it",
       [&] {
         write(replaced(bundle_sample("docker.json"), kDocker, evil));
         ASSERT_EQ(::chmod(file.c_str(), 0666), 0);
       }},
  };
  for (const auto& [reason, prepare] : cases) {
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
    prepare();
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_THAT(refusal("/docker/" + evil), HasSubstr(reason));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
    EXPECT_EQ(found("/docker/" + kDocker).name, "web");
  }
}

TEST_F(Bundles, HostileRecordsCostTheNameOnly) {
  put_docker();
  const std::string record = host_.top() + "/var/lib/docker/containers/" + kDocker + "/config.v2.json";
  std::filesystem::remove(record);
  ASSERT_EQ(::mkfifo(record.c_str(), 0600), 0);
  const auto container = found("/docker/" + kDocker);
  EXPECT_EQ(container.name, "");
  EXPECT_THAT(container.unknown_reason, HasSubstr("not a regular file"));
  EXPECT_EQ(container.memory_limit_bytes, 67108864U);
}

TEST_F(Bundles, TextStaysRaw) {
  put_docker();
  host_.put("/var/lib/docker/containers/" + kDocker + "/config.v2.json",
            replaced(bundle_sample("docker.v2.json"), "/web", "/\\u001b[2Jw\\n"));
  EXPECT_EQ(found("/docker/" + kDocker).name, "\x1b[2Jw\n");
}

TEST_F(Bundles, OnlyIdsThatAreOneName) {
  for (const std::string& id : {std::string(), std::string(".."), std::string("a/b"), std::string("a\0b", 3),
                                std::string(77, 'a'), std::string("-a"), std::string("a b")}) {
    const CgroupPath path{.runtime = Runtime::kContainerd, .container_id = id, .container_path = "/x/" + id};
    EXPECT_FALSE(source().may_add(path, {})) << id;
    EXPECT_EQ(source().look_up(path).error().code, EINVAL) << id;
  }
  EXPECT_FALSE(source().may_add({.runtime = Runtime::kLxc, .container_id = "web"}, {}));
}

TEST_F(Bundles, NothingThereIsNoError) {
  EXPECT_EQ(refusal("/docker/" + kDocker), "");
  EXPECT_EQ(refusal("/libpod_parent/libpod-" + kPodman), "");
  EXPECT_EQ(refusal("/x/" + kPodman), "");
  std::stop_source stop;
  stop.request_stop();
  EXPECT_TRUE(source().look_up(parse_cgroup_path("/docker/" + kDocker), stop.get_token()));
}

}  // namespace
}  // namespace memcrest
