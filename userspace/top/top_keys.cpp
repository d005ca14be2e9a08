// SPDX-License-Identifier: Apache-2.0
#include "top/top_keys.h"

namespace memcrest {

std::span<const TopHelp> top_help() {
  static constexpr TopHelp kHelp[] = {
      {"↑ ↓ PgUp PgDn Home End", "move; j and k too, and the mouse", false},
      {"Enter, →", "the container, the incident or the group under the mark", false},
      {"Esc, ←, q", "back; q in the list ends it", false},
      {"s S", "sort by the next column, the one before", false},
      {"r", "turn the order around", false},
      {"c", "the column that is sorted by, by its first letter: % u p m l g o s n", false},
      {"/", "search; n and N for the next and the one before", false},
      {"f", "show only what holds a text (name, pod, image, cgroup); Esc shows all", false},
      {"t", "tree by pod, Compose project and slice", false},
      {"Space", "fold a group; in the list hold the screen still, or let it go on", false},
      {"i", "incidents", false},
      {"d", "detail", false},
      {"[ ]", "one second back, forth", true},
      {"{ }", "one minute back, forth", true},
      {"( )", "to the incident before, after", true},
      {"0 $", "to the beginning, the end", true},
      {"Space", "play, or stop", true},
      {"h ?", "this help", false},
  };
  return kHelp;
}

std::string utf8_of(char32_t c) {
  std::string out;
  const auto tail = [&](unsigned shift) { out += static_cast<char>(0x80U | ((c >> shift) & 0x3fU)); };
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0U | (c >> 6U));
    tail(0);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0U | (c >> 12U));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xf0U | (c >> 18U));
    tail(12);
    tail(6);
    tail(0);
  }
  return out;
}

}  // namespace memcrest
