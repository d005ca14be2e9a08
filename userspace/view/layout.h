// SPDX-License-Identifier: Apache-2.0
// Labelled lines that fill up and wrap within a terminal's width. Colour is added after measuring, so that it never
// moves anything. Text must already be escaped. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace memcrest {

enum class Tone { kPlain, kDim, kBold, kAlarm, kNotice };

// `text` with the tone's codes around it; as it is when `color` is false.
[[nodiscard]] std::string in_tone(std::string_view text, Tone tone, bool color);

class Layout {
 public:
  Layout(std::size_t columns, bool color);

  // Starts a line with a dim label in the left column; an empty label leaves the column blank.
  void row(std::string_view label);
  // Starts a line at the left edge, continued at the text column when it wraps.
  void heading();
  // Adds `text` as one unbreakable piece after `joiner`; begins a new line (without the joiner) when it does not fit
  // and cuts it when it fits on no line.
  void piece(std::string_view joiner, std::string_view text, Tone tone = Tone::kPlain);
  // Adds all of `text`, broken between words, and inside a word only when that fits on no line. Nothing is left out.
  void words(std::string_view joiner, std::string_view text, Tone tone = Tone::kPlain);

  // Ends the last line and gives the whole.
  [[nodiscard]] std::string finish();

 private:
  void append(std::string_view text, Tone tone);
  void wrap();
  void end_line();
  [[nodiscard]] std::size_t room() const;

  std::size_t columns_;
  bool color_;
  std::string out_;
  std::size_t used_ = 0;
  bool line_open_ = false;
  bool line_blank_ = true;  // only the label or the indent is there yet
};

// Usage over time as block characters in eight heights from zero to the highest value; empty for fewer than two values.
[[nodiscard]] std::string sparkline(const std::vector<std::uint64_t>& values);

}  // namespace memcrest
