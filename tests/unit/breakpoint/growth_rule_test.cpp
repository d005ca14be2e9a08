// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/growth_rule.h"

#include <gtest/gtest.h>

#include <limits>

namespace memcrest {
namespace {

using std::chrono::seconds;

constexpr std::uint64_t kSecondNs = 1'000'000'000;

TEST(GrowthRule, IsASizeAndATime) {
  const auto rule = parse_growth_rule("200m/10s");
  ASSERT_TRUE(rule);
  EXPECT_EQ(rule->bytes, 200U << 20U);
  EXPECT_EQ(rule->window, seconds(10));
  EXPECT_EQ(to_string(*rule), "200 MiB within 10.0 s");
}

TEST(GrowthRule, RefusesWhatIsNone) {
  for (const char* text : {"", "/", "200m", "200m/", "/10s", "0/10s", "200m/10", "200m/99ms", "200m/61m", "-1m/10s",
                           "x/10s", "200m/10s/", "200m/-1s", "16384p/1s"}) {
    EXPECT_FALSE(parse_growth_rule(text)) << text;
  }
}

class GrowthFloorTest : public testing::Test {
 protected:
  [[nodiscard]] std::uint64_t at(double seconds_since) const {
    return 1000 * kSecondNs + static_cast<std::uint64_t>(seconds_since * 1e9);
  }
  GrowthFloor floor_{GrowthRule{1000, seconds(32)}};  // 32 parts of one second
};

TEST_F(GrowthFloorTest, KnowsNothingBeforeItSawAnything) { EXPECT_FALSE(floor_.line(at(0))); }

TEST_F(GrowthFloorTest, LiesAboveTheLowest) {
  floor_.note(at(0), 500);
  EXPECT_EQ(floor_.line(at(0)), 1500);
  floor_.note(at(0.5), 400);
  floor_.note(at(0.7), 700);
  floor_.note(at(3), 900);
  EXPECT_EQ(floor_.line(at(3)), 1400);
}

TEST_F(GrowthFloorTest, ForgetsWhatIsAWindowAgo) {
  floor_.note(at(0), 100);
  floor_.note(at(20), 800);
  EXPECT_EQ(floor_.line(at(31.9)), 1100) << "within the window";
  EXPECT_EQ(floor_.line(at(32)), 1800) << "growth that took longer is not meant";
  EXPECT_EQ(floor_.line(at(51.9)), 1800);
  EXPECT_FALSE(floor_.line(at(52)));
}

TEST_F(GrowthFloorTest, NeverTakesGrowthForFasterThanItWas) {
  // 30 a second: 960 in 32 s, never 1000.
  std::uint64_t usage = 0;
  for (double when = 0; when < 200; when += 0.1) {
    usage = static_cast<std::uint64_t>(when * 30);
    if (const auto line = floor_.line(at(when))) {
      ASSERT_LT(usage, *line) << when;
    }
    floor_.note(at(when), usage);
  }
  // 35 a second: 1000 in 28.6 s.
  bool reached = false;
  for (double when = 200; when < 260 && !reached; when += 0.1) {
    usage += 4;
    reached = usage >= *floor_.line(at(when));
    floor_.note(at(when), usage);
  }
  EXPECT_TRUE(reached);
}

TEST_F(GrowthFloorTest, AFarTimeDoesNotConfuseIt) {
  floor_.note(at(0), 100);
  floor_.note(at(1'000'000), 700);
  EXPECT_EQ(floor_.line(at(1'000'000)), 1700);
  floor_.note(at(1'000'000), std::numeric_limits<std::uint64_t>::max() - 5);
  EXPECT_EQ(floor_.line(at(1'000'000)), 1700);
  GrowthFloor high{GrowthRule{1000, seconds(32)}};
  high.note(0, std::numeric_limits<std::uint64_t>::max() - 5);
  EXPECT_EQ(high.line(0), std::numeric_limits<std::uint64_t>::max()) << "no wrap";
}

}  // namespace
}  // namespace memcrest
