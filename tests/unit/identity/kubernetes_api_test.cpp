// SPDX-License-Identifier: Apache-2.0
// List, watch and look-up against an API server that does what real ones do, and what they should not.
#include "identity/kubernetes_api.h"

#include <gmock/gmock.h>
#include <malloc.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/fake_cgroups.h"
#include "support/fake_https.h"

namespace memcrest {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing_support::FakeHttps;
using testing_support::Identity;
using testing_support::TempDir;
using testing_support::TestCa;
using Connection = FakeHttps::Connection;
using SteadyClock = std::chrono::steady_clock;

const std::string kWeb(64, 'a');
const std::string kDb(64, 'b');
constexpr const char* kUid = "0c1f2b44-51c5-4d0c-9a8e-2f7d6f1f6a01";

json pod(const std::string& name, const std::string& uid, const std::string& id, int version = 10) {
  json out = {{"kind", "Pod"}, {"apiVersion", "v1"}};
  out["metadata"] = {{"name", name}, {"namespace", "ns"}, {"uid", uid}, {"resourceVersion", std::to_string(version)}};
  out["spec"]["nodeName"] = "node-a";
  out["spec"]["containers"][0] = {{"name", "main"}, {"image", "image:1"}};
  json& status = out["status"]["containerStatuses"][0];
  status = {{"name", "main"}, {"image", "image:1"}, {"restartCount", 0}, {"containerID", "containerd://" + id}};
  status["state"]["running"]["startedAt"] = "2026-11-20T08:00:00Z";
  return out;
}

std::string list_of(const std::vector<json>& pods, const std::string& version = "100", const std::string& next = "") {
  json out = {{"kind", "PodList"}, {"metadata", {{"resourceVersion", version}}}, {"items", pods}};
  if (!next.empty()) {
    out["metadata"]["continue"] = next;
  }
  return out.dump();
}

std::string event(const std::string& type, const json& object) {
  return json{{"type", type}, {"object", object}}.dump() + "\n";
}

std::string gone() {
  return json{{"kind", "Status"}, {"code", 410}, {"reason", "Expired"}, {"message", "too old resource version"}}.dump();
}

bool is_watch(const std::string& target) { return target.find("watch=1") != std::string::npos; }

CgroupPath path_of(const std::string& id, const std::string& uid = kUid) {
  return parse_cgroup_path("/kubepods/burstable/pod" + uid + "/" + id);
}

KubernetesOptions quick() {
  KubernetesOptions out;
  out.times = {.answer = milliseconds(2000),
               .list = milliseconds(5000),
               .watch = milliseconds(1000),
               .line = milliseconds(300),
               .first_pause = milliseconds(20),
               .longest_pause = milliseconds(100)};
  return out;
}

class KubernetesApiTest : public ::testing::Test {
 protected:
  [[nodiscard]] static KubernetesEndpoint endpoint(const FakeHttps& server) {
    return *check_kubernetes_settings({.server = server.url(), .node = "node-a"});
  }
  static std::string name_of(KubernetesApi& api, const std::string& id, const std::string& uid = kUid) {
    const auto found = api.look_up(path_of(id, uid));
    return !found    ? "error: " + found.error().message()
           : !*found ? "nothing"
                     : (*found)->pod->name + "/" + (*found)->name;
  }
  // Until it is so, or ten seconds have passed.
  template <typename Condition>
  static bool becomes(Condition condition) {
    const auto end = SteadyClock::now() + std::chrono::seconds(10);
    while (SteadyClock::now() < end) {
      if (condition()) {
        return true;
      }
      std::this_thread::sleep_for(milliseconds(5));
    }
    return false;
  }
};

TEST_F(KubernetesApiTest, ListsThenWatches) {
  std::atomic<bool> go{false};
  const FakeHttps server([&](Connection& c) {
    if (!is_watch(c.target())) {
      c.answer(200, list_of({pod("web", kUid, kWeb)}));
      return;
    }
    c.answer(200, "");
    while (!go && c.sleep(milliseconds(2))) {
    }
    c.send(event("ADDED", pod("db", "u2", kDb, 101)));
    c.send(event("DELETED", pod("web", kUid, kWeb, 102)));
    c.send(event("BOOKMARK", {{"kind", "Pod"}, {"metadata", {{"resourceVersion", "150"}}}}));
    c.wait_for_end();
  });
  KubernetesApi api(endpoint(server), quick());
  const auto found = api.look_up(path_of(kWeb));
  ASSERT_TRUE(found) << found.error().message();
  ASSERT_TRUE(*found);
  EXPECT_EQ((*found)->name, "main");
  EXPECT_EQ((*found)->id, kWeb);
  EXPECT_EQ((*found)->runtime, Runtime::kContainerd);
  EXPECT_EQ((*found)->image, "image:1");
  EXPECT_EQ((*found)->pod->name, "web");
  EXPECT_EQ((*found)->pod->name_space, "ns");
  EXPECT_EQ((*found)->pod->uid, kUid);
  EXPECT_EQ((*found)->state->status, "running");
  EXPECT_EQ((*found)->unknown_reason, "");
  go = true;
  EXPECT_TRUE(becomes([&] { return name_of(api, kDb, "u2") == "db/main"; }));
  EXPECT_EQ(name_of(api, kWeb), "web/main") << "a tombstone";
  ASSERT_TRUE(becomes([&] { return server.targets().size() >= 3; }))
      << "the watch is asked for anew when its time is up";
  const auto targets = server.targets();
  EXPECT_EQ(targets[0], "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-a&limit=500&resourceVersion=0");
  EXPECT_EQ(targets[1],
            "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-a&watch=1&allowWatchBookmarks=true&timeoutSeconds=1"
            "&resourceVersion=100");
  EXPECT_THAT(targets[2], HasSubstr("&resourceVersion=150")) << "the bookmark's";
}

TEST_F(KubernetesApiTest, ReadsAllPages) {
  const FakeHttps server([](Connection& c) {
    if (is_watch(c.target())) {
      c.answer(200, "");
      c.wait_for_end();
    } else if (c.target().find("continue=") == std::string::npos) {
      c.answer(200, list_of({pod("web", kUid, kWeb)}, "100", "a b&c=="));
    } else {
      c.answer(200, list_of({pod("db", "u2", kDb)}, "100"));
    }
  });
  KubernetesApi api(endpoint(server), quick());
  EXPECT_EQ(name_of(api, kDb, "u2"), "db/main");
  EXPECT_EQ(name_of(api, kWeb), "web/main");
  EXPECT_EQ(server.targets()[1],
            "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-a&limit=500&continue=a%20b%26c%3D%3D");
}

TEST_F(KubernetesApiTest, PagesWithoutEndEnd) {
  const FakeHttps server([](Connection& c) { c.answer(200, list_of({}, "1", "more")); });
  KubernetesOptions options = quick();
  options.times.list = milliseconds(300);
  KubernetesApi api(endpoint(server), options);
  EXPECT_TRUE(becomes([&] { return !api.state().why_not.empty(); }));
  EXPECT_FALSE(api.state().listed);
}

// An agent that was away for too long has to list again: 410 as the answer's status, and within the stream.
TEST_F(KubernetesApiTest, ListsAgainWhenItsVersionIsTooOld) {
  for (const bool in_stream : {false, true}) {
    std::atomic<int> lists{0};
    std::atomic<int> watches{0};
    const FakeHttps server([&](Connection& c) {
      if (!is_watch(c.target())) {
        c.answer(200, ++lists == 1 ? list_of({pod("web", kUid, kWeb)}) : list_of({pod("db", "u2", kDb)}, "200"));
      } else if (++watches > 1) {
        c.answer(200, "");
        c.wait_for_end();
      } else if (in_stream) {
        c.answer(200, event("ERROR", json::parse(gone())));
      } else {
        c.answer(410, gone());
      }
    });
    KubernetesApi api(endpoint(server), quick());
    EXPECT_TRUE(becomes([&] { return name_of(api, kDb, "u2") == "db/main"; }));
    EXPECT_EQ(name_of(api, kWeb), "web/main") << "gone between the lists: a tombstone";
    ASSERT_TRUE(becomes([&] { return server.targets().size() >= 4; }));
    EXPECT_THAT(server.targets()[2], Not(HasSubstr("resourceVersion"))) << "the cached list was what was too old";
    EXPECT_THAT(server.targets()[3], HasSubstr("resourceVersion=200"));
  }
}

TEST_F(KubernetesApiTest, ABrokenConnectionIsTakenUpAgain) {
  std::atomic<int> watches{0};
  const FakeHttps server([&](Connection& c) {
    if (!is_watch(c.target())) {
      c.answer(200, list_of({}, "100"));
      return;
    }
    switch (++watches) {
      case 1:  // between events
        c.answer(200, event("ADDED", pod("web", kUid, kWeb, 101)));
        break;
      case 2: {  // within one
        const std::string line = event("ADDED", pod("db", "u2", kDb, 102));
        c.answer(200, line.substr(0, line.size() / 2));
        break;
      }
      default:
        c.answer(200, event("ADDED", pod("db", "u2", kDb, 102)));
        c.wait_for_end();
    }
  });
  KubernetesApi api(endpoint(server), quick());
  EXPECT_TRUE(becomes([&] { return name_of(api, kDb, "u2") == "db/main"; }));
  EXPECT_EQ(name_of(api, kWeb), "web/main");
  const auto targets = server.targets();
  ASSERT_GE(targets.size(), 5U);
  EXPECT_THAT(targets[2], AllOf(HasSubstr("watch=1"), HasSubstr("resourceVersion=101"))) << "where it was";
  EXPECT_THAT(targets[3], Not(HasSubstr("watch=1"))) << "what was lost is not known: list";
}

TEST_F(KubernetesApiTest, ANewTokenAfter401) {
  const TempDir dir;
  const TestCa ca;
  const Identity identity = ca.issue("IP:127.0.0.1");
  ca.write(dir.path() + "/ca.crt");
  std::ofstream(dir.path() + "/token") << "old-secret";
  const FakeHttps server(
      [](Connection& c) {
        if (c.request().find("Authorization: Bearer fresh-secret\r\n") == std::string::npos) {
          c.answer(401, R"({"kind":"Status","message":"Unauthorized","code":401})");
        } else if (is_watch(c.target())) {
          c.answer(200, "");
          c.wait_for_end();
        } else {
          c.answer(200, list_of({pod("web", kUid, kWeb)}));
        }
      },
      &identity);
  const auto with_tls = check_kubernetes_settings({.server = server.url(),
                                                   .ca_file = dir.path() + "/ca.crt",
                                                   .token_file = dir.path() + "/token",
                                                   .node = "node-a"});
  ASSERT_TRUE(with_tls);
  KubernetesApi api(*with_tls, quick());
  ASSERT_TRUE(becomes([&] { return !api.state().why_not.empty(); }));
  EXPECT_THAT(api.state().why_not, AllOf(HasSubstr("401: Unauthorized"), Not(HasSubstr("secret"))));
  const auto refused = api.look_up(path_of(kWeb));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EAGAIN);
  EXPECT_THAT(refused.error().message(), HasSubstr("401"));
  std::ofstream(dir.path() + "/token") << "fresh-secret";
  EXPECT_TRUE(becomes([&] { return name_of(api, kWeb) == "web/main"; }));
}

