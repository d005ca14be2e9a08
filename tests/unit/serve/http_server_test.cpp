// SPDX-License-Identifier: Apache-2.0
#include "serve/http_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>
#include <thread>

#include "util/fd.h"

namespace memcrest {
namespace {

constexpr std::size_t kLarge = 64U << 20U;

HttpResponse hello(const HttpRequest& request) {
  HttpResponse out;
  out.type = "text/plain";
  out.body = "path=" + request.path + " peer=" + request.peer;
  if (const auto q = request.query.find("q"); q != request.query.end()) {
    out.body += " q=" + q->second;
  }
  if (request.path == "/stream") {
    out.stream = true;
    out.body = "begin\n";
  }
  if (request.path == "/large") {
    out.body.assign(kLarge, 'x');
  }
  return out;
}

std::unique_ptr<HttpServer> start(HttpSettings settings = {}) {
  settings.listen = "127.0.0.1:0";
  auto out = HttpServer::start(settings, hello);
  EXPECT_TRUE(out) << out.error().message();
  return std::move(*out);
}

Fd connect_to(const HttpServer& server) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

// What comes until it holds `end`, or the peer closes, or five seconds are over.
std::string read_until(const Fd& fd, const std::string& end) {
  std::string out;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while ((end.empty() || out.find(end) == std::string::npos) && std::chrono::steady_clock::now() < deadline) {
    pollfd one{.fd = fd.get(), .events = POLLIN, .revents = 0};
    ::poll(&one, 1, 100);
    char bytes[4096];
    const ssize_t got = ::recv(fd.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
      break;
    }
    out.append(bytes, got > 0 ? static_cast<std::size_t>(got) : 0);
  }
  return out;
}

std::string ask(const HttpServer& server, const std::string& request) {
  const Fd fd = connect_to(server);
  EXPECT_EQ(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
  return read_until(fd, "");
}

std::string get(const HttpServer& server, const std::string& target,
                const std::string& headers = "Host: localhost\r\n") {
  return ask(server, "GET " + target + " HTTP/1.1\r\n" + headers + "Connection: close\r\n\r\n");
}

TEST(HttpServerTest, AnswersWithSecurityHeaders) {
  const auto server = start();
  const std::string answer = get(*server, "/a?q=x%20y");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_TRUE(answer.ends_with("path=/a peer=127.0.0.1 q=x y")) << answer;
  for (const char* header : {"X-Content-Type-Options: nosniff", "Content-Security-Policy: default-src 'none'",
                             "X-Frame-Options: DENY", "Cache-Control: no-store"}) {
    EXPECT_NE(answer.find(header), std::string::npos) << header;
  }
  EXPECT_EQ(server->answered().at(200), 1U);
}

TEST(HttpServerTest, RefusesWhatChangesSomething) {
  const auto server = start();
  for (const char* verb : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "X"}) {
    const std::string answer = ask(*server, std::string(verb) + " /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 405")) << verb << answer;
  }
  const std::string body = get(*server, "/a", "Host: localhost\r\nContent-Length: 5\r\n");
  EXPECT_TRUE(body.starts_with("HTTP/1.1 413")) << body;
}

TEST(HttpServerTest, RefusesNamesThatWereMadeToPointHere) {
  const auto server = start();
  EXPECT_TRUE(get(*server, "/a", "Host: evil.example\r\n").starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(get(*server, "/a", "Host: 127.0.0.1:9464\r\n").starts_with("HTTP/1.1 200"));
}

TEST(HttpServerTest, AsksForTheToken) {
  HttpSettings settings;
  settings.token = "0123456789abcdef";
  const auto server = start(settings);
  const std::string host = "Host: localhost\r\n";
  EXPECT_TRUE(get(*server, "/a").starts_with("HTTP/1.1 401"));
  EXPECT_TRUE(get(*server, "/a", host + "Authorization: Bearer 0123456789abcdeg\r\n").starts_with("HTTP/1.1 401"));
  EXPECT_TRUE(get(*server, "/a", host + "Authorization: Bearer \r\n").starts_with("HTTP/1.1 401"));
  EXPECT_TRUE(get(*server, "/a", host + "Authorization: Bearer 0123456789abcdef\r\n").starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(get(*server, "/healthz").starts_with("HTTP/1.1 200"));
  server->set_token("another-token-here");
  EXPECT_TRUE(get(*server, "/a", host + "Authorization: Bearer 0123456789abcdef\r\n").starts_with("HTTP/1.1 401"));
}

TEST(HttpServerTest, HeadersAreBounded) {
  const auto server = start();
  const std::string answer = get(*server, "/a", "Host: localhost\r\nX: " + std::string(100'000, 'x') + "\r\n");
  EXPECT_EQ(answer.find("HTTP/1.1 200"), std::string::npos);
  EXPECT_TRUE(get(*server, "/a").starts_with("HTTP/1.1 200"));
}

TEST(HttpServerTest, GarbageDoesNoHarm) {
  const auto server = start();
  std::uint32_t seed = 1;
  for (int round = 0; round < 200; ++round) {
    std::string bytes = round % 2 == 0 ? "GET /" : "";
    for (int i = 0; i < 64; ++i) {
      seed = seed * 1664525 + 1013904223;
      bytes += static_cast<char>(seed >> 24U);
    }
    const Fd fd = connect_to(*server);
    ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  EXPECT_TRUE(get(*server, "/a").starts_with("HTTP/1.1 200"));
}

TEST(HttpServerTest, StreamsAndEndsThem) {
  HttpSettings settings;
  settings.max_streams = 1;
  auto server = start(settings);
  const Fd fd = connect_to(*server);
  const std::string request = "GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n";
  ::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL);
  EXPECT_NE(read_until(fd, "begin").find("begin"), std::string::npos);
  EXPECT_TRUE(get(*server, "/stream").starts_with("HTTP/1.1 503"));
  server->publish("one\n");
  EXPECT_NE(read_until(fd, "one\n").find("one\n"), std::string::npos);
  server->publish("two\n");
  EXPECT_NE(read_until(fd, "two\n").find("two\n"), std::string::npos);
  const auto before = std::chrono::steady_clock::now();
  server.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(3));
}

TEST(HttpServerTest, ClientsThatHangKeepNobodyOut) {
  HttpSettings settings;
  settings.max_connections = 300;
  const auto server = start(settings);
  std::vector<Fd> hanging;
  for (int i = 0; i < 200; ++i) {
    hanging.push_back(connect_to(*server));
    ::send(hanging.back().get(), "GET /", 5, MSG_NOSIGNAL);
  }
  EXPECT_TRUE(get(*server, "/a").starts_with("HTTP/1.1 200"));
}

// A byte now and then is no idleness, but time that the request takes.
TEST(HttpServerTest, ARequestThatTricklesInIsEnded) {
  HttpSettings settings;
  settings.request = std::chrono::milliseconds(400);
  const auto server = start(settings);
  const Fd fd = connect_to(*server);
  const auto begin = std::chrono::steady_clock::now();
  bool closed = false;
  for (int i = 0; i < 100 && !closed; ++i) {
    ::send(fd.get(), i == 0 ? "G" : i == 1 ? "E" : i == 2 ? "T" : i == 3 ? " " : "/", 1, MSG_NOSIGNAL);
    pollfd one{.fd = fd.get(), .events = POLLIN, .revents = 0};
    ::poll(&one, 1, 50);
    char byte = 0;
    closed = (one.revents & (POLLIN | POLLHUP)) != 0 && ::recv(fd.get(), &byte, 1, MSG_DONTWAIT) <= 0;
  }
  EXPECT_TRUE(closed);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(3));
}

TEST(HttpServerTest, AnAnswerThatNobodyReadsIsEndedAndAStreamIsNot) {
  HttpSettings settings;
  settings.request = std::chrono::seconds(10);
  settings.answer = std::chrono::milliseconds(400);
  const auto server = start(settings);
  const Fd large = connect_to(*server);
  const Fd stream = connect_to(*server);
  const std::string host = " HTTP/1.1\r\nHost: localhost\r\n\r\n";
  ::send(large.get(), ("GET /large" + host).data(), 10 + host.size(), MSG_NOSIGNAL);
  ::send(stream.get(), ("GET /stream" + host).data(), 11 + host.size(), MSG_NOSIGNAL);
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  const std::string got = read_until(large, "");
  EXPECT_GT(got.size(), 1000U);
  EXPECT_LT(got.size(), kLarge);
  EXPECT_NE(read_until(stream, "begin").find("begin"), std::string::npos);
  server->publish("still here\n");
  EXPECT_NE(read_until(stream, "still here").find("still here"), std::string::npos);
}

}  // namespace
}  // namespace memcrest
