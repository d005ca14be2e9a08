// SPDX-License-Identifier: Apache-2.0
// What a person pressed, and what each key is for: the one list that the keys act by and the help shows. Pure.
#pragma once

#include <span>
#include <string>

namespace memcrest {

enum class TopKey {
  kChar,  // see `character`
  kUp,
  kDown,
  kLeft,
  kRight,
  kPageUp,
  kPageDown,
  kHome,
  kEnd,
  kEnter,
  kEscape,
  kBackspace,
  kTab,
  kClick,  // of the mouse, see `row`
  kWheelUp,
  kWheelDown,
  kResize,
};

struct TopInput {
  TopKey key = TopKey::kChar;
  char32_t character = 0;
  std::size_t row = 0;
  std::size_t column = 0;
};

struct TopHelp {
  const char* keys;
  const char* does;
  bool recording;  // of a recording only
};
[[nodiscard]] std::span<const TopHelp> top_help();

// UTF-8 of one character.
[[nodiscard]] std::string utf8_of(char32_t character);

}  // namespace memcrest
