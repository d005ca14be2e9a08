// SPDX-License-Identifier: Apache-2.0
// The table of `memcrest ps` for a person. Everything from outside is escaped. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "memcrest/container_memory.h"

namespace memcrest {

struct PsStyle {
  bool color = false;
  std::optional<std::size_t> columns;  // of the terminal; nullopt: none, everything is shown in full
  int cgroup_version = 2;              // what the swap limit counts
};

struct PsText {
  std::string text;
  std::vector<std::string> omitted;  // columns that the terminal has no room for, in words
};

// In the order of `rows`; nothing when there are none.
[[nodiscard]] PsText to_text(const std::vector<ContainerMemory>& rows, const PsStyle& style);

}  // namespace memcrest
