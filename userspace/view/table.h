// SPDX-License-Identifier: Apache-2.0
// A table that fits a terminal: columns that matter less are left out, long texts lose their middle. Colour is added
// after measuring. Text must already be escaped. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "view/layout.h"

namespace memcrest {

struct TableColumn {
  std::string header;
  bool right = false;     // numbers
  unsigned rank = 0;      // the highest is left out first; 0: never
  std::size_t least = 0;  // columns down to which its text may be shortened; 0: it may not
  bool optional = false;  // left out where no row has a text for it
};

struct TableCell {
  std::string text;
  Tone tone = Tone::kPlain;
};

struct TableText {
  std::string text;                  // header and rows, each ended by a newline
  std::vector<std::string> omitted;  // headers of the columns that did not fit
};

// Each row has a cell for each column. Without `columns` nothing is left out for want of room or shortened.
[[nodiscard]] TableText format_table(std::vector<TableColumn> columns, std::vector<std::vector<TableCell>> rows,
                                     std::optional<std::size_t> terminal_columns, bool color);

}  // namespace memcrest
