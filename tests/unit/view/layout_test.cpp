// SPDX-License-Identifier: Apache-2.0
#include "view/layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace memcrest {
namespace {

TEST(Layout, JoinsPiecesWhileTheyFitAndBeginsALineWhenNot) {
  Layout page(60, false);
  page.row("label");
  page.piece("", "one");
  page.piece(" · ", "two");
  page.piece(" · ", std::string(40, 'x'));
  EXPECT_EQ(page.finish(), "  label      one · two\n             " + std::string(40, 'x') + "\n");
}

TEST(Layout, CutsAPieceThatFitsOnNoLine) {
  Layout page(60, false);
  page.row("");
  page.piece("", std::string(100, 'x'));
  EXPECT_EQ(page.finish(), "             " + std::string(46, 'x') + "…\n");
}

TEST(Layout, WordsLoseNothing) {
  Layout page(60, false);
  page.row("gap");
  page.words("", std::string(50, 'a') + " b " + std::string(100, 'c'));
  std::string text = page.finish();
  EXPECT_EQ(std::ranges::count(text, 'a'), 51);  // one in the label
  EXPECT_EQ(std::ranges::count(text, 'b'), 1);
  EXPECT_EQ(std::ranges::count(text, 'c'), 100);
}

TEST(Layout, WordsAreNotCutInsideACharacter) {
  Layout page(60, false);
  page.row("");
  std::string whales;
  for (int i = 0; i < 60; ++i) {
    whales += "🐳";
  }
  page.words("", whales);
  std::string text = page.finish();
  std::erase(text, ' ');
  std::erase(text, '\n');
  EXPECT_EQ(text, whales);
}

TEST(Layout, ColourChangesNothingElse) {
  std::string plain;
  std::string colored;
  for (const bool color : {false, true}) {
    Layout page(60, color);
    page.row("label");
    page.piece("", std::string(40, 'x'), Tone::kAlarm);
    page.piece(" ", "yyyyyyyyyy", Tone::kBold);
    (color ? colored : plain) = page.finish();
  }
  EXPECT_NE(colored, plain);
  for (std::size_t escape = colored.find('\x1b'); escape != std::string::npos; escape = colored.find('\x1b')) {
    colored.erase(escape, colored.find('m', escape) - escape + 1);
  }
  EXPECT_EQ(colored, plain);
}

TEST(Layout, EmptyPiecesLeaveNoTrace) {
  Layout page(60, true);
  page.heading();
  page.piece("", "a");
  page.piece(" · ", "", Tone::kAlarm);
  EXPECT_EQ(page.finish(), "a\n");
}

TEST(Sparkline, HeightsFromZeroToTheHighest) {
  EXPECT_EQ(sparkline({0, 1, 2, 3, 4, 5, 6, 7, 8}), "▁▂▃▄▅▆▇██");
  EXPECT_EQ(sparkline({100, 101}), "██") << "a small rise must not look like a large one";
}

TEST(Sparkline, DegenerateInput) {
  EXPECT_EQ(sparkline({}), "");
  EXPECT_EQ(sparkline({5}), "");
  EXPECT_EQ(sparkline({0, 0}), "▁▁");
  EXPECT_EQ(sparkline({~0ULL, ~0ULL}), "██");
}

}  // namespace
}  // namespace memcrest
