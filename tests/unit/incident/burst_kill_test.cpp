// SPDX-License-Identifier: Apache-2.0
// The burst that a kill belongs to.
#include "incident/burst_detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/burst_steps.h"

namespace memcrest {
namespace {

using testing::IsEmpty;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

TEST(BurstKill, AKillCutsTheBurstUnderWay) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  grow(detector, steps, 2 * kSecond, 700_ms, 100_MiB, 800_MiB);
  const auto found = detector.cut(100, 2 * kSecond + 701_ms);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->burst.end, BurstEnd::kKilled);
  EXPECT_EQ(found->end_ns, 2 * kSecond + 701_ms);
  EXPECT_EQ(found->burst.peak_bytes, 800_MiB);
  detector.step(steps.down(2 * kSecond + 720_ms, 5_MiB));
  detector.advance(9 * kSecond);
  EXPECT_THAT(detector.take(), IsEmpty()) << "not told again";
  EXPECT_FALSE(detector.cut(100, 9 * kSecond));
}

TEST(BurstKill, AKillAlsoHasItsRiseWhenThatWasSmall) {
  auto detector = detector_of();
  StepBuilder steps;
  steps.limit(10_MiB);
  detector.step(steps.first(kSecond, 2_MiB));
  grow(detector, steps, 2 * kSecond, 5_ms, 2_MiB, 10_MiB);
  const auto found = detector.cut(100, 2 * kSecond + 6_ms);
  ASSERT_TRUE(found) << "8 MiB are no burst, but all that a 10 MiB container can do";
  EXPECT_EQ(found->burst.peak_bytes, 10_MiB);
  EXPECT_FALSE(detector.cut(100, 2 * kSecond + 7_ms)) << "once";
}

TEST(BurstKill, AKillWithoutARiseHasNone) {
  auto detector = detector_of();
  StepBuilder steps;
  EXPECT_FALSE(detector.cut(100, kSecond)) << "a cgroup never seen";
  detector.step(steps.first(kSecond, 100_MiB));
  EXPECT_FALSE(detector.cut(100, kSecond + 1_ms));
  grow(detector, steps, 2 * kSecond, 5_ms, 100_MiB, 105_MiB);
  EXPECT_FALSE(detector.cut(100, 9 * kSecond)) << "long over";
}

TEST(BurstKill, AKillAfterAPlateauIsStillTheBurstsDoing) {
  for (const std::uint64_t wait : {2 * kSecond, 8 * kSecond, 20 * kSecond}) {
    auto detector = detector_of();
    StepBuilder steps;
    detector.step(steps.first(kSecond, 100_MiB));
    grow(detector, steps, 2 * kSecond, 100_ms, 100_MiB, 400_MiB);
    // At the limit, reclaim gives a little and the program takes it again.
    for (std::uint64_t at = 3 * kSecond; at < 2 * kSecond + wait; at += 100_ms) {
      detector.step(steps.down(at, 397_MiB));
      detector.step(steps.up(at + 50_ms, 400_MiB));
      detector.advance(at + 50_ms);
    }
    EXPECT_EQ(detector.take().size(), 1) << "the burst itself";
    const auto found = detector.cut(100, 2 * kSecond + wait);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->burst.end, BurstEnd::kKilled);
    if (wait < 10 * kSecond) {
      EXPECT_LE(found->burst.base_bytes, 120_MiB);
      EXPECT_NEAR(found->burst.duration_ms, 100, 10);
      EXPECT_NEAR(found->burst.above_half_ms, static_cast<double>(wait) / 1e6 - 50, 10);
      EXPECT_GT(found->burst.contributors.size(), 0);
      EXPECT_EQ(found->samplers[0].chance_seen, 1);
    } else {
      EXPECT_EQ(found->burst.growth_bytes, 3_MiB) << "too long ago";
    }
  }
}

TEST(BurstKill, AKillAfterThePlateauFellIsNot) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  grow(detector, steps, 2 * kSecond, 100_ms, 100_MiB, 400_MiB);
  detector.advance(4 * kSecond);
  fall(detector, steps, 4 * kSecond, 100_ms, 400_MiB, 100_MiB);
  EXPECT_FALSE(detector.cut(100, 6 * kSecond));
}

TEST(BurstKill, TheFallThatTheKillCausedMayComeFirst) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  grow(detector, steps, 2 * kSecond, 5_ms, 100_MiB, 200_MiB);
  detector.step(steps.down(2 * kSecond + 30_ms, 1_MiB));
  const auto found = detector.cut(100, 2 * kSecond + 6_ms);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->burst.end, BurstEnd::kKilled);
  EXPECT_THAT(detector.take(), IsEmpty());
}

}  // namespace
}  // namespace memcrest
