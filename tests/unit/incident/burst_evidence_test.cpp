// SPDX-License-Identifier: Apache-2.0
// What a burst tells beside its size: who grew, what was left out, the true peak.
#include "incident/burst_detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "support/burst_steps.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

TEST(BurstEvidence, ContributorsAreProcessesLargestFirst) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  std::uint64_t usage = 100_MiB;
  std::uint64_t at = 2 * kSecond;
  for (int i = 0; i < 20; ++i) {
    detector.step(steps.by(task(10, "big")).up(at += 10_us, usage += 1_MiB));
    detector.step(steps.by(thread_of(task(10, "big"), 11)).up(at += 10_us, usage += 1_MiB));
    detector.step(steps.by(task(20, "small")).up(at += 10_us, usage += 1_MiB));
    auto foreign = steps.by(task(30, "innocent")).up(at += 10_us, usage += 1_MiB);
    foreign.foreign = true;
    detector.step(foreign);
  }
  detector.advance(9 * kSecond);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  const auto& contributors = found[0].burst.contributors;
  ASSERT_EQ(contributors.size(), 2);
  EXPECT_EQ(contributors[0].pid, 10);
  EXPECT_EQ(contributors[0].comm, "big");
  EXPECT_NEAR(contributors[0].share, 0.5, 0.03);
  EXPECT_NEAR(contributors[1].share, 0.25, 0.03) << "the foreign quarter has no name";
}

// Hooks that see a huge page once it is cleared: until then any task that drains a batch of this cgroup's sees it
// first.
TEST(BurstEvidence, GrowthThatOthersSawFirstWaitsForItsStep) {
  BurstDetector detector({.foreign_wait = std::chrono::milliseconds(100)});
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  std::uint64_t usage = 100_MiB;
  std::uint64_t at = 2 * kSecond;
  const auto seen_by_another = [&] {
    auto foreign = steps.by(task(30, "innocent")).up(at += 10_us, usage += 2_MiB);
    foreign.foreign = true;
    detector.step(foreign);
  };
  for (int i = 0; i < 10; ++i) {
    seen_by_another();
    seen_by_another();
    auto own = steps.by(task(10, "big")).up(at += 10_us, usage += 2_MiB);
    own.kind = MemoryKind::kHugePage;
    detector.step(own);
  }
  seen_by_another();
  at += 101_ms;
  auto own = steps.by(task(10, "big")).up(at, usage += 2_MiB);
  own.kind = MemoryKind::kHugePage;
  detector.step(own);
  seen_by_another();
  detector.advance(9 * kSecond);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].seen_bytes, 66_MiB);
  const auto& kinds = found[0].burst.kinds;
  ASSERT_EQ(kinds.size(), 2);
  EXPECT_EQ(kinds[0].kind, MemoryKind::kHugePage);
  EXPECT_EQ(kinds[0].bytes, 62_MiB);
  EXPECT_EQ(kinds[1].kind, MemoryKind::kUnknown) << "too long ago, and at the end";
  EXPECT_EQ(kinds[1].bytes, 4_MiB);
}

TEST(BurstEvidence, GrowthOfAnAncestorBelongsToTheTaskBelow) {
  auto detector = detector_of();
  StepBuilder steps(50);
  steps.by(task(10, "hog", 100));
  detector.step(steps.first(kSecond, 100_MiB));
  for (std::uint64_t i = 1; i <= 30; ++i) {
    auto event = steps.up(2 * kSecond + i * 1_ms, 100_MiB + i * 1_MiB);
    event.ancestor = true;
    detector.step(event);
  }
  detector.advance(9 * kSecond);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  ASSERT_EQ(found[0].burst.contributors.size(), 1);
  EXPECT_EQ(found[0].burst.contributors[0].pid, 10);
}

TEST(BurstEvidence, AtMostEightContributors) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  for (std::uint32_t i = 1; i <= 2000; ++i) {
    detector.step(steps.by(task(i, "fork")).up(2 * kSecond + i * 10_us, 100_MiB + i * 1_MiB));
  }
  detector.advance(9 * kSecond);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].burst.contributors.size(), 8);
}

TEST(BurstEvidence, ThrottledStepsAreSaid) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  grow(detector, steps, 2 * kSecond, 1_ms, 100_MiB, 120_MiB);
  auto gap = steps.up(2 * kSecond + 5_ms, 300_MiB);
  gap.suppressed = 180;
  detector.step(gap);
  detector.advance(9 * kSecond);
  grow(detector, steps, 20 * kSecond, 1_ms, 300_MiB, 340_MiB);
  detector.advance(29 * kSecond);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 2);
  EXPECT_TRUE(found[0].steps_missing);
  EXPECT_EQ(found[0].burst.peak_bytes, 300_MiB);
  EXPECT_FALSE(found[1].steps_missing);
}

TEST(BurstEvidence, TheWatermarkIsThePeakWhereItRose) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  grow(detector, steps, 2 * kSecond, 1_ms, 100_MiB, 164_MiB);
  steps.watermark(164_MiB + 700'000);
  fall(detector, steps, 2 * kSecond + 5_ms, 1_ms, 164_MiB, 100_MiB);
  auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_TRUE(found[0].watermark_rose);
  EXPECT_EQ(found[0].burst.peak_bytes, 164_MiB + 700'000);
  // The second is smaller: the watermark is not its own.
  grow(detector, steps, 20 * kSecond, 1_ms, 100_MiB, 140_MiB);
  fall(detector, steps, 20 * kSecond + 5_ms, 1_ms, 140_MiB, 100_MiB);
  found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_FALSE(found[0].watermark_rose);
  EXPECT_EQ(found[0].burst.peak_bytes, 140_MiB);
}

TEST(BurstEvidence, AnOldWatermarkThatIsLearntLateIsNotTheNextBurstsPeak) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  grow(detector, steps, 2 * kSecond, 1_ms, 100_MiB, 300_MiB);
  detector.sample(sample(2 * kSecond + 5_ms, 95_MiB));  // the fall, which no hook saw
  ASSERT_EQ(detector.take().size(), 1);
  steps.watermark(300_MiB + 800'000);  // the true peak, told by the first step of the next rise
  detector.step(steps.down(10 * kSecond, 97_MiB));
  grow(detector, steps, 10 * kSecond, 1_ms, 97_MiB, 180_MiB);
  detector.sample(sample(10 * kSecond + 5_ms, 95_MiB));
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].burst.peak_bytes, 180_MiB);
}

}  // namespace
}  // namespace memcrest
