// SPDX-License-Identifier: Apache-2.0
// Wrapping and colour for the text view; knows nothing of incidents.
#include "view/layout.h"

#include <algorithm>
#include <array>

#include "util/text.h"

namespace memcrest {
namespace {

constexpr std::size_t kMinColumns = 60;
constexpr std::size_t kTextColumn = 13;

const char* color_code(Tone tone) {
  switch (tone) {
    case Tone::kPlain:
      return "";
    case Tone::kDim:
      return "\x1b[2m";
    case Tone::kBold:
      return "\x1b[1m";
    case Tone::kAlarm:
      return "\x1b[1;31m";
    case Tone::kNotice:
      return "\x1b[33m";
  }
  return "";
}

// The longest start of `text` that takes at most `columns`, at least one character, never inside one.
std::string_view head_within(std::string_view text, std::size_t columns) {
  std::size_t best = 0;
  for (std::size_t end = 1; end <= text.size(); ++end) {
    const bool boundary = end == text.size() || (static_cast<unsigned char>(text[end]) & 0xc0U) != 0x80U;
    if (!boundary) {
      continue;
    }
    if (best != 0 && display_width(text.substr(0, end)) > columns) {
      break;
    }
    best = end;
  }
  return text.substr(0, best);
}

}  // namespace

std::string in_tone(std::string_view text, Tone tone, bool color) {
  const char* code = color ? color_code(tone) : "";
  std::string out = code;
  out += text;
  if (*code != '\0') {
    out += "\x1b[0m";
  }
  return out;
}

Layout::Layout(std::size_t columns, bool color) : columns_(std::max(columns, kMinColumns)), color_(color) {}

std::size_t Layout::room() const { return columns_ > used_ ? columns_ - used_ : 0; }

void Layout::append(std::string_view text, Tone tone) {
  if (text.empty()) {
    return;
  }
  out_ += in_tone(text, tone, color_);
  used_ += display_width(text);
}

void Layout::end_line() {
  if (line_open_) {
    out_ += '\n';
  }
  line_open_ = false;
  line_blank_ = true;
  used_ = 0;
}

void Layout::wrap() {
  end_line();
  append(std::string(kTextColumn, ' '), Tone::kPlain);
  line_open_ = true;
}

void Layout::row(std::string_view label) {
  end_line();
  std::string column = "  " + std::string(label);
  column.resize(std::max(kTextColumn, column.size() + 1), ' ');
  append(column, label.empty() ? Tone::kPlain : Tone::kDim);
  line_open_ = true;
}

void Layout::heading() {
  end_line();
  line_open_ = true;
}

void Layout::piece(std::string_view joiner, std::string_view text, Tone tone) {
  const std::size_t width = display_width(text);
  if (text.empty()) {
    return;
  }
  if (!line_blank_) {
    if (display_width(joiner) + width <= room()) {
      append(joiner, Tone::kPlain);
    } else {
      wrap();
    }
  }
  if (width <= room()) {
    append(text, tone);
  } else {
    append(truncate_columns(text, room()), tone);
  }
  line_blank_ = false;
}

void Layout::words(std::string_view joiner, std::string_view text, Tone tone) {
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    std::string_view word = text.substr(0, space);
    text = space == std::string_view::npos ? std::string_view{} : text.substr(space + 1);
    while (!word.empty() && display_width(word) > columns_ - kTextColumn) {
      const std::string_view head = head_within(word, columns_ - kTextColumn);
      piece(joiner, head, tone);
      joiner = "";
      word.remove_prefix(head.size());
    }
    if (!word.empty()) {
      piece(joiner, word, tone);
    }
    joiner = " ";
  }
}

std::string Layout::finish() {
  end_line();
  return std::move(out_);
}

std::string sparkline(const std::vector<std::uint64_t>& values) {
  static constexpr std::array<const char*, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  if (values.size() < 2) {
    return {};
  }
  const std::uint64_t highest = *std::ranges::max_element(values);
  std::string line;
  for (const std::uint64_t value : values) {
    // From zero, not from the lowest value: a small rise must not look like a large one.
    const double part = highest == 0 ? 0 : static_cast<double>(value) / static_cast<double>(highest);
    line += kBlocks[std::min<std::size_t>(static_cast<std::size_t>(part * 8), 7)];
  }
  return line;
}

}  // namespace memcrest
