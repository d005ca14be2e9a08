// SPDX-License-Identifier: Apache-2.0
// A line of the screen as pieces of text in tones; knows nothing of containers or of ncurses. Text is escaped. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "view/layout.h"

namespace memcrest {

struct TopPiece {
  std::string text;
  Tone tone = Tone::kPlain;
};

struct TopLine {
  std::vector<TopPiece> pieces;
  bool selected = false;  // shown reversed, with a mark in front that needs no colour
  bool bar = false;       // a head or foot: reversed from edge to edge

  TopLine() = default;
  explicit TopLine(std::string text, Tone tone = Tone::kPlain) { add(std::move(text), tone); }
  TopLine& add(std::string text, Tone tone = Tone::kPlain) {
    pieces.push_back({std::move(text), tone});
    return *this;
  }
};

[[nodiscard]] std::size_t width_of(const TopLine& line);
[[nodiscard]] std::string text_of(const TopLine& line);
// Cut to `columns`, with an ellipsis where something was cut.
[[nodiscard]] TopLine cut(TopLine line, std::size_t columns);
// To exactly `columns`: cut, or filled with blanks on one side.
[[nodiscard]] std::string fitted(std::string_view text, std::size_t columns, bool right = false);

// Text of view (in_tone's codes, a newline at the end of each line) as lines.
[[nodiscard]] std::vector<TopLine> lines_of(std::string_view coloured);

}  // namespace memcrest
