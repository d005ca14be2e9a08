// SPDX-License-Identifier: Apache-2.0
#include "top/curve.h"

#include <gtest/gtest.h>

#include <limits>

#include "support/event_builder.h"
#include "util/text.h"

namespace memcrest {
namespace {

using namespace testing_support;

TEST(ShareBar, ShowsUseAndPeak) {
  EXPECT_EQ(share_bar(0.2, 0.8, 10), "██▒▒▒▒▒┃··");
  EXPECT_EQ(share_bar(0.5, 0.5, 10), "█████·····");
  EXPECT_EQ(share_bar(3, 9, 4), "████");
  EXPECT_EQ(share_bar(std::numeric_limits<double>::quiet_NaN(), -1, 3), "···");
}

TEST(MinuteLine, NewestIsAtTheRightAndNothingShortIsLost) {
  std::vector<std::uint64_t> history(60, 10);
  history[59 - 30] = 100;  // one second, half a minute ago
  const std::string line = minute_line(history, 100, 12);
  EXPECT_EQ(display_width(line), 12U);
  EXPECT_NE(line.find("█"), std::string::npos);
  EXPECT_EQ(minute_line({100}, 100, 4), "   █");
  EXPECT_EQ(minute_line({}, 100, 4), "    ");
  EXPECT_EQ(minute_line({0, 0}, 0, 2), "  ");
}

TEST(Chart, DrawsTheHighestOfEachColumn) {
  const std::vector<LivePoint> points = {{1000_ms, 10, 10}, {1500_ms, 10, 100}, {2000_ms, 50, 50}};
  const auto lines = chart(points, 1000_ms, 3000_ms, 100, 2, 2);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0], "█ ");
  EXPECT_EQ(lines[1], "██");
}

}  // namespace
}  // namespace memcrest
