// SPDX-License-Identifier: Apache-2.0
#include "collector/cpu_budget.h"

#include <gtest/gtest.h>

namespace memcrest {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

TEST(CpuBudget, FillsWithTimeAndKeepsAFifthOfASecond) {
  CpuBudget budget(0.01);
  EXPECT_FALSE(budget.left());
  budget.fill(5 * kSecond);
  EXPECT_TRUE(budget.left());
  budget.spend(2'000'000);  // 1 % of 200 ms
  EXPECT_FALSE(budget.left());
  budget.fill(5 * kSecond + 1000);
  EXPECT_TRUE(budget.left());
  budget.fill(500 * kSecond);
  budget.spend(2'000'000);
  EXPECT_FALSE(budget.left()) << "eight minutes were not saved up";
}

TEST(CpuBudget, DebtIsPaidBackFirst) {
  CpuBudget budget(0.5);
  budget.fill(kSecond);
  budget.spend(600'000'000);  // of 100 ms
  budget.fill(kSecond + kSecond / 2);
  EXPECT_FALSE(budget.left());
  budget.fill(3 * kSecond);
  EXPECT_TRUE(budget.left());
}

TEST(CpuBudget, TimeThatGoesBackIsNoTime) {
  CpuBudget budget(0.5);
  budget.fill(10 * kSecond);
  budget.spend(100'000'000);
  budget.fill(9 * kSecond);
  EXPECT_FALSE(budget.left());
}

TEST(LongestGap, IsForgottenAfterTwoWindows) {
  LongestGap gap;
  gap.add(kSecond, 50);
  gap.add(kSecond + 1, 20);
  EXPECT_EQ(gap.ns(), 50);
  gap.add(2 * kSecond + 1, 30);
  EXPECT_EQ(gap.ns(), 50);
  gap.add(3 * kSecond + 2, 10);
  EXPECT_EQ(gap.ns(), 30);
}

TEST(ThreadCpu, Advances) {
  const std::uint64_t before = thread_cpu_ns();
  volatile std::uint64_t sink = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    sink = sink + static_cast<std::uint64_t>(i);
  }
  EXPECT_GT(thread_cpu_ns(), before);
}

}  // namespace
}  // namespace memcrest
