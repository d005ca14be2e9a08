// SPDX-License-Identifier: Apache-2.0
#include "sizing/window_peaks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace memcrest {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

// By the definition of the nearest rank, from all values.
std::uint64_t reference(std::vector<std::uint64_t> values, unsigned percent) {
  std::ranges::sort(values);
  const std::size_t rank = (values.size() * percent + 99) / 100;
  return values[std::max<std::size_t>(rank, 1) - 1];
}

TEST(WindowPeaks, NothingSeenIsZero) {
  const WindowPeaks none;
  EXPECT_EQ(none.windows(), 0U);
  EXPECT_EQ(none.highest(), 0U);
  EXPECT_EQ(none.percentile(50), 0U);
  EXPECT_EQ(none.above(0), 0U);
}

TEST(WindowPeaks, PercentilesAreThoseOfTheNearestRank) {
  WindowPeaks peaks;
  std::vector<std::uint64_t> values;
  for (std::uint64_t i = 1; i <= 137; ++i) {
    const std::uint64_t value = i * 7919 % 1000;
    peaks.add(value);
    values.push_back(value);
    for (const unsigned percent : {1U, 50U, 90U, 95U, 99U, 100U}) {
      ASSERT_EQ(peaks.percentile(percent), reference(values, percent)) << percent << " of " << i;
    }
  }
  EXPECT_EQ(peaks.grain(), 1U);
}

TEST(WindowPeaks, AboveCountsWhatIsStrictlyHigher) {
  WindowPeaks peaks;
  peaks.add(10, 3);
  peaks.add(20, 2);
  EXPECT_EQ(peaks.above(9), 5U);
  EXPECT_EQ(peaks.above(10), 2U);
  EXPECT_EQ(peaks.above(19), 2U);
  EXPECT_EQ(peaks.above(20), 0U);
}

TEST(WindowPeaks, ManyValuesAreRoundedUpAndNeverDown) {
  WindowPeaks peaks;
  std::vector<std::uint64_t> values;
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(random() % (1ULL << 34U));
    peaks.add(values.back());
  }
  EXPECT_EQ(peaks.highest(), *std::ranges::max_element(values));
  EXPECT_EQ(peaks.percentile(100), peaks.highest());
  EXPECT_LE(static_cast<double>(peaks.grain()), 0.01 * static_cast<double>(peaks.highest()));
  for (const unsigned percent : {50U, 90U, 95U, 99U}) {
    const std::uint64_t exact = reference(values, percent);
    EXPECT_GE(peaks.percentile(percent), exact);
    EXPECT_LE(peaks.percentile(percent), exact + peaks.grain());
  }
}

TEST(WindowPeaks, TwoPutTogetherAreAsOne) {
  WindowPeaks one;
  WindowPeaks other;
  WindowPeaks all;
  for (std::uint64_t i = 0; i < 100; ++i) {
    (i % 3 == 0 ? one : other).add(i);
    all.add(i);
  }
  one.add(other);
  EXPECT_EQ(one.windows(), all.windows());
  for (const unsigned percent : {50U, 95U, 100U}) {
    EXPECT_EQ(one.percentile(percent), all.percentile(percent));
  }
}

TEST(WindowPeaks, WhatWasRoundedElsewhereIsNoHigherPeak) {
  WindowPeaks rounded;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    rounded.add(i * 4099);
  }
  ASSERT_GT(rounded.grain(), 1U);
  WindowPeaks sum;
  sum.add(1);
  sum.add(rounded);
  EXPECT_EQ(sum.highest(), 9'999U * 4099);
  EXPECT_EQ(sum.percentile(100), sum.highest());
  EXPECT_EQ(sum.above(sum.highest()), 0U);
}

TEST(WindowPeaks, NumbersThatCannotBeStayBounded) {
  WindowPeaks peaks;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    peaks.add(kMax - i * 1'000'000'007, kMax);
    peaks.add(i, 1);
  }
  EXPECT_EQ(peaks.highest(), kMax);
  EXPECT_EQ(peaks.windows(), kMax);
  EXPECT_EQ(peaks.percentile(100), kMax);
  EXPECT_GT(peaks.percentile(50), 0U);
}

}  // namespace
}  // namespace memcrest
