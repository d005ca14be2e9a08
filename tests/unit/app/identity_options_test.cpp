// SPDX-License-Identifier: Apache-2.0
#include "app/identity_options.h"

#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "app/exit_codes.h"
#include "app/options.h"
#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using ::testing::HasSubstr;

class IdentityOptionsTest : public ::testing::Test {
 protected:
  IdentityOptionsTest() {
    auto logger = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(said_));
    spdlog::set_default_logger(std::move(logger));
  }
  ~IdentityOptionsTest() override { spdlog::set_default_logger(before_); }

  // In a pod; its manifest says which node it is on, or does not.
  void in_a_pod(const char* node) {
    environment_ = {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}};
    if (node != nullptr) {
      environment_["NODE_NAME"] = node;
    }
    std::ofstream(folder_.path() + "/token") << "secret";
    std::ofstream(folder_.path() + "/ca.crt") << "x";
  }
  Result<ResolverSettings> settings() {
    const auto get = [this](const char* name) {
      const auto found = environment_.find(name);
      return found == environment_.end() ? nullptr : found->second.c_str();
    };
    return resolver_settings(options_, get, folder_.path());
  }
  std::string refusal() {
    const auto made = settings();
    EXPECT_FALSE(made);
    EXPECT_EQ(said_.str(), "");
    if (made) {
      return {};
    }
    EXPECT_EQ(made.error().code, EINVAL);
    return made.error().message();
  }

  IdentityOptions options_;
  std::map<std::string, std::string> environment_;
  testing_support::TempDir folder_;
  std::ostringstream said_;

 private:
  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
};

TEST_F(IdentityOptionsTest, OutsideOfPodsKubernetesIsNotAsked) {
  const auto made = settings();
  ASSERT_TRUE(made);
  EXPECT_FALSE(made->kubernetes);
  EXPECT_TRUE(made->bundles);
  EXPECT_EQ(said_.str(), "");
}

TEST_F(IdentityOptionsTest, InAPodItIs) {
  in_a_pod("node-1");
  const auto made = settings();
  ASSERT_TRUE(made && made->kubernetes);
  EXPECT_EQ(made->kubernetes->authority(), "10.96.0.1:443");
  EXPECT_EQ(made->kubernetes->node, "node-1");
  EXPECT_EQ(made->kubernetes->token_file, folder_.path() + "/token");
}

TEST_F(IdentityOptionsTest, InAPodThatDoesNotKnowItsNodeItGoesOnWithANote) {
  in_a_pod(nullptr);
  const auto made = settings();
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_FALSE(made->kubernetes);
  EXPECT_THAT(said_.str(), HasSubstr("note: the Kubernetes API is not asked"));
  EXPECT_THAT(said_.str(), HasSubstr("NODE_NAME"));
}

TEST_F(IdentityOptionsTest, ANodeThatCannotBeIsEscapedInTheNote) {
  in_a_pod("a\x1b[31mb");
  ASSERT_TRUE(settings());
  EXPECT_THAT(said_.str(), HasSubstr("cannot be one"));
  EXPECT_EQ(said_.str().find('\x1b'), std::string::npos);
}

TEST_F(IdentityOptionsTest, NoKubernetesMeansNone) {
  in_a_pod(nullptr);
  options_.use_kubernetes = false;
  const auto made = settings();
  ASSERT_TRUE(made);
  EXPECT_FALSE(made->kubernetes);
  EXPECT_EQ(said_.str(), "");
}

TEST_F(IdentityOptionsTest, WhatIsGivenGoesBeforeWhatThePodHas) {
  in_a_pod("node-1");
  options_.kubernetes.node = "node-2";
  options_.kubernetes.token_file = "/token";
  const auto made = settings();
  ASSERT_TRUE(made && made->kubernetes);
  EXPECT_EQ(made->kubernetes->node, "node-2");
  EXPECT_EQ(made->kubernetes->token_file, "/token");
  EXPECT_EQ(made->kubernetes->ca_file, folder_.path() + "/ca.crt");
}

TEST_F(IdentityOptionsTest, AServerElsewhere) {
  environment_ = {{"NODE_NAME", "node-1"}};
  options_.kubernetes = {.server = "https://k8s.example:6443", .ca_file = "/ca"};
  const auto made = settings();
  ASSERT_TRUE(made && made->kubernetes);
  EXPECT_EQ(made->kubernetes->host, "k8s.example");
  EXPECT_EQ(made->kubernetes->node, "node-1");
  EXPECT_EQ(made->kubernetes->token_file, "") << "a pod's token is for that pod's API";
}

