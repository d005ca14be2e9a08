// SPDX-License-Identifier: Apache-2.0
#include "view/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <sstream>
#include <vector>

#include "support/event_builder.h"
#include "util/text.h"

namespace memcrest {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

std::string plain(const Incident& incident, std::size_t columns = 120) { return to_text(incident, {false, columns}); }

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    out.push_back(line);
  }
  return out;
}

std::string without_color(std::string text) {
  for (std::size_t escape = text.find('\x1b'); escape != std::string::npos; escape = text.find('\x1b')) {
    text.erase(escape, text.find('m', escape) - escape + 1);
  }
  return text;
}

Incident burst_incident() {
  Incident out = oom_incident();
  out.kind = IncidentKind::kBurst;
  out.victims.clear();
  out.trigger.reset();
  out.burst->end = BurstEnd::kFell;
  return out;
}

class TextInUtc : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
};

TEST_F(TextInUtc, TheWholePicture) {
  EXPECT_EQ(plain(oom_incident(), 100),
            "09:35:43.841  OOM KILL   web   docker b5d635627bb8 · my-app:latest · compose shop/web-1\n"
            "  killed     python app.py   pid 5943 (7 in the container), main process: exit 137\n"
            "             anon 1.93 GiB · file 900 KiB · shmem 0 B · swap 0 B · page tables 4.00 MiB\n"
            "             oom_score_adj 0\n"
            "  limit      2.00 GiB  memory.max of this container   in use 2.00 GiB\n"
            "  grew       412 MiB → 2.00 GiB in 740 ms (2.16 GiB/s)   ▂▂▂▂▃▃▄▄▅▅▆▆▇▇██\n"
            "             97 %  python[5943]  1.55 GiB\n"
            "             3 %  others, or not seen by a step\n"
            "  samplers   docker stats, every 1 s  last showed about 418 MiB (20 %)  chance to see the burst 37 %\n"
            "             cAdvisor, every 10 s  last showed about 412 MiB (20 %)  chance to see the burst 4 %\n"
            "             metrics-server, every 15 s  last showed about 412 MiB (20 %)\n"
            "             chance to see the burst 2 %\n"
            "  evidence   complete · charges page_counter · oom oom_kill_process + mark_victim · lost 0\n"
            "\n");
}

// The incident of the example, whose main process was killed, told once more.
Incident told_again(RuntimeState state) {
  Incident out = oom_incident();
  out.update = "runtime_state";
  out.victims[0].main_process = true;
  out.container.state = std::move(state);
  return out;
}

TEST_F(TextInUtc, TheRuntimesWordsBesideTheKernelsDeeds) {
  Incident incident = told_again({.status = "exited", .exit_code = 137, .oom_killed = false, .restart_count = 1});
  incident.container.state->finished_unix_ns = incident.unix_ns + 12'000'000;
  const std::string text = plain(incident);
  EXPECT_THAT(text, HasSubstr("  RUNTIME SAYS   web   docker b5d635627bb8"));
  EXPECT_THAT(text, HasSubstr("  state      exited · exit code 137 · OOMKilled false · restarted 1 time · ended "
                              "09:35:43.853\n"
                              "  kernel     its OOM killer killed the main process, python[5943]\n"
                              "  incident   "));
  EXPECT_THAT(text, HasSubstr(incident.id));
  EXPECT_THAT(text, Not(HasSubstr("evidence"))) << "the rest was told before";
}

TEST(Text, ARuntimesOomKilledNeedNotBeTheMainProcess) {
  Incident incident = told_again({.status = "exited", .exit_code = 0, .oom_killed = true});
  incident.victims[0].main_process = false;
  EXPECT_THAT(plain(incident), HasSubstr("  state      exited · exit code 0 · OOMKilled true\n"
                                         "  kernel     its OOM killer killed python[5943], not the main process\n"));
  incident.victims.push_back(incident.victims[0]);
  incident.victims[0].main_process_known = false;
  EXPECT_THAT(plain(incident), HasSubstr("  kernel     its OOM killer killed python[5943] and 1 more\n"));
  incident.container.state = RuntimeState{.status = "running", .restart_count = 3};
  EXPECT_THAT(plain(incident), HasSubstr("  state      running · restarted 3 times\n"));
}

