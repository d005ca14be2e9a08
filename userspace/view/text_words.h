// SPDX-License-Identifier: Apache-2.0
// Numbers and names in the words of the text view. For the sources of this room. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "memcrest/incident.h"

namespace memcrest::view {

inline constexpr std::string_view kDot = " · ";
inline constexpr std::string_view kGap = "  ";
inline constexpr std::size_t kShortId = 12;

// "97 %"; a part that is not a number is 0 %.
[[nodiscard]] std::string percent(double part);
[[nodiscard]] std::string bytes(std::uint64_t value);
// "+ 512 MiB", "- 4 KiB".
[[nodiscard]] std::string change(std::int64_t value);
// A measured time: "740 ms", "1.20 s". NaN and less than nothing are 0.
[[nodiscard]] std::string milliseconds(double ms);
// "1 s", "10 s": a setting, not a measurement, so without the digits of one.
[[nodiscard]] std::string seconds(std::uint64_t ms);
// "1 task", "5 tasks".
[[nodiscard]] std::string counted(std::uint64_t count, const std::string& one, const std::string& many);
// "python[5943]", escaped.
[[nodiscard]] std::string process(const std::string& comm, std::uint32_t pid);

// "pid 5943 (1 in the container)"; the second where it is known and another.
[[nodiscard]] std::string pid_words(std::uint32_t pid, std::uint32_t container_pid);

[[nodiscard]] bool is_container(Runtime runtime);
// What the runtime made of the end. Not escaped.
[[nodiscard]] std::string state_words(const RuntimeState& state);
// What the limit belongs to, in the word that its user knows it by: container, unit, cgroup.
[[nodiscard]] const char* noun(const Container& container);

}  // namespace memcrest::view
