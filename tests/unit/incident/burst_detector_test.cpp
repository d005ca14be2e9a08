// SPDX-License-Identifier: Apache-2.0
#include "incident/burst_detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <tuple>

#include "incident/usage_history.h"
#include "support/event_builder.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

constexpr std::uint64_t kSecond = 1'000'000'000;

// Steps at every level from `from` to `to` over `duration`, as the kernel side writes them.
void grow(BurstDetector& detector, StepBuilder& steps, std::uint64_t start_ns, std::uint64_t duration_ns,
          std::uint64_t from, std::uint64_t to) {
  const std::uint64_t count = (to - from) / 1_MiB;
  for (std::uint64_t i = 1; i <= count; ++i) {
    detector.step(steps.up(start_ns + duration_ns * i / count, from + i * 1_MiB));
  }
}

void fall(BurstDetector& detector, StepBuilder& steps, std::uint64_t start_ns, std::uint64_t duration_ns,
          std::uint64_t from, std::uint64_t to) {
  const std::uint64_t count = (from - to) / 2_MiB;
  for (std::uint64_t i = 1; i <= count; ++i) {
    detector.step(steps.down(start_ns + duration_ns * i / count, from - i * 2_MiB));
  }
}

BurstDetector detector_of(std::optional<std::uint64_t> min_bytes = std::nullopt, std::uint64_t window_ns = kSecond) {
  return BurstDetector({min_bytes, std::chrono::nanoseconds(window_ns)});
}

TEST(BurstDetector, AMillisecondIsEnough) {
  BurstDetector detector({});
  StepBuilder steps;
  detector.step(steps.first(10 * kSecond, 100_MiB));
  grow(detector, steps, 20 * kSecond, 1_ms, 100_MiB, 164_MiB);
  EXPECT_THAT(detector.take(), IsEmpty()) << "still going on";
  detector.sample(sample(20 * kSecond + 6_ms, 100_MiB));
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  const Burst& burst = found[0].burst;
  EXPECT_EQ(found[0].cgroup_id, 100);
  EXPECT_EQ(burst.end, BurstEnd::kFell);
  EXPECT_EQ(burst.peak_bytes, 164_MiB);
  EXPECT_LE(burst.base_bytes, 104_MiB);
  EXPECT_EQ(burst.growth_bytes, burst.peak_bytes - burst.base_bytes);
  EXPECT_GT(burst.duration_ms, 0.9);
  EXPECT_LT(burst.duration_ms, 1.1);
  EXPECT_NEAR(burst.end_uncertainty_ms, 5, 0.1);
  EXPECT_NEAR(burst.slope_bytes_per_s, static_cast<double>(burst.growth_bytes) * 1e3 / burst.duration_ms, 1);
  EXPECT_EQ(burst.shape.size(), 16);
  EXPECT_EQ(found[0].samplers.size(), 3);
  EXPECT_LT(found[0].samplers[0].chance_seen, 0.01);
}

TEST(BurstDetector, TheFirstRecordsOwnUsageIsNoGrowth) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 500_MiB));
  detector.step(steps.up(kSecond + 1_ms, 501_MiB));
  detector.advance(10 * kSecond);
  EXPECT_THAT(detector.take(), IsEmpty());
}

TEST(BurstDetector, NorIsAnUpStepThatComesFirst) {
  auto detector = detector_of();
  detector.step(StepBuilder().up(kSecond, 500_MiB));
  detector.advance(10 * kSecond);
  EXPECT_THAT(detector.take(), IsEmpty());
}

TEST(BurstDetector, ACgroupThatWasSeenBeingMadeBeginsEmpty) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.created(100, kSecond);
  detector.step(steps.first(kSecond + 1_ms, 1_MiB));
  grow(detector, steps, kSecond + 1_ms, 50_ms, 1_MiB, 40_MiB);
  detector.advance(5 * kSecond);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_LE(found[0].burst.base_bytes, 3_MiB);
  EXPECT_EQ(found[0].burst.peak_bytes, 40_MiB);
  EXPECT_EQ(found[0].samplers[0].typical_seen_bytes, 40_MiB);
}

TEST(BurstDetector, TheNewsOfACgroupMayComeAfterItsFirstSteps) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond + 1_ms, 20_MiB));
  detector.created(100, kSecond);
  detector.step(steps.up(kSecond + 2_ms, 21_MiB));
  detector.advance(5 * kSecond);
  EXPECT_EQ(detector.take().size(), 1);
}

