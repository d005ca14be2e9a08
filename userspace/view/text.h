// SPDX-License-Identifier: Apache-2.0
// An incident as a person reads it in a terminal. Everything from outside is escaped. Pure.
#pragma once

#include <string>

#include "memcrest/incident.h"

namespace memcrest {

struct TextStyle {
  bool color = false;
  std::size_t columns = 100;  // lines are kept within, down to 60
};

// Several lines, each ended by a newline, an empty line last.
[[nodiscard]] std::string to_text(const Incident& incident, const TextStyle& style);

}  // namespace memcrest
