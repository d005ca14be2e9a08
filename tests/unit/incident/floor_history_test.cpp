// SPDX-License-Identifier: Apache-2.0
// Labelled traces: what is a leak, what is work that comes and goes, what levels off.
#include "incident/floor_history.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

namespace memcrest {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kMebi = 1ULL << 20U;
constexpr std::uint64_t kLimit = 1024 * kMebi;

// Usage in MiB by the second, told ten times a second for `seconds`.
std::optional<FloorTrend> trend_of(double seconds, const std::function<double(double)>& usage) {
  FloorHistory history;
  history.add(7, 5 * kSecond, static_cast<std::uint64_t>(usage(0) * kMebi));
  for (int i = 1; i < static_cast<int>(seconds * 10); ++i) {
    const double t = i / 10.0;
    history.add(7, 5 * kSecond + static_cast<std::uint64_t>(t * 1e9), static_cast<std::uint64_t>(usage(t) * kMebi));
  }
  return history.trend(7, 5 * kSecond + static_cast<std::uint64_t>(seconds * 1e9), kLimit);
}

TEST(FloorHistory, ASteadyLeakRises) {
  const auto trend = trend_of(60, [](double t) { return 100 + 10 * t; });
  ASSERT_TRUE(trend);
  EXPECT_TRUE(trend->rising);
  EXPECT_FALSE(trend->levelling);
  EXPECT_NEAR(trend->slope_bytes_per_s / kMebi, 10, 0.5);
  ASSERT_TRUE(trend->horizon_ms);
  EXPECT_NEAR(*trend->horizon_ms, 36'000, 8'000);
}

TEST(FloorHistory, ALeakUnderPeaksRises) {
  const auto trend = trend_of(120, [](double t) { return 100 + 3 * t + (std::fmod(t, 4) < 2 ? 200 : 0); });
  ASSERT_TRUE(trend);
  EXPECT_TRUE(trend->rising);
  EXPECT_NEAR(trend->slope_bytes_per_s / kMebi, 3, 0.5);
  EXPECT_GE(trend->falls, 20U);
}

TEST(FloorHistory, PeaksOverAFlatFloorAreNoLeak) {
  const auto trend = trend_of(120, [](double t) { return 100 + (std::fmod(t, 5) < 2 ? 400 : 0); });
  ASSERT_TRUE(trend);
  EXPECT_FALSE(trend->rising);
  EXPECT_FALSE(trend->levelling);
  EXPECT_FALSE(trend->horizon_ms);
}

TEST(FloorHistory, GrowthToAPlateauLevels) {
  const auto trend = trend_of(60, [](double t) { return 100 + 700 * (1 - std::exp(-t / 8)); });
  ASSERT_TRUE(trend);
  EXPECT_TRUE(trend->levelling);
}

// The same seed each time; of 200 noisy traces without a leak hardly any may seem to have one.
TEST(FloorHistory, NoiseIsNoLeak) {
  std::mt19937 random(42);
  std::uniform_real_distribution<double> noise(0, 60);
  int rising = 0;
  for (int i = 0; i < 200; ++i) {
    rising += trend_of(30, [&](double) { return 300 + noise(random); })->rising ? 1 : 0;
  }
  EXPECT_LE(rising, 4);
}

TEST(FloorHistory, IdleTimeCounts) {
  FloorHistory history;
  history.add(7, kSecond, 100 * kMebi);
  const auto trend = history.trend(7, 3600 * kSecond, kLimit);
  ASSERT_TRUE(trend);
  EXPECT_FALSE(trend->rising);
  EXPECT_GT(trend->window_ms, 3'000'000);
}

TEST(FloorHistory, TooShortIsNotTold) {
  FloorHistory history;
  EXPECT_FALSE(history.trend(7, kSecond, kLimit));
  history.created(7, kSecond);
  history.add(7, kSecond + kSecond / 4, 100 * kMebi);
  EXPECT_FALSE(history.trend(7, kSecond + kSecond / 2, kLimit));
}

// Times that go back, the largest of all, and more cgroups than are followed.
TEST(FloorHistory, HostileTimesAndManyCgroups) {
  FloorHistory history;
  history.add(7, 5 * kSecond, 1);
  history.add(7, 0, UINT64_MAX);
  history.add(7, UINT64_MAX, 3);
  EXPECT_TRUE(history.trend(7, UINT64_MAX, std::nullopt));
  for (std::uint64_t id = 8; id < 10'000; ++id) {
    history.created(id, id);
    history.add(id, id, 1);
    history.removed(id);
  }
  EXPECT_FALSE(history.trend(8, kSecond, kLimit));
}

}  // namespace
}  // namespace memcrest
