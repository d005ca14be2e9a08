// SPDX-License-Identifier: Apache-2.0
#include "memcrest/clock.h"

#include <ctime>

namespace memcrest {
namespace {

std::int64_t read_clock(clockid_t id) {
  timespec now{};
  clock_gettime(id, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

std::uint64_t SystemClock::boot_ns() const { return static_cast<std::uint64_t>(read_clock(CLOCK_BOOTTIME)); }

std::int64_t SystemClock::unix_ns() const { return read_clock(CLOCK_REALTIME); }

}  // namespace memcrest
