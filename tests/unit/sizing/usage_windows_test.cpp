// SPDX-License-Identifier: Apache-2.0
#include "sizing/usage_windows.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/event_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;

constexpr std::uint64_t kSecond = 1'000'000'000;

TEST(UsageWindows, EachWindowHasItsPeakAndUsageIsCarriedOn) {
  UsageWindows windows(kSecond);
  StepBuilder steps;
  windows.begin(10 * kSecond);
  windows.add(steps.up(10 * kSecond + 1, 8_MiB));
  windows.add(steps.down(10 * kSecond + 2, 2_MiB));
  windows.add(steps.up(13 * kSecond + 1, 4_MiB));  // nothing in between: 2 MiB in the windows 11 and 12
  const UsageSeen seen = windows.end(14 * kSecond, {});
  EXPECT_EQ(seen.peaks.windows(), 4U);
  EXPECT_EQ(seen.peaks.above(3_MiB), 2U);
  EXPECT_EQ(seen.peaks.percentile(50), 2_MiB);
  EXPECT_EQ(seen.peaks.percentile(75), 4_MiB);
  EXPECT_EQ(seen.highest_bytes, 8_MiB);
  EXPECT_EQ(seen.observed_ns, 4 * kSecond);
}

TEST(UsageWindows, AMarkThatRoseIsTheExactPeak) {
  UsageWindows windows(kSecond);
  StepBuilder steps;
  windows.add(steps.first(kSecond, 4_MiB));
  windows.add(steps.watermark(9_MiB + 4096).up(2 * kSecond, 9_MiB));
  const UsageSeen seen = windows.end(3 * kSecond, {});
  EXPECT_TRUE(seen.mark_rose);
  EXPECT_EQ(seen.highest_bytes, 9_MiB + 4096);
  EXPECT_EQ(seen.slack_bytes, 1_MiB);
  EXPECT_EQ(seen.peaks.highest(), 9_MiB + 4096);
}

TEST(UsageWindows, AMarkFromBeforeIsNoPeakOfNow) {
  UsageWindows windows(kSecond);
  StepBuilder steps;
  steps.watermark(100_MiB);
  windows.add(steps.first(kSecond, 4_MiB));
  windows.add(steps.up(2 * kSecond, 9_MiB));
  const UsageSeen seen = windows.end(3 * kSecond, {});
  EXPECT_FALSE(seen.mark_rose);
  EXPECT_EQ(seen.highest_bytes, 9_MiB);
  EXPECT_EQ(seen.mark_bytes, 100_MiB);
}

TEST(UsageWindows, ACgroupThatBeganHereOwesItsMarkToNobody) {
  UsageWindows windows(kSecond);
  windows.begin(kSecond);
  windows.add(StepBuilder().watermark(5_MiB).up(kSecond + 1, 4_MiB));
  const UsageSeen seen = windows.end(2 * kSecond, 6_MiB);
  EXPECT_TRUE(seen.mark_rose);
  EXPECT_EQ(seen.highest_bytes, 6_MiB) << "as the kernel told at its removal";
  EXPECT_EQ(seen.slack_bytes, 0U);
}

TEST(UsageWindows, SamplesShowFallsAndMakeNothingExact) {
  UsageWindows windows(kSecond);
  StepBuilder steps;
  windows.add(SampleEvent{kSecond, 100, 50_MiB});  // of something not seen yet
  windows.add(steps.first(kSecond, 8_MiB));
  windows.add(SampleEvent{kSecond + 5, 100, 1_MiB});
  windows.add(SampleEvent{4 * kSecond + 5, 100, 12_MiB});
  const UsageSeen seen = windows.end(4 * kSecond + 6, {});
  EXPECT_EQ(seen.peaks.windows(), 4U);
  EXPECT_EQ(seen.peaks.above(1_MiB), 2U);
  EXPECT_EQ(seen.highest_bytes, 12_MiB);
  EXPECT_EQ(seen.mark_bytes, 12_MiB);
  EXPECT_FALSE(seen.mark_rose);
}

TEST(UsageWindows, RecordsThatWereOvertakenCountWhereTheNewestStands) {
  UsageWindows windows(kSecond);
  StepBuilder steps;
  windows.add(steps.first(5 * kSecond, 8_MiB));
  windows.add(steps.up(3 * kSecond, 9_MiB));
  const UsageSeen seen = windows.end(4 * kSecond, {});
  EXPECT_EQ(seen.peaks.windows(), 1U);
  EXPECT_EQ(seen.observed_ns, 0U);
  EXPECT_EQ(seen.highest_bytes, 9_MiB);
}

TEST(UsageWindows, ATimeThatCannotBeCostsNothing) {
  UsageWindows windows(1);
  StepBuilder steps;
  windows.add(steps.first(1, 8_MiB));
  windows.add(steps.up(std::numeric_limits<std::uint64_t>::max(), 9_MiB));
  const UsageSeen seen = windows.end(0, {});
  EXPECT_GT(seen.peaks.windows(), 1ULL << 60U);
  EXPECT_EQ(seen.peaks.highest(), 9_MiB);
}

TEST(UsageWindows, NothingSeenIsNothing) {
  const UsageSeen seen = UsageWindows(kSecond).end(10 * kSecond, 5_MiB);
  EXPECT_EQ(seen.peaks.windows(), 0U);
  EXPECT_EQ(seen.mark_bytes, 0U);
}

}  // namespace
}  // namespace memcrest
