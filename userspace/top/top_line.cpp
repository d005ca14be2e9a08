// SPDX-License-Identifier: Apache-2.0
#include "top/top_line.h"

#include <algorithm>
#include <array>

#include "util/text.h"

namespace memcrest {
namespace {

// The tone that in_tone() begins here, with the length of its code; length 0: none does.
std::pair<Tone, std::size_t> tone_at(std::string_view text) {
  for (const Tone tone : {Tone::kDim, Tone::kBold, Tone::kAlarm, Tone::kNotice}) {
    const std::string coloured = in_tone("", tone, true);
    const std::string_view code = std::string_view(coloured).substr(0, coloured.find('m') + 1);
    if (text.starts_with(code)) {
      return {tone, code.size()};
    }
  }
  constexpr std::string_view kEnd = "\x1b[0m";
  return {Tone::kPlain, text.starts_with(kEnd) ? kEnd.size() : 0};
}

}  // namespace

std::size_t width_of(const TopLine& line) {
  std::size_t out = 0;
  for (const TopPiece& piece : line.pieces) {
    out += display_width(piece.text);
  }
  return out;
}

std::string text_of(const TopLine& line) {
  std::string out;
  for (const TopPiece& piece : line.pieces) {
    out += piece.text;
  }
  return out;
}

TopLine cut(TopLine line, std::size_t columns) {
  std::size_t used = 0;
  for (std::size_t i = 0; i < line.pieces.size(); ++i) {
    const std::size_t width = display_width(line.pieces[i].text);
    if (used + width > columns) {
      line.pieces[i].text = truncate_columns(line.pieces[i].text, columns - used);
      line.pieces.resize(i + 1);
      break;
    }
    used += width;
  }
  return line;
}

std::string fitted(std::string_view text, std::size_t columns, bool right) {
  std::string out = truncate_columns(text, columns);
  const std::size_t width = display_width(out);
  const std::string blanks(columns > width ? columns - width : 0, ' ');
  return right ? blanks + out : out + blanks;
}

std::vector<TopLine> lines_of(std::string_view coloured) {
  std::vector<TopLine> out;
  while (!coloured.empty()) {
    const std::size_t end = std::min(coloured.find('\n'), coloured.size());
    std::string_view line = coloured.substr(0, end);
    coloured.remove_prefix(std::min(end + 1, coloured.size()));
    TopLine pieces;
    Tone tone = Tone::kPlain;
    while (!line.empty()) {
      const auto [next, length] = tone_at(line);
      if (length > 0) {
        tone = next;
        line.remove_prefix(length);
        continue;
      }
      const std::size_t stop = std::min(line.find('\x1b', line.front() == '\x1b' ? 1 : 0), line.size());
      pieces.add(std::string(line.substr(0, stop)), tone);
      line.remove_prefix(stop);
    }
    out.push_back(std::move(pieces));
  }
  return out;
}

}  // namespace memcrest
