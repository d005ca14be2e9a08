// SPDX-License-Identifier: Apache-2.0
// When a record of the kernel log was written, in CLOCK_BOOTTIME. The log has the scheduler's clock, which stands still
// in suspend and is not steered by NTP (50 ppm are 4 s a day), so the offset between the two is estimated again and
// again: it is at most what the fastest read of late showed. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

namespace memcrest {

class KernelLogClock {
 public:
  // A record with this time of its own was read at `boot_ns`.
  void note(std::uint64_t log_ns, std::uint64_t boot_ns) {
    const std::int64_t sample = static_cast<std::int64_t>(boot_ns - log_ns);
    // It was not there when all was read the last time, so the offset cannot be less: the clocks moved apart.
    const bool stale = empty_ns_ && offset_ && static_cast<std::int64_t>(*empty_ns_ - log_ns) > *offset_ + kSlackNs;
    if (stale || !current_ || boot_ns - began_ns_ >= kWindowNs) {
      previous_ = stale || boot_ns - began_ns_ >= 2 * kWindowNs ? std::nullopt : current_;
      current_ = sample;
      began_ns_ = boot_ns;
    }
    current_ = std::min(*current_, sample);
    offset_ = std::min(*current_, previous_.value_or(*current_));
  }

  // There was nothing more to read at `boot_ns`.
  void note_empty(std::uint64_t boot_ns) { empty_ns_ = boot_ns; }

  [[nodiscard]] std::uint64_t boot_of(std::uint64_t log_ns) const {
    const std::int64_t offset = offset_.value_or(0);
    if (offset < 0 && log_ns < static_cast<std::uint64_t>(-offset)) {
      return 0;
    }
    return log_ns + static_cast<std::uint64_t>(offset);
  }

 private:
  static constexpr std::uint64_t kWindowNs = 30'000'000'000;
  // A time is taken a moment before its record can be read.
  static constexpr std::int64_t kSlackNs = 10'000'000;

  std::optional<std::int64_t> offset_;
  std::optional<std::int64_t> current_;   // the least of this window
  std::optional<std::int64_t> previous_;  // and of the one before
  std::uint64_t began_ns_ = 0;
  std::optional<std::uint64_t> empty_ns_;
};

}  // namespace memcrest
