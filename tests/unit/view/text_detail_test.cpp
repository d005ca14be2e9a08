// SPDX-License-Identifier: Apache-2.0
// The rows that only some kinds of incident have: text_who and text_full.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <vector>

#include "support/detail_builder.h"
#include "util/text.h"
#include "view/text.h"

namespace memcrest {
namespace {

using testing::HasSubstr;
using testing::Not;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

std::string plain(const Incident& incident, std::size_t columns = 120) { return to_text(incident, {false, columns}); }

// From the second line on: the heading has the local time.
std::string below_heading(const Incident& incident, std::size_t columns = 110) {
  const std::string text = plain(incident, columns);
  return text.substr(text.find('\n') + 1);
}

TEST(TextDetail, StuckUnderOomIsNoKill) {
  Incident incident = stuck_incident();
  EXPECT_THAT(plain(incident), HasSubstr("  STUCK UNDER OOM   web   docker"));
  EXPECT_THAT(plain(incident), Not(HasSubstr("OOM KILL")));
  EXPECT_EQ(
      below_heading(incident),
      "  stuck      3 tasks, for 3.20 s so far\n"
      "             python[5943], 2 threads · sh[6001]\n"
      "             memory.oom_control has oom_kill_disable set: nobody is killed, tasks wait until memory is freed\n"
      "  limit      2.00 GiB  memory.limit_in_bytes of this container   in use 2.00 GiB\n"
      "  evidence   complete · charges page_counter · oom oom_kill_process + mark_victim · lost 0\n"
      "\n");
  incident.stuck->total_tasks = 70;
  EXPECT_THAT(plain(incident), HasSubstr("sh[6001] · + 67 tasks\n"));
  incident.stuck->tasks.clear();
  EXPECT_THAT(plain(incident), HasSubstr("70 tasks, for 3.20 s so far\n             memory.oom_control"));
}

TEST(TextDetail, StuckUnderOomThatIsOverSaysSo) {
  const std::string text = plain(stuck_incident(false));
  EXPECT_THAT(text, HasSubstr("  NO LONGER STUCK UNDER OOM   web"));
  EXPECT_THAT(text, HasSubstr("3 tasks, for 3.20 s: over now\n"));
  EXPECT_THAT(to_text(stuck_incident(true), {true, 80}), HasSubstr("\x1b[1;31mSTUCK UNDER OOM\x1b[0m"));
  EXPECT_THAT(to_text(stuck_incident(false), {true, 80}), HasSubstr("\x1b[33mNO LONGER STUCK UNDER OOM\x1b[0m"));
}

TEST(TextDetail, MemoryRefused) {
  Incident incident = refused_incident();
  EXPECT_THAT(plain(incident), HasSubstr("  MEMORY REFUSED   web   docker"));
  EXPECT_EQ(below_heading(incident),
            "  refused    12 times in 3.20 s   the caller got ENOMEM, nobody was killed\n"
            "             the last one asked for 4.00 KiB in __alloc_skb\n"
            "  asked by   python   pid 5943, whose request was the last one refused\n"
            "  limit      2.00 GiB  memory.max of this container   in use 2.00 GiB\n"
            "  evidence   complete · charges page_counter · oom oom_kill_process + mark_victim · lost 0\n"
            "\n");
  incident.charge_failure->count = 1;
  incident.charge_failure->at_least = true;
  incident.charge_failure->error_name.clear();
  incident.charge_failure->error = 133;
  incident.charge_failure->function.clear();
  EXPECT_THAT(plain(incident), HasSubstr("  refused    at least 1 time   the caller got error 133, nobody was killed\n"
                                         "             asked for 4.00 KiB\n"));
  incident.charge_failure->error = 0;
  EXPECT_THAT(plain(incident), HasSubstr("the caller got an error, nobody"));
}

TEST(TextDetail, KillsWithoutKnownVictims) {
  Incident incident = oom_incident();
  incident.victims.clear();
  incident.oom = OomDetail{};
  EXPECT_THAT(plain(incident), Not(HasSubstr("killed    ")));
  incident.oom->kills = 0;
  EXPECT_THAT(plain(incident), Not(HasSubstr("killed    ")));
  incident.oom->kills = 1;
  EXPECT_THAT(plain(incident), HasSubstr("  killed     1 process, by the cgroup's own count; nothing told which\n"));
  incident.oom->kills = 3;
  incident.oom->group_kill = true;
  EXPECT_THAT(plain(incident),
              HasSubstr("  killed     3 processes, by the cgroup's own count; nothing told which\n"
                        "             memory.oom.group is set: all processes of the cgroup at once\n"));
}

TEST(TextDetail, AskedForBySysrq) {
  Incident incident = oom_incident();
  incident.scope = Scope::kHost;
  incident.limit = {16_GiB, "host", ""};
  incident.trigger = Trigger{9, 9, "kworker/0:1", 0};
  incident.oom = OomDetail{};
  incident.oom->sysrq = true;
  const std::string text = plain(incident);
  EXPECT_THAT(text, HasSubstr("asked for by sysrq-f: nothing was exhausted"));
  EXPECT_THAT(text, Not(HasSubstr("used up")));
  EXPECT_THAT(text, Not(HasSubstr("kworker"))) << "carried it out, which tells nobody anything";
}

TEST(TextDetail, ALoweredLimitNamesWhoDidIt) {
  Incident incident = oom_incident();
  incident.oom = OomDetail{};
  incident.oom->limit_lowered = true;
  incident.trigger = Trigger{77, 77, "runc", 0};
  EXPECT_THAT(plain(incident), HasSubstr("  lowered by runc   pid 77, who set the limit below what was in use\n"));
  EXPECT_THAT(plain(incident), HasSubstr("memory.max of this container   was lowered below what was in use"));
  incident.trigger->pid = incident.victims[0].pid;
  EXPECT_THAT(plain(incident), HasSubstr("  lowered by runc")) << "also when it is the one that was killed for it";
}

TEST(TextDetail, TimeLostInReclaim) {
  Incident incident = oom_incident();
  incident.reclaim = ReclaimStall{10'000, 1200, 300};
  EXPECT_THAT(plain(incident), HasSubstr("  stalled    waited 1.20 s in direct reclaim, 300 ms for memory.high, "
                                         "in the 10 s before\n"));
  incident.reclaim = ReclaimStall{8'734.5, 0, 300};
  EXPECT_THAT(plain(incident), HasSubstr("  stalled    waited 300 ms for memory.high, in the 8.73 s before\n"));
  incident.reclaim = ReclaimStall{1'000, 8'000, 0};
  EXPECT_THAT(plain(incident), HasSubstr("waited 8.00 s in direct reclaim, in the 1 s before (all tasks added up)\n"));
  const double nan = std::nan("");
  for (const ReclaimStall& none :
       {ReclaimStall{}, ReclaimStall{10'000, 0, 0}, ReclaimStall{nan, nan, nan}, ReclaimStall{10'000, -1, -1}}) {
    incident.reclaim = none;
    EXPECT_THAT(plain(incident), Not(HasSubstr("stalled")));
  }
  incident.reclaim = ReclaimStall{nan, 5, nan};
  EXPECT_THAT(plain(incident), HasSubstr("waited 5.00 ms in direct reclaim, in the 0 s before"));
}

TEST(TextDetail, SwapWhereItIsLimited) {
  Incident incident = oom_incident();
  incident.swap = Swap{};
  EXPECT_THAT(plain(incident), Not(HasSubstr("swap     ")));
  incident.swap->usage_bytes = 1_GiB;
  EXPECT_THAT(plain(incident), Not(HasSubstr("swap     "))) << "no limit, so it was not what ran out";
  incident.swap = Swap{512_MiB, 512_MiB, "memory.swap.max"};
  EXPECT_THAT(plain(incident), HasSubstr("  swap       512 MiB of 512 MiB (full)  memory.swap.max\n"));
  incident.swap = Swap{1_MiB, 4_GiB, "memory.memsw.limit_in_bytes"};
  EXPECT_THAT(plain(incident), HasSubstr("  swap       1.00 MiB of 4.00 GiB (under 1 %)  memory.memsw.limit_in_bytes: "
                                         "memory and swap together\n"));
  incident.swap = Swap{std::nullopt, 4_GiB, ""};
  EXPECT_THAT(plain(incident), HasSubstr("  swap       limited to 4.00 GiB  its limit\n"));
  incident.swap = Swap{0, 0, "memory.swap.max"};
  EXPECT_THAT(plain(incident), HasSubstr("  swap       none allowed  memory.swap.max is 0\n"));
}

TEST(TextDetail, WhoHoldsTheMachinesMemory) {
  Incident incident = host_incident();
  incident.burst.reset();
  incident.samplers.clear();
  EXPECT_THAT(plain(incident), HasSubstr("  holds      7.00 GiB  c1  docker aaaaaaaaaaaa\n"
                                         "             6.00 GiB  c2  docker aaaaaaaaaaaa\n"
                                         "             1.00 MiB  /system.slice/cron.service\n"
                                         "             5.00 GiB  c3  docker aaaaaaaaaaaa\n"
                                         "             4.00 GiB  c4  docker aaaaaaaaaaaa\n"
                                         "  grew most  + 2.00 GiB in 10 s  c6  docker aaaaaaaaaaaa\n"
                                         "             + 1.50 GiB  c5  docker aaaaaaaaaaaa\n"
                                         "             + 1.00 GiB  c4  docker aaaaaaaaaaaa\n"
                                         "  evidence"));
  for (RankedCgroup& ranked : incident.ranking->by_growth) {
    ranked.growth_bytes = std::min<std::int64_t>(ranked.growth_bytes, 0);
  }
  EXPECT_THAT(plain(incident), Not(HasSubstr("grew most"))) << "a fall is no growth";
  incident.ranking->incomplete = "12 cgroups could not be read";
  EXPECT_THAT(plain(incident), HasSubstr("             - may be wrong: 12 cgroups could not be read\n"));
  incident.ranking->by_usage.clear();
  EXPECT_THAT(plain(incident), HasSubstr("  holds      - may be wrong: 12"));
  RankedCgroup bare;
  bare.cgroup.id = 12;
  incident.ranking->by_usage = {bare};
  EXPECT_THAT(plain(incident), HasSubstr("  holds      0 B  cgroup id 12\n"));
  incident.ranking->by_usage[0].runtime = Runtime::kContainerd;
  incident.ranking->by_usage[0].container_id = std::string(64, 'b');
  EXPECT_THAT(plain(incident), HasSubstr("  holds      0 B  bbbbbbbbbbbb  containerd\n"));
  incident.ranking->by_usage[0].container_name = "app";
  incident.ranking->by_usage[0].pod_name = "web-7d4b9c-x2x1z";
  incident.ranking->by_usage[0].pod_namespace = "shop";
  EXPECT_THAT(plain(incident),
              HasSubstr("  holds      0 B  app  containerd bbbbbbbbbbbb · pod shop/web-7d4b9c-x2x1z\n"));
  incident.ranking->by_usage[0].pod_namespace.clear();
  EXPECT_THAT(plain(incident), HasSubstr(" · pod web-7d4b9c-x2x1z\n"));
}

TEST(TextDetail, ABreakpointSaysWhoCrossedItAndWhatIsDone) {
  const std::string text = plain(breakpoint_incident());
  EXPECT_THAT(text, HasSubstr("BREAKPOINT   web"));
  EXPECT_THAT(text, HasSubstr("  line       96.0 MiB  75%   passed by 64.0 KiB\n"));
  EXPECT_THAT(text, HasSubstr("  crossed by worker-3   pid 5943 (7 in the container), thread 5950\n"));
  EXPECT_THAT(text, HasSubstr("  in         read_csv → realloc\n"));
  EXPECT_THAT(text, HasSubstr("  action     stopped before it ran another instruction for at most 30.0 s\n"));
  EXPECT_THAT(text, HasSubstr("  processes  90.0 MiB  python app.py   pid 5943 (7 in the container) · held\n"));
  EXPECT_THAT(text, HasSubstr("             size unknown  sh   pid 6001\n             and 10 more\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("asked by")));
}

TEST(TextDetail, TheEndOfABreakpointIsToldAlone) {
  Incident over = breakpoint_incident();
  over.update = "breakpoint";
  over.breakpoint->outcome = "resumed after 30.0 s";
  over.breakpoint->held_ms = 30'000;
  over.breakpoint->output = "/var/tmp/x";
  const std::string text = plain(over);
  EXPECT_THAT(text, HasSubstr("BREAKPOINT OVER   web"));
  EXPECT_THAT(text, HasSubstr("  outcome    resumed after 30.0 s\n"));
  EXPECT_THAT(text, HasSubstr("  written to /var/tmp/x\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("  limit")));
}

TEST(TextDetail, ASignalThatCouldNotBeSentFromTheChargeIsTold) {
  Incident incident = breakpoint_incident();
  incident.breakpoint->error = 16;
  EXPECT_THAT(plain(incident), HasSubstr("SIGSTOP could not be sent from the charge: Device or resource busy"));
}

TEST(TextDetail, HostileAndHugeValuesStayInTheirLines) {
  Incident swollen = hostile_detail();
  swollen.victims.clear();
  swollen.oom->limit_lowered = false;
  Incident refused = hostile_detail();
  refused.kind = IncidentKind::kChargeFailure;
  Incident over = hostile_detail();
  over.update = "breakpoint";
  for (const Incident& incident : {hostile_detail(), swollen, refused, stuck_incident(), host_incident(), over}) {
    for (const std::size_t columns : {60UL, 79UL, 120UL}) {
      std::istringstream stream(plain(incident, columns));
      for (std::string line; std::getline(stream, line);) {
        ASSERT_LE(display_width(line), std::max(columns, 60UL)) << line;
        std::ranges::replace(line, '\\', '/');  // of our own escapes, which would be escaped again
        ASSERT_EQ(escape_terminal(line), line);
      }
    }
  }
}

}  // namespace
}  // namespace memcrest
