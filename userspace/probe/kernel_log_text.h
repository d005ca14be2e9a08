// SPDX-License-Identifier: Apache-2.0
// Reading text from its front: what kernel_log_lines and kernel_log_kill share. Included by them alone.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace memcrest::kernel_log {

// A process name is shorter: TASK_COMM_LEN is 16, and kernel threads show up to 63.
inline constexpr std::size_t kLongComm = 63;
inline constexpr std::string_view kStatsStart = "Memory cgroup stats for ";

inline bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

template <typename T>
std::optional<T> take_number(std::string_view& text, int base = 10) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{}) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

inline void skip_spaces(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
}

inline std::uint64_t times(std::uint64_t count, std::uint64_t size) {
  std::uint64_t product = 0;
  return __builtin_mul_overflow(count, size, &product) ? std::numeric_limits<std::uint64_t>::max() : product;
}

// The number behind `key` in text that the kernel wrote alone.
template <typename T>
std::optional<T> value_of(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) {
    return std::nullopt;
  }
  text.remove_prefix(at + key.size());
  return take_number<T>(text);
}

}  // namespace memcrest::kernel_log
