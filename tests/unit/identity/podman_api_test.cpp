// SPDX-License-Identifier: Apache-2.0
#include "identity/podman_api.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <thread>

#include "support/fake_cgroups.h"
#include "support/fake_daemon.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing_support::FakeDaemon;
using testing_support::TempDir;
using Connection = FakeDaemon::Connection;
using SteadyClock = std::chrono::steady_clock;
using Answer = Result<std::optional<Container>>;

constexpr milliseconds kTimeout{2000};
constexpr milliseconds kSlack{1000};
// Somebody who is not root and whom the test can be.
const uid_t kUser = ::geteuid() != 0 ? ::geteuid() : 65534;
const std::string kId(64, 'a');
const std::string kPod(64, 'b');

std::string list_of(const std::string& id) {
  return R"([{"Id":")" + id + R"(","Names":["web"],"Image":"localhost/my-app:latest","Labels":{"a":"b"},"Pod":")" +
         kPod + R"(","PodName":"shop","IsInfra":false,"Pid":42,"State":"running"}])";
}

CgroupPath rootful(const std::string& id = kId) { return parse_cgroup_path("/machine.slice/libpod-" + id + ".scope"); }

CgroupPath of_user(uid_t user) {
  return parse_cgroup_path("/user.slice/user-" + std::to_string(user) + ".slice/user@" + std::to_string(user) +
                           ".service/user.slice/libpod-" + kId + ".scope/container");
}

class PodmanApiTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string socket() const { return dir_.path() + "/podman.sock"; }
  [[nodiscard]] std::string socket_of(uid_t user) const {
    const std::string dir = dir_.path() + "/" + std::to_string(user) + "/podman";
    std::filesystem::create_directories(dir);
    return dir + "/podman.sock";
  }
  // A service of kUser's, run by it: the kernel notes the credentials of the thread that calls listen().
  [[nodiscard]] std::unique_ptr<FakeDaemon> service_of_user(const FakeDaemon::Handler& handler) const {
    const std::string path = socket_of(kUser);
    std::unique_ptr<FakeDaemon> daemon;
    if (kUser == ::geteuid()) {
      return std::make_unique<FakeDaemon>(path, handler);
    }
    ::chmod(dir_.path().c_str(), 0755);
    ::chmod(std::filesystem::path(path).parent_path().c_str(), 0777);
    std::thread([&] {
      ::syscall(SYS_setresuid, -1, kUser, -1);
      daemon = std::make_unique<FakeDaemon>(path, handler);
    }).join();
    return daemon;
  }
  [[nodiscard]] PodmanApi api() const { return {{.root = socket(), .user_runtime_dirs = dir_.path()}, kTimeout}; }

  TempDir dir_;
};

TEST_F(PodmanApiTest, LooksUpNameImageAndPod) {
  std::string target;
  const FakeDaemon daemon(socket(), [&](Connection& c) {
    target = c.target();
    c.answer(200, list_of(kId));
  });
  const Answer facts = api().look_up(rootful());
  ASSERT_TRUE(facts && *facts) << facts.error().message();
  EXPECT_EQ((*facts)->runtime, Runtime::kPodman);
  EXPECT_EQ((*facts)->id, kId);
  EXPECT_EQ((*facts)->name, "web");
  EXPECT_EQ((*facts)->image, "localhost/my-app:latest");
  EXPECT_EQ((*facts)->labels.at("a"), "b");
  ASSERT_TRUE((*facts)->pod);
  EXPECT_EQ((*facts)->pod->uid, kPod);
  EXPECT_EQ((*facts)->pod->name, "shop");
  EXPECT_FALSE((*facts)->pod->sandbox);
  EXPECT_EQ(target,
            "/v4.0.0/libpod/containers/json?all=true&pod=true&filters=%7B%22id%22%3A%5B%22" + kId + "%22%5D%7D");
}

TEST_F(PodmanApiTest, Inspects) {
  std::string target;
  const FakeDaemon daemon(socket(), [&](Connection& c) {
    target = c.target();
    c.answer(200, R"({"Id":")" + kId + R"(","Name":"web","Image":"sha256:0","ImageName":"localhost/my-app:latest",
      "Pod":"","RestartCount":3,"State":{"Status":"exited","Pid":0,"ExitCode":137,"OOMKilled":false,"Error":""},
      "Config":{"Image":"localhost/my-app:latest","Labels":null},"HostConfig":{"Memory":67108864,"MemorySwap":67108864}})");
  });
  const Answer facts = api().inspect(rootful());
  ASSERT_TRUE(facts && *facts && (*facts)->state) << facts.error().message();
  EXPECT_EQ((*facts)->state->exit_code, 137);
  EXPECT_EQ((*facts)->state->oom_killed, false) << "as it says";
  EXPECT_EQ((*facts)->state->restart_count, 3U);
  EXPECT_EQ((*facts)->memory_limit_bytes, 67108864U);
  EXPECT_FALSE((*facts)->pod);
  EXPECT_EQ(target, "/v4.0.0/libpod/containers/" + kId + "/json");
}