TEST(BurstDetector, NewsOfCreationDoesNotEraseWhatIsKnown) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 20_MiB));
  detector.created(100, 5 * kSecond);
  detector.step(steps.up(5 * kSecond + 1, 21_MiB));
  detector.advance(10 * kSecond);
  EXPECT_THAT(detector.take(), IsEmpty());
}

TEST(BurstDetector, ASlowLeakIsNoBurst) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(0, 100_MiB));
  for (std::uint64_t i = 1; i < 500; ++i) {  // 10 MiB/s, 16 are asked for
    detector.step(steps.up(i * 100_ms, 100_MiB + i * 1_MiB));
    detector.advance(i * 100_ms);
  }
  EXPECT_THAT(detector.take(), IsEmpty());
}

TEST(BurstDetector, ASteadyRiseIsOneBurst) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  for (std::uint64_t i = 1; i <= 30 * 50; ++i) {  // 50 MiB/s for 30 s
    detector.step(steps.up(kSecond + i * 20_ms, 100_MiB + i * 1_MiB));
    detector.advance(kSecond + i * 20_ms);
  }
  EXPECT_THAT(detector.take(), IsEmpty());
  detector.advance(60 * kSecond);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].burst.end, BurstEnd::kLevelled);
  EXPECT_EQ(found[0].burst.peak_bytes, 1600_MiB);
  EXPECT_LE(found[0].end_ns, 32 * kSecond) << "one window after the last progress, whenever advance() is called";
  EXPECT_GE(found[0].end_ns, 32 * kSecond - 100_ms);
}

TEST(BurstDetector, LevellingDoesNotDependOnWhenTimeIsTold) {
  for (const bool told : {false, true}) {
    auto detector = detector_of();
    StepBuilder steps;
    detector.step(steps.first(kSecond, 100_MiB));
    grow(detector, steps, 2 * kSecond, 100_ms, 100_MiB, 150_MiB);
    if (told) {
      detector.advance(5 * kSecond);
    }
    grow(detector, steps, 10 * kSecond, 100_ms, 150_MiB, 200_MiB);
    detector.advance(20 * kSecond);
    const auto found = detector.take();
    ASSERT_EQ(found.size(), 2) << told;
    EXPECT_EQ(found[0].burst.peak_bytes, 150_MiB);
    EXPECT_LE(found[0].end_ns, 3100_ms);
    EXPECT_GE(found[0].end_ns, 3090_ms);
    EXPECT_EQ(found[1].burst.peak_bytes, 200_MiB);
  }
}

TEST(BurstDetector, ACreepAfterABurstDoesNotKeepItOpen) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  grow(detector, steps, 2 * kSecond, 10_ms, 100_MiB, 164_MiB);
  std::size_t found = 0;
  for (std::uint64_t i = 1; i < 40; ++i) {
    detector.step(steps.up(2 * kSecond + i * 500_ms, 164_MiB + i * 1_MiB));
    detector.advance(2 * kSecond + i * 500_ms);
    found += detector.take().size();
  }
  EXPECT_EQ(found, 1);
}

TEST(BurstDetector, TheLimitSetsTheLeastBurst) {
  for (const auto& [limit, rise, bursts] : {std::tuple(2_GiB, 100_MiB, 0), std::tuple(2_GiB, 104_MiB, 1),
                                            std::tuple(64_MiB, 15_MiB, 0), std::tuple(64_MiB, 17_MiB, 1)}) {
    auto detector = detector_of();
    StepBuilder steps;
    steps.limit(limit);
    detector.step(steps.first(kSecond, 10_MiB));
    grow(detector, steps, 2 * kSecond, 10_ms, 10_MiB, 10_MiB + rise);
    detector.advance(9 * kSecond);
    EXPECT_EQ(detector.take().size(), bursts) << limit << " " << rise;
  }
}

TEST(BurstDetector, ASettingOverridesTheLimit) {
  auto detector = detector_of(4_MiB);
  StepBuilder steps;
  steps.limit(2_GiB);
  detector.step(steps.first(kSecond, 10_MiB));
  grow(detector, steps, 2 * kSecond, 10_ms, 10_MiB, 15_MiB);
  detector.advance(9 * kSecond);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].limit_bytes, 2_GiB);
}