TEST_F(KubernetesApiTest, SaysWhatIsForbidden) {
  const FakeHttps server([](Connection& c) {
    c.answer(403,
             R"({"kind":"Status","message":"pods is forbidden: User \"x\" cannot list resource \"pods\"","code":403})");
  });
  KubernetesApi api(endpoint(server), quick());
  ASSERT_TRUE(becomes([&] { return !api.state().why_not.empty(); }));
  EXPECT_THAT(api.state().why_not, HasSubstr("403: pods is forbidden"));
}

TEST_F(KubernetesApiTest, ARedirectIsNotFollowed) {
  const FakeHttps elsewhere([](Connection& c) { c.answer(200, list_of({pod("web", kUid, kWeb)})); });
  const FakeHttps server(
      [&](Connection& c) { c.send("HTTP/1.0 302 Found\r\nLocation: " + elsewhere.url() + "/api/v1/pods\r\n\r\n"); });
  KubernetesApi api(endpoint(server), quick());
  ASSERT_TRUE(becomes([&] { return !api.state().why_not.empty(); }));
  EXPECT_THAT(api.state().why_not, HasSubstr("redirect"));
  EXPECT_EQ(elsewhere.connections(), 0);
}

TEST_F(KubernetesApiTest, PodsOfOtherNodesAreNotTaken) {
  json other = pod("web", kUid, kWeb);
  other["spec"]["nodeName"] = "node-b";
  json unbound = pod("db", "u2", kDb);
  unbound["spec"].erase("nodeName");
  const FakeHttps server([&](Connection& c) {
    if (is_watch(c.target())) {
      c.answer(200, event("ADDED", other));
      c.wait_for_end();
    } else {
      c.answer(200, list_of({other, unbound, pod("mine", "u3", std::string(64, 'c'))}));
    }
  });
  KubernetesApi api(endpoint(server), quick());
  EXPECT_EQ(name_of(api, std::string(64, 'c'), "u3"), "mine/main");
  EXPECT_EQ(name_of(api, kWeb), "nothing");
  EXPECT_EQ(name_of(api, kDb, "u2"), "nothing");
}

