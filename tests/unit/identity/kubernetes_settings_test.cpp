// SPDX-License-Identifier: Apache-2.0
#include "identity/kubernetes_settings.h"

#include <gmock/gmock.h>

#include <fstream>
#include <map>

#include "support/fake_cgroups.h"

namespace memcrest {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

KubernetesSettings good() {
  return {
      .server = "https://10.96.0.1:443", .tls_server_name = "", .ca_file = "/ca", .token_file = "/t", .node = "node-a"};
}

Result<KubernetesEndpoint> with_server(const std::string& server) {
  KubernetesSettings settings = good();
  settings.server = server;
  return check_kubernetes_settings(settings);
}

TEST(KubernetesSettings, TakesAUrlApart) {
  const auto plain = check_kubernetes_settings(good());
  ASSERT_TRUE(plain) << plain.error().message();
  EXPECT_TRUE(plain->tls);
  EXPECT_EQ(plain->host, "10.96.0.1");
  EXPECT_EQ(plain->port, 443);
  EXPECT_EQ(plain->base_path, "");
  EXPECT_EQ(plain->server_name, "10.96.0.1");
  EXPECT_EQ(plain->authority(), "10.96.0.1:443");
  EXPECT_EQ(plain->node, "node-a");

  EXPECT_EQ(with_server("https://api.example.com")->authority(), "api.example.com:443");
  EXPECT_EQ(with_server("https://api.example.com:6443/")->port, 6443);
  EXPECT_EQ(with_server("https://api.example.com/k8s/clusters/c-1/")->base_path, "/k8s/clusters/c-1");
  EXPECT_EQ(with_server("https://[fd00::1]:6443")->host, "fd00::1");
  EXPECT_EQ(with_server("https://[fd00::1]")->authority(), "[fd00::1]:443");
  KubernetesSettings named = good();
  named.tls_server_name = "kubernetes.default.svc";
  EXPECT_EQ(check_kubernetes_settings(named)->server_name, "kubernetes.default.svc");
}

TEST(KubernetesSettings, PlainHttpStaysOnThisMachine) {
  for (const char* server :
       {"http://127.0.0.1:8001", "http://localhost:8001", "http://[::1]:8001", "http://127.5.5.5"}) {
    const auto endpoint = with_server(server);
    ASSERT_TRUE(endpoint) << server << ": " << endpoint.error().message();
    EXPECT_FALSE(endpoint->tls);
  }
  for (const char* server : {"http://10.96.0.1:80", "http://localhost.example.com", "http://128.0.0.1",
                             "http://[fd00::1]", "http://127.0.0.1.example.com", "http://0.0.0.0:80"}) {
    const auto endpoint = with_server(server);
    ASSERT_FALSE(endpoint) << server;
    EXPECT_THAT(endpoint.error().message(), HasSubstr("plain http"));
  }
}

TEST(KubernetesSettings, RefusesWhatCannotBe) {
  for (const char* server : {"",
                             "10.96.0.1",
                             "ftp://x",
                             "https://",
                             "https://:443",
                             "https://a:0",
                             "https://a:65536",
                             "https://a:x",
                             "https://a:",
                             "https://a b",
                             "https://a\r\nX: y",
                             "https://[::1",
                             "https://[a]:1",
                             "https://[::1]x",
                             "https://a/b?c",
                             "https://a/b c",
                             "https://a/\r\n",
                             "HTTPS://a",
                             "https://a:1:2",
                             "https://-a"}) {
    const auto endpoint = with_server(server);
    ASSERT_FALSE(endpoint) << server;
    EXPECT_EQ(endpoint.error().code, EINVAL);
  }
  EXPECT_THAT(with_server("https://admin:secret@host").error().message(), Not(HasSubstr("secret")));

  const auto refused = [](auto change) {
    KubernetesSettings settings = good();
    change(settings);
    return !check_kubernetes_settings(settings);
  };
  EXPECT_TRUE(refused([](KubernetesSettings& s) { s.ca_file = ""; }));
  EXPECT_TRUE(refused([](KubernetesSettings& s) { s.node = ""; }));
  EXPECT_TRUE(refused([](KubernetesSettings& s) { s.node = "a&watch=0"; }));
  EXPECT_TRUE(refused([](KubernetesSettings& s) { s.node = std::string(254, 'a'); }));
  EXPECT_TRUE(refused([](KubernetesSettings& s) { s.tls_server_name = "a/b"; }));
  EXPECT_TRUE(refused([](KubernetesSettings& s) { s.tls_server_name = std::string("a\0b", 3); }));
}

TEST(KubernetesSettings, InACluster) {
  const testing_support::TempDir folder;
  std::map<std::string, std::string> variables = {
      {"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}, {"NODE_NAME", "node-a"}};
  const Environment environment = [&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
  EXPECT_FALSE(in_cluster_settings(environment, folder.path())) << "no token";
  std::ofstream(folder.path() + "/token") << "t";
  auto settings = in_cluster_settings(environment, folder.path());
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->server, "https://10.96.0.1:443");
  EXPECT_EQ(settings->ca_file, folder.path() + "/ca.crt");
  EXPECT_EQ(settings->token_file, folder.path() + "/token");
  EXPECT_TRUE(check_kubernetes_settings(*settings));
  variables["KUBERNETES_SERVICE_HOST"] = "fd00::1";
  EXPECT_EQ(in_cluster_settings(environment, folder.path())->server, "https://[fd00::1]:443");
  variables.erase("NODE_NAME");
  settings = in_cluster_settings(environment, folder.path());
  ASSERT_TRUE(settings);
  EXPECT_THAT(check_kubernetes_settings(*settings).error().message(), HasSubstr("NODE_NAME"));
  variables.erase("KUBERNETES_SERVICE_HOST");
  EXPECT_FALSE(in_cluster_settings(environment, folder.path()));
}

}  // namespace
}  // namespace memcrest
