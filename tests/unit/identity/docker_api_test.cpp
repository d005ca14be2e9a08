// SPDX-License-Identifier: Apache-2.0
#include "identity/docker_api.h"

#include <gmock/gmock.h>

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

constexpr milliseconds kTimeout{400};
constexpr milliseconds kSlack{1000};
const std::string kId(64, 'a');

CgroupPath path_of(const std::string& id) { return {.container_id = id, .docker_candidate = true}; }

std::string list_of(const std::string& id, const std::string& name = "/web") {
  return R"([{"Id":")" + id + R"(","Names":[")" + name + R"("],"Image":"my-app:latest","Labels":{"a":"b"}}])";
}

std::string inspect_of(const std::string& id) {
  return R"({"Id":")" + id + R"(","Name":"/web","State":{"Pid":42},"Config":{"Image":"my-app:latest"}})";
}

class DockerApiTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string socket() const { return dir_.path() + "/docker.sock"; }

  Answer look_up(FakeDaemon::Handler handler) {
    const FakeDaemon daemon(socket(), std::move(handler));
    const auto start = SteadyClock::now();
    auto answer = DockerApi(socket(), kTimeout).look_up(path_of(kId));
    EXPECT_LT(SteadyClock::now() - start, kTimeout + kSlack);
    return answer;
  }
  Answer inspect(FakeDaemon::Handler handler) {
    const FakeDaemon daemon(socket(), std::move(handler));
    return DockerApi(socket(), kTimeout).inspect(path_of(kId));
  }

  TempDir dir_;
};

TEST_F(DockerApiTest, LooksUpByTheList) {
  std::string target;
  const Answer facts = look_up([&](Connection& c) {
    target = c.target();
    c.answer(200, list_of(kId));
  });
  ASSERT_TRUE(facts && *facts) << facts.error().message();
  EXPECT_EQ((*facts)->name, "web");
  EXPECT_EQ((*facts)->image, "my-app:latest");
  EXPECT_EQ((*facts)->labels.at("a"), "b");
  EXPECT_EQ(target, "/containers/json?all=1&filters=%7B%22id%22%3A%5B%22" + kId + "%22%5D%7D");
}

TEST_F(DockerApiTest, InspectsTheContainer) {
  std::string target;
  const Answer facts = inspect([&](Connection& c) {
    target = c.target();
    c.answer(200, inspect_of(kId));
  });
  ASSERT_TRUE(facts && *facts);
  EXPECT_EQ((*facts)->init_pid, 42U);
  EXPECT_EQ((*facts)->runtime, Runtime::kDocker);
  EXPECT_EQ((*facts)->id, kId);
  EXPECT_EQ(target, "/containers/" + kId + "/json");
}

TEST_F(DockerApiTest, APodOfKubernetes) {
  const Answer facts = look_up([&](Connection& c) {
    c.answer(200, R"([{"Id":")" + kId + R"(","Names":["/k8s_app_web-1_prod_11-22_3"],"Image":"sha256:0",
      "Labels":{"io.kubernetes.pod.name":"web-1","io.kubernetes.pod.namespace":"prod","io.kubernetes.pod.uid":"11-22",
                "io.kubernetes.container.name":"app","io.kubernetes.docker.type":"container"}}])");
  });
  ASSERT_TRUE(facts && *facts && (*facts)->pod);
  EXPECT_EQ((*facts)->name, "app");
  EXPECT_EQ((*facts)->pod->name, "web-1");
  EXPECT_EQ((*facts)->runtime, Runtime::kDocker);
}

TEST_F(DockerApiTest, NoSuchContainerIsNoError) {
  const Answer listed = look_up([](Connection& c) { c.answer(200, "[]"); });
  ASSERT_TRUE(listed);
  EXPECT_FALSE(*listed);
  for (const char* message : {R"({"message":"No such container: aaaa"})",
                              R"({"cause":"x","message":"no container with ID: no such container"})"}) {
    const Answer inspected = inspect([=](Connection& c) { c.answer(404, message); });
    ASSERT_TRUE(inspected) << message;
    EXPECT_FALSE(*inspected);
  }
  EXPECT_FALSE(inspect([](Connection& c) { c.answer(404, "404 page not found\n"); })) << "not Docker's 404";
}