// Each of these must cost bounded time and memory, keep what was known, and be survived.
TEST_F(KubernetesApiTest, HostileStreams) {
  const std::string good = event("ADDED", pod("db", "u2", kDb, 101));
  const std::string long_line = R"({"type":"ADDED","object":{"metadata":{"annotations":{"x":")";
  const std::vector<std::pair<const char*, std::function<void(Connection&)>>> streams = {
      {"not JSON", [](Connection& c) { c.answer(200, "<html>\n"); }},
      {"wrong JSON", [](Connection& c) { c.answer(200, "[1,2,3]\n{\"type\":7,\"object\":[]}\n\"x\"\n7\nnull x\n"); }},
      {"deep", [](Connection& c) { c.answer(200, std::string(100'000, '[') + "\n"); }},
      {"a line of 100 MB",
       [&](Connection& c) {
         c.answer(200, long_line);
         const std::string more(1U << 20U, 'x');
         for (int i = 0; i < 100 && c.send(more); ++i) {
         }
         c.send("\"}}}}\n");
       }},
      {"a drip",
       [&](Connection& c) {
         c.answer(200, long_line);
         while (c.send("x") && c.sleep(milliseconds(10))) {
         }
       }},
      {"a number without end",
       [](Connection& c) {
         c.answer(200, "{\"type\":");
         const std::string more(1U << 20U, '1');
         while (c.send(more)) {
         }
       }},
      {"an endless header",
       [](Connection& c) {
         c.send("HTTP/1.0 200 OK\r\nX: ");
         const std::string more(1U << 16U, 'x');
         while (c.send(more)) {
         }
       }},
      {"not HTTP", [](Connection& c) { c.send("SSH-2.0-x\r\n"); }},
      {"nothing", [](Connection&) {}},
      {"HTTP/1.1 chunks",
       [](Connection& c) { c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"); }},
  };
  for (const auto& [what, stream] : streams) {
    std::atomic<int> watches{0};
    const FakeHttps server([&, &answer = stream](Connection& c) {
      if (!is_watch(c.target())) {
        c.answer(200, list_of({pod("web", kUid, kWeb)}));
      } else if (++watches == 1) {
        answer(c);
      } else {
        c.answer(200, good);
        c.wait_for_end();
      }
    });
    KubernetesOptions options = quick();
    options.times.watch = milliseconds(60'000);
    options.times.line = milliseconds(3000);
    const auto in_use = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
    const std::size_t before = in_use();
    std::size_t most = before;
    KubernetesApi api(endpoint(server), options);
    EXPECT_EQ(name_of(api, kWeb), "web/main") << what;
    EXPECT_TRUE(becomes([&] {
      most = std::max(most, in_use());
      return name_of(api, kDb, "u2") == "db/main";
    })) << what;
    EXPECT_EQ(name_of(api, kWeb), "web/main") << what;
    EXPECT_LT(most - before, 4U << 20U) << what;  // the server's own megabyte included
    EXPECT_NE(api.state().why_not, "") << what;
  }
}

TEST_F(KubernetesApiTest, AWatchThatEndsAtOnceIsNotAskedForAllTheTime) {
  std::atomic<int> watches{0};
  const FakeHttps server([&](Connection& c) {
    if (is_watch(c.target())) {
      ++watches;
      c.answer(200, "");
    } else {
      c.answer(200, list_of({}));
    }
  });
  KubernetesApi api(endpoint(server), quick());
  std::this_thread::sleep_for(milliseconds(1000));
  EXPECT_GE(watches, 5);
  EXPECT_LE(watches, 30);
  EXPECT_THAT(api.state().why_not, HasSubstr("at once"));
}

TEST_F(KubernetesApiTest, WaitsALittleForAPodAndNotForEver) {
  std::atomic<bool> go{false};
  const FakeHttps server([&](Connection& c) {
    if (!is_watch(c.target())) {
      c.answer(200, list_of({}));
      return;
    }
    c.answer(200, "");
    while (!go && c.sleep(milliseconds(2))) {
    }
    c.sleep(milliseconds(50));
    c.send(event("ADDED", pod("web", kUid, kWeb, 101)));
    c.wait_for_end();
  });
  KubernetesOptions options = quick();
  options.times.watch = milliseconds(60'000);
  options.patience = milliseconds(1000);
  KubernetesApi api(endpoint(server), options);
  ASSERT_TRUE(becomes([&] { return api.state().available; }));
  auto begin = SteadyClock::now();
  EXPECT_EQ(name_of(api, kDb, "u2"), "nothing");
  EXPECT_GE(SteadyClock::now() - begin, options.patience);
  begin = SteadyClock::now();
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(name_of(api, kDb, "u2"), "nothing");
  }
  EXPECT_LT(SteadyClock::now() - begin, 20 * options.patience) << "many in vain must not hold up the others";
  std::this_thread::sleep_for(milliseconds(1050));
  go = true;
  begin = SteadyClock::now();
  EXPECT_EQ(name_of(api, kWeb), "web/main");
  EXPECT_LT(SteadyClock::now() - begin, options.patience - milliseconds(20));
}

TEST_F(KubernetesApiTest, BeforeTheFirstList) {
  const FakeHttps server([](Connection& c) { c.hang(); });
  KubernetesOptions options = quick();
  options.patience = milliseconds(100);
  KubernetesApi api(endpoint(server), options);
  const auto early = api.look_up(path_of(kWeb));
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, EINPROGRESS);
  EXPECT_EQ(api.inspect(path_of(kWeb)).error().code, EINPROGRESS);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(api.look_up(path_of(kWeb), stop.get_token()));
}  // and the end does not wait for the server either

TEST_F(KubernetesApiTest, WhatTheKubeletHasNotReported) {
  const FakeHttps server([](Connection& c) {
    if (is_watch(c.target())) {
      c.answer(200, "");
      c.wait_for_end();
    } else {
      c.answer(200, list_of({pod("web", kUid, kWeb)}));
    }
  });
  KubernetesApi api(endpoint(server), quick());
  ASSERT_TRUE(becomes([&] { return api.state().listed; }));
  EXPECT_EQ(name_of(api, kDb), "web/") << "the pod is known, which container of it is not";
  EXPECT_THAT((*api.look_up(path_of(kDb)))->unknown_reason, HasSubstr("not reported"));
  EXPECT_EQ((*api.inspect(path_of(kDb)))->name, "");
  EXPECT_THAT((*api.inspect(path_of(kDb)))->unknown_reason, HasSubstr("not reported"));
  EXPECT_EQ((*api.inspect(path_of(kWeb)))->name, "main");
  EXPECT_EQ((*api.inspect(path_of(kWeb)))->unknown_reason, "");
  EXPECT_EQ(api.inspect(path_of(kDb, "0c1f2b44-51c5-4d0c-9a8e-2f7d6f1f6a99")).error().code, EAGAIN);
}

TEST_F(KubernetesApiTest, IsAskedAboutContainersOfPods) {
  const FakeHttps server([](Connection& c) { c.hang(); });
  const KubernetesApi api(endpoint(server), quick());
  EXPECT_TRUE(api.may_add(path_of(kWeb), {}));
  Container named;
  named.name = "main";
  EXPECT_TRUE(api.may_add(path_of(kWeb), named)) << "labels and owner nobody else knows";
  EXPECT_FALSE(api.may_add(parse_cgroup_path("/docker/" + kWeb), {}));
  EXPECT_FALSE(api.may_add(
      parse_cgroup_path("/machine.slice/machine-libpod_pod_" + kDb + ".slice/libpod-" + kWeb + ".scope"), {}))
      << "Podman's pods are its own";
  EXPECT_FALSE(api.may_add(parse_cgroup_path(std::string("/kubepods/burstable/pod") + kUid), {}));
  EXPECT_FALSE(api.may_add(parse_cgroup_path("/system.slice/ssh.service"), {}));
}

}  // namespace
}  // namespace memcrest