TEST_F(PodmanApiTest, NoSuchContainerIsNoError) {
  {
    const FakeDaemon daemon(socket(), [](Connection& c) { c.answer(200, "[]"); });
    const Answer listed = api().look_up(rootful());
    ASSERT_TRUE(listed);
    EXPECT_FALSE(*listed);
  }
  const FakeDaemon daemon(socket(), [](Connection& c) {
    c.answer(404, R"({"cause":"no such container","message":"no container with ID found: no such container"})");
  });
  const Answer inspected = api().inspect(rootful());
  ASSERT_TRUE(inspected);
  EXPECT_FALSE(*inspected);
}

TEST_F(PodmanApiTest, AUsersContainersAreAskedForAtThatUsersService) {
  const FakeDaemon root(socket(), [](Connection& c) { c.answer(200, "[]"); });
  PodmanApi podman = api();
  const Answer absent = podman.look_up(of_user(kUser));
  ASSERT_FALSE(absent);
  EXPECT_THAT(absent.error().message(), HasSubstr("no Podman socket at " + socket_of(kUser)));
  const auto users = service_of_user([](Connection& c) { c.answer(200, list_of(kId)); });
  const Answer found = podman.look_up(of_user(kUser));
  ASSERT_TRUE(found && *found) << found.error().message();
  EXPECT_EQ((*found)->name, "web");
  EXPECT_EQ(root.requests(), 0);
}

TEST_F(PodmanApiTest, WhoIsNotTheUserIsNotBelieved) {
  const uid_t other = ::geteuid() + 1;
  const FakeDaemon daemon(socket_of(other), [](Connection& c) { c.answer(200, list_of(kId)); });
  const Answer answer = api().look_up(of_user(other));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, EACCES);
  EXPECT_THAT(answer.error().message(), HasSubstr("listens there"));
  EXPECT_EQ(daemon.requests(), 0) << "not even asked";
}

TEST_F(PodmanApiTest, OneUsersHangingServiceConcernsNobodyElse) {
  const auto users = service_of_user([](Connection& c) { c.hang(); });
  const FakeDaemon root(socket(), [](Connection& c) { c.answer(200, list_of(kId)); });
  PodmanApi podman = api();
  const auto start = SteadyClock::now();
  const Answer hung = podman.look_up(of_user(kUser));
  EXPECT_LT(SteadyClock::now() - start, milliseconds(500) + kSlack) << "less than others get";
  ASSERT_FALSE(hung);
  EXPECT_EQ(hung.error().code, EAGAIN) << "ETIMEDOUT would keep everybody from being asked";
  EXPECT_THAT(hung.error().message(), HasSubstr("no complete answer within 500 ms"));

  const Answer skipped = podman.look_up(of_user(kUser));
  EXPECT_THAT(skipped.error().message(), HasSubstr("not asked again yet"));
  EXPECT_EQ(users->requests(), 1);
  const Answer fine = podman.look_up(rootful());
  ASSERT_TRUE(fine && *fine);
}

TEST_F(PodmanApiTest, AsksOnlyForWhatPodmanMayKnow) {
  const PodmanApi podman = api();
  EXPECT_TRUE(podman.may_add(rootful(), {}));
  EXPECT_TRUE(podman.may_add(parse_cgroup_path("/libpod_parent/libpod-" + kId), {}));
  EXPECT_FALSE(podman.may_add(parse_cgroup_path("/docker/" + kId), {}));
  EXPECT_FALSE(podman.may_add(parse_cgroup_path("/libpod_parent"), {}));
  Container known;
  known.name = "web";
  EXPECT_TRUE(podman.may_add(rootful(), known)) << "its image is missing";
  known.image = "my-app";
  EXPECT_FALSE(podman.may_add(rootful(), known));
}

TEST_F(PodmanApiTest, AnEmptySocketIsNotAskedTheOthersAre) {
  const PodmanApi users({.root = "", .user_runtime_dirs = dir_.path()}, kTimeout);
  EXPECT_FALSE(users.may_add(rootful(), {}));
  EXPECT_TRUE(users.may_add(of_user(1000), {}));
  const PodmanApi roots({.root = socket(), .user_runtime_dirs = ""}, kTimeout);
  EXPECT_TRUE(roots.may_add(rootful(), {}));
  EXPECT_TRUE(roots.may_add(of_user(0), {}));
  EXPECT_FALSE(roots.may_add(of_user(1000), {}));
}

TEST_F(PodmanApiTest, OnlyFullIdsReachTheSocket) {
  const FakeDaemon daemon(socket(), [](Connection& c) { c.answer(200, "[]"); });
  PodmanApi podman = api();
  for (const std::string& id : {std::string(), kId.substr(1), kId + "a", std::string(62, 'a') + "\r\n"}) {
    EXPECT_EQ(podman.look_up({.container_id = id}).error().code, EINVAL);
    EXPECT_EQ(podman.inspect({.container_id = id}).error().code, EINVAL);
  }
  EXPECT_EQ(daemon.requests(), 0);
}

}  // namespace
}  // namespace memcrest