TEST_F(IdentityOptionsTest, WhatIsGivenAndCannotBeIsAnError) {
  options_.kubernetes = {.ca_file = "/ca"};
  EXPECT_THAT(refusal(), HasSubstr("this is no pod: --kubernetes-server is needed"));
  options_.kubernetes = {.token_file = "/token"};
  EXPECT_THAT(refusal(), HasSubstr("this is no pod: --kubernetes-server is needed"));
  options_.kubernetes = {.server = "k8s.example", .node = "n"};
  EXPECT_THAT(refusal(), HasSubstr("it must begin with https://"));
  options_.kubernetes = {.server = "http://k8s.example", .node = "n"};
  EXPECT_THAT(refusal(), HasSubstr("plain http is for this machine itself"));
  options_.kubernetes = {.server = "https://user:hunter2@k8s.example", .ca_file = "/ca", .node = "n"};
  const std::string with_password = refusal();
  EXPECT_THAT(with_password, HasSubstr("no user and no password"));
  EXPECT_EQ(with_password.find("hunter2"), std::string::npos);
  options_.kubernetes = {.server = "https://k8s.example:0", .ca_file = "/ca", .node = "n"};
  EXPECT_THAT(refusal(), HasSubstr("is not HOST, HOST:PORT or [IPV6]:PORT"));
  options_.kubernetes = {.server = "https://k8s.example/a?b", .ca_file = "/ca", .node = "n"};
  EXPECT_THAT(refusal(), HasSubstr("its path holds more than letters"));
  options_.kubernetes = {.server = "https://k8s.example", .node = "n"};
  EXPECT_THAT(refusal(), HasSubstr("https needs one, to know the server by"));
  options_.kubernetes = {.server = "https://k8s.example", .ca_file = "/ca"};
  EXPECT_THAT(refusal(), HasSubstr("there is none; in a pod, NODE_NAME comes from"));
  options_.kubernetes = {.server = "https://k8s.example", .ca_file = "/ca", .node = "no node"};
  EXPECT_THAT(refusal(), HasSubstr("cannot be one"));
}

TEST_F(IdentityOptionsTest, AnEmptySocketIsNotAskedAndNobodyElseIsLost) {
  options_.docker_socket = "";
  options_.podman_socket = "";
  auto made = settings();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->docker_socket, "");
  EXPECT_EQ(made->podman.root, "");
  EXPECT_EQ(made->podman.user_runtime_dirs, "/run/user") << "of users nothing was said";
  options_.podman_socket = "/p.sock";
  options_.users_podman = false;
  options_.bundles = false;
  made = settings();
  ASSERT_TRUE(made);
  EXPECT_EQ(made->podman.root, "/p.sock");
  EXPECT_EQ(made->podman.user_runtime_dirs, "");
  EXPECT_FALSE(made->bundles);
}

// From the words of a command line to what is asked.
IdentityOptions parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"memcrest", "ps"});
  std::vector<char*> raw;
  for (std::string& one : arguments) {
    raw.push_back(one.data());
  }
  const ParsedOptions parsed = parse_options(static_cast<int>(raw.size()), raw.data());
  EXPECT_TRUE(parsed.options);
  return parsed.options ? parsed.options->ps.identity : IdentityOptions{};
}

TEST(IdentityWords, Sockets) {
  EXPECT_EQ(parse({}).podman_socket, "/run/podman/podman.sock");
  EXPECT_TRUE(parse({"--podman-socket", ""}).users_podman);
  EXPECT_EQ(parse({"--podman-socket", ""}).podman_socket, "");
  EXPECT_FALSE(parse({"--no-user-podman"}).users_podman);
  EXPECT_FALSE(parse({"--no-bundles"}).bundles);
  EXPECT_FALSE(parse({"--no-kubernetes"}).use_kubernetes);
}

TEST(IdentityWords, KeepRemoved) {
  EXPECT_EQ(parse({"--keep-removed", "90s"}).keep_removed, std::chrono::seconds(90));
  for (const char* const bad : {"", "999ms", "25h", "10", "-1s", "x"}) {
    testing::internal::CaptureStderr();
    std::vector<std::string> words = {"memcrest", "watch", "--keep-removed", bad};
    std::vector<char*> raw;
    for (std::string& one : words) {
      raw.push_back(one.data());
    }
    const ParsedOptions parsed = parse_options(static_cast<int>(raw.size()), raw.data());
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("--keep-removed")) << bad;
    EXPECT_FALSE(parsed.options) << bad;
    EXPECT_EQ(parsed.exit_code, kExitUsage) << bad;
  }
}

}  // namespace
}  // namespace memcrest
