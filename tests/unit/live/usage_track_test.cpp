// SPDX-License-Identifier: Apache-2.0
#include "live/usage_track.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/event_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;
using ::testing::ElementsAre;

TEST(UsageTrack, PeakBetweenTwoLooksIsTheMarkThatRose) {
  UsageTrack track;
  track.add(1000_ms, 10_MiB, 10_MiB);
  track.add(1500_ms, 12_MiB, 90_MiB);  // up and down again between two steps
  const auto peak = track.peak(1200_ms, 2000_ms);
  EXPECT_EQ(peak.bytes, 90_MiB);
  EXPECT_TRUE(peak.exact);
  EXPECT_EQ(track.peak(1600_ms, 2000_ms).bytes, 12_MiB);  // what stands counts, what was before does not
}

TEST(UsageTrack, AFirstMarkMayBeOfLongAgo) {
  UsageTrack track;
  track.add(1000_ms, 10_MiB, 90_MiB);
  EXPECT_EQ(track.peak(0, 2000_ms).bytes, 10_MiB);
  EXPECT_EQ(track.watermark(), 90_MiB);
}

TEST(UsageTrack, HistoryKeepsWhatIsShorterThanASecond) {
  UsageTrack track;
  track.add(1000_ms, 10_MiB, 0);
  track.add(2100_ms, 80_MiB, 0);
  track.add(2101_ms, 20_MiB, 0);
  EXPECT_THAT(track.history(4500_ms), ElementsAre(10_MiB, 80_MiB, 20_MiB, 20_MiB));
}

TEST(UsageTrack, HistoryIsAMinuteAndSurvivesForgottenPoints) {
  UsageTrack track;
  track.add(1000_ms, 5_MiB, 0);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    track.add(30'000_ms + i * 1_ms, (i == 500 ? 70_MiB : 6_MiB), 0);
  }
  track.keep_newest(10);
  EXPECT_TRUE(track.cut());
  EXPECT_EQ(track.points().size(), 10U);
  const auto history = track.history(40'000_ms);
  EXPECT_EQ(history.size(), 40U);
  EXPECT_EQ(history[29], 70_MiB);
  EXPECT_EQ(track.history(200'000_ms).size(), kLiveSeconds);
  EXPECT_EQ(track.history(200'000_ms).front(), 6_MiB);
}

TEST(UsageTrack, GrowthAndStallOfTheLastWhile) {
  UsageTrack track;
  track.add(10'000_ms, 10_MiB, 0);
  track.add(25'000_ms, 30_MiB, 0);
  EXPECT_DOUBLE_EQ(track.growth(25'500_ms), 2.0 * (1U << 20U));
  EXPECT_DOUBLE_EQ(track.growth(40'000_ms), 0);
  track.add_stall(10'000_ms, 5'000_ms);
  track.add_stall(20'000_ms, 5'300_ms);
  EXPECT_DOUBLE_EQ(track.stall_ms(30'000_ms), 300);
  EXPECT_DOUBLE_EQ(track.stall_ms(200'000_ms), 0);
}

TEST(UsageTrack, TimeNeverRunsBack) {
  UsageTrack track;
  track.add(2000_ms, 10_MiB, 0);
  track.add(1000_ms, 20_MiB, 0);
  EXPECT_EQ(track.points().back().time_ns, 2000_ms);
  EXPECT_EQ(track.usage(), 20_MiB);
}

}  // namespace
}  // namespace memcrest
