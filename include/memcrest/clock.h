// SPDX-License-Identifier: Apache-2.0
// Time, injected. Boot time (CLOCK_BOOTTIME) orders events; wall time is only for people.
#pragma once

#include <cstdint>

namespace memcrest {

class Clock {
 public:
  virtual ~Clock() = default;
  // Nanoseconds since boot, suspend included. Monotonic. Thread-safe.
  [[nodiscard]] virtual std::uint64_t boot_ns() const = 0;
  // Nanoseconds since 1970 in UTC. May jump. Thread-safe.
  [[nodiscard]] virtual std::int64_t unix_ns() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] std::uint64_t boot_ns() const override;
  [[nodiscard]] std::int64_t unix_ns() const override;
};

}  // namespace memcrest
