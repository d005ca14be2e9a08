// SPDX-License-Identifier: Apache-2.0
#include "top/top_line.h"

#include <gtest/gtest.h>

#include "util/text.h"

namespace memcrest {
namespace {

TEST(TopLine, ColouredTextBecomesPieces) {
  const auto lines = lines_of(in_tone("OOM", Tone::kAlarm, true) + " web\n\n" + in_tone("x", Tone::kDim, true) + "y");
  ASSERT_EQ(lines.size(), 3U);
  ASSERT_EQ(lines[0].pieces.size(), 2U);
  EXPECT_EQ(lines[0].pieces[0].text, "OOM");
  EXPECT_EQ(lines[0].pieces[0].tone, Tone::kAlarm);
  EXPECT_EQ(lines[0].pieces[1].tone, Tone::kPlain);
  EXPECT_TRUE(lines[1].pieces.empty());
  EXPECT_EQ(text_of(lines[2]), "xy");
}

TEST(TopLine, CutsWideCharactersWhole) {
  TopLine line("日本語");
  line.add("abc", Tone::kBold);
  EXPECT_LE(width_of(cut(line, 5)), 5U);
  EXPECT_EQ(text_of(cut(line, 9)), "日本語abc");
  EXPECT_EQ(display_width(fitted("日本語", 5)), 5U);
  EXPECT_EQ(fitted("7", 3, true), "  7");
}

}  // namespace
}  // namespace memcrest
