// SPDX-License-Identifier: Apache-2.0
#include "serve/kubernetes_events.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "export/json.h"
#include "support/event_builder.h"
#include "support/fake_clock.h"
#include "util/fd.h"

namespace memcrest {
namespace {

using testing_support::FakeClock;
using testing_support::oom_incident;

Incident in_pod(const std::string& id = "b7e5-01", const std::string& uid = "uid-1") {
  Incident out = oom_incident();
  out.id = id;
  out.container.name = "app";
  out.container.pod = Pod{.uid = uid, .name = "web-0", .name_space = "shop"};
  return out;
}

// An API that answers each POST with the next status, and keeps what it was sent.
class Api {
 public:
  explicit Api(std::vector<int> answers) : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    endpoint_ = {
        .tls = false, .host = "127.0.0.1", .port = ntohs(address.sin_port), .base_path = "/base", .node = "n1"};
    thread_ = std::jthread([this, answers = std::move(answers)] {
      for (const int status : answers) {
        const Fd one(::accept(listener_.get(), nullptr, nullptr));
        if (!one) {
          return;
        }
        requests.push_back(read_request(one));
        const std::string answer = "HTTP/1.0 " + std::to_string(status) + " X\r\nContent-Length: 0\r\n\r\n";
        ::send(one.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      }
    });
  }
  ~Api() { ::shutdown(listener_.get(), SHUT_RDWR); }
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  [[nodiscard]] const KubernetesEndpoint& endpoint() const { return endpoint_; }
  std::vector<std::string> requests;  // read when they have been answered

 private:
  static std::string read_request(const Fd& from) {
    std::string out;
    std::size_t wanted = std::string::npos;
    char bytes[4096];
    while (out.size() < wanted) {
      const ssize_t got = ::recv(from.get(), bytes, sizeof(bytes), 0);
      if (got <= 0) {
        break;
      }
      out.append(bytes, static_cast<std::size_t>(got));
      const auto head = out.find("\r\n\r\n");
      const auto length = out.find("Content-Length: ");
      if (head != std::string::npos && length != std::string::npos) {
        wanted = head + 4 + static_cast<std::size_t>(std::atoi(out.c_str() + length + 16));
      }
    }
    return out;
  }

