// SPDX-License-Identifier: Apache-2.0
#include "util/text.h"

#include <gmock/gmock.h>

#include <functional>
#include <map>
#include <random>
#include <string>

#include "util/text_tables.h"

namespace memcrest {
namespace {

using std::string_literals::operator""s;

TEST(EscapeTerminal, PrintableTextStays) {
  for (const char* text : {"", "web", "my-app:latest", "Gr\u00fc\u00dfe \u65e5\u672c \U0001F600", "a\\b", "e\u0301"}) {
    EXPECT_EQ(escape_terminal(text), text);
  }
}

TEST(EscapeTerminal, ControlsBecomeVisible) {
  EXPECT_EQ(escape_terminal("a\nb\tc\rd"), "a\\nb\\tc\\rd");
  EXPECT_EQ(escape_terminal("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(escape_terminal("\0\x07\x7f"s), "\\x00\\x07\\x7f");
  EXPECT_EQ(escape_terminal("\u009b31m\u0085"), "\\u009b31m\\u0085");
}

TEST(EscapeTerminal, NothingThatReordersOrHides) {
  EXPECT_EQ(escape_terminal("\u202a\u202b\u202c\u202d\u202e"), "\\u202a\\u202b\\u202c\\u202d\\u202e");
  EXPECT_EQ(escape_terminal("\u2066\u2067\u2068\u2069"), "\\u2066\\u2067\\u2068\\u2069");
  EXPECT_EQ(escape_terminal("\u200e\u200f\u061c"), "\\u200e\\u200f\\u061c");
  EXPECT_EQ(escape_terminal("\u200b\u2028\u2029\ufeff"), "\\u200b\\u2028\\u2029\\ufeff");
  EXPECT_EQ(escape_terminal("\U000e0041"), "\\U000e0041");
}

TEST(EscapeTerminal, InvalidUtf8ByByte) {
  EXPECT_EQ(escape_terminal("a\xff"), "a\\xff");
  EXPECT_EQ(escape_terminal("\x9b"), "\\x9b") << "a bare C1 byte";
  EXPECT_EQ(escape_terminal("\xc0\xaf"), "\\xc0\\xaf") << "over-long";
  EXPECT_EQ(escape_terminal("\xe0\x80\xaf"), "\\xe0\\x80\\xaf") << "over-long";
  EXPECT_EQ(escape_terminal("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "surrogate";
  EXPECT_EQ(escape_terminal("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "past U+10FFFF";
  EXPECT_EQ(escape_terminal("\xe2\x82"), "\\xe2\\x82") << "cut short";
  EXPECT_EQ(escape_terminal("\xe2\x82z"), "\\xe2\\x82z");
}

TEST(EscapeTerminal, BackslashOnlyWhereItWouldDeceive) {
  EXPECT_EQ(escape_terminal("C:\\new"), "C:\\\\new");
  EXPECT_EQ(escape_terminal("C:\\Dir"), "C:\\Dir");
  EXPECT_EQ(escape_terminal("\\\n"), "\\\\\\n");
  EXPECT_EQ(escape_terminal("\\\xff"), "\\\\\\xff");
  EXPECT_EQ(escape_terminal("end\\"), "end\\");
}

// Reads escape_terminal's output back: that it can be done at all is what "unambiguous" means.
std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    const std::size_t digits = next == 'x' ? 2 : next == 'u' ? 4 : next == 'U' ? 8 : 0;
    if (digits != 0) {
      out += "<" + std::string(1, next) + text.substr(i + 2, digits) + ">";
      i += 1 + digits;
    } else if (next == 'n' || next == 'r' || next == 't' || next == '\\') {
      out += next == 'n' ? '\n' : next == 'r' ? '\r' : next == 't' ? '\t' : '\\';
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

TEST(EscapeTerminal, DifferentTextsLookDifferent) {
  const std::string alphabet = "\\nxu1\n\xff";
  std::map<std::string, std::string> seen;
  std::string text;
  const std::function<void(std::size_t)> extend = [&](std::size_t depth) {
    const std::string shown = escape_terminal(text);
    const auto [there, fresh] = seen.emplace(shown, text);
    EXPECT_TRUE(fresh) << shown;
    for (const char c : shown) {
      EXPECT_TRUE(c >= ' ' && c < 0x7f);
    }
    if (depth == 0) {
      return;
    }
    for (const char c : alphabet) {
      text += c;
      extend(depth - 1);
      text.pop_back();
    }
  };
  extend(5);
  EXPECT_EQ(unescape(escape_terminal("\\\n\\x1b")), "\\\n\\x1b");
}

TEST(EscapeTerminal, RandomBytesNeverLeaveAControl) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 40; ++i) {
      text += static_cast<char>(random() % 256);
    }
    const std::string shown = escape_terminal(text);
    for (const char c : shown) {
      EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    }
    EXPECT_EQ(to_valid_utf8(shown), shown);
  }
}

TEST(ToValidUtf8, ReplacesEachInvalidByte) {
  EXPECT_EQ(to_valid_utf8("plain \u65e5\n"), "plain \u65e5\n");
  EXPECT_EQ(to_valid_utf8("a\xff\xfe z"), "a\ufffd\ufffd z");
  EXPECT_EQ(to_valid_utf8("\xe2\x82"), "\ufffd\ufffd");
  EXPECT_EQ(to_valid_utf8("\xed\xa0\x80"), "\ufffd\ufffd\ufffd");
  EXPECT_EQ(to_valid_utf8("\0x"s), "\0x"s);
}

TEST(JoinCmdline, OneLineAsAShellWouldTakeIt) {
  EXPECT_EQ(join_cmdline("python\0app.py\0"s), "python app.py");
  EXPECT_EQ(join_cmdline("sh\0-c\0echo hi; wait\0"s), "sh -c 'echo hi; wait'");
  EXPECT_EQ(join_cmdline("echo\0it's\0"s), "echo 'it'\\''s'");
  EXPECT_EQ(join_cmdline("a\0\0b\0"s), "a '' b");
  EXPECT_EQ(join_cmdline("a\0b"s), "a b") << "cut before the last NUL";
  EXPECT_EQ(join_cmdline("python\0-c\0a = []\nwhile 1: a += a\0"s), "python -c 'a = []\nwhile 1: a += a'");
  EXPECT_EQ(join_cmdline("gr\u00fcn\0a b\0"s), "gr\u00fcn 'a b'");
}

TEST(JoinCmdline, OwnTitlesAndNothing) {
  EXPECT_EQ(join_cmdline("nginx: worker process\0"s), "nginx: worker process");
  EXPECT_EQ(join_cmdline("postgres: writer\0\0\0\0\0"s), "postgres: writer");
  EXPECT_EQ(join_cmdline(""), "");
  EXPECT_EQ(join_cmdline("\0"s), "");
  EXPECT_EQ(join_cmdline("\0\0\0"s), "");
}

TEST(DisplayWidth, WideAndCombining) {
  EXPECT_EQ(display_width(""), 0U);
  EXPECT_EQ(display_width("web"), 3U);
  EXPECT_EQ(display_width("\u65e5\u672c"), 4U);
  EXPECT_EQ(display_width("e\u0301"), 1U);
  EXPECT_EQ(display_width("\U0001F600"), 2U);
  EXPECT_EQ(display_width("\u2581\u2588 \u00b7 \u2192"), 6U);
  EXPECT_EQ(display_width("\uff21\uac00\u00e9"), 5U);
  EXPECT_EQ(display_width("a\xff"), 2U);
}

TEST(TruncateColumns, CutsWithAnEllipsis) {
  EXPECT_EQ(truncate_columns("abcdef", 6), "abcdef");
  EXPECT_EQ(truncate_columns("abcdef", 5), "abcd\u2026");
  EXPECT_EQ(truncate_columns("abcdef", 1), "\u2026");
  EXPECT_EQ(truncate_columns("abcdef", 0), "");
  EXPECT_EQ(truncate_columns("", 3), "");
  EXPECT_EQ(truncate_columns("\u65e5\u672c\u8a9e", 5), "\u65e5\u672c\u2026");
  EXPECT_EQ(truncate_columns("\u65e5\u672c\u8a9e", 4), "\u65e5\u2026") << "half a character does not fit";
  EXPECT_EQ(truncate_columns("e\u0301e\u0301e\u0301", 2), "e\u0301\u2026") << "marks stay with their letter";
  EXPECT_EQ(truncate_columns("ab\u0301", 2), "ab\u0301");
}

TEST(TruncateColumns, NeverWiderThanAsked) {
  const std::string text =
      "a\u65e5\u0301b\U0001F600\xff"
      "c\u672c d";
  for (std::size_t columns = 0; columns < 20; ++columns) {
    EXPECT_LE(display_width(truncate_columns(text, columns)), columns);
  }
}

template <typename Table>
void expect_sorted(const Table& table) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    EXPECT_LE(table[i].first, table[i].last);
    EXPECT_TRUE(i == 0 || table[i - 1].last < table[i].first) << std::hex << static_cast<unsigned>(table[i].first);
  }
}

TEST(TextTables, AreSortedAndDisjoint) {
  expect_sorted(text_tables::kHostile);
  expect_sorted(text_tables::kZeroWidth);
  expect_sorted(text_tables::kWide);
}

}  // namespace
}  // namespace memcrest