TEST(BurstDetector, ItStartsWhereItLeftTheBaseAndNotWhereTheWindowBegan) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  detector.step(steps.down(50 * kSecond, 99_MiB));
  detector.step(steps.up(50 * kSecond + 900_ms, 100_MiB));
  grow(detector, steps, 50 * kSecond + 900_ms, 10_ms, 100_MiB, 150_MiB);
  detector.advance(90 * kSecond);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_GE(found[0].burst.start_boot_ns, 50 * kSecond + 900_ms);
  EXPECT_LT(found[0].burst.duration_ms, 11);
}

TEST(BurstDetector, AFallIsSeenToTheQuantumByAHook) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  grow(detector, steps, 2 * kSecond, 10_ms, 100_MiB, 164_MiB);
  fall(detector, steps, 2 * kSecond + 20_ms, 32_ms, 164_MiB, 100_MiB);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].burst.end, BurstEnd::kFell);
  EXPECT_EQ(found[0].burst.end_uncertainty_ms, 0);
  EXPECT_NEAR(found[0].burst.above_half_ms, 5 + 10 + 16, 2);
  detector.advance(60 * kSecond);
  EXPECT_THAT(detector.take(), IsEmpty()) << "once";
}

TEST(BurstDetector, ASawToothIsOneBurstATooth) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  for (std::uint64_t tooth = 0; tooth < 10; ++tooth) {
    const std::uint64_t at = 2 * kSecond + tooth * 100_ms;
    grow(detector, steps, at, 10_ms, 100_MiB, 140_MiB);
    fall(detector, steps, at + 20_ms, 10_ms, 140_MiB, 100_MiB);
  }
  const auto found = detector.take();
  EXPECT_EQ(found.size(), 10);
  for (std::size_t i = 1; i < found.size(); ++i) {
    EXPECT_GE(found[i].burst.start_boot_ns, found[i - 1].end_ns);
  }
}

TEST(BurstDetector, TinyOscillationsAreNothing) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    detector.step(steps.up(2 * kSecond + i * 2_ms, 103_MiB));
    detector.step(steps.down(2 * kSecond + i * 2_ms + 1_ms, 100_MiB));
  }
  detector.advance(100 * kSecond);
  EXPECT_THAT(detector.take(), IsEmpty());
}

TEST(BurstDetector, DuplicatesOfAStepChangeNothing) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  for (std::uint64_t i = 1; i <= 64; ++i) {
    for (int copy = 0; copy < 3; ++copy) {
      detector.step(steps.up(2 * kSecond + i * 10_us, 100_MiB + i * 1_MiB));
    }
  }
  detector.advance(9 * kSecond);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].burst.peak_bytes, 164_MiB);
  ASSERT_EQ(found[0].burst.contributors.size(), 1);
  EXPECT_LE(found[0].burst.contributors[0].bytes, 64_MiB);
}

TEST(BurstDetector, NeighboursMayOvertakeEachOther) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  for (std::uint64_t i = 1; i <= 64; i += 2) {
    detector.step(steps.up(2 * kSecond + (i + 1) * 3_us, 100_MiB + (i + 1) * 1_MiB));
    detector.step(steps.up(2 * kSecond + i * 3_us, 100_MiB + i * 1_MiB));
  }
  detector.advance(9 * kSecond);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].burst.peak_bytes, 164_MiB);
}

TEST(BurstDetector, ALookAtTheFileMayOvertakeTheStepsOfTheSameRise) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  detector.sample(sample(2 * kSecond + 2_ms, 164_MiB));
  grow(detector, steps, 2 * kSecond, 1_ms, 100_MiB, 164_MiB);
  detector.advance(9 * kSecond);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1) << "no false fall, no second rise";
  EXPECT_EQ(found[0].burst.end, BurstEnd::kLevelled);
  ASSERT_EQ(found[0].burst.contributors.size(), 1);
  EXPECT_GT(found[0].burst.contributors[0].share, 0.9) << "who grew it still counts";
}

TEST(BurstDetector, ALookAfterTheFallMayOvertakeTheWholeBurst) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  detector.sample(sample(2 * kSecond + 2_ms, 100_MiB));
  grow(detector, steps, 2 * kSecond, 1_ms, 100_MiB, 164_MiB);
  detector.sample(sample(2 * kSecond + 7_ms, 100_MiB));
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].burst.peak_bytes, 164_MiB);
}

