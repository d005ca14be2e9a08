// SPDX-License-Identifier: Apache-2.0
// A clock that stands still until a test moves it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "memcrest/clock.h"

namespace memcrest::testing_support {

class FakeClock final : public Clock {
 public:
  static constexpr std::int64_t kUnixOffset = 1'795'340'000'000'000'000;
  [[nodiscard]] std::uint64_t boot_ns() const override { return now_; }
  [[nodiscard]] std::int64_t unix_ns() const override { return kUnixOffset + static_cast<std::int64_t>(now_.load()); }
  void set(std::uint64_t now_ns) { now_ = now_ns; }
  void advance(std::chrono::nanoseconds by) { now_ += static_cast<std::uint64_t>(by.count()); }

 private:
  std::atomic<std::uint64_t> now_{0};
};

}  // namespace memcrest::testing_support
