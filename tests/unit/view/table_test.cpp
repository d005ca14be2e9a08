// SPDX-License-Identifier: Apache-2.0
#include "view/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "util/text.h"

namespace memcrest {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<TableColumn> columns() {
  return {{.header = "NAME", .least = 8},
          {.header = "SIZE", .right = true},
          {.header = "LESS", .rank = 2},
          {.header = "PATH", .rank = 1, .least = 6}};
}

std::vector<std::vector<TableCell>> rows() {
  return {{{"a-rather-long-name"}, {"1 KiB"}, {"less"}, {"/one/two/three/four"}},
          {{"short"}, {"100 MiB"}, {""}, {"/one"}}};
}

std::size_t widest(const std::string& text) {
  std::size_t out = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    out = std::max(out, display_width(line));
  }
  return out;
}

TEST(Table, EverythingInFullWithoutATerminal) {
  const TableText table = format_table(columns(), rows(), std::nullopt, false);
  EXPECT_EQ(table.text,
            "NAME                   SIZE  LESS  PATH\n"
            "a-rather-long-name    1 KiB  less  /one/two/three/four\n"
            "short               100 MiB        /one\n");
  EXPECT_THAT(table.omitted, IsEmpty());
}

TEST(Table, ShortensBeforeItLeavesOut) {
  const TableText table = format_table(columns(), rows(), 40, false);
  EXPECT_EQ(widest(table.text), 40U);
  EXPECT_THAT(table.text, HasSubstr("…"));
  EXPECT_THAT(table.omitted, IsEmpty());
}

TEST(Table, LeavesOutWhatMattersLeast) {
  const TableText table = format_table(columns(), rows(), 28, false);
  EXPECT_LE(widest(table.text), 28U);
  EXPECT_THAT(table.omitted, ElementsAre("LESS"));
  EXPECT_THAT(format_table(columns(), rows(), 20, false).omitted, ElementsAre("LESS", "PATH"));
}

TEST(Table, WhatMayNotBeLeftOutStays) {
  const TableText table = format_table(columns(), rows(), 3, false);
  EXPECT_THAT(table.text, HasSubstr("100 MiB"));
  EXPECT_THAT(table.text, HasSubstr("short"));
}

TEST(Table, AnEmptyColumnIsLeftOutWhereItMayBe) {
  auto cells = rows();
  cells[0][2] = {};
  auto some = columns();
  EXPECT_THAT(format_table(some, cells, std::nullopt, false).text, HasSubstr("LESS"));
  some[2].optional = true;
  const TableText table = format_table(some, cells, std::nullopt, false);
  EXPECT_THAT(table.text, testing::Not(HasSubstr("LESS")));
  EXPECT_THAT(table.omitted, IsEmpty()) << "nothing is missing";
}

TEST(Table, ColourMovesNothing) {
  auto cells = rows();
  cells[0][0].tone = Tone::kBold;
  cells[1][1].tone = Tone::kAlarm;
  std::string colored = format_table(columns(), cells, 40, true).text;
  EXPECT_THAT(colored, HasSubstr("\x1b[1m"));
  for (std::size_t escape = colored.find('\x1b'); escape != std::string::npos; escape = colored.find('\x1b')) {
    colored.erase(escape, colored.find('m', escape) - escape + 1);
  }
  EXPECT_EQ(colored, format_table(columns(), cells, 40, false).text);
}

TEST(Table, WideCharactersTakeTwoColumns) {
  const TableText table = format_table({{.header = "N"}, {.header = "S", .right = true}},
                                       {{{"鯨鯨"}, {"1"}}, {{"abcd"}, {"2"}}}, 60, false);
  EXPECT_EQ(table.text, "N     S\n鯨鯨  1\nabcd  2\n");
}

}  // namespace
}  // namespace memcrest
