// SPDX-License-Identifier: Apache-2.0
// Right-sizing as a person reads it in a terminal: a table, then what to do about each that wants it. Everything from
// outside is escaped. Pure.
#pragma once

#include <optional>
#include <string>

#include "sizing/sizing.h"

namespace memcrest {

struct SizingStyle {
  bool color = false;
  std::optional<std::size_t> columns;  // of the terminal; nullopt: none, the table is shown in full
};

[[nodiscard]] std::string to_text(const SizingReport& report, const SizingStyle& style);

}  // namespace memcrest
