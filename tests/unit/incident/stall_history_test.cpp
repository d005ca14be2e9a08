// SPDX-License-Identifier: Apache-2.0
#include "incident/stall_history.h"

#include <gtest/gtest.h>

namespace memcrest {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

TEST(StallHistory, OnlyTheWindowCounts) {
  StallHistory history(10 * kSecond);
  history.note(1, 1 * kSecond, kSecond, 0);
  history.note(1, 11 * kSecond, kSecond, 0);
  history.note(1, 12 * kSecond, 3 * kSecond, kSecond / 2);
  history.note(1, 20 * kSecond, 4 * kSecond, kSecond);
  const ReclaimStall stall = history.before(1, 20 * kSecond);
  EXPECT_DOUBLE_EQ(stall.window_ms, 10'000);
  EXPECT_DOUBLE_EQ(stall.direct_ms, 3'000);
  EXPECT_DOUBLE_EQ(stall.throttle_ms, 1'000);
  EXPECT_DOUBLE_EQ(history.before(1, 5 * kSecond).direct_ms, 1'000);
}

TEST(StallHistory, TheWindowIsAsLongAsWhatIsKnown) {
  StallHistory history(10 * kSecond);
  history.note(1, 100 * kSecond, 0, 0);
  history.note(1, 101 * kSecond, kSecond, 0);
  history.note(1, 130 * kSecond, kSecond, 0);  // nothing new
  history.note(1, 600 * kSecond, 300 * kSecond, 0);
  const ReclaimStall stall = history.before(1, 600 * kSecond);
  EXPECT_DOUBLE_EQ(stall.direct_ms, 299'000);
  EXPECT_DOUBLE_EQ(stall.window_ms, 470'000) << "not in the last ten seconds, as far as is known";
}

TEST(StallHistory, NothingKnownIsNothingStalled) {
  StallHistory history;
  EXPECT_DOUBLE_EQ(history.before(9, kSecond).direct_ms, 0);
  history.note(1, kSecond, 0, 0);
  EXPECT_DOUBLE_EQ(history.before(1, kSecond).direct_ms, 0);
  history.note(1, kSecond, 500, 0);
  history.forget(1);
  EXPECT_DOUBLE_EQ(history.before(1, kSecond).direct_ms, 0);
}

TEST(StallHistory, ACounterThatFallsIsNoNegativeStall) {
  StallHistory history(kSecond);
  history.note(1, kSecond, 900, 900);
  history.note(1, 5 * kSecond, 100, 100);
  EXPECT_GE(history.before(1, 5 * kSecond).direct_ms, 0);
}

TEST(StallHistory, IsBoundedInCgroupsAndPoints) {
  StallHistory history(1000 * kSecond, 2);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    history.note(id, id * kSecond, id, 0);
  }
  EXPECT_DOUBLE_EQ(history.before(1, 9 * kSecond).direct_ms, 0) << "the oldest went";
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    history.note(3, 4 * kSecond + i, i * 1'000'000, 0);
  }
  EXPECT_GT(history.before(3, 5 * kSecond).direct_ms, 0);
}

}  // namespace
}  // namespace memcrest
