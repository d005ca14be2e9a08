// SPDX-License-Identifier: Apache-2.0
#include "incident/rise.h"

#include <gtest/gtest.h>

#include <random>

#include "support/event_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

TEST(SlidingMinimum, TheValueThatHeldWhenTheWindowBeganCounts) {
  SlidingMinimum lows(100);
  lows.add({0, 5});
  lows.add({1000, 50});
  EXPECT_EQ(lows.lowest().usage_bytes, 5) << "it held until 1000";
  lows.add({1050, 60});
  EXPECT_EQ(lows.lowest().usage_bytes, 5);
  lows.add({1101, 70});
  EXPECT_EQ(lows.lowest().usage_bytes, 50);
}

TEST(SlidingMinimum, OfEqualsTheLatest) {
  SlidingMinimum lows(100);
  lows.add({0, 5});
  lows.add({10, 7});
  lows.add({20, 5});
  EXPECT_EQ(lows.lowest().time_ns, 20);
}

TEST(SlidingMinimum, AgreesWithLookingAtEveryPoint) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 50; ++round) {
    constexpr std::uint64_t kWindow = 100;
    SlidingMinimum lows(kWindow);
    std::vector<UsagePoint> all;
    std::uint64_t time = 0;
    for (int i = 0; i < 400; ++i) {
      time += random() % 30;
      all.push_back({time, random() % 50});
      lows.add(all.back());
      std::uint64_t lowest = ~0ULL;
      for (std::size_t k = 0; k < all.size(); ++k) {
        const std::uint64_t until = k + 1 < all.size() ? all[k + 1].time_ns : ~0ULL;
        if (until >= time || until + kWindow >= time) {
          lowest = std::min(lowest, all[k].usage_bytes);
        }
      }
      ASSERT_EQ(lows.lowest().usage_bytes, lowest) << "round " << round << " point " << i;
    }
  }
}

TEST(GrowthLedger, SumsByProcessLargestFirst) {
  GrowthLedger ledger;
  const TaskInfo a = task(10, "a");
  const TaskInfo b = task(20, "b");
  ledger.add(1, {.task = &a, .bytes = 10});
  ledger.add(2, {.task = &b, .bytes = 30});
  ledger.add(3, {.task = &a, .bytes = 10});
  ledger.add(4, {.task = nullptr, .bytes = 50});
  const auto all = ledger.since(0);
  ASSERT_EQ(all.size(), 2);
  EXPECT_EQ(all[0].pid, 20);
  EXPECT_EQ(all[0].comm, "b");
  EXPECT_DOUBLE_EQ(all[0].share, 0.3) << "growth of nobody is part of the whole";
  EXPECT_EQ(all[1].bytes, 20);
  EXPECT_EQ(ledger.since(3).size(), 1);
}

TEST(GrowthLedger, TwoProcessesOfOnePidStayApart) {
  GrowthLedger ledger;
  TaskInfo a = task(10, "a");
  ledger.add(1, {.task = &a, .bytes = 10});
  a.process.start_ns += 1;
  ledger.add(2, {.task = &a, .bytes = 10});
  EXPECT_EQ(ledger.since(0).size(), 2);
}

