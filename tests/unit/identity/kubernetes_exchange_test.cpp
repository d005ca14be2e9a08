// SPDX-License-Identifier: Apache-2.0
// TLS and HTTP as the Kubernetes API speaks them, against real TLS servers on the loopback.
#include "identity/kubernetes_exchange.h"

#include <gmock/gmock.h>
#include <malloc.h>

#include <fstream>

#include "support/fake_cgroups.h"
#include "support/fake_https.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing_support::FakeHttps;
using testing_support::Identity;
using testing_support::TempDir;
using testing_support::TestCa;
using Connection = FakeHttps::Connection;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kTimeout{2000};
const std::string kToken = "eyJhbGciOi.secret.token";

class KubernetesExchangeTest : public ::testing::Test {
 protected:
  KubernetesExchangeTest() {
    ca_.write(dir_.path() + "/ca.crt");
    write_token(kToken + "\n");
  }

  void write_token(const std::string& text) const { std::ofstream(dir_.path() + "/token") << text; }
  [[nodiscard]] KubernetesEndpoint endpoint(const FakeHttps& server) const {
    return *check_kubernetes_settings({.server = server.url(),
                                       .tls_server_name = "",
                                       .ca_file = dir_.path() + "/ca.crt",
                                       .token_file = dir_.path() + "/token",
                                       .node = "node-a"});
  }
  Result<std::string> get(const KubernetesEndpoint& endpoint, milliseconds timeout = kTimeout) {
    const StopEvent stop(stop_.get_token());
    const auto deadline = SteadyClock::now() + timeout;
    auto exchange = KubernetesExchange::start(endpoint, "/x", deadline, stop);
    if (!exchange) {
      EXPECT_THAT(exchange.error().message(), Not(HasSubstr("secret")));
      return std::unexpected(exchange.error());
    }
    status_ = exchange->status();
    std::string body;
    while (true) {
      const auto piece = exchange->read(deadline);
      if (!piece) {
        return std::unexpected(piece.error());
      }
      if (piece->empty()) {
        return body;
      }
      body += *piece;
    }
  }
  int code(const Result<std::string>& result) { return result ? 0 : result.error().code; }

  TempDir dir_;
  TestCa ca_;
  Identity good_ = ca_.issue("IP:127.0.0.1,DNS:localhost");
  std::stop_source stop_;
  int status_ = 0;
};

TEST_F(KubernetesExchangeTest, AsksWithTheToken) {
  std::string request;
  const FakeHttps server(
      [&](Connection& c) {
        request = c.request();
        c.answer(200, "hello");
      },
      &good_);
  const auto body = get(endpoint(server));
  ASSERT_TRUE(body) << body.error().message();
  EXPECT_EQ(*body, "hello");
  EXPECT_EQ(status_, 200);
  EXPECT_THAT(request, StartsWith("GET /x HTTP/1.0\r\nHost: 127.0.0.1:"));
  EXPECT_THAT(request, HasSubstr("\r\nAuthorization: Bearer " + kToken + "\r\n"));
}

TEST_F(KubernetesExchangeTest, TheTokenIsReadAnewEachTime) {
  std::vector<std::string> requests;
  const FakeHttps server(
      [&](Connection& c) {
        requests.push_back(c.request());
        c.answer(200, "");
      },
      &good_);
  ASSERT_TRUE(get(endpoint(server)));
  write_token("another");
  ASSERT_TRUE(get(endpoint(server)));
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_THAT(requests[0], HasSubstr("Bearer " + kToken + "\r\n"));
  EXPECT_THAT(requests[1], HasSubstr("Bearer another\r\n"));
}

TEST_F(KubernetesExchangeTest, NoTokenGoesOverPlainHttp) {
  std::string request;
  const FakeHttps server([&](Connection& c) {
    request = c.request();
    c.answer(200, "plain");
  });
  const auto body = get(endpoint(server));
  ASSERT_TRUE(body) << body.error().message();
  EXPECT_EQ(*body, "plain");
  EXPECT_THAT(request, Not(HasSubstr("Authorization")));
}

