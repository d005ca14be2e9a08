// SPDX-License-Identifier: Apache-2.0
#include "identity/unix_http.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <vector>

#include "support/fake_cgroups.h"
#include "support/fake_daemon.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing_support::FakeDaemon;
using testing_support::TempDir;
using Connection = FakeDaemon::Connection;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kTimeout{300};
constexpr milliseconds kSlack{1000};

class UnixHttpTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string socket() const { return dir_.path() + "/s"; }

  // Asks a daemon that behaves like `handler`; fails when that takes longer than the time-out allows.
  Result<HttpAnswer> ask(FakeDaemon::Handler handler) {
    const FakeDaemon daemon(socket(), std::move(handler));
    const auto start = SteadyClock::now();
    // A small limit: a loaded machine may not pass megabytes on within the time-out.
    auto answer = UnixHttp(socket(), {.body_bytes = std::size_t{256} << 10U}).get("/x", kTimeout);
    EXPECT_LT(SteadyClock::now() - start, kTimeout + kSlack);
    return answer;
  }
  int code(FakeDaemon::Handler handler) {
    const auto answer = ask(std::move(handler));
    return answer ? 0 : answer.error().code;
  }

  TempDir dir_;
};

TEST_F(UnixHttpTest, AsksAndReads) {
  std::string request;
  const auto answer = ask([&](Connection& c) {
    request = c.request();
    c.answer(200, "hello");
  });
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "hello");
  EXPECT_THAT(request, StartsWith("GET /x HTTP/1.0\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nHost: localhost\r\n"));
}

TEST_F(UnixHttpTest, StatusIsTheCallersToJudge) {
  EXPECT_EQ(ask([](Connection& c) { c.answer(500, ""); })->status, 500);
  EXPECT_EQ(ask([](Connection& c) { c.send("HTTP/1.0 301 Moved\r\nLocation: http://x/\r\n\r\n"); })->status, 301);
}

TEST_F(UnixHttpTest, NoSocket) {
  EXPECT_EQ(UnixHttp(socket()).get("/", kTimeout).error().code, ENOENT);
  EXPECT_EQ(UnixHttp("").get("/", kTimeout).error().code, ENAMETOOLONG);
  EXPECT_EQ(UnixHttp("/" + std::string(200, 'x')).get("/", kTimeout).error().code, ENAMETOOLONG);
  EXPECT_EQ(UnixHttp("/dev/null/s").get("/", kTimeout).error().code, ENOTDIR);
  std::ofstream(socket()) << "a file";
  EXPECT_EQ(UnixHttp(socket()).get("/", kTimeout).error().code, ECONNREFUSED);
}

TEST_F(UnixHttpTest, NobodyListens) {
  {
    const FakeDaemon daemon(socket() + "2", [](Connection&) {});
  }
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::memcpy(address.sun_path, socket().c_str(), socket().size() + 1);
  Fd bound(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(bound.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(UnixHttp(socket()).get("/", kTimeout).error().code, ECONNREFUSED);
  ASSERT_EQ(::listen(bound.get(), 0), 0);
  // Nobody accepts: the first waits for its answer, later ones for room in the backlog. Each ends in time.
  for (int i = 0; i < 3; ++i) {
    const auto start = SteadyClock::now();
    EXPECT_EQ(UnixHttp(socket()).get("/", milliseconds(50)).error().code, ETIMEDOUT);
    EXPECT_LT(SteadyClock::now() - start, milliseconds(50) + kSlack);
  }
}

TEST_F(UnixHttpTest, PermissionDenied) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "needs root to become somebody else";
  }
  const FakeDaemon daemon(socket(), [](Connection& c) { c.answer(200, ""); });
  ASSERT_EQ(::chmod(socket().c_str(), 0600), 0);
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
  int seen = 0;
  // Credentials are the process's: a thread may drop its own through the bare system call.
  std::thread([&] {
    ::syscall(SYS_setresuid, -1, 65534, -1);
    seen = UnixHttp(socket()).get("/", kTimeout).error().code;
  }).join();
  EXPECT_EQ(seen, EACCES);
}

TEST_F(UnixHttpTest, SilentPeer) {
  const auto answer = ask([](Connection& c) { c.hang(); });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ETIMEDOUT);
  EXPECT_THAT(answer.error().message(), HasSubstr("300 ms"));
}