TEST_F(DockerApiTest, EveryFailureSaysWhich) {
  const Answer absent = DockerApi(socket(), kTimeout).look_up(path_of(kId));
  EXPECT_EQ(absent.error().code, ENOENT);
  EXPECT_THAT(absent.error().message(), HasSubstr("no Docker socket at " + socket()));

  const Answer status = look_up([](Connection& c) { c.answer(500, R"({"message":"disk is full"})"); });
  EXPECT_THAT(status.error().message(), HasSubstr("answered 500: disk is full"));

  const Answer redirect = look_up([](Connection& c) { c.send("HTTP/1.0 302 Found\r\nLocation: /other\r\n\r\n"); });
  EXPECT_THAT(redirect.error().message(), HasSubstr("redirect"));

  const Answer garbage = look_up([](Connection& c) { c.send("SSH-2.0-OpenSSH_9.2\r\n"); });
  EXPECT_EQ(garbage.error().code, EPROTO);
  EXPECT_THAT(garbage.error().message(), HasSubstr("not HTTP"));

  const Answer not_json = look_up([](Connection& c) { c.answer(200, "<html>"); });
  EXPECT_THAT(not_json.error().message(), HasSubstr("not JSON"));

  const Answer other = inspect([](Connection& c) { c.answer(200, inspect_of(std::string(64, 'b'))); });
  EXPECT_THAT(other.error().message(), HasSubstr("not about the container"));

  const Answer closed = look_up([](Connection&) {});
  EXPECT_THAT(closed.error().message(), HasSubstr("closed"));

  const Answer slow = look_up([](Connection& c) { c.hang(); });
  EXPECT_EQ(slow.error().code, ETIMEDOUT);
  EXPECT_THAT(slow.error().message(), HasSubstr("400 ms"));
}

TEST_F(DockerApiTest, HostileBodies) {
  const Answer deep = look_up([](Connection& c) { c.answer(200, std::string(3U << 20U, '[')); });
  EXPECT_THAT(deep.error().message(), HasSubstr("nested"));
  const Answer huge = look_up([](Connection& c) {
    c.send("HTTP/1.0 200 OK\r\n\r\n[");
    const std::string piece(65536, ' ');
    while (c.send(piece)) {
    }
  });
  EXPECT_EQ(huge.error().code, EMSGSIZE);
  const Answer name = look_up([](Connection& c) { c.answer(200, list_of(kId, "/\\u001b[2J\\nweb")); });
  EXPECT_EQ((*name)->name, "\x1b[2J\nweb") << "kept as it is: whoever shows it escapes it";
}

TEST_F(DockerApiTest, InspectDoesNotWaitForABusyContainer) {
  const FakeDaemon daemon(socket(), [](Connection& c) { c.hang(); });
  const auto start = SteadyClock::now();
  const Answer answer = DockerApi(socket(), milliseconds(5000)).inspect(path_of(kId));
  EXPECT_EQ(answer.error().code, ETIMEDOUT);
  EXPECT_LT(SteadyClock::now() - start, milliseconds(250) + kSlack);
}

TEST_F(DockerApiTest, OnlyFullIdsReachTheSocket) {
  const FakeDaemon daemon(socket(), [](Connection& c) { c.answer(200, "[]"); });
  for (const std::string& id : {std::string(), kId.substr(1), kId + "a", std::string(64, 'A'),
                                "../../" + std::string(58, 'a'), std::string(62, 'a') + "\r\n"}) {
    EXPECT_EQ(DockerApi(socket(), kTimeout).look_up(path_of(id)).error().code, EINVAL);
    EXPECT_EQ(DockerApi(socket(), kTimeout).inspect(path_of(id)).error().code, EINVAL);
  }
  EXPECT_EQ(daemon.requests(), 0);
}

TEST_F(DockerApiTest, AsksOnlyForWhatDockerMayKnow) {
  const DockerApi api(socket(), kTimeout);
  EXPECT_TRUE(api.may_add(parse_cgroup_path("/docker/" + kId), {}));
  EXPECT_TRUE(api.may_add(parse_cgroup_path("/my/own/" + kId), {}));
  EXPECT_FALSE(api.may_add(parse_cgroup_path("/machine.slice/libpod-" + kId + ".scope"), {}));
  EXPECT_FALSE(api.may_add(parse_cgroup_path("/system.slice/docker.service"), {}));
}

}  // namespace
}  // namespace memcrest