TEST(BurstDetector, SamplesMayShowARiseToo) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  detector.sample(sample(kSecond + 10_ms, 100_MiB));
  detector.sample(sample(kSecond + 20_ms, 150_MiB));
  detector.sample(sample(kSecond + 30_ms, 100_MiB));
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].burst.peak_bytes, 150_MiB);
  EXPECT_GT(found[0].burst.duration_ms, 0);
  EXPECT_THAT(found[0].burst.contributors, IsEmpty()) << "no step says who";
}

TEST(BurstDetector, ASampleAloneIsNoBaseLine) {
  auto detector = detector_of();
  detector.sample(sample(kSecond, 10_MiB));
  detector.sample(sample(kSecond + 1_ms, 500_MiB));
  detector.advance(9 * kSecond);
  EXPECT_THAT(detector.take(), IsEmpty());
}

TEST(BurstDetector, ContributorsAreProcessesLargestFirst) {
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

TEST(BurstDetector, GrowthOfAnAncestorBelongsToTheTaskBelow) {
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

TEST(BurstDetector, AtMostEightContributors) {
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

TEST(BurstDetector, ThrottledStepsAreSaid) {
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

TEST(BurstDetector, TheWatermarkIsThePeakWhereItRose) {
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

TEST(BurstDetector, AnOldWatermarkThatIsLearntLateIsNotTheNextBurstsPeak) {
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

TEST(BurstDetector, AKillCutsTheBurstUnderWay) {
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

TEST(BurstDetector, AKillAlsoHasItsRiseWhenThatWasSmall) {
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

TEST(BurstDetector, AKillWithoutARiseHasNone) {
  auto detector = detector_of();
  StepBuilder steps;
  EXPECT_FALSE(detector.cut(100, kSecond)) << "a cgroup never seen";
  detector.step(steps.first(kSecond, 100_MiB));
  EXPECT_FALSE(detector.cut(100, kSecond + 1_ms));
  grow(detector, steps, 2 * kSecond, 5_ms, 100_MiB, 105_MiB);
  EXPECT_FALSE(detector.cut(100, 9 * kSecond)) << "long over";
}

TEST(BurstDetector, AKillAfterAPlateauIsStillTheBurstsDoing) {
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

TEST(BurstDetector, AKillAfterThePlateauFellIsNot) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  grow(detector, steps, 2 * kSecond, 100_ms, 100_MiB, 400_MiB);
  detector.advance(4 * kSecond);
  fall(detector, steps, 4 * kSecond, 100_ms, 400_MiB, 100_MiB);
  EXPECT_FALSE(detector.cut(100, 6 * kSecond));
}

TEST(BurstDetector, TheFallThatTheKillCausedMayComeFirst) {
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

TEST(BurstDetector, ARemovedCgroupEndsItsBurst) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  grow(detector, steps, 2 * kSecond, 5_ms, 100_MiB, 200_MiB);
  detector.removed(100, 2 * kSecond + 50_ms);
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 1);
  EXPECT_EQ(found[0].burst.end, BurstEnd::kRemoved);
  EXPECT_EQ(found[0].end_ns, 2 * kSecond + 50_ms);
  detector.removed(100, 3 * kSecond);
  EXPECT_THAT(detector.take(), IsEmpty());
  EXPECT_THAT(detector.active(2 * kSecond + 60_ms), IsEmpty());
}

TEST(BurstDetector, CgroupsAreApart) {
  auto detector = detector_of();
  StepBuilder a(1);
  StepBuilder b(2);
  detector.step(a.first(kSecond, 100_MiB));
  detector.step(b.first(kSecond, 10_MiB));
  for (std::uint64_t i = 1; i <= 40; ++i) {
    detector.step(a.up(2 * kSecond + i * 1_ms, 100_MiB + i * 1_MiB));
    detector.step(b.up(2 * kSecond + i * 1_ms + 1, 10_MiB + i * 1_MiB));
  }
  detector.sample(sample(2 * kSecond + 50_ms, 10_MiB, 2));
  detector.sample(sample(2 * kSecond + 60_ms, 100_MiB, 1));
  const auto found = detector.take();
  ASSERT_EQ(found.size(), 2);
  EXPECT_EQ(found[0].cgroup_id, 2) << "in order of their end";
  EXPECT_EQ(found[1].cgroup_id, 1);
}

TEST(BurstDetector, ActiveWhileOpenOrRecent) {
  auto detector = detector_of();
  StepBuilder a(1);
  StepBuilder b(2);
  detector.step(a.first(kSecond, 100_MiB));
  detector.step(b.first(4 * kSecond, 100_MiB));
  EXPECT_THAT(detector.active(4 * kSecond + 1), ElementsAre(2));
  EXPECT_THAT(detector.active(kSecond + 1), testing::Contains(1));
  grow(detector, a, 5 * kSecond, 5_ms, 100_MiB, 200_MiB);
  EXPECT_THAT(detector.active(5 * kSecond + 900_ms), testing::Contains(1));
  detector.advance(9 * kSecond);
  EXPECT_THAT(detector.active(9 * kSecond), IsEmpty());
}

TEST(BurstDetector, TheQuietestIsForgottenFirst) {
  BurstDetector detector({std::nullopt, std::chrono::seconds(1), 10});
  StepBuilder busy(1);
  detector.step(busy.first(kSecond, 100_MiB));
  for (std::uint64_t id = 2; id < 500; ++id) {
    StepBuilder other(id);
    detector.step(other.first(kSecond + id * 1_ms, 1_MiB));
    detector.step(busy.up(kSecond + id * 1_ms, 100_MiB + id * 1_MiB));
  }
  detector.advance(9 * kSecond);
  EXPECT_EQ(detector.take().size(), 1);
}

TEST(BurstDetector, RoomForNoneOrForOpenBurstsOnly) {
  for (const std::size_t room : {0UL, 1UL, 2UL}) {
    BurstDetector detector({std::nullopt, std::chrono::seconds(1), room});
    for (std::uint64_t id = 1; id < 20; ++id) {
      StepBuilder steps(id);
      detector.step(steps.first(id * kSecond, 1_MiB));
      grow(detector, steps, id * kSecond, 1_ms, 1_MiB, 65_MiB);
    }
    detector.advance(90 * kSecond);
    EXPECT_EQ(detector.take().size(), 19) << "a burst under way is told as far as it went; room " << room;
  }
}

TEST(BurstDetector, HostileValuesAreHarmless) {
  const std::vector<std::uint64_t> values = {0, 1, 4096, 1_MiB, ~0ULL, ~0ULL - 1, 1ULL << 63U};
  std::mt19937_64 random(1);
  const auto any = [&] { return values[random() % values.size()]; };
  for (const auto window :
       {std::chrono::nanoseconds(-5), std::chrono::nanoseconds(0), std::chrono::nanoseconds::max()}) {
    BurstDetector detector({any(), window, 4});
    for (int i = 0; i < 20'000; ++i) {
      StepEvent event;
      event.time_ns = any();
      event.cgroup_id = random() % 6;
      event.usage_bytes = any();
      event.watermark_bytes = any();
      event.quantum_bytes = any();
      event.suppressed = any();
      event.limit_bytes = any();
      event.up = random() % 2 == 0;
      event.down = random() % 2 == 0;
      event.task = task(static_cast<std::uint32_t>(random() % 5));
      detector.step(event);
      detector.sample({any(), random() % 6, any()});
      switch (random() % 8) {
        case 0:
          detector.advance(any());
          break;
        case 1:
          std::ignore = detector.cut(random() % 6, any());
          break;
        case 2:
          detector.removed(random() % 6, any());
          break;
        case 3:
          detector.created(random() % 6, any());
          break;
        default:
          break;
      }
      std::ignore = detector.active(any());
      for (const auto& found : detector.take()) {
        ASSERT_GE(found.burst.peak_bytes, found.burst.base_bytes);
        ASSERT_GE(found.burst.duration_ms, 0);
        ASSERT_GE(found.burst.slope_bytes_per_s, 0);
      }
    }
  }
}

// Steps and samples as a real cgroup's would be, random; and every rise looked for by hand.
class RandomWalk {
 public:
  explicit RandomWalk(std::uint64_t seed) : random_(seed) {
    std::uint64_t time = kSecond;
    std::int64_t usage = 200;
    points_.push_back({time, 200_MiB, false});
    for (int i = 0; i < 600; ++i) {
      time += random_() % 3 == 0 ? random_() % 400_ms : random_() % 5_ms;
      usage +=
          static_cast<std::int64_t>(random_() % 9) - 4 + (random_() % 40 == 0 ? -30 : 0) + (i / 40 % 3 == 0 ? 2 : 0);
      usage = std::clamp<std::int64_t>(usage, 0, 1000);
      points_.push_back({time, static_cast<std::uint64_t>(usage) * 1_MiB, random_() % 4 == 0});
    }
  }
  [[nodiscard]] const std::vector<UsagePoint>& points() const { return points_; }

  [[nodiscard]] std::vector<BurstFinding> run(std::uint64_t least) const {
    auto detector = detector_of(least);
    StepBuilder steps;
    std::vector<BurstFinding> out;
    std::uint64_t before = 0;
    for (const auto& point : points_) {
      detector.advance(point.time_ns);
      if (point.sampled) {
        detector.sample(sample(point.time_ns, point.usage_bytes));
      } else {
        detector.step(point.usage_bytes > before ? steps.up(point.time_ns, point.usage_bytes)
                                                 : steps.down(point.time_ns, point.usage_bytes));
      }
      before = point.usage_bytes;
      for (auto& one : detector.take()) {
        out.push_back(std::move(one));
      }
    }
    detector.advance(points_.back().time_ns + 10 * kSecond);
    for (auto& one : detector.take()) {
      out.push_back(std::move(one));
    }
    return out;
  }

 private:
  std::mt19937_64 random_;
  std::vector<UsagePoint> points_;
};

std::uint64_t peak_time(const BurstFinding& found) {
  return found.burst.start_boot_ns + static_cast<std::uint64_t>(std::llround(found.burst.duration_ms * 1e6));
}

TEST(BurstDetectorProperty, NoRiseIsMissedAndNoneToldTwice) {
  constexpr std::uint64_t kLeast = 16_MiB;
  std::size_t bursts = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    const RandomWalk walk(seed);
    const auto& points = walk.points();
    const auto found = walk.run(kLeast);
    bursts += found.size();
    for (std::size_t i = 0; i < points.size(); ++i) {
      for (std::size_t j = i + 1; j < points.size() && points[j].time_ns <= points[i].time_ns + kSecond; ++j) {
        if (points[j].usage_bytes < points[i].usage_bytes + kLeast) {
          continue;
        }
        // Told, or the tail of a fall from a peak that was told.
        ASSERT_TRUE(std::ranges::any_of(
            found,
            [&](const BurstFinding& one) {
              const bool inside = one.burst.start_boot_ns <= points[j].time_ns && points[j].time_ns <= one.end_ns;
              return inside || (peak_time(one) > points[i].time_ns && peak_time(one) <= points[j].time_ns);
            }))
            << "seed " << seed << ": missed the rise from " << points[i].time_ns << " to " << points[j].time_ns;
      }
    }
    for (std::size_t k = 0; k < found.size(); ++k) {
      const auto& burst = found[k].burst;
      ASSERT_GE(burst.growth_bytes, kLeast) << "seed " << seed;
      // The peak is the highest usage of its time; its usage stood there at its time.
      std::uint64_t highest = 0;
      for (const auto& point : points) {
        if (point.time_ns >= burst.start_boot_ns &&
            point.time_ns <= std::min(found[k].end_ns, peak_time(found[k]) + 5)) {
          highest = std::max(highest, point.usage_bytes);
        }
      }
      ASSERT_LE(highest, burst.peak_bytes) << "seed " << seed;
      ASSERT_LE(burst.peak_bytes - highest, 2_MiB) << "seed " << seed << ": only a watermark may lie above";
      if (k > 0) {
        ASSERT_GE(burst.start_boot_ns + 5, peak_time(found[k - 1])) << "seed " << seed << ": two share a rise";
      }
      double shares = 0;
      for (const auto& contributor : burst.contributors) {
        shares += contributor.share;
      }
      ASSERT_LE(shares, 1 + 1e-9);
    }
  }
  EXPECT_GT(bursts, 100) << "the walks must have something to find";
}

TEST(BurstDetectorSpeed, TwoHundredThousandSteps) {
  auto detector = detector_of();
  StepBuilder steps;
  detector.step(steps.first(kSecond, 100_MiB));
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t at = 2 * kSecond;
  std::uint64_t usage = 100_MiB;
  std::size_t found = 0;
  for (std::uint64_t i = 0; i < 200'000; ++i) {
    // A saw with teeth of 500 MiB, 10 us a step.
    const bool up = i / 500 % 2 == 0;
    at += 10'000;
    usage = up ? usage + 1_MiB : usage - 1_MiB;
    detector.step(up ? steps.up(at, usage) : steps.down(at, usage));
    if (i % 1000 == 0) {
      detector.advance(at);
      found += detector.take().size();
    }
  }
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(found, 190);
  RecordProperty("milliseconds", std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
  EXPECT_LT(took, std::chrono::seconds(60)) << "far above what even a sanitizer build needs";
}

}  // namespace
}  // namespace memcrest
