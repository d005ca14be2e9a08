// SPDX-License-Identifier: Apache-2.0
#include "top/top_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/live_builder.h"
#include "util/text.h"

namespace memcrest {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;
using ::testing::Not;

std::string text(const std::vector<TopLine>& lines) {
  std::string out;
  for (const TopLine& line : lines) {
    out += text_of(line) + "\n";
  }
  return out;
}

TopModel model_of(std::vector<LiveRow> rows) {
  TopModel out("test", TopOrder::kPercent);
  out.set(live_snapshot(std::move(rows)));
  return out;
}

TEST(TopPage, FitsAnySize) {
  TopModel model =
      model_of({live_row(1, "日本語の名前がとても長いコンテナ", 10_MiB, 90_MiB), live_row(2, "db", 50_MiB)});
  for (const std::size_t columns : {1U, 20U, 40U, 79U, 80U, 132U, 200U, 400U}) {
    for (const std::size_t rows : {1U, 3U, 24U, 50U}) {
      for (const char32_t key : {U' ', U'h', U'i', U'q', U'q', U't', U't'}) {
        (void)model.handle({.key = TopKey::kChar, .character = key});
        const auto page = top_page(model, columns, rows);
        ASSERT_EQ(page.size(), rows);
        for (const TopLine& line : page) {
          ASSERT_LE(width_of(line), columns);
        }
      }
    }
  }
}

TEST(TopPage, TellsUsePeakAndLimit) {
  TopModel model = model_of({live_row(1, "web", 10_MiB, 95_MiB)});
  const std::string page = text(top_page(model, 80, 24));
  EXPECT_THAT(page, HasSubstr("1 container"));
  EXPECT_THAT(page, HasSubstr(">!web"));  // near its limit, without any colour
  EXPECT_THAT(page, HasSubstr("10.0 MiB  95.0 MiB  100 MiB  10 %"));
  EXPECT_THAT(page, HasSubstr("█▒▒▒▒▒▒▒┃"));
  EXPECT_THAT(page, HasSubstr("%▼"));
}

TEST(TopPage, APeakThatIsNotExactSaysSo) {
  LiveRow row = live_row(1, "web", 10_MiB, 95_MiB);
  row.peak_interval_exact = false;
  TopModel model = model_of({row});
  EXPECT_THAT(text(top_page(model, 80, 24)), HasSubstr("~95.0 MiB"));
}

TEST(TopPage, EffectiveLimitTakesThePlaceOfTheOwnWhereTheyDiffer) {
  LiveRow row = live_row(1, "web", 10_MiB, 0, std::nullopt);
  row.memory.figures.effective = EffectiveLimit{64_MiB, "/kubepods", 20_MiB};
  TopModel model = model_of({row});
  const std::string narrow = text(top_page(model, 80, 24));
  EXPECT_THAT(narrow, HasSubstr("EFFECTIVE"));
  EXPECT_THAT(narrow, HasSubstr("64.0 MiB"));
  EXPECT_THAT(text(top_page(model, 200, 24)), HasSubstr("none"));
}

TEST(TopPage, HostileTextStaysText) {
  LiveRow row = live_row(1, "a\x1b[31mb\n\xff\u202e", 10_MiB);
  row.memory.container.image = "x\x1b]0;t\x07";
  row.memory.cgroup.path =
      "/c\x9b"
      "2J\r\n";
  row.kind = "\x1b[2J";
  TopModel model = model_of({row});
  const auto check = [](const std::string& page) {
    for (const char c : page) {
      ASSERT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << page;
    }
    EXPECT_EQ(to_valid_utf8(page), page);
  };
  check(text(top_page(model, 200, 24)));
  check(top_once(model, 200, false));
  LiveDetail detail;
  detail.row = row;
  detail.growers = {{1, "\x1b[0mx", 5, 1}};
  (void)model.handle({.key = TopKey::kEnter});
  model.set(std::optional(detail));
  check(text(top_page(model, 100, 40)));
  (void)model.handle({.key = TopKey::kEscape});
  (void)model.handle({.key = TopKey::kChar, .character = U'f'});
  (void)model.handle({.key = TopKey::kChar, .character = U'\u202e'});
  check(text(top_page(model, 100, 40)));
}

TEST(TopPage, DetailOfOneThatIsGoneSaysSo) {
  LiveDetail detail;
  detail.row = live_row(1, "web", 10_MiB, 95_MiB);
  detail.points = {{99'000_ms, 10_MiB, 10_MiB}, {99'500_ms, 12_MiB, 95_MiB}};
  detail.kinds = {{MemoryKind::kAnon, 85_MiB, 1}};
  const LiveSnapshot moment = live_snapshot({});
  const std::string page = text(detail_lines(detail, true, moment, 100));
  EXPECT_THAT(page, HasSubstr("GONE"));
  EXPECT_THAT(page, HasSubstr("95.0 MiB (95 %) since the last look"));
  EXPECT_THAT(page, HasSubstr("reached 95.0 MiB before"));
  EXPECT_THAT(page, HasSubstr("anon 85.0 MiB"));
  EXPECT_THAT(text(detail_lines(detail, false, moment, 100)), Not(HasSubstr("GONE")));
}

TEST(TopPage, OnceIsThePlainList) {
  const TopModel model = model_of({live_row(1, "web", 10_MiB, 95_MiB), live_row(2, "db", 1_MiB)});
  const std::string list = top_once(model, 200, false);
  EXPECT_EQ(std::ranges::count(list, '\n'), 3);
  EXPECT_THAT(list, HasSubstr("NAME"));
  EXPECT_THAT(list, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace memcrest