TEST(Text, ARuntimeThatWasFasterIsInTheFirstTelling) {
  Incident incident = told_again({.status = "exited", .exit_code = 137, .oom_killed = true});
  incident.update.clear();
  EXPECT_THAT(plain(incident), Not(HasSubstr("OOMKilled"))) << "it may be of an earlier life";
  incident.container.state->finished_unix_ns = incident.unix_ns - 1'000'000'000;
  EXPECT_THAT(plain(incident), Not(HasSubstr("OOMKilled")));
  incident.container.state->finished_unix_ns = incident.unix_ns + 5'000'000;
  EXPECT_THAT(plain(incident), HasSubstr("  state      exited · exit code 137 · OOMKilled true · ended"));
}

TEST(Text, AChildMayLeaveTheContainerAlive) {
  Incident incident = oom_incident();
  incident.victims[0].main_process = false;
  EXPECT_THAT(plain(incident), HasSubstr("a child: the container may live on"));
  EXPECT_THAT(plain(incident), Not(HasSubstr("exit 137")));
  Victim main = incident.victims[0];
  main.pid = 1;
  main.main_process = true;
  incident.victims.push_back(main);
  EXPECT_THAT(plain(incident), Not(HasSubstr("live on"))) << "the main process died too";
}

TEST(Text, AChildSaysWhoseItIs) {
  Incident incident = oom_incident();
  Victim& victim = incident.victims[0];
  victim.parents = {{5912, 12, "sh", "sh -c x"}, {5900, 1, "entrypoint.sh", ""}};
  EXPECT_THAT(plain(incident), Not(HasSubstr("child of"))) << "the main process has no parent in the container";
  victim.main_process = false;
  EXPECT_THAT(plain(incident), HasSubstr("\n  child of   sh[12] → entrypoint.sh[1]\n"));
  victim.parents_complete = false;
  EXPECT_THAT(plain(incident), HasSubstr("sh[12] → entrypoint.sh[1] → …\n"));
  victim.parents[0].container_pid = 0;
  EXPECT_THAT(plain(incident), HasSubstr("sh[5912] → "));
  victim.parents.assign(8, {5912, 12, "sh", ""});
  victim.parents.back() = {5900, 1, "init", ""};
  victim.parents_complete = true;
  EXPECT_THAT(plain(incident), HasSubstr("child of   sh[12] → sh[12] → … → init[1]\n"));
  victim.parents.resize(4);
  EXPECT_THAT(plain(incident), HasSubstr("child of   sh[12] → sh[12] → sh[12] → sh[12]\n"));
  victim.parents.clear();
  EXPECT_THAT(plain(incident), Not(HasSubstr("child of")));
}

TEST(Text, WhoWasTheMainProcessMayNotBeKnown) {
  Incident incident = oom_incident();
  incident.victims[0].main_process = false;
  incident.victims[0].main_process_known = false;
  EXPECT_THAT(plain(incident), HasSubstr("main process or child: not known"));
  EXPECT_THAT(plain(incident), Not(HasSubstr("live on")));
}

TEST(Text, OutsideAContainerNothingIsSaidOfOne) {
  Incident incident = oom_incident();
  incident.container = {};
  incident.container.runtime = Runtime::kNone;
  incident.cgroup.path = "/user.slice";
  incident.victims[0].main_process = false;
  const std::string text = plain(incident);
  EXPECT_THAT(text, HasSubstr("OOM KILL   /user.slice   no container"));
  EXPECT_THAT(text, HasSubstr("memory.max of this cgroup"));
  EXPECT_THAT(text, Not(HasSubstr("live on")));
  EXPECT_THAT(text, Not(HasSubstr("exit 137")));
}

