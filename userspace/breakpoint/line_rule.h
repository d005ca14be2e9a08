// SPDX-License-Identifier: Apache-2.0
// Where a breakpoint's line lies: a size, or a part of the limit that counts. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "util/result.h"

namespace memcrest {

struct LineRule {
  std::optional<std::uint64_t> bytes;
  std::optional<double> percent;  // of the effective limit: the lowest of the cgroup's own and those above it
};

// "96m" or "80%". Errors are for a person, without an operation.
[[nodiscard]] Result<LineRule> parse_line_rule(std::string_view text);

// "96.0 MiB", "80%".
[[nodiscard]] std::string to_string(const LineRule& rule);

// nullopt: a part of a limit, and there is none.
[[nodiscard]] std::optional<std::uint64_t> line_of(const LineRule& rule, std::optional<std::uint64_t> limit_bytes);

}  // namespace memcrest
