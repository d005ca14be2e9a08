// SPDX-License-Identifier: Apache-2.0
// The detector against random and hostile steps, and how fast it is.
#include "incident/burst_detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <tuple>
#include <vector>

#include "incident/usage_history.h"
#include "support/burst_steps.h"

namespace memcrest {
namespace {

using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

TEST(BurstDetectorProperty, HostileValuesAreHarmless) {
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