TEST_F(UnixHttpTest, DrippingPeerMeetsTheWholeDeadline) {
  EXPECT_EQ(code([](Connection& c) {
              for (const char byte : "HTTP/1.0 200 OK\r\nServer: a very slow one\r\n\r\n" + std::string(1000, 'x')) {
                if (!c.send(std::string_view(&byte, 1)) || !c.sleep(milliseconds(20))) {
                  return;
                }
              }
            }),
            ETIMEDOUT);
  EXPECT_EQ(code([](Connection& c) {
              c.send("HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n");
              while (c.send("x") && c.sleep(milliseconds(20))) {
              }
            }),
            ETIMEDOUT);
}

TEST_F(UnixHttpTest, EndlessPeers) {
  const auto flood = [](const std::string& head, const std::string& piece) {
    return [=](Connection& c) {
      std::string pieces;
      while (pieces.size() < 65536) {
        pieces += piece;
      }
      c.send(head);
      while (c.send(pieces)) {
      }
    };
  };
  EXPECT_EQ(code(flood("HTTP/1.0 200 OK\r\n", "a: b\r\n")), EMSGSIZE) << "headers";
  EXPECT_EQ(code(flood("HTTP/1.0 200 OK\r\nX: ", "a")), EMSGSIZE) << "one header";
  EXPECT_EQ(code(flood("HTTP/1.0 200 OK\r\n\r\n", "a")), EMSGSIZE) << "body";
  EXPECT_EQ(code(flood("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n")), EPROTO) << "chunks";
  EXPECT_EQ(code(flood("", "garbage")), EPROTO);
  EXPECT_EQ(code(flood("", "HTTP/1.0 200")), EMSGSIZE);
}

TEST_F(UnixHttpTest, ClosingPeers) {
  EXPECT_EQ(code([](Connection&) {}), EPROTO);
  EXPECT_EQ(code([](Connection& c) { c.send("HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nhalf"); }), EPROTO);
  EXPECT_EQ(code([](Connection& c) { c.send("HTTP/1.0 200 OK\r\nConte"); }), EPROTO);
}

TEST_F(UnixHttpTest, HugeButAllowedBody) {
  const std::string body(std::size_t{4} << 20U, 'x');
  const FakeDaemon daemon(socket(), [&](Connection& c) { c.answer(200, body); });
  const auto answer = UnixHttp(socket()).get("/", milliseconds(5000));
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(answer->body.size(), body.size());
}

