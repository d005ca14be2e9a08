// SPDX-License-Identifier: Apache-2.0
#include "incident/oom_assembler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/event_builder.h"

namespace memcrest {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

constexpr std::uint64_t kLater = 1'000'000'000'000;

// A container (100) in a parent (50) under the root (1).
MemcgChain own_limit_full() { return chain({memcg(100, 64_MiB, 64_MiB), memcg(50, 300_MiB), memcg(1, 2_GiB)}); }
MemcgChain parent_full() { return chain({memcg(100, 30_MiB, 64_MiB), memcg(50, 128_MiB, 128_MiB), memcg(1, 2_GiB)}); }

OomEvent control(std::uint64_t time_ns, TaskInfo trigger, Constraint constraint, std::uint64_t memcg_id = 0) {
  OomEvent out;
  out.time_ns = time_ns;
  out.trigger = std::move(trigger);
  out.constraint = constraint;
  out.memcg_id = memcg_id;
  return out;
}

OomFinding only(const VictimEvent& event, OomAssembler assembler = OomAssembler()) {
  assembler.feed(event);
  auto found = assembler.take(kLater);
  EXPECT_EQ(found.size(), 1);
  return found.empty() ? OomFinding{} : found.front();
}

std::vector<std::uint32_t> pids(const OomFinding& finding) {
  std::vector<std::uint32_t> out;
  for (const auto& one : finding.victims) {
    out.push_back(one.task.process.tgid);
  }
  return out;
}

TEST(OomAssembler, OwnLimit) {
  const auto finding = only(victim(5_ms, task(10), own_limit_full()));
  EXPECT_EQ(finding.time_ns, 5_ms);
  EXPECT_EQ(finding.scope, Scope::kMemcg);
  EXPECT_EQ(finding.victim_cgroup_id, 100);
  ASSERT_TRUE(finding.hit);
  EXPECT_EQ(finding.hit->cgroup_id, 100);
  ASSERT_TRUE(finding.own);
  EXPECT_EQ(finding.own->cgroup_id, 100);
  ASSERT_TRUE(finding.trigger);
  EXPECT_EQ(finding.trigger->process.tgid, 10);
  EXPECT_FALSE(finding.group_kill);
  EXPECT_THAT(finding.gaps, ElementsAre(HasSubstr("order and gfp mask"))) << "nothing told them";
}

TEST(OomAssembler, ASecondKillByTheSameThreadKeepsItsSibling) {
  OomAssembler assembler;
  assembler.feed(victim(1_ms, task(10), own_limit_full()));
  auto second = victim(10_ms, task(20), own_limit_full());
  second.trigger = victim(1_ms, task(10), {}).trigger;
  assembler.feed(second);
  KillEvent kill;
  kill.time_ns = 11_ms;
  kill.sender = second.trigger;
  kill.target = task(21);
  kill.from_kernel = true;
  assembler.feed(kill);
  const auto found = assembler.take(1'000_ms);
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_THAT(found[0].siblings, IsEmpty());
  EXPECT_THAT(found[1].siblings, SizeIs(1));
}

TEST(OomAssembler, ParentsLimit) {
  const auto finding = only(victim(5_ms, task(10), parent_full()));
  EXPECT_EQ(finding.scope, Scope::kAncestor);
  ASSERT_TRUE(finding.hit);
  EXPECT_EQ(finding.hit->cgroup_id, 50);
  EXPECT_EQ(finding.own->cgroup_id, 100);
}

TEST(OomAssembler, UsageMayStandABatchPerThreadBelowTheLimit) {
  const auto finding = only(victim(1, task(10), chain({memcg(100, 64_MiB - 7 * (64 << 12), 64_MiB), memcg(1, 2_GiB)})));
  EXPECT_EQ(finding.scope, Scope::kMemcg);
  EXPECT_TRUE(finding.hit);
}

TEST(OomAssembler, ABatchHasTheKernelsPages) {
  const auto event = victim(1, task(10), chain({memcg(100, 64_MiB - 7 * (64 << 14), 64_MiB), memcg(1, 2_GiB)}));
  EXPECT_FALSE(only(event).hit);
  EXPECT_TRUE(only(event, OomAssembler({.page_size = 16384})).hit);
}

TEST(OomAssembler, ATinyLimitIsNotAlwaysFull) {
  const auto finding = only(victim(1, task(10), chain({memcg(100, 1 << 20, 3_MiB), memcg(50, 64_MiB, 64_MiB)})));
  EXPECT_EQ(finding.hit->cgroup_id, 50);
}

TEST(OomAssembler, BothFullTheRaisedCounterDecides) {
  OomAssembler assembler;
  auto both = chain({memcg(100, 64_MiB, 64_MiB), memcg(50, 128_MiB, 128_MiB)});
  both.entries[1].oom_events = 1;
  assembler.feed(victim(1_ms, task(10), both));
  // The parent's counter is the same next time: it was the container's own limit then.
  both.entries[0].oom_events = 1;
  assembler.feed(victim(100_ms, task(11), both));
  const auto found = assembler.take(kLater);
  ASSERT_EQ(found.size(), 2);
  EXPECT_EQ(found[0].hit->cgroup_id, 50);
  EXPECT_EQ(found[1].hit->cgroup_id, 100);
}

TEST(OomAssembler, BothFullAndNoCounterTheInnermostIsTaken) {
  EXPECT_EQ(only(victim(1, task(10), chain({memcg(100, 64_MiB, 64_MiB), memcg(50, 128_MiB, 128_MiB)}))).hit->cgroup_id,
            100);
}

TEST(OomAssembler, TheStackSaysThatItWasTheHost) {
  auto event = victim(1, task(10), own_limit_full());
  event.memcg_oom = false;
  const auto finding = only(event);
  EXPECT_EQ(finding.scope, Scope::kHost);
  EXPECT_FALSE(finding.hit);
  EXPECT_THAT(finding.gaps, ElementsAre(HasSubstr("order and gfp mask"), HasSubstr("memory policy")));
}

TEST(OomAssembler, TheStackSaysACgroupButNoneIsFull) {
  auto event = victim(1, task(10), chain({memcg(100, 30_MiB, 64_MiB), memcg(50, 100_MiB, 128_MiB), memcg(1, 2_GiB)}));
  event.memcg_oom = true;
  auto finding = only(event);
  ASSERT_TRUE(finding.hit);
  EXPECT_EQ(finding.hit->cgroup_id, 50) << "the fuller one";
  EXPECT_THAT(finding.gaps, Contains(HasSubstr("inferred")));
  event.chain.entries[0].oom_events = 3;
  finding = only(event);
  EXPECT_EQ(finding.hit->cgroup_id, 100) << "a raised counter says more than a ratio";
  EXPECT_EQ(finding.scope, Scope::kMemcg);
}

TEST(OomAssembler, NothingFullAndNoStackIsTheHostAndAGap) {
  const auto finding = only(victim(1, task(10), chain({memcg(100, 30_MiB, 64_MiB), memcg(1, 2_GiB)})));
  EXPECT_EQ(finding.scope, Scope::kHost);
  EXPECT_THAT(finding.gaps, Contains(HasSubstr("inferred")));
}

TEST(OomAssembler, ACutChainIsAGapOnlyWhereItMatters) {
  auto event = victim(1, task(10), chain({memcg(100, 30_MiB, 64_MiB)}));
  event.chain.total = 20;
  EXPECT_THAT(only(event).gaps, IsSupersetOf({HasSubstr("inferred"), HasSubstr("not all cgroups")}));
  event.chain = own_limit_full();
  event.chain.total = 20;
  EXPECT_THAT(only(event).gaps, Not(Contains(HasSubstr("not all cgroups"))));
}

TEST(OomAssembler, AnEmptyChainIsHarmless) {
  const auto finding = only(victim(1, task(10), {}));
  EXPECT_EQ(finding.scope, Scope::kHost);
  EXPECT_FALSE(finding.own);
  EXPECT_FALSE(finding.gaps.empty());
}

TEST(OomAssembler, OomControlDecidesWhereItIsSeen) {
  struct Case {
    Constraint constraint;
    std::uint64_t memcg_id;
    Scope scope;
    std::uint64_t hit;
  };
  for (const auto& [constraint, memcg_id, scope, hit] :
       {Case{Constraint::kMemcg, 100, Scope::kMemcg, 100}, Case{Constraint::kMemcg, 50, Scope::kAncestor, 50},
        Case{Constraint::kCpuset, 0, Scope::kCpuset, 0}, Case{Constraint::kMemoryPolicy, 0, Scope::kMempolicy, 0},
        Case{Constraint::kNone, 0, Scope::kHost, 0}}) {
    OomAssembler assembler;
    assembler.feed(control(1_ms, task(10), constraint, memcg_id));
    assembler.feed(victim(1_ms + 20_us, task(10), own_limit_full()));
    const auto found = assembler.take(kLater);
    ASSERT_EQ(found.size(), 1);
    EXPECT_EQ(found[0].scope, scope);
    EXPECT_EQ(found[0].hit ? found[0].hit->cgroup_id : 0, hit);
    EXPECT_EQ(found[0].time_ns, 1_ms) << "of the first record";
    EXPECT_TRUE(found[0].control);
    EXPECT_THAT(found[0].gaps, IsEmpty());
  }
}

TEST(OomAssembler, TheHitCgroupMayBeInTheControlRecordOnly) {
  OomAssembler assembler;
  auto oom = control(1_ms, task(10), Constraint::kMemcg, 7);
  oom.chain = chain({memcg(7, 1_GiB, 1_GiB)});
  assembler.feed(oom);
  assembler.feed(victim(2_ms, task(10), own_limit_full()));
  EXPECT_EQ(assembler.take(kLater)[0].hit->cgroup_id, 7);
}

TEST(OomAssembler, AnothersControlRecordIsNotTaken) {
  OomAssembler assembler;
  assembler.feed(control(1_ms, task(99), Constraint::kNone));
  assembler.feed(control(5_ms, task(10), Constraint::kNone));  // later than the victim
  assembler.feed(victim(2_ms, task(10), own_limit_full()));
  const auto found = assembler.take(kLater);
  ASSERT_EQ(found.size(), 1);
  EXPECT_FALSE(found[0].control);
  EXPECT_EQ(found[0].scope, Scope::kMemcg);
}

TEST(OomAssembler, AVictimMarkedTwiceIsOne) {
  OomAssembler assembler;
  for (std::uint64_t i = 0; i < 4; ++i) {  // several threads of the victim that are about to exit
    auto who = thread_of(task(10), static_cast<std::uint32_t>(10 + i));
    assembler.feed(victim(1_ms + i * 300_us, who, own_limit_full(), who));
  }
  EXPECT_EQ(assembler.take(1000_ms).size(), 1);
  assembler.feed(victim(2000_ms, task(10), own_limit_full()));
  EXPECT_THAT(assembler.take(kLater), IsEmpty()) << "told already";
}

TEST(OomAssembler, AReusedPidIsAnotherProcess) {
  OomAssembler assembler;
  assembler.feed(victim(1_ms, task(10), own_limit_full()));
  auto reborn = task(10);
  reborn.process.start_ns += 1;
  assembler.feed(victim(2_ms, reborn, own_limit_full()));
  EXPECT_EQ(assembler.take(kLater).size(), 2);
}

TEST(OomAssembler, AGroupKillIsOneFinding) {
  OomAssembler assembler;
  auto where = own_limit_full();
  where.entries[0].oom_group = true;
  const TaskInfo trigger = task(11);
  for (std::uint32_t pid : {10U, 11U, 12U}) {
    const std::uint64_t at = 1_ms + pid * 30_ms;
    assembler.feed(kernel_kill(at - 1_us, trigger, task(pid)));  // the signal comes before the mark
    assembler.feed(victim(at, task(pid), where, trigger));
  }
  const auto found = assembler.take(kLater);
  ASSERT_EQ(found.size(), 1);
  EXPECT_TRUE(found[0].group_kill);
  EXPECT_THAT(pids(found[0]), ElementsAre(10, 11, 12));
  EXPECT_THAT(found[0].siblings, IsEmpty());
}

TEST(OomAssembler, AGroupAboveTheHitCgroupDoesNotCount) {
  auto where = own_limit_full();
  where.entries[1].oom_group = true;
  EXPECT_FALSE(only(victim(1, task(10), where)).group_kill);
  auto parent = parent_full();
  parent.entries[1].oom_group = true;
  EXPECT_TRUE(only(victim(1, task(10), parent)).group_kill);
}

TEST(OomAssembler, WithoutAGroupEachProcessIsItsOwn) {
  OomAssembler assembler;
  assembler.feed(victim(1_ms, task(10), own_limit_full(), task(12)));
  assembler.feed(kernel_kill(2_ms, task(12), task(11)));
  assembler.feed(victim(2_ms + 1_us, task(11), own_limit_full(), task(12)));
  const auto found = assembler.take(kLater);
  ASSERT_EQ(found.size(), 2);
  EXPECT_THAT(pids(found[0]), ElementsAre(10));
  EXPECT_THAT(found[0].siblings, IsEmpty()) << "its SIGKILL came before its mark";
  EXPECT_THAT(pids(found[1]), ElementsAre(11));
}

TEST(OomAssembler, ProcessesThatShareTheMemoryDieWithTheVictim) {
  OomAssembler assembler;
  assembler.feed(kernel_kill(1_ms - 1_us, task(12), task(10)));
  assembler.feed(victim(1_ms, task(10), own_limit_full(), task(12)));
  assembler.feed(kernel_kill(1_ms + 5_us, task(12), task(20)));
  assembler.feed(kernel_kill(1_ms + 6_us, task(12), task(20)));
  assembler.feed(kernel_kill(1_ms + 7_us, task(12), task(10)));
  assembler.feed(kernel_kill(1_ms + 8_us, task(13), task(21)));  // another sender
  auto by_user = kernel_kill(1_ms + 9_us, task(12), task(22));
  by_user.from_kernel = false;
  assembler.feed(by_user);
  assembler.feed(kernel_kill(900_ms, task(12), task(23)));  // long after
  const auto found = assembler.take(kLater);
  ASSERT_EQ(found.size(), 1);
  ASSERT_EQ(found[0].siblings.size(), 1);
  EXPECT_EQ(found[0].siblings[0].process.tgid, 20);
}

// PID 1 of a container met the limit: the kernel ends the others because it is gone, not because of the limit.
TEST(OomAssembler, WhoDiesWithItsPidNamespaceIsNoVictim) {
  OomAssembler assembler;
  const TaskInfo init = task(10);
  assembler.feed(victim(1_ms, init, own_limit_full()));
  assembler.feed(kernel_kill(1_ms + 5_us, init, task(20)));
  ExitEvent exit;
  exit.time_ns = 2_ms;
  exit.task = init;
  exit.exit_code = 9;
  assembler.feed(exit);
  assembler.feed(kernel_kill(2_ms + 5_us, init, task(21)));
  const auto found = assembler.take(kLater);
  ASSERT_EQ(found.size(), 1);
  ASSERT_EQ(found[0].siblings.size(), 1);
  EXPECT_EQ(found[0].siblings[0].process.tgid, 20);
}

// A call that chose a process already told leaves its control record behind: the next kill must not take that one.
TEST(OomAssembler, AStaleControlRecordOfTheSameThreadIsNotTaken) {
  OomAssembler assembler;
  assembler.feed(victim(1_ms, task(10), own_limit_full(), task(12)));
  assembler.feed(control(2_ms, task(12), Constraint::kNone));
  assembler.feed(victim(2_ms + 1_us, task(10), own_limit_full(), task(12)));
  assembler.feed(control(30_ms, task(12), Constraint::kMemcg, 100));
  assembler.feed(victim(30_ms + 1_us, task(11), own_limit_full(), task(12)));
  const auto found = assembler.take(kLater);
  ASSERT_EQ(found.size(), 2);
  ASSERT_TRUE(found[1].control);
  EXPECT_EQ(found[1].control->time_ns, 30_ms);
  EXPECT_EQ(found[1].scope, Scope::kMemcg);
}

TEST(OomAssembler, FindingsWaitUntilNothingCanJoin) {
  OomAssembler assembler({std::chrono::milliseconds(20), std::chrono::milliseconds(200)});
  EXPECT_EQ(assembler.deadline(), std::nullopt);
  assembler.feed(victim(100_ms, task(10), own_limit_full()));
  EXPECT_EQ(assembler.deadline(), 120_ms);
  EXPECT_THAT(assembler.take(120_ms - 1), IsEmpty());
  EXPECT_EQ(assembler.take(120_ms).size(), 1);
  EXPECT_EQ(assembler.deadline(), std::nullopt);
  auto group = own_limit_full();
  group.entries[0].oom_group = true;
  assembler.feed(victim(200_ms, task(20), group, task(9)));
  assembler.feed(victim(300_ms, task(21), group, task(9)));
  EXPECT_EQ(assembler.deadline(), 500_ms) << "counted from the last victim";
  EXPECT_THAT(assembler.take(450_ms), IsEmpty());
  EXPECT_EQ(assembler.take(500_ms).size(), 1);
}

TEST(OomAssembler, TimeAtItsEndsIsHarmless) {
  OomAssembler assembler;
  assembler.feed(control(~0ULL, task(1), Constraint::kMemcg, 5));
  assembler.feed(victim(~0ULL, task(1), own_limit_full()));
  assembler.feed(kernel_kill(~0ULL, task(1), task(2)));
  assembler.feed(victim(0, task(3), own_limit_full()));
  EXPECT_EQ(assembler.take(~0ULL).size(), 2) << "the last call before the end gives everything";
}

TEST(OomAssembler, MemoryStaysBoundedAndNothingIsToldTwiceInARow) {
  OomAssembler assembler;
  std::size_t told = 0;
  for (std::uint32_t i = 1; i <= 60'000; ++i) {
    assembler.feed(control(i * 1_ms, task(i + 1'000'000), Constraint::kNone));  // never met
    assembler.feed(victim(i * 1_ms, task(i), own_limit_full()));
    assembler.feed(victim(i * 1_ms + 1, task(i), own_limit_full()));
    told += assembler.take(i * 1_ms).size();
  }
  told += assembler.take(kLater).size();
  EXPECT_EQ(told, 60'000);
}

}  // namespace
}  // namespace memcrest
