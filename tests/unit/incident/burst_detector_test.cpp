// SPDX-License-Identifier: Apache-2.0
#include "incident/burst_detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "support/burst_steps.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

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

TEST(BurstDetector, OfACgroupThatWasSeenBeingMadeUsageIsKnownBeforeItsFirstStep) {
  auto detector = detector_of();
  detector.created(100, kSecond);
  EXPECT_EQ(detector.usage_at(100, 2 * kSecond), 0U);
  EXPECT_FALSE(detector.usage_at(101, 2 * kSecond));
  EXPECT_FALSE(detector.cut(100, 2 * kSecond)) << "nothing rose";
  detector.sample({2 * kSecond, 100, 3_MiB});
  EXPECT_EQ(detector.usage_at(100, 2 * kSecond), 3_MiB);
  detector.created(101, kSecond);
  detector.removed(101, 2 * kSecond);
  EXPECT_FALSE(detector.usage_at(101, 2 * kSecond));
}

// They cost little, and are bounded all the same.
TEST(BurstDetector, OfTooManyIdleCgroupsTheOldestIsForgotten) {
  BurstSettings settings;
  settings.max_cgroups = 2;
  BurstDetector detector(settings);
  for (const std::uint64_t id : {300UL, 200UL, 100UL}) {
    detector.created(id, (301 - id) * kSecond);
  }
  EXPECT_FALSE(detector.usage_at(300, 500 * kSecond));
  EXPECT_EQ(detector.usage_at(200, 500 * kSecond), 0U);
  EXPECT_EQ(detector.usage_at(100, 500 * kSecond), 0U);
}

// A detector that looked who may rest, and one that had no time to: whatever comes afterwards, they tell the same.
TEST(BurstDetector, WhoRestedIsJudgedAsWhoDidNot) {
  for (const bool plateau : {false, true}) {
    auto rested = detector_of();
    auto awake = detector_of();
    StepBuilder steps;
    const auto both = [&](const auto& act) {
      act(rested);
      act(awake);
    };
    both([&](BurstDetector& one) {
      StepBuilder mine = steps.limit(100_MiB);
      one.created(100, kSecond);
      one.step(mine.first(kSecond + 1_ms, 1_MiB));
      grow(one, mine, kSecond + 1_ms, 50_ms, 1_MiB, 40_MiB);
      if (!plateau) {
        one.step(mine.down(3 * kSecond, 5_MiB));
      }
      one.advance(10 * kSecond);
      EXPECT_EQ(one.take().size(), 1U);
    });
    for (std::uint64_t second = 20; second < 200; second += 5) {
      rested.advance(second * kSecond);
      EXPECT_EQ(rested.resting(), second >= 125U ? 1U : 0U) << second << " s: samplers still see it before";
    }
    EXPECT_EQ(awake.resting(), 0U);
    EXPECT_FALSE(rested.cut(100, 200 * kSecond));
    EXPECT_EQ(rested.usage_at(100, 200 * kSecond), plateau ? 40_MiB : 5_MiB);
    const auto again = [&](BurstDetector& one) {
      StepBuilder mine = StepBuilder().limit(100_MiB).watermark(40_MiB);
      grow(one, mine, 300 * kSecond, 50_ms, plateau ? 40_MiB : 5_MiB, 90_MiB);
      return one.cut(100, 301 * kSecond);
    };
    const auto a = again(rested);
    const auto b = again(awake);
    ASSERT_TRUE(a && b);
    EXPECT_EQ(rested.resting(), 0U);
    EXPECT_EQ(a->burst.base_bytes, b->burst.base_bytes);
    EXPECT_EQ(a->burst.peak_bytes, b->burst.peak_bytes);
    EXPECT_EQ(a->burst.start_boot_ns, b->burst.start_boot_ns);
    EXPECT_EQ(a->burst.duration_ms, b->burst.duration_ms);
    EXPECT_EQ(a->burst.shape, b->burst.shape);
    EXPECT_EQ(a->watermark_rose, b->watermark_rose);
    EXPECT_EQ(a->seen_bytes, b->seen_bytes);
    ASSERT_EQ(a->samplers.size(), b->samplers.size());
    for (std::size_t i = 0; i < a->samplers.size(); ++i) {
      EXPECT_EQ(a->samplers[i].typical_seen_bytes, b->samplers[i].typical_seen_bytes);
    }
  }
}

// As a pod's cgroup, which is charged a little when a container's is made in it.
TEST(BurstDetector, WhoNeverMovedRestsSoon) {
  auto detector = detector_of();
  detector.created(100, kSecond);
  detector.step(StepBuilder(100, 256U << 10U).first(kSecond + 1_ms, 400U << 10U));
  detector.advance(2 * kSecond);
  EXPECT_EQ(detector.resting(), 0U);
  detector.advance(8 * kSecond);
  EXPECT_EQ(detector.resting(), 1U);
  EXPECT_EQ(detector.usage_at(100, 9 * kSecond), 400U << 10U);
  detector.missing(100, 10 * kSecond);
  EXPECT_EQ(detector.resting(), 0U);
  detector.removed(100, 11 * kSecond);
  EXPECT_FALSE(detector.usage_at(100, 12 * kSecond));
  detector.step(StepBuilder().first(12 * kSecond, 256U << 10U));
  detector.advance(20 * kSecond);
  detector.advance(26 * kSecond);
  EXPECT_EQ(detector.resting(), 1U);
  detector.removed(100, 27 * kSecond);
  EXPECT_EQ(detector.resting(), 0U);
}

// The kernel's mark of one that was seen being made began at nothing, and its burst's peak is that mark: also after a
// rest.
TEST(BurstDetector, WhoRestedBeforeItsFirstStepHasAnExactPeak) {
  auto detector = detector_of();
  detector.created(100, kSecond);
  detector.sample(sample(2 * kSecond, 300U << 10U));
  detector.advance(10 * kSecond);
  detector.advance(20 * kSecond);
  ASSERT_EQ(detector.resting(), 1U);
  StepBuilder steps;
  grow(detector, steps, 30 * kSecond, 50_ms, 1_MiB, 40_MiB);
  const auto found = detector.cut(100, 30 * kSecond + 60_ms);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->watermark_rose);
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

}  // namespace
}  // namespace memcrest
