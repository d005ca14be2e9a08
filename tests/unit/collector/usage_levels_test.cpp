// SPDX-License-Identifier: Apache-2.0
#include "collector/usage_levels.h"

#include <gtest/gtest.h>

#include "support/event_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals
using Move = UsageLevels::Move;

TEST(UsageLevels, UpAtTheNextMultipleDownOneQuantumBelow) {
  UsageLevels levels;
  EXPECT_EQ(levels.compare(0), Move::kFirst);
  levels.set(10_MiB + 5, 1_MiB);
  EXPECT_EQ(levels.compare(10_MiB + 5), Move::kNone);
  EXPECT_EQ(levels.compare(11_MiB - 1), Move::kNone);
  EXPECT_EQ(levels.compare(11_MiB), Move::kUp);
  EXPECT_EQ(levels.compare(9_MiB), Move::kNone) << "hysteresis";
  EXPECT_EQ(levels.compare(9_MiB - 1), Move::kDown);
}

TEST(UsageLevels, NothingIsBelowZeroNorAboveTheLargestNumber) {
  UsageLevels levels;
  levels.set(1, 1_MiB);
  EXPECT_EQ(levels.compare(0), Move::kNone);
  levels.set(~0ULL, 1_MiB);
  EXPECT_EQ(levels.compare(~0ULL - 1), Move::kNone);
  levels.set(5, 0);
  EXPECT_EQ(levels.quantum(), 1) << "never a division by zero";
}

TEST(UsageLevels, QuantumFollowsTheLimit) {
  EXPECT_EQ(UsageLevels::quantum_for(std::nullopt, std::nullopt), 1_MiB);
  EXPECT_EQ(UsageLevels::quantum_for(64_MiB, std::nullopt), 1_MiB);
  EXPECT_EQ(UsageLevels::quantum_for(1_GiB, std::nullopt), 8_MiB);
  EXPECT_EQ(UsageLevels::quantum_for(1_GiB, 64 << 10U), 64 << 10U);
}

}  // namespace
}  // namespace memcrest
