// SPDX-License-Identifier: Apache-2.0
#include "collector/aftermath.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <mutex>

#include "support/collector_fixture.h"
#include "util/units.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

// A Docker daemon that says of its containers what a test wants, and tells of their ends in its stream of events.
class Engine {
 public:
  explicit Engine(const std::string& socket) : daemon_(socket, [this](FakeDaemon::Connection& c) { answer(c); }) {}

  void runs(const std::string& id, const std::string& name) {
    says(id, name, R"("Status":"running","ExitCode":0,"OOMKilled":false)", 0);
  }
  void says(const std::string& id, const std::string& name, const std::string& state, int restarts) {
    const std::lock_guard lock(mutex_);
    names_[id] = name;
    answers_[id] = R"({"Id":")" + id + R"(","Name":"/)" + name + R"(","RestartCount":)" + std::to_string(restarts) +
                   R"(,"State":{)" + state + R"(},"Config":{"Image":"my-app"}})";
  }
  void tells_of_the_end(const std::string& id) {
    const std::lock_guard lock(mutex_);
    events_ += R"({"Type":"container","Action":"die","Actor":{"ID":")" + id +
               R"("},"timeNano":1})"
               "\n";
  }
  [[nodiscard]] bool is_followed() const { return followed_; }

 private:
  void answer(FakeDaemon::Connection& c) {
    if (c.target().starts_with("/events")) {
      stream(c);
      return;
    }
    std::string found;
    int status = 404;
    {
      const std::lock_guard lock(mutex_);
      const bool list = c.target().starts_with("/containers/json");
      for (const auto& [id, name] : names_) {
        if (c.target().find(id) != std::string::npos) {
          found = list ? R"([{"Id":")" + id + R"(","Names":["/)" + name + R"("],"Image":"my-app"}])" : answers_[id];
          status = 200;
        }
      }
    }
    c.answer(status, found);
  }
  void stream(FakeDaemon::Connection& c) {
    std::size_t sent = 0;
    bool open = c.send("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n");
    followed_ = true;
    while (open && c.sleep(milliseconds(2))) {
      std::string fresh;
      {
        const std::lock_guard lock(mutex_);
        fresh = events_.substr(sent);
        sent = events_.size();
      }
      open = fresh.empty() || c.send(fresh);
    }
  }

  std::mutex mutex_;
  std::map<std::string, std::string> names_, answers_;
  std::string events_;
  std::atomic<bool> followed_{false};
  FakeDaemon daemon_;  // last: its threads use all of the above
};

class AftermathTest : public CollectorFixture {
 protected:
  AftermathTest() {
    follow_events_ = true;
    socket_ = dir_.path() + "/docker.sock";
    engine_.emplace(socket_);
  }
  ~AftermathTest() override {
    collector_.reset();
    resolver_.reset();
  }

