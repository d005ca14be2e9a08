// SPDX-License-Identifier: Apache-2.0
#include "identity/resolver.h"

#include <gmock/gmock.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "support/resolver_fixture.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing_support::id_of;
using testing_support::know_all;
using testing_support::ResolverTest;
using Connection = testing_support::FakeDaemon::Connection;
using SteadyClock = std::chrono::steady_clock;

TEST_F(ResolverTest, NamesAContainerThatAppeared) {
  start(know_all);
  resolver().appeared(7, "/docker/" + id_of('a'));
  const Identity identity = resolver().wait(7, milliseconds(2000));
  EXPECT_TRUE(identity.known);
  EXPECT_FALSE(identity.pending);
  EXPECT_EQ(identity.cgroup.id, 7U);
  EXPECT_EQ(identity.cgroup.path, "/docker/" + id_of('a'));
  EXPECT_EQ(identity.container.runtime, Runtime::kDocker);
  EXPECT_EQ(identity.container.id, id_of('a'));
  EXPECT_EQ(identity.container.name, "n-a");
  EXPECT_EQ(identity.container.image, "img");
  EXPECT_EQ(identity.container.labels.at("k"), "v");
  EXPECT_EQ(identity.container.unknown_reason, "");
}

TEST_F(ResolverTest, ScanFindsWhatIsThere) {
  start(know_all);
  const auto own = cgroups_.add("/docker/" + id_of('a'));
  const auto child = cgroups_.add("/docker/" + id_of('a') + "/init.scope");
  const auto unit = cgroups_.add("/system.slice/nginx.service");
  resolver().scan();
  EXPECT_EQ(resolver().wait(own, milliseconds(2000)).container.name, "n-a");
  const Identity inner = resolver().find(child);
  EXPECT_EQ(inner.container.name, "n-a");
  EXPECT_EQ(inner.cgroup.path, "/docker/" + id_of('a') + "/init.scope");
  EXPECT_EQ(inner.cgroup.id, child);
  EXPECT_EQ(resolver().find(unit).container.runtime, Runtime::kSystemd);
  EXPECT_EQ(resolver().find(unit).container.name, "nginx.service");
  EXPECT_EQ(resolver().find(cgroups_.id("/")).container.runtime, Runtime::kNone);
  EXPECT_EQ(daemon_->requests(), 1) << "one container, one question";
  resolver().appeared(child + 1'000'000, "/docker/" + id_of('a') + "/new");
  EXPECT_EQ(resolver().wait(child + 1'000'000, milliseconds(500)).container.name, "n-a");
  EXPECT_EQ(daemon_->requests(), 1);
}