  Fd listener_;
  KubernetesEndpoint endpoint_;
  std::jthread thread_;
};

Delivered send(Receiver& to, const Incident& incident) {
  const std::vector<SpooledIncident> one = {{1, incident.id, to_json(incident)}};
  std::stop_source stop;
  return to.send(one, StopEvent(stop.get_token()));
}

TEST(KubernetesEventsTest, AnEventIsAboutItsPod) {
  const auto event = pod_event(in_pod(), "n1", 3);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->target, "/api/v1/namespaces/shop/events");
  const auto json = nlohmann::json::parse(event->body);
  EXPECT_EQ(json["metadata"]["name"], "memcrest.b7e5-01");
  EXPECT_EQ(json["metadata"]["namespace"], json["involvedObject"]["namespace"]) << "the API refuses another";
  EXPECT_EQ(json["involvedObject"]["uid"], "uid-1");
  EXPECT_EQ(json["involvedObject"]["fieldPath"], "spec.containers{app}");
  EXPECT_EQ(json["reason"], "OOMKill");
  EXPECT_EQ(json["type"], "Warning");
  EXPECT_EQ(json["source"]["host"], "n1");
  EXPECT_EQ(json["firstTimestamp"].get<std::string>().size(), 20);
  EXPECT_THAT(json["message"].get<std::string>(), testing::StartsWith("(3 before it left out) shop/web-0 app"));
}

TEST(KubernetesEventsTest, NamesThatAreNoneMakeNoPath) {
  EXPECT_FALSE(pod_event(oom_incident(), "n1", 0)) << "no pod";
  for (const char* name_space : {"", "..", "a/b", "a b", "A", "a.b", "a?x=1"}) {
    Incident one = in_pod();
    one.container.pod->name_space = name_space;
    EXPECT_FALSE(pod_event(one, "n1", 0)) << name_space;
  }
  Incident one = in_pod("id/../../x");
  EXPECT_FALSE(pod_event(one, "n1", 0));
  one = in_pod();
  one.container.name = "x}\n\xff";
  one.victims[0].comm = std::string(5000, '\xc3');
  const auto event = pod_event(one, "n1", 0);
  ASSERT_TRUE(event);
  const auto json = nlohmann::json::parse(event->body);
  EXPECT_FALSE(json["involvedObject"].contains("fieldPath"));
  EXPECT_LE(json["message"].get<std::string>().size(), 1024U);
}

TEST(KubernetesEventsTest, WhyAndWhatToDoAreInIt) {
  const auto message = [](const Incident& one) {
    return nlohmann::json::parse(pod_event(one, "n1", 0)->body)["message"].get<std::string>();
  };
  Incident one = in_pod();
  one.verdict.emplace().text = "The limit is too small.";
  one.verdict->causes.emplace_back();
  one.advice.emplace().text = "With 96 MiB it lives.";
  EXPECT_THAT(message(one), testing::EndsWith(". The limit is too small. With 96 MiB it lives."));
  // Many victims leave room for it.
  one.victims.resize(200, one.victims.front());
  EXPECT_THAT(message(one), testing::EndsWith(" …. The limit is too small. With 96 MiB it lives."));
  for (std::size_t i = 0; i < 4; ++i) {
    one.advice->text = std::string(470 + i, 'x') + "\xe2\x82\xac and more, and more";
    EXPECT_LE(message(one).size(), 1024U);
    EXPECT_THAT(message(one), testing::EndsWith(" …"));
  }
  // Names of other namespaces are not for those who read the events of this one.
  one.scope = Scope::kHost;
  one.verdict->text = "Most was held by secret-project.";
  EXPECT_THAT(message(one), testing::Not(testing::HasSubstr("secret")));
}

TEST(KubernetesEventsTest, OncePerIncident) {
  Api api({201, 500, 409, 403});
  const FakeClock clock;
  const auto receiver = make_kubernetes_events(api.endpoint(), clock, {.burst = 10});
  EXPECT_EQ(send(*receiver, in_pod("a")).outcome, Outcome::kTaken);
  Incident again = in_pod("a");
  again.update = "runtime_state";
  EXPECT_EQ(send(*receiver, again).outcome, Outcome::kTaken) << "told, and not sent";
  EXPECT_EQ(send(*receiver, in_pod("b")).outcome, Outcome::kLater);
  EXPECT_EQ(send(*receiver, in_pod("b")).outcome, Outcome::kTaken) << "it is there already";
  EXPECT_EQ(send(*receiver, in_pod("c")).outcome, Outcome::kNever) << "no right, or the namespace ends";
  ASSERT_THAT(api.requests, testing::SizeIs(testing::Ge(3)));
  EXPECT_THAT(api.requests[0], testing::StartsWith("POST /base/api/v1/namespaces/shop/events HTTP/1.0\r\n"));
  EXPECT_THAT(api.requests[0], testing::Not(testing::HasSubstr("Authorization"))) << "no token without TLS";
}

TEST(KubernetesEventsTest, AFewForAPodThatLoops) {
  EventLimiter limiter({.burst = 2, .refill = std::chrono::minutes(5)});
  constexpr std::uint64_t kMinute = 60'000'000'000;
  EXPECT_EQ(limiter.admit("a", 0), 0);
  EXPECT_EQ(limiter.admit("a", 1), 0);
  EXPECT_EQ(limiter.admit("a", 2), std::nullopt);
  EXPECT_EQ(limiter.admit("a", kMinute), std::nullopt);
  EXPECT_EQ(limiter.admit("b", kMinute), 0) << "another pod's are its own";
  EXPECT_EQ(limiter.admit("a", 6 * kMinute), 2) << "with the number of those that were left out";
  for (int i = 0; i < 5000; ++i) {
    EXPECT_EQ(limiter.admit("pod-" + std::to_string(i), 7 * kMinute), 0);
  }
}

TEST(KubernetesEventsTest, ASecondTryTakesNothingFromTheRate) {
  Api api({500, 500, 500, 201});
  const FakeClock clock;
  const auto receiver = make_kubernetes_events(api.endpoint(), clock, {.burst = 1});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(send(*receiver, in_pod("a")).outcome, Outcome::kLater);
  }
  EXPECT_EQ(send(*receiver, in_pod("a")).outcome, Outcome::kTaken);
  const Delivered second = send(*receiver, in_pod("b"));
  EXPECT_EQ(second.outcome, Outcome::kTaken);
  EXPECT_EQ(second.refused, 1U) << "left out, and counted";
}

}  // namespace
}  // namespace memcrest
