// SPDX-License-Identifier: Apache-2.0
#include "collector/cpu_budget.h"

#include <time.h>

namespace memcrest {

std::uint64_t thread_cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace memcrest
