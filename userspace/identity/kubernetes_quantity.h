// SPDX-License-Identifier: Apache-2.0
// Amounts as Kubernetes writes them: "64Mi", "1G", "129e6", "1.5Gi", "128974848000m". Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace memcrest {

// A whole number of bytes, rounded up as Kubernetes does. Nothing: not a quantity, negative, or more than 2^63 - 1.
[[nodiscard]] std::optional<std::uint64_t> parse_quantity(std::string_view text);

}  // namespace memcrest