TEST(Text, ManyVictimsAreCounted) {
  Incident incident = oom_incident();
  for (std::uint32_t i = 1; i < 8; ++i) {
    incident.victims.push_back(incident.victims[0]);
    incident.victims.back().pid = 7000 + i;
  }
  const std::string text = plain(incident);
  EXPECT_THAT(text, HasSubstr("pid 7004"));
  EXPECT_THAT(text, Not(HasSubstr("pid 7005")));
  EXPECT_THAT(text, HasSubstr("+ 3 more"));
  incident.victims.resize(5);
  EXPECT_THAT(plain(incident), Not(HasSubstr("more\n")));
}

TEST(Text, SaysWhoseLimit) {
  Incident incident = oom_incident();
  incident.scope = Scope::kAncestor;
  incident.limit.cgroup_path = "/kubepods/pod1";
  EXPECT_THAT(plain(incident), HasSubstr("memory.max of an ancestor, not of this container: /kubepods/pod1"));
  EXPECT_THAT(plain(incident), HasSubstr("last showed about 418 MiB  chance")) << "no percentage of another's limit";
  incident.limit.cgroup_path.clear();
  EXPECT_THAT(plain(incident), HasSubstr("path unknown"));
  incident.container.runtime = Runtime::kContainerd;
  incident.container.pod = Pod{.uid = "1-2", .name = "web", .name_space = "shop"};
  incident.limit.cgroup_path = "/kubepods/pod1-2";
  EXPECT_THAT(plain(incident), HasSubstr("memory.max of its pod: /kubepods/pod1-2"));
  incident.container.pod.reset();
  incident.scope = Scope::kHost;
  EXPECT_THAT(plain(incident), HasSubstr("the machine's own memory was used up, no cgroup's limit"));
  incident.scope = Scope::kCpuset;
  EXPECT_THAT(plain(incident), HasSubstr("the cpuset allows"));
  incident.scope = Scope::kMempolicy;
  EXPECT_THAT(plain(incident), HasSubstr("the memory policy allows"));
}

TEST(Text, WhatIsUnknownIsSaidWithItsReason) {
  Incident incident = oom_incident();
  incident.container.name.clear();
  incident.container.image.clear();
  incident.container.unknown_reason = "Docker's socket /run/docker.sock does not exist";
  incident.container.labels.clear();
  incident.limit.bytes.reset();
  const std::string text = plain(incident);
  EXPECT_THAT(text, HasSubstr("OOM KILL   docker b5d635627bb8\n"));
  EXPECT_THAT(text, HasSubstr("  unknown    Docker's socket /run/docker.sock does not exist\n"));
  EXPECT_THAT(text, HasSubstr("  cgroup     /docker/b5d6"));
  EXPECT_THAT(text, HasSubstr("size unknown"));
  incident.container = {};
  incident.cgroup = {77, ""};
  EXPECT_THAT(plain(incident), HasSubstr("runtime unknown"));
  EXPECT_THAT(plain(incident), HasSubstr("id 77, path unknown"));
}

TEST(Text, TheTriggerIsNamedWhenItIsNotTheVictim) {
  Incident incident = oom_incident();
  EXPECT_THAT(plain(incident), Not(HasSubstr("asked by")));
  incident.trigger = Trigger{99, 100, "nginx", 3};
  EXPECT_THAT(plain(incident), HasSubstr("  asked by   nginx   pid 99"));
}

TEST(Text, ABurstHasItsOwnHeadingAndEnd) {
  Incident incident = burst_incident();
  incident.burst->peak_exact = false;
  incident.burst->end_uncertainty_ms = 9.5;
  const std::string text = plain(incident);
  EXPECT_THAT(text, HasSubstr("  BURST   web   docker"));
  EXPECT_THAT(text, HasSubstr("412 MiB → at least 2.00 GiB in 740 ms"));
  EXPECT_THAT(text, HasSubstr("fell again"));
  EXPECT_THAT(text, HasSubstr("(up to 9.50 ms less)"));
  EXPECT_THAT(text, Not(HasSubstr("killed")));
  incident.limit = {};
  EXPECT_THAT(plain(incident), HasSubstr("  limit      none known"));
}

