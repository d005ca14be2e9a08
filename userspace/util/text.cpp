// SPDX-License-Identifier: Apache-2.0
#include "util/text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "util/text_tables.h"

namespace memcrest {
namespace {

using text_tables::kHostile;
using text_tables::kWide;
using text_tables::kZeroWidth;
using text_tables::Range;

struct Decoded {
  char32_t code = 0;
  std::size_t length = 1;
  bool valid = false;
};

unsigned byte_at(std::string_view text, std::size_t i) { return static_cast<unsigned char>(text[i]); }

// The first character of `text` (not empty). Strict: over-long forms, surrogates and values past U+10FFFF are invalid.
Decoded decode(std::string_view text) {
  const unsigned first = byte_at(text, 0);
  if (first < 0x80) {
    return {first, 1, true};
  }
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) {
    return {first, 1, false};
  }
  char32_t code = first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    const unsigned next = byte_at(text, i);
    if ((next & 0xc0U) != 0x80U) {
      return {first, 1, false};
    }
    code = (code << 6U) | (next & 0x3fU);
  }
  constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    return {first, 1, false};
  }
  return {code, length, true};
}

bool contains(std::span<const Range> sorted, char32_t code) {
  const auto after = std::ranges::upper_bound(sorted, code, {}, &Range::first);
  return after != sorted.begin() && code <= std::prev(after)->last;
}

std::size_t width_of(const Decoded& character) {
  if (!character.valid) {
    return 1;  // a terminal draws one replacement character
  }
  const char32_t code = character.code;
  if (code < 0x20 || (code >= 0x7f && code < 0xa0) || contains(kZeroWidth, code)) {
    return 0;
  }
  return contains(kWide, code) ? 2 : 1;
}

void append_hex(std::string& out, char letter, std::uint32_t value, unsigned digits) {
  out += '\\';
  out += letter;
  for (unsigned shift = digits * 4; shift > 0; shift -= 4) {
    out += "0123456789abcdef"[(value >> (shift - 4)) & 0xfU];
  }
}

void append_escaped(std::string& out, const Decoded& character) {
  const char32_t code = character.code;
  if (character.valid && (code == '\n' || code == '\r' || code == '\t')) {
    out += code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t";
  } else if (!character.valid || code < 0x80) {
    append_hex(out, 'x', code, 2);
  } else if (code <= 0xffff) {
    append_hex(out, 'u', code, 4);
  } else {
    append_hex(out, 'U', code, 8);
  }
}

bool must_escape(const Decoded& character) { return !character.valid || contains(kHostile, character.code); }

// Would a backslash in front of `rest` read as the beginning of one of our escapes?
bool reads_as_escape(std::string_view rest) {
  if (rest.empty()) {
    return false;
  }
  constexpr std::string_view kEscapeLetters = "\\nrtxuU";
  return kEscapeLetters.find(rest.front()) != std::string_view::npos || must_escape(decode(rest));
}

bool is_plain_in_shell(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || byte >= 0x80 ||
         std::string_view("_@%+=:,./-[]").find(c) != std::string_view::npos;
}

std::string quoted(std::string_view argument) {
  if (!argument.empty() && std::ranges::all_of(argument, is_plain_in_shell)) {
    return std::string(argument);
  }
  std::string out = "'";
  for (const char c : argument) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

}  // namespace

std::string escape_terminal(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Decoded character = decode(text);
    if (must_escape(character)) {
      append_escaped(out, character);
    } else {
      out += text.substr(0, character.length);
      if (character.code == '\\' && reads_as_escape(text.substr(1))) {
        out += '\\';
      }
    }
    text.remove_prefix(character.length);
  }
  return out;
}

std::string to_valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Decoded character = decode(text);
    out += character.valid ? text.substr(0, character.length) : std::string_view("\xef\xbf\xbd");
    text.remove_prefix(character.length);
  }
  return out;
}

std::string join_cmdline(std::string_view raw) {
  if (!raw.empty() && raw.back() == '\0') {
    raw.remove_suffix(1);
  }
  // A process that wrote its own title ("nginx: worker process") leaves the rest of the old arguments as NULs.
  const std::size_t used = raw.find_last_not_of('\0');
  const std::size_t separator = raw.find('\0');
  if (used == std::string_view::npos) {
    return {};
  }
  if (separator == std::string_view::npos || separator > used) {
    return std::string(raw.substr(0, used + 1));
  }
  std::string line;
  while (true) {
    const std::size_t end = raw.find('\0');
    line += quoted(raw.substr(0, end));
    if (end == std::string_view::npos) {
      return line;
    }
    line += ' ';
    raw.remove_prefix(end + 1);
  }
}

std::size_t display_width(std::string_view utf8) {
  std::size_t columns = 0;
  while (!utf8.empty()) {
    const Decoded character = decode(utf8);
    columns += width_of(character);
    utf8.remove_prefix(character.length);
  }
  return columns;
}

std::string truncate_columns(std::string_view utf8, std::size_t columns) {
  if (columns == 0) {
    return {};
  }
  std::size_t used = 0;
  std::size_t taken = 0;
  std::size_t cut = 0;  // what fits with one column left for the ellipsis
  while (taken < utf8.size()) {
    const Decoded character = decode(utf8.substr(taken));
    used += width_of(character);
    if (used > columns) {
      return std::string(utf8.substr(0, cut)) + "\u2026";
    }
    taken += character.length;
    if (used < columns) {
      cut = taken;
    }
  }
  return std::string(utf8);
}

std::string truncate_middle(std::string_view utf8, std::size_t columns) {
  const std::size_t whole = display_width(utf8);
  if (whole <= columns) {
    return std::string(utf8);
  }
  if (columns == 0) {
    return {};
  }
  const std::size_t tail_columns = (columns - 1) / 2;
  const std::size_t head_columns = columns - 1 - tail_columns;
  std::size_t head = 0;  // bytes that stay in front
  std::size_t at = 0;
  std::size_t used = 0;
  // What stays behind begins where no more than tail_columns are left.
  while (at < utf8.size() && whole - used > tail_columns) {
    const Decoded character = decode(utf8.substr(at));
    used += width_of(character);
    at += character.length;
    head = used <= head_columns ? at : head;
  }
  return std::string(utf8.substr(0, head)) + "\u2026" + std::string(utf8.substr(at));
}

}  // namespace memcrest
