// SPDX-License-Identifier: Apache-2.0
#include "incident/samplers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "support/event_builder.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

TEST(Samplers, AreTheThreeUsualTools) {
  const auto views = samplers_view(UsageHistory{}, 0, 0, 0, 0);
  ASSERT_EQ(views.size(), 3);
  EXPECT_EQ(views[0].name, "docker stats");
  EXPECT_EQ(views[0].interval_ms, 1000);
  EXPECT_EQ(views[1].name, "cAdvisor");
  EXPECT_EQ(views[1].interval_ms, 10'000);
  EXPECT_EQ(views[2].name, "metrics-server");
  EXPECT_EQ(views[2].interval_ms, 15'000);
  EXPECT_EQ(views[0].chance_seen, 0);
}

TEST(Samplers, ShortBurstIsSeenWithTheChanceOfItsLength) {
  UsageHistory history;
  history.add({0, 10_MiB});
  history.add({20'000_ms, 100_MiB});
  history.add({20'100_ms, 10_MiB});
  const auto views = samplers_view(history, 20'000_ms, 20'100_ms, 10_MiB, 100_MiB);
  EXPECT_NEAR(views[0].chance_seen, 0.1, 1e-12);
  EXPECT_NEAR(views[1].chance_seen, 0.01, 1e-12);
  EXPECT_NEAR(views[2].chance_seen, 0.1 / 15, 1e-12);
  EXPECT_EQ(views[0].typical_seen_bytes, 10_MiB);
}

TEST(Samplers, LongBurstIsSeenForCertain) {
  UsageHistory history;
  history.add({0, 10_MiB});
  history.add({20'000_ms, 100_MiB});
  const auto views = samplers_view(history, 20'000_ms, 31'000_ms, 10_MiB, 100_MiB);
  EXPECT_EQ(views[0].chance_seen, 1);
  EXPECT_EQ(views[1].chance_seen, 1);
  EXPECT_NEAR(views[2].chance_seen, 11.0 / 15, 1e-12);
  EXPECT_EQ(views[0].typical_seen_bytes, 100_MiB);
  EXPECT_EQ(views[2].typical_seen_bytes, 100_MiB) << "11 of the last 15 s";
}

TEST(Samplers, TwoPeaksOneIntervalApartAreOneChance) {
  UsageHistory history;
  history.add({0, 0});
  for (const std::uint64_t at : {5000_ms, 6000_ms}) {
    history.add({at, 100_MiB});
    history.add({at + 200_ms, 0});
  }
  const auto views = samplers_view(history, 5000_ms, 7000_ms, 0, 100_MiB);
  EXPECT_NEAR(views[0].chance_seen, 0.2, 1e-12) << "a 1 s sampler that misses one misses both";
  EXPECT_NEAR(views[1].chance_seen, 0.04, 1e-12);
}

TEST(Samplers, OnlyMoreThanHalfOfTheBurstCounts) {
  UsageHistory history;
  history.add({0, 100_MiB});
  history.add({5000_ms, 150_MiB});
  history.add({5500_ms, 151_MiB});
  history.add({5600_ms, 200_MiB});
  EXPECT_NEAR(samplers_view(history, 5000_ms, 5700_ms, 100_MiB, 200_MiB)[0].chance_seen, 0.2, 1e-12);
}

TEST(Samplers, ASampleExactlyAtTheKillWasNotShown) {
  UsageHistory history;
  history.add({0, 10_MiB});
  history.add({5000_ms, 100_MiB});
  const auto views = samplers_view(history, 4000_ms, 5000_ms, 10_MiB, 100_MiB);
  EXPECT_EQ(views[0].chance_seen, 0);
  EXPECT_EQ(views[0].typical_seen_bytes, 10_MiB);
}

TEST(Samplers, AContainerThatWasNotThereShowedNothing) {
  UsageHistory history;
  history.add({100'000_ms, 0});  // seen being created
  history.add({100'010_ms, 300_MiB});
  EXPECT_EQ(samplers_view(history, 100'000_ms, 100'300_ms, 0, 300_MiB)[0].typical_seen_bytes, 0);
}

TEST(Samplers, ABaseLineHeldBeforeItWasFirstSeen) {
  UsageHistory history;
  history.add({100'000_ms, 200_MiB});  // it was there before memcrest
  history.add({100'200_ms, 300_MiB});
  EXPECT_EQ(samplers_view(history, 100'000_ms, 100'300_ms, 200_MiB, 300_MiB)[1].typical_seen_bytes, 200_MiB);
}

TEST(Samplers, RightAfterBoot) {
  UsageHistory history;
  history.add({10_ms, 1_MiB});
  history.add({20_ms, 9_MiB});
  const auto views = samplers_view(history, 10_ms, 30_ms, 1_MiB, 9_MiB);
  EXPECT_EQ(views[2].typical_seen_bytes, 1_MiB);
  EXPECT_NEAR(views[0].chance_seen, 0.01, 1e-12);
}

TEST(Samplers, HostileValuesAreHarmless) {
  UsageHistory history;
  history.add({~0ULL, ~0ULL});
  for (const auto& view : samplers_view(history, 0, ~0ULL, 0, ~0ULL)) {
    EXPECT_GE(view.chance_seen, 0);
    EXPECT_LE(view.chance_seen, 1);
  }
  for (const auto& view : samplers_view(history, ~0ULL, 0, ~0ULL, 0)) {
    EXPECT_EQ(view.chance_seen, 0);
  }
}

// A sampler simulated at many phases must come out where the exact computation does.
TEST(Samplers, AgreeWithMonteCarlo) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 60; ++round) {
    UsageHistory history;
    std::uint64_t time = 40'000_ms;
    history.add({time, random() % 100});
    const std::uint64_t start = time;
    const int points = static_cast<int>(random() % 40) + 1;
    for (int i = 0; i < points; ++i) {
      time += random() % 700_ms;
      history.add({time, random() % 100});
    }
    const std::uint64_t end = time + random() % 500_ms + 1;
    for (const auto& view : samplers_view(history, start, end, 20, 80)) {
      const std::uint64_t interval = view.interval_ms * 1_ms;
      constexpr int kPhases = 4000;
      int hits = 0;
      std::vector<std::uint64_t> last;
      for (int k = 0; k < kPhases; ++k) {
        const std::uint64_t before_end = (static_cast<std::uint64_t>(k) * 2 + 1) * interval / (2 * kPhases);
        last.push_back(history.at(end - before_end));
        bool hit = false;
        for (std::uint64_t at = end - before_end; at >= start && !hit; at -= interval) {
          hit = history.at(at) > 50;
        }
        hits += hit ? 1 : 0;
      }
      ASSERT_NEAR(view.chance_seen, static_cast<double>(hits) / kPhases, 0.02) << view.name << " round " << round;
      std::ranges::sort(last);
      // The median up to the resolution of the phases.
      const auto lower = last[kPhases / 2 - kPhases / 100];
      const auto upper = last[kPhases / 2 + kPhases / 100];
      ASSERT_GE(view.typical_seen_bytes, lower) << view.name << " round " << round;
      ASSERT_LE(view.typical_seen_bytes, upper) << view.name << " round " << round;
    }
  }
}

}  // namespace
}  // namespace memcrest
