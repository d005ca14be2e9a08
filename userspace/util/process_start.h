// SPDX-License-Identifier: Apache-2.0
// When a process started, as /proc tells: cut down to a clock tick; and what else its stat says. A pid may belong to
// somebody else by now; pid and start may not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace memcrest {

[[nodiscard]] std::uint64_t tick_ns();

// In nanoseconds since boot, a whole number of ticks; `folder` is /proc/PID. nullopt: it is gone.
[[nodiscard]] std::optional<std::uint64_t> process_start_ns(const std::string& folder);

struct ProcessStat {
  std::string comm;  // any bytes
  std::uint32_t parent = 0;
};

// nullopt: it is gone.
[[nodiscard]] std::optional<ProcessStat> process_stat(const std::string& folder);

// An exact start, cut down likewise.
[[nodiscard]] inline std::uint64_t to_tick(std::uint64_t start_ns) { return start_ns - start_ns % tick_ns(); }

}  // namespace memcrest
