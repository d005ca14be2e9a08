// SPDX-License-Identifier: Apache-2.0
// What standard output is: a terminal, how wide, and whether it may have colour.
#pragma once

#include <cstddef>
#include <optional>

namespace memcrest {

struct Terminal {
  bool color = false;                  // a terminal that knows colours, and no NO_COLOR
  bool present = false;                // standard output is a terminal
  std::optional<std::size_t> columns;  // at least 60; nullopt: not told
};

[[nodiscard]] Terminal terminal_of_stdout();

}  // namespace memcrest