  // A container in which the OOM killer kills at 1100 ms, told by 1200 ms.
  Box killed_in(char digit, const std::string& name, std::uint32_t pid_inside = 1) {
    engine_->runs(id_of(digit), name);
    Box web = box("/docker/" + id_of(digit), 64_MiB, static_cast<std::uint32_t>(digit));
    web.task.ns_tgid = pid_inside;
    tell(created(web, 1000_ms));
    tell(killed(web, 1100_ms));
    return web;
  }
  void tell_first(std::size_t incidents) {
    collector();
    wait_until([&] { return engine_->is_followed(); });
    run_until(1200_ms);
    ASSERT_THAT(incidents_, SizeIs(incidents));
    ASSERT_THAT(updates(), IsEmpty());
  }
  // "FinishedAt" at a time of the test's clock.
  static std::string ended(std::uint64_t boot_ns, int exit_code, bool oom_killed) {
    const std::int64_t unix_ns = FakeClock::kUnixOffset + static_cast<std::int64_t>(boot_ns);
    return R"("Status":"exited","ExitCode":)" + std::to_string(exit_code) + R"(,"OOMKilled":)" +
           (oom_killed ? "true" : "false") + R"(,"FinishedAt":")" + format_rfc3339(unix_ns) + R"(")";
  }
  void ends(const Box& box, const std::string& name, const std::string& state, int restarts = 0) {
    const std::string id = box.path.substr(box.path.rfind('/') + 1);
    engine_->says(id, name, state, restarts);
    engine_->tells_of_the_end(id);
  }
  static bool wait_until(const std::function<bool()>& condition, milliseconds patience = milliseconds(3000)) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition() && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(milliseconds(5));
    }
    return condition();
  }
  // Turns until so many were told again; the test's clock goes on by 50 ms at each.
  void turn_until_updates(std::size_t count) {
    wait_until([&] {
      turn();
      return updates().size() >= count;
    });
    EXPECT_THAT(updates(), SizeIs(count));
  }
  void turn_in_vain(milliseconds patience = milliseconds(300)) {
    EXPECT_FALSE(wait_until(
        [&] {
          turn();
          return !updates().empty();
        },
        patience));
  }
  void turn() {
    clock_.set(clock_.boot_ns() + 50_ms);
    collector().turn(milliseconds(0));
  }
  [[nodiscard]] std::vector<Incident> updates() const {
    std::vector<Incident> out;
    std::ranges::copy_if(incidents_, std::back_inserter(out), [](const Incident& one) { return !one.update.empty(); });
    return out;
  }

  std::optional<Engine> engine_;
};

TEST_F(AftermathTest, ARuntimeThatSpeaksLateIsToldOnceMore) {
  const Box web = killed_in('a', "web");
  tell_first(1);
  turn_in_vain();
  ends(web, "web", ended(1150_ms, 137, true));
  turn_until_updates(1);
  const Incident again = updates()[0];
  EXPECT_EQ(again.update, "runtime_state");
  EXPECT_EQ(again.id, incidents_[0].id);
  EXPECT_EQ(again.container.name, "web");
  ASSERT_TRUE(again.container.state);
  EXPECT_EQ(again.container.state->status, "exited");
  EXPECT_EQ(again.container.state->exit_code, 137);
  EXPECT_EQ(again.container.state->oom_killed, true);
  EXPECT_EQ(again.container.state->finished_unix_ns, FakeClock::kUnixOffset + 1150'000'000);
  ASSERT_THAT(again.victims, SizeIs(1));
  EXPECT_EQ(again.victims[0].pid, web.task.process.tgid);
  EXPECT_EQ(again.unix_ns, incidents_[0].unix_ns);
  EXPECT_EQ(collector().totals().ooms, 1);
}