TEST_F(KubernetesExchangeTest, TokensThatAreNone) {
  const FakeHttps server([](Connection& c) { c.answer(200, ""); }, &good_);
  for (const std::string& text : {std::string(), std::string("\n"), std::string("a\r\nX: y"), std::string("a b"),
                                  std::string("a\0b", 3), std::string(100'000, 'a')}) {
    write_token(text);
    EXPECT_NE(code(get(endpoint(server))), 0) << text.substr(0, 20);
  }
  KubernetesEndpoint other = endpoint(server);
  other.token_file = dir_.path() + "/none";
  EXPECT_EQ(code(get(other)), ENOENT);
  other.token_file = dir_.path();
  EXPECT_EQ(code(get(other)), EINVAL);
  other.token_file = dir_.path() + "/fifo";
  ASSERT_EQ(::mkfifo(other.token_file.c_str(), 0600), 0);
  EXPECT_EQ(code(get(other)), EINVAL);
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(KubernetesExchangeTest, OnlyTheServersOwnCertificateWillDo) {
  const auto answer_ok = [](Connection& c) { c.answer(200, "ok"); };
  const auto refused = [&](const Identity& identity) {
    const FakeHttps server(answer_ok, &identity);
    const auto body = get(endpoint(server));
    EXPECT_TRUE(server.targets().empty()) << "nothing may be asked";
    return body ? "accepted" : std::to_string(body.error().code) + ": " + body.error().message();
  };
  const std::string rejected = std::to_string(EKEYREJECTED);
  EXPECT_THAT(refused(TestCa().issue("IP:127.0.0.1")), StartsWith(rejected)) << "another CA";
  EXPECT_THAT(refused(ca_.issue("IP:127.0.0.2,DNS:localhost")), StartsWith(rejected)) << "another address";
  EXPECT_THAT(refused(ca_.issue("DNS:127.0.0.1")), StartsWith(rejected)) << "a name is no address";
  EXPECT_THAT(refused(ca_.issue("")), StartsWith(rejected)) << "no name at all";
  EXPECT_THAT(refused(ca_.issue("IP:127.0.0.1", -60)), HasSubstr("expired"));
}

TEST_F(KubernetesExchangeTest, ByName) {
  const FakeHttps server([](Connection& c) { c.answer(200, "ok"); }, &good_);
  KubernetesEndpoint by_name = endpoint(server);
  by_name.host = "localhost";
  by_name.server_name = "localhost";
  EXPECT_EQ(get(by_name).value_or("failed"), "ok");
  by_name.server_name = "kubernetes.default.svc";
  EXPECT_EQ(code(get(by_name)), EKEYREJECTED);
}

TEST_F(KubernetesExchangeTest, CaFilesThatAreNone) {
  const FakeHttps server([](Connection& c) { c.answer(200, "ok"); }, &good_);
  KubernetesEndpoint bad = endpoint(server);
  bad.ca_file = dir_.path() + "/none";
  EXPECT_EQ(code(get(bad)), ENOKEY);
  bad.ca_file = dir_.path() + "/token";
  EXPECT_EQ(code(get(bad)), ENOKEY);
  bad.ca_file = dir_.path() + "/fifo";
  ASSERT_EQ(::mkfifo(bad.ca_file.c_str(), 0600), 0);
  EXPECT_EQ(code(get(bad)), ENOKEY);
}

TEST_F(KubernetesExchangeTest, OldTlsIsRefused) {
  const FakeHttps old([](Connection& c) { c.answer(200, "ok"); }, &good_, TLS1_1_VERSION);
  EXPECT_EQ(code(get(endpoint(old))), EPROTO);
  const FakeHttps still_good([](Connection& c) { c.answer(200, "ok"); }, &good_, TLS1_2_VERSION);
  EXPECT_EQ(get(endpoint(still_good)).value_or("failed"), "ok");
}

TEST_F(KubernetesExchangeTest, TheOtherEndDoesNotSpeakTls) {
  const FakeHttps plain([](Connection& c) { c.answer(200, "ok"); });
  KubernetesEndpoint wrong = endpoint(plain);
  wrong.tls = true;
  EXPECT_NE(code(get(wrong, milliseconds(500))), 0);
  const FakeHttps tls([](Connection& c) { c.answer(200, "ok"); }, &good_);
  wrong = endpoint(tls);
  wrong.tls = false;
  EXPECT_THAT(code(get(wrong)), AnyOf(EPROTO, ECONNRESET)) << "its alert, or that it hung up";
}

TEST_F(KubernetesExchangeTest, NobodyThere) {
  KubernetesEndpoint nobody;
  {
    const FakeHttps server([](Connection&) {}, &good_);
    nobody = endpoint(server);
  }
  EXPECT_EQ(code(get(nobody)), ECONNREFUSED);
  nobody.host = "no-such-host.invalid";
  nobody.server_name = nobody.host;
  EXPECT_THAT(code(get(nobody, milliseconds(300))), AnyOf(ENOENT, EAGAIN, ETIMEDOUT));
}

TEST_F(KubernetesExchangeTest, DeadlinesHold) {
  const auto within = [&](const FakeHttps& server) {
    const auto begin = SteadyClock::now();
    const int seen = code(get(endpoint(server), milliseconds(300)));
    EXPECT_LT(SteadyClock::now() - begin, milliseconds(3000));
    return seen;
  };
  EXPECT_EQ(within(FakeHttps([](Connection& c) { c.hang(); }, &good_)), ETIMEDOUT) << "silence";
  EXPECT_EQ(within(FakeHttps(
                [](Connection& c) {
                  for (const char byte : "HTTP/1.0 200 OK\r\nServer: slow\r\n" + std::string(1000, 'x')) {
                    if (!c.send(std::string_view(&byte, 1)) || !c.sleep(milliseconds(20))) {
                      return;
                    }
                  }
                },
                &good_)),
            ETIMEDOUT)
      << "a drip";
  // Nobody answers the handshake.
  Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener.get(), 16), 0);
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const FakeHttps server([](Connection&) {}, &good_);
  KubernetesEndpoint mute = endpoint(server);
  mute.port = ntohs(address.sin_port);
  EXPECT_EQ(code(get(mute, milliseconds(200))), ETIMEDOUT);
}

TEST_F(KubernetesExchangeTest, AStopEndsTheWait) {
  const FakeHttps server([](Connection& c) { c.hang(); }, &good_);
  std::thread later([&] {
    std::this_thread::sleep_for(milliseconds(100));
    stop_.request_stop();
  });
  const auto begin = SteadyClock::now();
  EXPECT_EQ(code(get(endpoint(server), milliseconds(30'000))), ECANCELED);
  EXPECT_LT(SteadyClock::now() - begin, milliseconds(15'000));
  later.join();
}

TEST_F(KubernetesExchangeTest, AHeaderWithoutEndTakesNoMemory) {
  const FakeHttps server(
      [](Connection& c) {
        std::string lines;
        while (lines.size() < 65536) {
          lines += "a: b\r\n";
        }
        c.send("HTTP/1.0 200 OK\r\n");
        while (c.send(lines)) {
        }
      },
      &good_);
  EXPECT_EQ(code(get(endpoint(server))), EMSGSIZE);
}

TEST_F(KubernetesExchangeTest, ABodyOfLength) {
  const FakeHttps server(
      [](Connection& c) {
        c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
        c.wait_for_end();
      },
      &good_);
  EXPECT_EQ(get(endpoint(server)).value_or("failed"), "hello");
  const FakeHttps shorter([](Connection& c) { c.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"); }, &good_);
  EXPECT_EQ(code(get(endpoint(shorter))), EPROTO);
}

}  // namespace
}  // namespace memcrest
