// SPDX-License-Identifier: Apache-2.0
#include "identity/runtime_events.h"

#include <gmock/gmock.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "support/fake_cgroups.h"
#include "support/fake_clock.h"
#include "support/fake_daemon.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing_support::FakeClock;
using testing_support::FakeDaemon;
using testing_support::TempDir;
using Connection = FakeDaemon::Connection;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kSoon{1000};  // on a loaded machine; what hangs, hangs for ever
const std::string kId(64, 'a');
const std::string kOk = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n";

std::string line_of(const std::string& action, const std::string& name = "web") {
  return R"({"Type":"container","Action":")" + action + R"(","Actor":{"ID":")" + kId +
         R"(","Attributes":{"exitCode":"137","name":")" + name + R"("}},"timeNano":5})" + "\n";
}

bool comes_true(const std::function<bool()>& condition, milliseconds within = milliseconds(5000)) {
  const auto deadline = SteadyClock::now() + within;
  while (!condition()) {
    if (SteadyClock::now() > deadline) {
      return false;
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

class RuntimeEventsTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string socket() const { return dir_.path() + "/docker.sock"; }

  void follow() {
    RuntimeEventsSettings settings{.socket = socket(),
                                   .head_timeout = milliseconds(300),
                                   .first_pause = milliseconds(20),
                                   .longest_pause = milliseconds(160)};
    events_ = std::make_unique<RuntimeEvents>(settings, clock_,
                                              RuntimeEvents::Callbacks{.on_event =
                                                                           [this](const RuntimeEvent& event) {
                                                                             const std::lock_guard lock(mutex_);
                                                                             seen_.push_back(event);
                                                                           },
                                                                       .on_connected = [this] { ++connected_; }});
  }
  std::vector<RuntimeEvent> seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  // How long ending takes.
  milliseconds stop() {
    const auto start = SteadyClock::now();
    events_.reset();
    return std::chrono::duration_cast<milliseconds>(SteadyClock::now() - start);
  }
  // Follows a daemon that behaves so until its error is told; that error.
  std::string error_of(FakeDaemon::Handler handler) {
    const FakeDaemon daemon(socket(), std::move(handler));
    follow();
    EXPECT_TRUE(comes_true([&] { return !events_->state().last_error.empty(); }));
    std::string error = events_->state().last_error;
    EXPECT_LT(stop(), kSoon);
    return error;
  }

  TempDir dir_;
  FakeClock clock_;
  std::mutex mutex_;
  std::vector<RuntimeEvent> seen_;
  std::atomic<int> connected_{0};
  std::unique_ptr<RuntimeEvents> events_;
};

TEST_F(RuntimeEventsTest, TellsEventsAsTheyCome) {
  std::string request;
  const FakeDaemon daemon(socket(), [&](Connection& c) {
    request = c.request();
    const std::string all = line_of("start") + line_of("exec_start: x") + line_of("die");
    c.send(kOk + all.substr(0, 20));
    c.sleep(milliseconds(20));
    c.send(all.substr(20));
    c.hang();
  });
  clock_.set(7);
  follow();
  ASSERT_TRUE(comes_true([&] { return seen().size() == 2; }));
  EXPECT_EQ(seen()[0].action, RuntimeEvent::Action::kStart);
  EXPECT_EQ(seen()[1].action, RuntimeEvent::Action::kDie);
  EXPECT_EQ(seen()[1].container_id, kId);
  EXPECT_EQ(seen()[1].exit_code, 137);
  EXPECT_EQ(connected_, 1);
  const RuntimeEventsState state = events_->state();
  EXPECT_EQ(state.connected_since_unix_ns, FakeClock::kUnixOffset + 7);
  EXPECT_EQ(state.last_error, "");
  EXPECT_EQ(state.connections, 1U);
  EXPECT_EQ(state.events, 2U);
  EXPECT_EQ(state.refused, 0U);
  EXPECT_LT(stop(), kSoon) << "although the stream is silent";
  EXPECT_THAT(request, StartsWith("GET /events?filters=%7B%22type%22"));
}

TEST_F(RuntimeEventsTest, FindsASocketThatAppearsLaterAndADaemonThatComesBack) {
  follow();
  ASSERT_TRUE(comes_true([&] { return events_->state().attempts > 1; }));
  EXPECT_THAT(events_->state().last_error, HasSubstr("no Docker socket at " + socket()));
  EXPECT_TRUE(events_->state().no_socket);
  EXPECT_FALSE(events_->state().connected_since_unix_ns);
  for (std::size_t round = 1; round <= 2; ++round) {
    const FakeDaemon daemon(socket(), [](Connection& c) {
      c.send(kOk + line_of("start"));
      c.hang();
    });
    ASSERT_TRUE(comes_true([&] { return seen().size() == round; })) << round;
    EXPECT_TRUE(events_->state().connected_since_unix_ns);
  }
  ASSERT_TRUE(comes_true([&] { return !events_->state().connected_since_unix_ns; }));
  EXPECT_EQ(connected_, 2);
}

TEST_F(RuntimeEventsTest, AStreamThatEndsAtOnceIsNotTakenUpAtOnce) {
  const FakeDaemon daemon(socket(), [](Connection& c) { c.send(kOk + line_of("oom")); });
  follow();
  std::this_thread::sleep_for(milliseconds(1000));
  const auto attempts = events_->state().attempts;
  EXPECT_GE(attempts, 3U);
  EXPECT_LE(attempts, 11U) << "20 + 40 + 80 + 160 + 160 + ... ms";
  EXPECT_THAT(events_->state().last_error, HasSubstr("ended the stream"));
  EXPECT_FALSE(events_->state().no_socket);
}

TEST_F(RuntimeEventsTest, EveryFailureSaysWhich) {
  EXPECT_THAT(error_of([](Connection& c) { c.hang(); }), HasSubstr("no complete answer within 300 ms"));
  EXPECT_THAT(error_of([](Connection& c) { c.answer(500, R"({"message":"disk is full"})"); }),
              HasSubstr("answered 500: disk is full"));
  EXPECT_THAT(error_of([](Connection& c) { c.answer(301, ""); }), HasSubstr("redirect"));
  EXPECT_THAT(error_of([](Connection& c) { c.send("SSH-2.0\r\n"); }), HasSubstr("not HTTP"));
  EXPECT_THAT(error_of([](Connection& c) { c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"); }),
              HasSubstr("transfer encoding"));
  EXPECT_THAT(error_of([](Connection&) {}), HasSubstr("closed without an answer"));
  EXPECT_THAT(error_of([](Connection& c) {
                c.send("HTTP/1.0 200 OK\r\n");
                while (c.send("a: " + std::string(1000, 'b') + "\r\n")) {
                }
              }),
              HasSubstr("a header of more than"));
  EXPECT_TRUE(seen().empty());
}

TEST_F(RuntimeEventsTest, BadLinesAreLeftOutAndCounted) {
  const std::string deep = std::string(50'000, '[') + "\n";
  const std::string huge = R"({"Type":")" + std::string(RuntimeEvents::kMaxLineBytes, 'x') + "\"}\n";
  const std::string other = R"({"Type":"container","Action":"die","Actor":{"ID":"../../etc"}})"
                            "\n";
  const FakeDaemon daemon(socket(), [&](Connection& c) {
    c.send(kOk + "<html>\n" + deep + huge + other + "\n\n" + line_of("rename", "\\u001b[2J\\nweb"));
    c.hang();
  });
  follow();
  // Told first, counted then.
  ASSERT_TRUE(comes_true([&] { return seen().size() == 1 && events_->state().refused >= 4; }));
  EXPECT_EQ(seen()[0].name, "\x1b[2J\nweb") << "kept as it is: whoever shows it escapes it";
  EXPECT_EQ(events_->state().refused, 4U);
  EXPECT_EQ(events_->state().connections, 1U) << "one bad line is no reason to lose the stream";
}

TEST_F(RuntimeEventsTest, AnEndlessLineEndsTheStream) {
  std::atomic<std::size_t> sent{0};
  const FakeDaemon daemon(socket(), [&](Connection& c) {
    c.send(kOk);
    const std::string piece(65536, 'x');
    while (c.send(piece)) {
      sent += piece.size();
    }
  });
  follow();
  ASSERT_TRUE(comes_true([&] { return !events_->state().last_error.empty(); }, milliseconds(15'000)));
  EXPECT_THAT(events_->state().last_error, HasSubstr("an event of more than 4194304 bytes"));
  EXPECT_LT(stop(), kSoon);
}

TEST_F(RuntimeEventsTest, AFloodIsReadSlowly) {
  const std::string line = line_of("start");
  std::string many;
  while (many.size() < 65536) {
    many += line;
  }
  const FakeDaemon daemon(socket(), [&](Connection& c) {
    c.send(kOk);
    while (c.send(many)) {
    }
  });
  follow();
  std::this_thread::sleep_for(milliseconds(1500));
  const auto bytes = events_->state().events * line.size();
  EXPECT_GT(bytes, 0U);
  EXPECT_LT(bytes, 2'200'000U) << "a MiB a second, whatever the daemon sends";
  EXPECT_LT(stop(), kSoon) << "also while it is slowed down";
}

TEST_F(RuntimeEventsTest, ADrippingStreamHoldsNobodyUp) {
  const FakeDaemon daemon(socket(), [](Connection& c) {
    c.send(kOk);
    while (c.send("x") && c.sleep(milliseconds(50))) {
    }
  });
  follow();
  ASSERT_TRUE(comes_true([&] { return connected_ == 1; }));
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_TRUE(events_->state().connected_since_unix_ns) << "slow is not wrong";
  EXPECT_LT(stop(), kSoon);
}

}  // namespace
}  // namespace memcrest
