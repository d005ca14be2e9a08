// SPDX-License-Identifier: Apache-2.0
// What a runtime's event stream makes the resolver ask.
#include <gmock/gmock.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "support/resolver_fixture.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using testing_support::id_of;
using testing_support::ResolverTest;
using testing_support::wanted_id;
using Connection = testing_support::FakeDaemon::Connection;
using SteadyClock = std::chrono::steady_clock;

constexpr milliseconds kSoon{3000};

class ResolverEvents : public ResolverTest {
 protected:
  ~ResolverEvents() override { resolver_.reset(); }

  Resolver& following() {
    auto with = settings();
    with.follow_events = true;
    return resolver(with);
  }
  // A Docker that knows each container by `name_`, and whose stream tells what say() is given.
  void start_docker() {
    start([this](Connection& c) {
      if (c.target().starts_with("/events")) {
        ++streams_;
        c.send("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n");
        for (std::size_t told = 0; c.sleep(milliseconds(2));) {
          const std::lock_guard lock(mutex_);
          told += c.send(std::string_view(events_).substr(told)) ? events_.size() - told : 0;
        }
        return;
      }
      const std::lock_guard lock(mutex_);
      const std::string id = wanted_id(c.target());
      if (c.target().starts_with("/containers/json")) {
        ++look_ups_;
        c.answer(200, R"([{"Id":")" + id + R"(","Names":["/)" + name_ + R"("],"Image":"img","State":"running"}])");
      } else {
        c.answer(200, R"({"Id":")" + id + R"(","Name":"/)" + name_ + R"(","Config":{"Image":"img"},"State":)" + state_ +
                          "}");
      }
    });
  }
  void say(const std::string& action, const std::string& id) {
    const std::lock_guard lock(mutex_);
    events_ += R"({"Type":"container","Action":")" + action + R"(","Actor":{"ID":")" + id +
               R"(","Attributes":{"name":"whatever"}},"timeNano":5})" + "\n";
  }
  void rename_to(const std::string& name) {
    const std::lock_guard lock(mutex_);
    name_ = name;
  }
  static bool comes_true(const std::function<bool()>& condition) {
    const auto deadline = SteadyClock::now() + std::chrono::seconds(10);
    while (!condition() && SteadyClock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(2));
    }
    return condition();
  }
  bool is_called(std::uint64_t cgroup, const std::string& name) {
    return comes_true([&] { return resolver().find(cgroup).container.name == name; });
  }

  std::mutex mutex_;
  std::string events_;
  std::string name_ = "web";
  std::string state_ = R"({"Status":"running"})";
  std::atomic<int> streams_ = 0;
  std::atomic<int> look_ups_ = 0;
};

TEST_F(ResolverEvents, ARenameIsAskedFor) {
  start_docker();
  following().appeared(7, "/docker/" + id_of('a'));
  EXPECT_EQ(resolver().wait(7, kSoon).container.name, "web");
  rename_to("shop");
  say("rename", id_of('a'));
  EXPECT_TRUE(is_called(7, "shop"));
}

TEST_F(ResolverEvents, AnEndIsInspected) {
  start_docker();
  following().appeared(7, "/docker/" + id_of('a'));
  EXPECT_EQ(resolver().wait(7, kSoon).container.name, "web");
  {
    const std::lock_guard lock(mutex_);
    state_ = R"({"Status":"exited","ExitCode":137,"OOMKilled":true})";
  }
  resolver().removed(7);
  say("die", id_of('a'));
  EXPECT_TRUE(comes_true([&] {
    const auto state = resolver().find(7).container.state;
    return state && state->exit_code == 137 && state->oom_killed == true;
  }));
}

TEST_F(ResolverEvents, AfterAReconnectAllThatLiveAreAskedForAnew) {
  start_docker();
  following().appeared(7, "/docker/" + id_of('a'));
  resolver().appeared(8, "/docker/" + id_of('b'));
  EXPECT_EQ(resolver().wait(7, kSoon).container.name, "web");
  EXPECT_EQ(resolver().wait(8, kSoon).container.name, "web");
  EXPECT_TRUE(comes_true([&] { return streams_ == 1; }));
  resolver().removed(8);
  daemon_.reset();
  rename_to("shop");  // while nobody could tell
  start_docker();
  EXPECT_TRUE(is_called(7, "shop"));
  EXPECT_EQ(resolver().find(8).container.name, "web") << "it is gone: nothing more is asked of it";
  EXPECT_EQ(look_ups_, 3);
}

TEST_F(ResolverEvents, ADaemonThatIsThereAtLastIsAskedWithoutAPause) {
  following().appeared(7, "/docker/" + id_of('a'));
  const auto before = resolver().wait(7, kSoon);
  EXPECT_THAT(before.container.unknown_reason, HasSubstr("no Docker socket"));
  start_docker();
  EXPECT_TRUE(is_called(7, "web"));
}

TEST_F(ResolverEvents, EventsOfStrangersAreIgnored) {
  start_docker();
  following().appeared(7, "/docker/" + id_of('a'));
  EXPECT_EQ(resolver().wait(7, kSoon).container.name, "web");
  say("rename", id_of('b'));
  say("die", "../../etc");
  say("rename", "");
  rename_to("shop");
  say("rename", id_of('a'));
  EXPECT_TRUE(is_called(7, "shop"));
  EXPECT_EQ(look_ups_, 2);
}

}  // namespace
}  // namespace memcrest