TEST_F(UnixHttpTest, StopsWhenAsked) {
  const FakeDaemon daemon(socket(), [](Connection& c) { c.hang(); });
  std::stop_source stop;
  std::thread later([&] {
    std::this_thread::sleep_for(milliseconds(50));
    stop.request_stop();
  });
  const auto start = SteadyClock::now();
  const auto answer = UnixHttp(socket()).get("/", milliseconds(10'000), stop.get_token());
  EXPECT_LT(SteadyClock::now() - start, milliseconds(5000));
  EXPECT_EQ(answer.error().code, ECANCELED);
  later.join();
}

TEST_F(UnixHttpTest, OnlyTheOwnersPeer) {
  const FakeDaemon daemon(socket(), [](Connection& c) { c.answer(200, "x"); });
  EXPECT_TRUE(UnixHttp(socket(), {}, ::geteuid()).get("/", kTimeout));
  const auto other = UnixHttp(socket(), {}, ::geteuid() + 1).get("/", kTimeout);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, EACCES);
  EXPECT_THAT(other.error().message(), HasSubstr("user " + std::to_string(::geteuid()) + " listens there"));
}

// What a follower was given, one string for each time; the first is the head.
struct Followed {
  std::vector<std::string> pieces;
  Result<HttpAnswer> end = fail("follow", {}, 0);
  [[nodiscard]] std::string body() const {
    std::string all;
    for (const std::string& piece : pieces) {
      all += piece;
    }
    return all;
  }
};

Followed follow(const std::string& socket, const std::stop_token& stop = {}, std::size_t enough = 1U << 20U) {
  Followed out;
  std::size_t bytes = 0;
  const auto take = [&](std::string_view piece) -> Result<void> {
    out.pieces.emplace_back(piece);
    bytes += piece.size();
    return bytes > enough ? fail("take", {}, EMSGSIZE, "enough") : Result<void>();
  };
  out.end = UnixHttp(socket).follow("/events", kTimeout, take, stop);
  return out;
}

TEST_F(UnixHttpTest, FollowsUntilThePeerCloses) {
  const FakeDaemon daemon(socket(), [](Connection& c) {
    c.send("HTTP/1.0 200 OK\r\n\r\none\n");
    c.sleep(2 * kTimeout);  // only the head has a deadline
    c.send("two\n");
  });
  const Followed followed = follow(socket());
  ASSERT_TRUE(followed.end) << followed.end.error().message();
  EXPECT_EQ(followed.end->status, 200);
  EXPECT_EQ(followed.pieces.front(), "") << "the head is told by itself";
  EXPECT_EQ(followed.body(), "one\ntwo\n");
}

TEST_F(UnixHttpTest, ARefusalIsNoStream) {
  const FakeDaemon daemon(socket(), [](Connection& c) { c.answer(503, "later"); });
  const Followed followed = follow(socket());
  ASSERT_TRUE(followed.end);
  EXPECT_EQ(followed.end->status, 503);
  EXPECT_EQ(followed.end->body, "later");
  EXPECT_TRUE(followed.pieces.empty());
}

TEST_F(UnixHttpTest, ARefusalWithoutABodyDoesNotWaitForOne) {
  const FakeDaemon daemon(socket(), [](Connection& c) {
    c.send("HTTP/1.0 404 No\r\nContent-Length: 0\r\n\r\n");
    c.hang();
  });
  const auto start = SteadyClock::now();
  EXPECT_EQ(follow(socket()).end->status, 404);
  EXPECT_LT(SteadyClock::now() - start, kTimeout);
}

TEST_F(UnixHttpTest, TheHeadOfAStreamHasADeadlineAndALimit) {
  const auto code_of = [&](FakeDaemon::Handler handler) {
    const FakeDaemon daemon(socket(), std::move(handler));
    const auto start = SteadyClock::now();
    const Followed followed = follow(socket());
    EXPECT_LT(SteadyClock::now() - start, kTimeout + kSlack);
    return followed.end ? 0 : followed.end.error().code;
  };
  EXPECT_EQ(code_of([](Connection& c) { c.hang(); }), ETIMEDOUT);
  EXPECT_EQ(code_of([](Connection& c) {
              while (c.send("H") && c.sleep(milliseconds(20))) {
              }
            }),
            EPROTO);
  EXPECT_EQ(code_of([](Connection& c) {
              c.send("HTTP/1.0 200 OK\r\n");
              while (c.send("a: b\r\n") && c.sleep(milliseconds(20))) {
              }
            }),
            ETIMEDOUT);
  EXPECT_EQ(code_of([](Connection& c) {
              c.send("HTTP/1.0 200 OK\r\n");
              while (c.send(std::string(10000, 'a'))) {
              }
            }),
            EMSGSIZE);
  EXPECT_EQ(code_of([](Connection& c) { c.send("HTTP/1.0 2"); }), EPROTO);
  EXPECT_EQ(code_of([](Connection& c) {
              c.send("HTTP/1.0 500 x\r\n\r\n");
              while (c.send("x") && c.sleep(milliseconds(20))) {
              }
            }),
            ETIMEDOUT);
}

TEST_F(UnixHttpTest, WhoFollowsMayHaveEnough) {
  const FakeDaemon daemon(socket(), [](Connection& c) {
    c.send("HTTP/1.0 200 OK\r\n\r\n");
    while (c.send(std::string(10000, 'x'))) {
    }
  });
  const Followed followed = follow(socket(), {}, 100'000);
  ASSERT_FALSE(followed.end);
  EXPECT_EQ(followed.end.error().detail, "enough");
}

TEST_F(UnixHttpTest, AStopEndsASilentStreamAtOnce) {
  const FakeDaemon daemon(socket(), [](Connection& c) {
    c.send("HTTP/1.0 200 OK\r\n\r\n");
    c.hang();
  });
  std::stop_source stop;
  SteadyClock::time_point asked;
  std::thread later([&] {
    std::this_thread::sleep_for(milliseconds(100));
    asked = SteadyClock::now();
    stop.request_stop();
  });
  const Followed followed = follow(socket(), stop.get_token());
  const auto end = SteadyClock::now();
  later.join();
  EXPECT_EQ(followed.end.error().code, ECANCELED);
  EXPECT_LT(end - asked, kSlack);
}

TEST_F(UnixHttpTest, LeavesNoDescriptorBehind) {
  const auto open_files = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator());
  };
  const auto before = open_files();
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(code([](Connection& c) { c.send("junk"); }), EPROTO);
  }
  EXPECT_EQ(open_files(), before);
}

}  // namespace
}  // namespace memcrest
