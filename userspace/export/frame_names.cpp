// SPDX-License-Identifier: Apache-2.0
#include "export/frame_names.h"

#include <array>
#include <charconv>

namespace memcrest {

std::string hex_address(std::uint64_t address) {
  std::array<char, 2 + 16> text{'0', 'x'};
  const auto end = std::to_chars(text.data() + 2, text.data() + text.size(), address, 16).ptr;
  return {text.data(), end};
}

}  // namespace memcrest
