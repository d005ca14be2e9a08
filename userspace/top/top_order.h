// SPDX-License-Identifier: Apache-2.0
// Rows in the order that a person asked for, those that hold a text, and groups of them. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memcrest/live.h"

namespace memcrest {

enum class TopOrder { kPercent, kUse, kPeak, kMost, kLimit, kGrowth, kOoms, kStall, kName };
inline constexpr TopOrder kTopOrders[] = {TopOrder::kPercent, TopOrder::kUse,   TopOrder::kPeak,
                                          TopOrder::kMost,    TopOrder::kLimit, TopOrder::kGrowth,
                                          TopOrder::kOoms,    TopOrder::kStall, TopOrder::kName};
// "percent", "use", "peak", "max", "limit", "growth", "oom", "stall", "name".
[[nodiscard]] const char* to_string(TopOrder order);
[[nodiscard]] std::optional<TopOrder> parse_top_order(std::string_view text);

// The peak of the interval as a part of the effective limit: a burst between two looks counts. nullopt: no limit.
[[nodiscard]] std::optional<double> use_share(const LiveRow& row);
[[nodiscard]] std::optional<double> peak_share(const LiveRow& row);

// Largest first, names from the first letter on; what is not known comes last; equal ones by name, then by path.
void sort_rows(std::vector<LiveRow>& rows, TopOrder order, bool reversed);

// The name that a person knows it by; not escaped. "?" and an id, or the path, where there is none.
[[nodiscard]] std::string name_of(const LiveRow& row);
// What it belongs to: "shop/cart-7f" of a pod, "compose shop", "app.slice"; not escaped, empty: nothing.
[[nodiscard]] std::string group_of(const LiveRow& row);
// Whether its name, group, image, id or cgroup holds this text, in any case.
[[nodiscard]] bool holds(const LiveRow& row, std::string_view text);

}  // namespace memcrest
