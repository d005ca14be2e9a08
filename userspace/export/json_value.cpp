// SPDX-License-Identifier: Apache-2.0
#include "export/json_value.h"

namespace memcrest {
namespace {

// Characters that JSON allows raw but that end a line for some readers (U+0085, U+2028, U+2029) or move or reorder a
// terminal's output (DEL, C1 controls, bidirectional marks): a container's name must not be able to do either.
bool must_escape(unsigned code_point) {
  return (code_point >= 0x7f && code_point <= 0x9f) || code_point == 0x61c || code_point == 0x200e ||
         code_point == 0x200f || (code_point >= 0x2028 && code_point <= 0x202e) ||
         (code_point >= 0x2066 && code_point <= 0x2069);
}

// `line` is valid UTF-8 JSON, so that anything beyond ASCII can only stand inside a string.
std::string harden(const std::string& line) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(line.size());
  for (std::size_t i = 0; i < line.size();) {
    const auto first = static_cast<unsigned char>(line[i]);
    const std::size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    unsigned code_point = length == 1 ? first : first & (0xffU >> (length + 1));
    for (std::size_t k = 1; k < length && i + k < line.size(); ++k) {
      code_point = (code_point << 6U) | (static_cast<unsigned char>(line[i + k]) & 0x3fU);
    }
    if (must_escape(code_point)) {
      out += "\\u";
      for (int shift = 12; shift >= 0; shift -= 4) {
        out += kHex[(code_point >> static_cast<unsigned>(shift)) & 0xfU];
      }
    } else {
      out.append(line, i, length);
    }
    i += length;
  }
  return out;
}

}  // namespace

std::string to_line(const Json& json) {
  // All text is valid UTF-8 by now; `replace` only makes sure that dump() can never throw.
  return harden(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace memcrest