TEST(GrowthLedger, IsBoundedAndTellsEight) {
  GrowthLedger ledger;
  for (std::uint32_t i = 1; i < 50'000; ++i) {
    const TaskInfo one = task(i, "fork");
    ledger.add(i, {.task = &one, .bytes = 1_MiB});
  }
  EXPECT_EQ(ledger.since(0).size(), 8);
  const TaskInfo hog = task(1, "hog");
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    ledger.add(100'000 + i, {.task = &hog, .bytes = 1_MiB});
  }
  const auto last = ledger.since(100'000);
  ASSERT_EQ(last.size(), 1);
  EXPECT_GE(last[0].bytes, 4000_MiB) << "a process of many steps is merged, not forgotten";
}

TEST(GrowthLedger, ForgetsAndStopsAtTheEndOfNumbers) {
  GrowthLedger ledger;
  const TaskInfo a = task(10, "a");
  ledger.add(1, {.task = &a, .bytes = ~0ULL});
  ledger.add(2, {.task = &a, .bytes = ~0ULL});
  ASSERT_EQ(ledger.since(0).size(), 1);
  EXPECT_EQ(ledger.since(0)[0].bytes, ~0ULL);
  EXPECT_LE(ledger.since(0)[0].share, 1);
  ledger.forget_before(2);
  EXPECT_EQ(ledger.since(0)[0].bytes, ~0ULL);
  ledger.clear();
  EXPECT_TRUE(ledger.since(0).empty());
}

TEST(GrowthLedger, TellsKindsAndStacks) {
  GrowthLedger ledger;
  const TaskInfo a = task(1);
  const TaskInfo b = task(2);
  const std::vector<std::uint64_t> user{1, 2, 3};
  const std::vector<std::uint64_t> kernel{9};
  const std::vector<std::uint64_t> none;
  ledger.add(1, {.task = &a, .bytes = 30, .kind = MemoryKind::kAnon, .user_stack = &user, .kernel_stack = &kernel});
  ledger.add(2, {.task = &a, .bytes = 10, .kind = MemoryKind::kAnon, .user_stack = &user, .kernel_stack = &kernel});
  ledger.add(3, {.task = &b, .bytes = 20, .kind = MemoryKind::kSlab, .user_stack = &none, .kernel_stack = &kernel});
  ledger.add(4, {.task = &b, .bytes = 5, .user_stack = &none, .kernel_stack = &none});
  ledger.add(5, {.bytes = 35});
  const auto kinds = ledger.kinds_since(0);
  ASSERT_EQ(kinds.size(), 3U);
  EXPECT_EQ(kinds[0].kind, MemoryKind::kUnknown);
  EXPECT_EQ(kinds[0].bytes, 40U);
  EXPECT_EQ(kinds[1].kind, MemoryKind::kAnon);
  EXPECT_DOUBLE_EQ(kinds[1].share, 0.4);
  EXPECT_EQ(kinds[2].bytes, 20U);
  const auto stacks = ledger.stacks_since(0);
  ASSERT_EQ(stacks.size(), 3U);
  EXPECT_EQ(stacks[0].bytes, 40U);
  EXPECT_EQ(stacks[0].user_stack, user);
  EXPECT_EQ(stacks[0].process, a.process);
  EXPECT_EQ(stacks[1].kind, MemoryKind::kSlab);
  EXPECT_TRUE(stacks[2].kernel_stack.empty());
  EXPECT_EQ(ledger.total_since(0), 100U);
  ledger.forget_before(3);
  EXPECT_EQ(ledger.stacks_since(0).size(), 2U);
  EXPECT_TRUE(GrowthLedger().kinds_since(0).empty());
}

TEST(GrowthLedger, ThreadsOfOnePoolAreOne) {
  GrowthLedger ledger;
  const auto thread = [](std::uint32_t tid, const char* name) {
    TaskInfo out = task(1);
    out.comm = "java";
    out.tid = tid;
    out.thread_comm = name;
    return out;
  };
  const TaskInfo first = thread(11, "exec-1");
  const TaskInfo tenth = thread(12, "exec-10");
  const TaskInfo same = thread(13, "exec-10");
  const TaskInfo collector = thread(14, "GC Thread#0");
  const TaskInfo main = thread(1, "java");
  ledger.add(1, {.task = &main, .bytes = 10});
  EXPECT_TRUE(ledger.threads_since(0).empty()) << "nothing but the program by its own name";
  ledger.add(2, {.task = &first, .bytes = 20});
  ledger.add(3, {.task = &tenth, .bytes = 15});
  ledger.add(4, {.task = &same, .bytes = 15});
  ledger.add(5, {.task = &first, .bytes = 10});
  ledger.add(6, {.task = &collector, .bytes = 20});
  ledger.add(7, {.bytes = 10});
  const auto threads = ledger.threads_since(0);
  ASSERT_EQ(threads.size(), 3U);
  EXPECT_EQ(threads[0].thread, "exec-#");
  EXPECT_EQ(threads[0].threads, 3U);
  EXPECT_EQ(threads[0].bytes, 60U);
  EXPECT_DOUBLE_EQ(threads[0].share, 0.6);
  EXPECT_EQ(threads[0].comm, "java");
  EXPECT_EQ(threads[1].thread, "GC Thread#0") << "a name that only one has stays whole";
  EXPECT_EQ(threads[2].thread, "java");
  EXPECT_EQ(ledger.threads_since(6).size(), 1U);
}

TEST(GrowthLedger, ThreadsWithoutNamesOfTheirOwnAreCountedAndProcessesAreNot) {
  GrowthLedger ledger;
  TaskInfo one = task(1);
  TaskInfo other = task(2);
  other.tid = 2;
  ledger.add(1, {.task = &one, .bytes = 10});
  ledger.add(1, {.task = &other, .bytes = 10});
  EXPECT_TRUE(ledger.threads_since(0).empty()) << "two processes of one thread each";
  other.tid = 3;
  ledger.add(2, {.task = &other, .bytes = 10});
  const auto threads = ledger.threads_since(0);
  ASSERT_EQ(threads.size(), 1U);
  EXPECT_EQ(threads[0].threads, 3U);
}

TEST(GrowthLedger, KindsAreNotToldWhereNothingIsKnown) {
  GrowthLedger ledger;
  const TaskInfo a = task(1);
  ledger.add(1, {.task = &a, .bytes = 30});
  EXPECT_TRUE(ledger.kinds_since(0).empty());
}

TEST(GrowthLedger, ManyDifferentStacksAreBounded) {
  GrowthLedger ledger;
  const TaskInfo a = task(1);
  const std::vector<std::uint64_t> none;
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    const std::vector<std::uint64_t> user{i};
    ledger.add(i, {.task = &a, .bytes = 1, .kind = MemoryKind::kAnon, .user_stack = &user, .kernel_stack = &none});
  }
  EXPECT_LE(ledger.stacks_since(0).size(), 96U);
  EXPECT_EQ(ledger.kinds_since(0).at(0).bytes, ledger.total_since(0));
  ledger.forget_before(1'000'000);
  const std::vector<std::uint64_t> user{7};
  ledger.add(1'000'001, {.task = &a, .bytes = 1, .user_stack = &user, .kernel_stack = &none});
  ASSERT_EQ(ledger.stacks_since(0).size(), 1U);
  EXPECT_EQ(ledger.stacks_since(0)[0].user_stack, user) << "there is room again";
}

}  // namespace
}  // namespace memcrest