TEST_F(AftermathTest, OneEndIsToldOnce) {
  const Box web = killed_in('a', "web");
  tell_first(1);
  ends(web, "web", ended(1150_ms, 137, true));
  turn_until_updates(1);
  engine_->tells_of_the_end(id_of('a'));
  for (int i = 0; i < 20; ++i) {
    turn();
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_THAT(updates(), SizeIs(1));
}

TEST_F(AftermathTest, ARuntimeThatDisagreesIsToldInItsOwnWords) {
  const Box web = killed_in('a', "web");
  tell_first(1);
  ends(web, "web", ended(1150_ms, 137, false));
  turn_until_updates(1);
  EXPECT_EQ(updates()[0].container.state->oom_killed, false);
  EXPECT_EQ(updates()[0].kind, IncidentKind::kOom);
  EXPECT_TRUE(updates()[0].victims.at(0).main_process) << "what the kernel did stays";
}

TEST_F(AftermathTest, TheEndAfterAChildsDeath) {
  const Box web = killed_in('a', "web", 7);
  tell_first(1);
  ASSERT_FALSE(incidents_[0].victims.at(0).main_process);
  ends(web, "web", ended(1900_ms, 0, true));
  turn_until_updates(1);
  EXPECT_EQ(updates()[0].container.state->exit_code, 0);
  EXPECT_EQ(updates()[0].container.state->oom_killed, true);
  EXPECT_FALSE(updates()[0].victims.at(0).main_process);
}

TEST_F(AftermathTest, ARuntimeThatSpeaksAfterTenSecondsIsNotHeard) {
  const Box web = killed_in('a', "web");
  tell_first(1);
  clock_.set(1200_ms + 10'000_ms);
  turn();
  ends(web, "web", ended(1150_ms, 137, true));
  turn_in_vain();
}

TEST_F(AftermathTest, WhatWasSaidOfAnEarlierLifeIsNoNews) {
  const Box web = killed_in('a', "web");
  tell_first(1);
  // It ended, and was started again by hand, before this kill.
  ends(web, "web", ended(500_ms, 137, true));
  turn_in_vain();
  ends(web, "web", ended(1150_ms, 1, false));
  turn_until_updates(1);
  EXPECT_EQ(updates()[0].container.state->exit_code, 1);
}

TEST_F(AftermathTest, AContainerThatIsStartedAgainAtOnce) {
  const Box web = killed_in('a', "web");
  engine_->says(id_of('a'), "web", R"("Status":"running","ExitCode":0)", 3);
  tell_first(1);
  wait_until([&] { return resolver_->runtime_state(web.id).has_value(); });
  incidents_.clear();
  tell(victim(3000_ms, task(77, "hog", web.id), chain({web.full()})));
  run_until(3100_ms);
  ASSERT_THAT(incidents_, SizeIs(1));
  ASSERT_EQ(incidents_[0].container.state->restart_count, 3U);
  ends(web, "web", R"("Status":"running","ExitCode":0,"Pid":77)", 4);
  wait_until([&] {
    turn();
    return updates().size() >= 2;
  });
  for (const Incident& again : updates()) {
    EXPECT_EQ(again.container.state->restart_count, 4U);
    EXPECT_EQ(again.container.state->status, "running");
  }
  EXPECT_TRUE(std::ranges::any_of(updates(), [&](const Incident& one) { return one.id == incidents_[0].id; }));
}

TEST_F(AftermathTest, WithoutATimeOfTheEndTheStatusTells) {
  const Box web = killed_in('a', "web");
  tell_first(1);
  ends(web, "web", R"("Status":"exited","ExitCode":137,"OOMKilled":true)");
  turn_until_updates(1);
  EXPECT_EQ(updates()[0].container.state->exit_code, 137);
}

TEST_F(AftermathTest, EachContainerHasItsOwnEnd) {
  const Box web = killed_in('a', "web");
  const Box database = killed_in('b', "db");
  const Box cache = killed_in('c', "cache");
  tell_first(3);
  ends(web, "web", ended(1150_ms, 137, true));
  ends(cache, "cache", ended(1160_ms, 1, false));
  turn_until_updates(2);
  for (const Incident& again : updates()) {
    const auto first = std::ranges::find(incidents_, again.id, &Incident::id);
    EXPECT_EQ(again.container.name, first->container.name);
    EXPECT_NE(again.container.name, "db");
    EXPECT_EQ(again.container.state->exit_code, again.container.name == "web" ? 137 : 1);
  }
  ends(database, "db", ended(5000_ms, 0, true));
  turn_until_updates(3);
  EXPECT_EQ(updates()[2].container.name, "db");
}

TEST_F(AftermathTest, SeveralVictimsOfOneKillAreOneUpdate) {
  engine_->runs(id_of('a'), "web");
  const Box web = box("/docker/" + id_of('a'), 64_MiB);
  MemcgState full = web.full();
  full.oom_group = true;
  tell(created(web, 1000_ms));
  for (std::uint32_t i = 0; i < 3; ++i) {
    TaskInfo who = task(50 + i, "w", web.id);
    who.ns_tgid = 1 + i;
    tell(victim(1100_ms + i * 3_ms, who, chain({full}), web.task));
  }
  tell_first(1);
  ends(web, "web", ended(1150_ms, 137, true));
  turn_until_updates(1);
  EXPECT_THAT(updates()[0].victims, SizeIs(3));
}

TEST_F(AftermathTest, FinishTellsWhatTheRuntimeHasSaid) {
  const Box web = killed_in('a', "web");
  tell_first(1);
  ends(web, "web", ended(1150_ms, 137, true));
  ASSERT_TRUE(wait_until([&] {
    const auto state = resolver_->runtime_state(web.id);
    return state && state->exit_code.has_value();
  }));
  collector().turn(milliseconds(0));  // at a time of the test's clock at which nobody looks yet
  ASSERT_THAT(updates(), IsEmpty());
  collector().finish();
  ASSERT_THAT(updates(), SizeIs(1));
  EXPECT_EQ(updates()[0].container.state->exit_code, 137);
}

TEST_F(AftermathTest, FinishDoesNotWaitForARuntimeThatIsSilent) {
  killed_in('a', "web");
  tell_first(1);
  const auto start = std::chrono::steady_clock::now();
  collector().finish();
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(500));
  EXPECT_THAT(updates(), IsEmpty());
}

// Aftermath alone, with incidents made by hand.
class FollowedTest : public AftermathTest {
 protected:
  Incident told(const Box& box) {
    Incident out;
    out.id = "made-" + std::to_string(++made_);
    out.unix_ns = FakeClock::kUnixOffset + 1'100'000'000;
    out.container = resolver_->find(box.id).container;
    out.cgroup = {box.id, box.path};
    out.victims.push_back({.pid = 40, .main_process = true});
    return out;
  }
  // What is told again of these once the container has ended, in one look.
  std::size_t told_again(const Box& box, const std::vector<Incident>& incidents) {
    Aftermath aftermath(*around_);
    for (const Incident& incident : incidents) {
      aftermath.follow(incident, 1200_ms);
    }
    ends(box, "web", ended(1150_ms, 137, true));
    wait_until([&] {
      const auto state = resolver_->runtime_state(box.id);
      return state && state->exit_code.has_value();
    });
    std::size_t count = 0;
    aftermath.collect(1300_ms, false, [&](const Incident&) { ++count; });
    EXPECT_FALSE(aftermath.any());
    return count;
  }

  int made_ = 0;
};

TEST_F(FollowedTest, NoMoreThanTheBound) {
  const Box web = killed_in('a', "web");
  tell_first(1);
  std::vector<Incident> many;
  for (int i = 0; i < 300; ++i) {
    many.push_back(told(web));
  }
  EXPECT_EQ(told_again(web, many), 256U);
}

TEST_F(FollowedTest, OnlyKillsInContainersOfRuntimesThatSpeak) {
  const Box web = killed_in('a', "web");
  tell_first(1);
  Incident burst = told(web);
  burst.kind = IncidentKind::kBurst;
  Incident stuck = told(web);
  stuck.victims.clear();
  Incident other = told(web);
  other.container.runtime = Runtime::kContainerd;
  Incident none = told(web);
  none.container.id.clear();
  EXPECT_EQ(told_again(web, {burst, stuck, other, none}), 0U);
}

TEST_F(FollowedTest, ACgroupThatOnlyItsPathNames) {
  const Box web = killed_in('a', "web");
  tell_first(1);
  Incident from_the_log = told(web);
  from_the_log.cgroup.id = 0;
  EXPECT_EQ(told_again(web, {from_the_log}), 1U);
}

TEST_F(FollowedTest, WhatTheFirstLineSaidIsNotSaidAgain) {
  const Box web = killed_in('a', "web");
  tell_first(1);
  Incident told_with_it = told(web);
  told_with_it.container.state =
      RuntimeState{.status = "exited", .exit_code = 137, .finished_unix_ns = FakeClock::kUnixOffset + 1'150'000'000};
  Aftermath aftermath(*around_);
  aftermath.follow(told_with_it, 1200_ms);
  ends(web, "web", ended(1150_ms, 137, true));
  wait_until([&] {
    const auto state = resolver_->runtime_state(web.id);
    return state && state->exit_code.has_value();
  });
  aftermath.collect(1300_ms, false, [](const Incident&) { ADD_FAILURE(); });
  EXPECT_TRUE(aftermath.any()) << "it may be started again";
}

}  // namespace
}  // namespace memcrest