TEST(Text, SpeedThatIsNotKnownIsLeftOut) {
  for (const double slope : {0.0, -1.0, std::numeric_limits<double>::infinity(), std::nan("")}) {
    Incident incident = burst_incident();
    incident.burst->slope_bytes_per_s = slope;
    incident.burst->duration_ms = std::numeric_limits<double>::infinity();
    EXPECT_THAT(plain(incident), Not(HasSubstr("/s)")));
  }
}

TEST(Text, SmallAndLargeChancesAreNotRoundedAway) {
  Incident incident = burst_incident();
  incident.samplers = {{"a", 1000, 0, 0.0001}, {"b", 1000, 0, 0.9999}, {"c", 1000, 0, 0}, {"d", 1500, 0, 1}};
  const std::string text = plain(incident);
  EXPECT_THAT(text, HasSubstr("chance to see the burst under 1 %"));
  EXPECT_THAT(text, HasSubstr("chance to see the burst over 99 %"));
  EXPECT_THAT(text, HasSubstr("chance to see the burst 0 %"));
  EXPECT_THAT(text, HasSubstr("d, every 1500 ms"));
  EXPECT_THAT(text, HasSubstr("chance to see the burst 100 %"));
}

TEST(Text, GapsAndLossesAreToldInFull) {
  Incident incident = oom_incident();
  const std::string gap =
      "the cgroup that was hit could not be read, so its place in the chain was inferred from usage";
  incident.evidence = {"lru+state", "mark_victim", 1, 20, false, {gap, "second gap"}};
  std::string text = plain(incident, 60);
  EXPECT_THAT(text, HasSubstr("not complete"));
  EXPECT_THAT(text, HasSubstr("lost records: 1 critical, 20 bulk"));
  for (std::size_t i = text.find("\n             "); i != std::string::npos; i = text.find("\n             ")) {
    text.replace(i, 14, " ");
  }
  EXPECT_THAT(text, HasSubstr(gap));
  EXPECT_THAT(text, HasSubstr("- second gap"));
}

TEST(Text, EveryLineKeepsWithinTheColumns) {
  std::vector<Incident> incidents = {oom_incident(), burst_incident(), hostile_incident()};
  Incident wide = oom_incident();
  wide.container.name.clear();
  for (int i = 0; i < 50; ++i) {
    wide.container.name += "日本🐳";
  }
  incidents.push_back(wide);
  for (const auto& incident : incidents) {
    for (const std::size_t columns : {0UL, 60UL, 61UL, 79UL, 80UL, 100UL, 200UL}) {
      for (const bool color : {false, true}) {
        for (auto line : lines(without_color(to_text(incident, {color, columns})))) {
          ASSERT_LE(display_width(line), std::max(columns, 60UL)) << line;
          std::ranges::replace(line, '\\', '/');  // of our own escapes, which would be escaped again
          ASSERT_EQ(escape_terminal(line), line);
        }
      }
    }
  }
}

TEST(Text, ColourIsNeverNeededToUnderstand) {
  for (const auto& incident : {oom_incident(), burst_incident(), hostile_incident()}) {
    EXPECT_EQ(without_color(to_text(incident, {true, 80})), to_text(incident, {false, 80}));
  }
  EXPECT_THAT(to_text(oom_incident(), {true, 80}), HasSubstr("\x1b[1;31mOOM KILL\x1b[0m"));
  EXPECT_THAT(to_text(burst_incident(), {true, 80}), HasSubstr("\x1b[33mBURST\x1b[0m"));
  EXPECT_EQ(to_text(oom_incident(), {false, 80}).find('\x1b'), std::string::npos);
}

TEST(Text, EndsWithAnEmptyLine) {
  for (const auto& incident : {oom_incident(), burst_incident(), Incident{}}) {
    const std::string text = plain(incident);
    ASSERT_GE(text.size(), 2);
    EXPECT_EQ(text.substr(text.size() - 2), "\n\n");
    EXPECT_EQ(text.find("\n\n"), text.size() - 2);
    EXPECT_EQ(text.find(" \n"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace memcrest