TEST_F(ResolverTest, TellsTheMainProcessALittleLater) {
  start(know_all);
  resolver().appeared(7, "/docker/" + id_of('a'));
  const auto end = SteadyClock::now() + std::chrono::seconds(5);
  while (!resolver().find(7).container.init_pid && SteadyClock::now() < end) {
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(resolver().find(7).container.init_pid, 42U);
}

TEST_F(ResolverTest, NeverBlocksItsCallers) {
  start([](Connection& c) { c.hang(); });
  const auto begin = SteadyClock::now();
  for (std::uint64_t id = 1; id < 500; ++id) {
    std::string name = std::to_string(id);
    name.resize(64, 'f');
    resolver().appeared(id, "/docker/" + name);
    EXPECT_EQ(resolver().find(id).container.id, name) << "the full id comes without the API";
    resolver().removed(id);
  }
  // One call that waits takes 300 ms: all together would take 150 s.
  EXPECT_LT(SteadyClock::now() - begin, std::chrono::seconds(30));
}

TEST_F(ResolverTest, ADeadDaemonDelaysOnlyTheFirst) {
  start([](Connection& c) { c.hang(); });
  const auto begin = SteadyClock::now();
  for (std::uint64_t id = 1; id <= 9; ++id) {
    resolver().appeared(id, "/docker/" + id_of(static_cast<char>('0' + id)));
  }
  for (std::uint64_t id = 1; id <= 9; ++id) {
    const Identity identity = resolver().wait(id, milliseconds(5000));
    EXPECT_FALSE(identity.pending);
    EXPECT_EQ(identity.container.name, "");
    EXPECT_NE(identity.container.unknown_reason, "");
    EXPECT_EQ(identity.container.id, id_of(static_cast<char>('0' + id)));
  }
  EXPECT_LT(SteadyClock::now() - begin, milliseconds(2000));  // of 2.7 s, if each waited for itself
  EXPECT_EQ(daemon_->requests(), 1);
}

TEST_F(ResolverTest, ADaemonThatComesBackIsAskedAgain) {
  start([calls = std::make_shared<std::atomic<int>>(0)](Connection& c) { (*calls)++ == 0 ? c.hang() : know_all(c); });
  resolver().appeared(1, "/docker/" + id_of('a'));
  resolver().appeared(2, "/docker/" + id_of('b'));
  EXPECT_EQ(resolver().wait(2, milliseconds(2000)).container.name, "");
  std::this_thread::sleep_for(milliseconds(1100));
  EXPECT_EQ(resolver().wait(2, milliseconds(2000)).container.name, "n-b");
}

TEST_F(ResolverTest, SaysWhyANameIsMissing) {
  resolver().appeared(7, "/docker/" + id_of('a'));
  EXPECT_THAT(resolver().wait(7, milliseconds(2000)).container.unknown_reason,
              HasSubstr("no Docker socket at " + socket()));
}

TEST_F(ResolverTest, WithoutASocketNobodyIsAsked) {
  auto none = settings();
  none.docker_socket.clear();
  resolver(none).appeared(7, "/docker/" + id_of('a'));
  const Identity identity = resolver().find(7);
  EXPECT_FALSE(identity.pending);
  EXPECT_EQ(identity.container.id, id_of('a'));
  EXPECT_EQ(identity.container.unknown_reason, "nobody was asked for the container's name");
}

TEST_F(ResolverTest, CandidateIsConfirmedByDocker) {
  start(know_all);
  resolver().appeared(7, "/my/jobs/" + id_of('a') + "/sub");
  const Identity identity = resolver().wait(7, milliseconds(2000));
  EXPECT_EQ(identity.container.runtime, Runtime::kDocker);
  EXPECT_EQ(identity.container.name, "n-a");
}

TEST_F(ResolverTest, RemovedStaysKnownForAWhile) {
  start(know_all);
  resolver().appeared(7, "/docker/" + id_of('a'));
  resolver().removed(7);
  EXPECT_EQ(resolver().wait(7, milliseconds(2000)).container.name, "n-a") << "asked although its cgroup has gone";
  clock_.advance(std::chrono::minutes(9));
  EXPECT_EQ(resolver().find(7).container.name, "n-a");
  clock_.advance(std::chrono::minutes(1));
  EXPECT_FALSE(resolver().wait(7, milliseconds(2000)).known);
}

TEST_F(ResolverTest, AnIdNeverSeenIsLookedForOnce) {
  start(know_all);
  resolver().scan();
  const auto late = cgroups_.add("/docker/" + id_of('b'));
  const Identity first = resolver().find(late);
  EXPECT_TRUE(first.pending);
  EXPECT_FALSE(first.known);
  const Identity found = resolver().wait(late, milliseconds(3000));
  EXPECT_TRUE(found.known);
  EXPECT_EQ(found.container.name, "n-b");

  const auto begin = SteadyClock::now();
  const Identity absent = resolver().wait(late + 1'000'000, milliseconds(3000));
  EXPECT_FALSE(absent.pending);
  EXPECT_FALSE(absent.known);
  EXPECT_EQ(absent.container.runtime, Runtime::kUnknown);
  EXPECT_NE(absent.container.unknown_reason, "");
  EXPECT_GE(SteadyClock::now() - begin, milliseconds(300)) << "rescans are rate-limited";
  EXPECT_FALSE(resolver().find(late + 1'000'000).pending) << "stays unknown";
  resolver().appeared(late + 1'000'000, "/docker/" + id_of('c'));
  EXPECT_EQ(resolver().wait(late + 1'000'000, milliseconds(2000)).container.name, "n-c") << "until it appears";
}

TEST_F(ResolverTest, ARescanBuriesWhatWentUntold) {
  start(know_all);
  const auto lost = cgroups_.add("/docker/" + id_of('a'));
  resolver().scan();
  EXPECT_EQ(resolver().wait(lost, milliseconds(2000)).container.name, "n-a");
  cgroups_.remove("/docker/" + id_of('a'));
  EXPECT_FALSE(resolver().wait(987654321, milliseconds(2000)).known);  // makes it look
  EXPECT_EQ(resolver().find(lost).container.name, "n-a") << "a tombstone";
  clock_.advance(std::chrono::minutes(11));
  EXPECT_FALSE(resolver().wait(lost, milliseconds(2000)).known);
}

TEST_F(ResolverTest, Bounded) {
  auto small = settings();
  small.docker_socket.clear();
  small.max_known = 10;
  resolver(small);
  for (std::uint64_t id = 1; id <= 20; ++id) {
    resolver().appeared(id, "/c" + std::to_string(id));
  }
  EXPECT_TRUE(resolver().find(10).known);
  EXPECT_FALSE(resolver().find(11).known);
  EXPECT_FALSE(resolver().find(11).pending);
  EXPECT_THAT(resolver().find(11).container.unknown_reason, HasSubstr("more cgroups"));
  resolver().removed(3);
  resolver().appeared(21, "/c21");
  EXPECT_TRUE(resolver().find(21).known);
}

TEST_F(ResolverTest, NonsenseIsIgnored) {
  resolver().appeared(0, "/docker/" + id_of('a'));
  resolver().appeared(1, "");
  resolver().removed(12345);
  EXPECT_FALSE(resolver().find(0).known);
  EXPECT_FALSE(resolver().find(0).pending);
  EXPECT_FALSE(resolver().wait(0, milliseconds(-5)).known);
  EXPECT_FALSE(resolver().wait(77, milliseconds(0)).known);
}

TEST_F(ResolverTest, EndsSoonWhileADaemonHangs) {
  start([](Connection& c) { c.hang(); });
  auto patient = settings();
  patient.api_timeout = std::chrono::seconds(30);
  resolver(patient).appeared(7, "/docker/" + id_of('a'));
  EXPECT_TRUE(resolver().wait(7, milliseconds(100)).pending);
  const auto begin = SteadyClock::now();
  resolver_.reset();
  EXPECT_LT(SteadyClock::now() - begin, std::chrono::seconds(10));
}

TEST_F(ResolverTest, ManyThreadsAtOnce) {
  start(know_all);
  resolver().scan();
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (std::uint64_t i = 1; i < 200; ++i) {
        const std::uint64_t id = i * 4 + t;
        resolver_->appeared(id, "/docker/" + id_of(static_cast<char>('a' + i % 6)) + (i % 2 == 0 ? "/x" : ""));
        (void)resolver_->find(id);
        (void)resolver_->find(id + 1'000'000);
        if (i % 3 == 0) {
          resolver_->removed(id);
        }
        if (i % 50 == 0) {
          (void)resolver_->wait(id, milliseconds(50));
          resolver_->scan();
        }
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(resolver().wait(4, milliseconds(5000)).container.name, "n-b");
}

}  // namespace
}  // namespace memcrest
