// SPDX-License-Identifier: Apache-2.0
#include "incident/log_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/event_builder.h"

namespace memcrest {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

// A report about process 10 in /pod/web.
LogOomEvent report(std::string limit_path, std::uint64_t time_ns = 4_ms) {
  LogOomEvent out;
  out.time_ns = time_ns;
  out.trigger_comm = "hog";
  out.trigger_pid = 10;
  out.gfp_mask = 0xcc0;
  out.order = 0;
  out.constraint = Constraint::kMemcg;
  out.memcg = true;
  out.limit_path = std::move(limit_path);
  out.victim_path = "/pod/web";
  out.memory = LogCounter{64_MiB, 64_MiB, 14};
  out.stats = {{"anon", 60_MiB}};
  out.victims = {{.pid = 10,
                  .comm = "hog",
                  .uid = 1000,
                  .oom_score_adj = 5,
                  .anon_bytes = 60_MiB,
                  .file_bytes = 0,
                  .shmem_bytes = 0,
                  .pagetable_bytes = 4096}};
  return out;
}

VictimEvent in_pod(std::uint64_t time_ns) {
  return victim(time_ns, task(10),
                chain({memcg(100, 64_MiB, 64_MiB, "web"), memcg(50, 64_MiB, 64_MiB, "pod"), memcg(1, 2_GiB)}));
}

OomSettings with_log() { return {.log_wait = std::chrono::milliseconds(60)}; }

TEST(LogReport, JoinsTheVictimThatAHookSaw) {
  for (const bool log_first : {true, false}) {
    OomAssembler assembler(with_log());
    if (log_first) {
      assembler.feed(report("/pod"));
    }
    assembler.feed(in_pod(5_ms));
    EXPECT_THAT(assembler.take(8_ms), IsEmpty());
    if (!log_first) {
      assembler.feed(report("/pod"));
    }
    const auto found = assembler.take(40_ms);
    ASSERT_THAT(found, SizeIs(1)) << "joined: it need not wait for the log any more";
    EXPECT_EQ(found[0].time_ns, 5_ms);
    EXPECT_EQ(found[0].order, 0);
    EXPECT_EQ(found[0].gfp_mask, 0xccU << 4U);
    EXPECT_EQ(found[0].scope, Scope::kAncestor);
    EXPECT_EQ(found[0].hit->cgroup_id, 50U) << "both were full: the log knows which one was hit";
    EXPECT_THAT(found[0].gaps, IsEmpty());
    EXPECT_FALSE(found[0].log_only);
    EXPECT_THAT(assembler.take(10'000_ms), IsEmpty()) << "told once";
  }
}

TEST(LogReport, WithoutOneInTimeTheFindingSaysSo) {
  OomAssembler assembler(with_log());
  assembler.feed(in_pod(5_ms));
  EXPECT_EQ(assembler.deadline(), 65_ms);
  const auto found = assembler.take(65_ms);
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_THAT(found[0].gaps, Contains(HasSubstr("kernel log")));
  // It comes late: the OOM was told, and is not told again.
  assembler.feed(report("/pod", 70_ms));
  EXPECT_THAT(assembler.take(10'000_ms), IsEmpty());
}

TEST(LogReport, ALostVictimIsToldByTheLogAlone) {
  OomAssembler assembler(with_log());
  assembler.feed(report("/pod/web"));
  EXPECT_THAT(assembler.take(500_ms), IsEmpty());
  const auto found = assembler.take(1'100_ms);
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_TRUE(found[0].log_only);
  EXPECT_THAT(found[0].gaps, Contains(HasSubstr("lost")));
}

TEST(LogReport, StandsForItselfWhereNoHookLooks) {
  OomAssembler assembler;
  assembler.feed(report("/pod/web"));
  const auto found = assembler.take(5_ms);
  ASSERT_THAT(found, SizeIs(1));
  const OomFinding& finding = found[0];
  EXPECT_EQ(finding.scope, Scope::kMemcg);
  EXPECT_EQ(finding.victim_path, "/pod/web");
  EXPECT_EQ(finding.limit_path, "/pod/web");
  EXPECT_EQ(finding.hit->limit_bytes, 64_MiB);
  ASSERT_THAT(finding.victims, SizeIs(1));
  EXPECT_EQ(finding.victims[0].task.process.tgid, 10U);
  EXPECT_EQ(finding.victims[0].task.uid, 1000U);
  EXPECT_EQ(finding.victims[0].anon_bytes, 60_MiB);
  EXPECT_EQ(finding.trigger->comm, "hog");
  EXPECT_THAT(finding.gaps, SizeIs(1)) << "who shared the victim's memory";
}

TEST(LogReport, AReportThatKilledNobodyIsNoSecondOom) {
  LogOomEvent log = report("/pod/web");
  log.victims.clear();
  log.gaps = {"the task was exiting already"};
  OomAssembler assembler(with_log());
  assembler.feed(log);
  EXPECT_THAT(assembler.take(10'000_ms), IsEmpty());
  OomAssembler alone;
  alone.feed(log);
  EXPECT_THAT(alone.take(10'000_ms), SizeIs(1)) << "the line that names the victim may be what is missing";
  log.killed_nobody = true;
  alone.feed(log);
  EXPECT_THAT(alone.take(20'000_ms), IsEmpty());
}

TEST(LogReport, AKillWithoutItsReportDoesNotGuessTheLimit) {
  LogOomEvent log = report("");
  log.constraint.reset();
  log.memory.reset();
  log.victim_path.clear();
  log.gaps = {"the report was left out by the kernel's rate limit"};
  const OomFinding finding = finding_of(log);
  EXPECT_EQ(finding.scope, Scope::kMemcg);
  EXPECT_FALSE(finding.hit);
  EXPECT_THAT(finding.gaps, SizeIs(3));
}

TEST(LogReport, AReportThatWasCutLeavesAGapInTheHooksFindingToo) {
  LogOomEvent log = report("");
  log.constraint.reset();
  log.memory.reset();
  log.order.reset();
  log.gfp_mask.reset();
  OomAssembler assembler(with_log());
  assembler.feed(in_pod(5_ms));
  assembler.feed(log);
  const auto found = assembler.take(40_ms);
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_THAT(found[0].gaps, testing::Contains(testing::HasSubstr("order and gfp mask")));
}

TEST(LogReport, ConstraintsBecomeScopes) {
  for (const auto& [constraint, scope] : {std::pair{Constraint::kNone, Scope::kHost},
                                          {Constraint::kCpuset, Scope::kCpuset},
                                          {Constraint::kMemoryPolicy, Scope::kMempolicy}}) {
    LogOomEvent log = report("");
    log.memcg = false;
    log.memory.reset();
    log.constraint = constraint;
    OomAssembler assembler(with_log());
    assembler.feed(in_pod(5_ms));  // its own limit looks full, and was not what was hit
    assembler.feed(log);
    const auto found = assembler.take(40_ms);
    ASSERT_THAT(found, SizeIs(1));
    EXPECT_EQ(found[0].scope, scope);
    EXPECT_FALSE(found[0].hit);
  }
}

TEST(LogReport, WhereNoLimitIsFullTheLogIsWaitedForLonger) {
  OomSettings settings = with_log();
  settings.host_log_wait = std::chrono::milliseconds(1000);
  OomAssembler assembler(settings);
  assembler.feed(victim(5_ms, task(10), chain({memcg(100, 30_MiB, 64_MiB), memcg(1, 2_GiB)})));
  EXPECT_EQ(assembler.deadline(), 1'005_ms);
  EXPECT_THAT(assembler.take(900_ms), IsEmpty());
  LogOomEvent log = report("", 900_ms);
  log.memcg = false;
  log.memory.reset();
  log.constraint = Constraint::kMemoryPolicy;
  assembler.feed(log);
  const auto found = assembler.take(901_ms);
  ASSERT_THAT(found, SizeIs(1)) << "nothing more can come";
  EXPECT_EQ(found[0].scope, Scope::kMempolicy);
}

TEST(LogReport, SysrqIsOrderMinusOne) {
  LogOomEvent log = report("");
  log.order = -1;
  log.constraint = Constraint::kNone;
  EXPECT_TRUE(finding_of(log).sysrq);
}

TEST(LogReport, MemoryAndSwapTogetherMayBeWhatIsFull) {
  LogOomEvent log = report("/pod/web");
  log.memory = LogCounter{40_MiB, 64_MiB, 0};
  log.memsw = LogCounter{80_MiB, 80_MiB, 9};
  const OomFinding finding = finding_of(log);
  EXPECT_TRUE(finding.memsw_hit);
  EXPECT_EQ(finding.hit->swap_limit_bytes, 80_MiB);
  log.memory = LogCounter{64_MiB, 64_MiB, 5};
  EXPECT_TRUE(finding_of(log).memsw_hit) << "the kernel charges against it first";
  log.memsw = LogCounter{64_MiB, 65_MiB, 0};
  EXPECT_FALSE(finding_of(log).memsw_hit) << "no swap is in use: the two limits are just near each other";
  log.memsw = LogCounter{64_MiB, 64_MiB, 9};
  EXPECT_FALSE(finding_of(log).memsw_hit) << "the same limit";
}

TEST(LogReport, WhoSharedAVictimsMemoryIsNotInIt) {
  EXPECT_THAT(finding_of(report("/pod")).gaps, testing::Contains(testing::HasSubstr("shared its memory")));
}

TEST(LogReport, ANameThatDoesNotFitIsNotTakenForTheLimit) {
  LogOomEvent log = report("/other");  // as many levels up as "pod", and another name
  OomFinding finding;
  finding.victims = {in_pod(5_ms)};
  add_report(finding, log);
  ASSERT_TRUE(finding.hit);
  EXPECT_EQ(finding.hit->cgroup_id, 0U) << "from the log's own figures";
  EXPECT_EQ(finding.limit_path, "/other");
}

TEST(OomAssemblerMemsw, FullMemoryAndSwapIsFoundOnVersionOne) {
  MemcgState own = memcg(100, 40_MiB, 64_MiB);
  own.swap_usage_bytes = 80_MiB;
  own.swap_limit_bytes = 80_MiB;
  for (const bool memsw : {true, false}) {
    OomAssembler assembler({.memsw = memsw});
    assembler.feed(victim(5_ms, task(10), chain({own, memcg(1, 2_GiB)})));
    const auto found = assembler.take(1'000_ms);
    ASSERT_THAT(found, SizeIs(1));
    EXPECT_EQ(found[0].memsw_hit, memsw);
    EXPECT_EQ(found[0].scope, memsw ? Scope::kMemcg : Scope::kHost);
  }
}

}  // namespace
}  // namespace memcrest
