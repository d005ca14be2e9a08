// SPDX-License-Identifier: Apache-2.0
#include "breakpoint/line_rule.h"

#include <gtest/gtest.h>

namespace memcrest {
namespace {

TEST(LineRule, IsASizeOrAPart) {
  EXPECT_EQ(parse_line_rule("96m")->bytes, 96U << 20U);
  EXPECT_FALSE(parse_line_rule("96m")->percent);
  EXPECT_EQ(parse_line_rule("80%")->percent, 80);
  EXPECT_EQ(parse_line_rule("99.5%")->percent, 99.5);
  EXPECT_FALSE(parse_line_rule("80%")->bytes);
}

TEST(LineRule, RefusesWhatIsNone) {
  for (const char* text : {"", "%", "0", "0%", "-5%", "101%", "nan%", "inf%", "80 %", "80%%", "x", "-1", "5e400%"}) {
    EXPECT_FALSE(parse_line_rule(text)) << text;
  }
}

TEST(LineRule, IsTakenOfTheLimit) {
  EXPECT_EQ(line_of(*parse_line_rule("75%"), 1000), 750);
  EXPECT_EQ(line_of(*parse_line_rule("100%"), 1000), 1000);
  EXPECT_EQ(line_of(*parse_line_rule("1k"), 100), 1024) << "a size is itself, whatever the limit";
  EXPECT_EQ(line_of(*parse_line_rule("1k"), std::nullopt), 1024);
  EXPECT_FALSE(line_of(*parse_line_rule("75%"), std::nullopt));
}

TEST(LineRule, IsToldAsItWasAskedFor) {
  EXPECT_EQ(to_string(*parse_line_rule("80%")), "80%");
  EXPECT_EQ(to_string(*parse_line_rule("99.5%")), "99.5%");
  EXPECT_EQ(to_string(*parse_line_rule("96m")), "96.0 MiB");
}

}  // namespace
}  // namespace memcrest
