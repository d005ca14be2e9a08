// SPDX-License-Identifier: Apache-2.0
#include "incident/usage_history.h"

#include <gtest/gtest.h>

#include <limits>

namespace memcrest {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

TEST(UsageHistory, HoldsAValueUntilTheNext) {
  UsageHistory history;
  EXPECT_EQ(history.at(5), 0);
  history.add({10, 100});
  history.add({20, 300});
  EXPECT_EQ(history.at(0), 100) << "before the first point: its usage";
  EXPECT_EQ(history.at(10), 100);
  EXPECT_EQ(history.at(19), 100);
  EXPECT_EQ(history.at(20), 300);
  EXPECT_EQ(history.at(kMax), 300);
}

TEST(UsageHistory, APointThatIsOlderComesAtTheLastOnesTime) {
  UsageHistory history;
  history.add({20, 100});
  history.add({10, 300});
  ASSERT_EQ(history.points().size(), 2);
  EXPECT_EQ(history.points().back().time_ns, 20);
  EXPECT_EQ(history.at(20), 300) << "the last of one moment is what a reader sees";
}

TEST(UsageHistory, IsBoundedByNumber) {
  UsageHistory history(4, kMax);
  for (std::uint64_t i = 0; i < 100; ++i) {
    history.add({i, i});
  }
  EXPECT_EQ(history.points().size(), 4);
  EXPECT_EQ(history.at(0), 96);
}

TEST(UsageHistory, IsBoundedByAgeButKeepsTheValueThatStillHeld) {
  UsageHistory history(100, 50);
  history.add({0, 1});
  history.add({100, 2});
  history.add({140, 3});
  history.add({151, 4});
  EXPECT_EQ(history.points().front().usage_bytes, 2) << "it held when the oldest kept moment began";
}

TEST(UsageHistory, AFlatRunOfSamplesIsItsTwoEnds) {
  UsageHistory history;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    history.add({i, 100 + i % 3, true}, 4);
  }
  EXPECT_EQ(history.points().size(), 2);
  EXPECT_EQ(history.points().back().time_ns, 999);
  history.add({1000, 100, false}, 4);
  EXPECT_EQ(history.points().size(), 3) << "a step is always kept";
}

TEST(UsageHistory, ASlowDriftOfSamplesIsNotFlat) {
  UsageHistory history;
  for (std::uint64_t i = 0; i < 100; ++i) {
    history.add({i, i, true}, 4);
  }
  for (std::uint64_t i = 0; i < 100; ++i) {
    EXPECT_LE(history.at(i), i);
    EXPECT_GE(history.at(i) + 5, i);
  }
}

TEST(UsageHistory, BeginsBeforeWhatIsKnown) {
  UsageHistory history;
  history.add({10, 100});
  history.begin_with({5, 0});
  history.begin_with({7, 50});
  EXPECT_EQ(history.points().size(), 2);
  EXPECT_EQ(history.at(0), 0);
  EXPECT_EQ(history.at(9), 0);
}

TEST(UsageHistory, KeepsTheNewest) {
  UsageHistory history;
  for (std::uint64_t i = 0; i < 10; ++i) {
    history.add({i, i});
  }
  history.keep_newest(2);
  EXPECT_EQ(history.points().size(), 2);
  EXPECT_EQ(history.at(9), 9);
  history.keep_newest(5);
  EXPECT_EQ(history.points().size(), 2);
}

TEST(UsageHistory, TellsWhenItStoodAbove) {
  UsageHistory history;
  history.add({10, 1});
  history.add({20, 5});
  history.add({30, 6});
  history.add({40, 2});
  history.add({50, 7});
  const auto spans = history.above(4, 15, 60);
  ASSERT_EQ(spans.size(), 2);
  EXPECT_EQ(spans[0].begin_ns, 20);
  EXPECT_EQ(spans[0].end_ns, 40);
  EXPECT_EQ(spans[1].begin_ns, 50);
  EXPECT_EQ(spans[1].end_ns, 60);
  EXPECT_TRUE(history.above(4, 60, 60).empty());
  EXPECT_TRUE(history.above(4, 60, 20).empty()) << "an end before the start";
  EXPECT_EQ(history.above(4, 25, 26).size(), 1);
  EXPECT_TRUE(UsageHistory{}.above(0, 0, 100).empty());
}

}  // namespace
}  // namespace memcrest
