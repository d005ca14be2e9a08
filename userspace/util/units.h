// SPDX-License-Identifier: Apache-2.0
// Sizes and durations as people write and read them. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "util/result.h"

namespace memcrest {

inline constexpr std::uint64_t kMillisecond = 1'000'000;  // nanoseconds
inline constexpr std::uint64_t kSecond = 1'000 * kMillisecond;
inline constexpr std::uint64_t kMebi = 1ULL << 20U;  // bytes

// Bytes from "64m", "1g", "64MiB", "1.5GiB", "4096", "512k", "10kb" (Docker's letters and IEC names, any case, all
// binary). Negative, empty, overflowing or unknown text is an error that names the accepted forms.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);

// A duration from "500ms", "10s", "5m", "2h", "250us", "1.5s". A bare number is an error: it has no unit.
[[nodiscard]] Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

// "412 MiB", "2.00 GiB", "0 B": binary units, three significant digits.
[[nodiscard]] std::string format_size(std::uint64_t bytes);

// "740 ms", "1.20 s", "3 min 20 s", "850 us".
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);

// RFC 3339 in UTC with nanoseconds: "2026-11-22T09:35:43.841000123Z". `unix_ns` counts from 1970.
[[nodiscard]] std::string format_rfc3339(std::int64_t unix_ns);

// The time since 1970 from RFC 3339, with any zone and fraction; digits beyond nanoseconds are left out. Nothing: it is
// none, or lies before 1970, as the zero of Go's programs does, or after 2261.
[[nodiscard]] std::optional<std::int64_t> parse_rfc3339(std::string_view text);

// Local wall-clock time of day with milliseconds, "09:35:43.841".
[[nodiscard]] std::string format_time_of_day(std::int64_t unix_ns);

}  // namespace memcrest
