// SPDX-License-Identifier: Apache-2.0
#include "app/memory_budget.h"

#include <gtest/gtest.h>

#include "support/event_builder.h"
#include "util/units.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

TEST(MemoryBudget, WhileItHoldsNothingGivesWay) {
  MemoryBudget budget(32_MiB, 4_MiB);
  EXPECT_EQ(budget.look(32_MiB, 1), 4_MiB);
  EXPECT_FALSE(budget.is_exceeded());
}

// Three looks in a row.
std::uint64_t look_long(MemoryBudget& budget, std::uint64_t own_bytes, std::uint64_t now_ns) {
  budget.look(own_bytes, now_ns);
  budget.look(own_bytes, now_ns);
  return budget.look(own_bytes, now_ns);
}

TEST(MemoryBudget, TheFlightRecorderGivesWayByHalvesAndNotAltogether) {
  MemoryBudget budget(32_MiB, 1_MiB);
  EXPECT_EQ(look_long(budget, 33_MiB, 1), 2 * MemoryBudget::kLeastFlight);
  EXPECT_FALSE(budget.is_exceeded()) << "there is more that can give way";
  EXPECT_EQ(look_long(budget, 33_MiB, 2), MemoryBudget::kLeastFlight);
  EXPECT_FALSE(budget.is_exceeded());
  EXPECT_EQ(look_long(budget, 33_MiB, 3), MemoryBudget::kLeastFlight);
  EXPECT_TRUE(budget.is_exceeded());
  budget.look(31_MiB, 4);
  EXPECT_TRUE(budget.is_exceeded()) << "said once, not at each crossing";
  budget.look(20_MiB, 5);
  EXPECT_FALSE(budget.is_exceeded());
}

TEST(MemoryBudget, WhatIsLargeForAMomentCostsNothing) {
  MemoryBudget budget(32_MiB, 4_MiB);
  for (std::uint64_t i = 0; i < 10; ++i) {
    budget.look(99_MiB, i);
    budget.look(99_MiB, i);
    EXPECT_EQ(budget.look(32_MiB, i), 4_MiB);
  }
}

TEST(MemoryBudget, ItComesBackAfterAMinuteWellBelow) {
  MemoryBudget budget(32_MiB, 4_MiB);
  look_long(budget, 33_MiB, 1);
  EXPECT_EQ(look_long(budget, 33_MiB, 2), 1_MiB);
  EXPECT_EQ(budget.look(20_MiB, kSecond), 1_MiB);
  EXPECT_EQ(budget.look(20_MiB, 60 * kSecond), 1_MiB);
  EXPECT_EQ(budget.look(24_MiB, 61 * kSecond), 1_MiB) << "just below is not well below";
  EXPECT_EQ(budget.look(20_MiB, 62 * kSecond), 1_MiB);
  EXPECT_EQ(budget.look(20_MiB, 122 * kSecond), 2_MiB);
  EXPECT_EQ(budget.look(20_MiB, 123 * kSecond), 2_MiB);
  EXPECT_EQ(budget.look(20_MiB, 182 * kSecond), 4_MiB);
  EXPECT_EQ(budget.look(20_MiB, 500 * kSecond), 4_MiB);
}

TEST(MemoryBudget, WithoutAFlightRecorderItIsOnlyTold) {
  MemoryBudget budget(32_MiB, 0);
  EXPECT_EQ(look_long(budget, 33_MiB, 1), 0U);
  EXPECT_TRUE(budget.is_exceeded());
}

}  // namespace
}  // namespace memcrest
