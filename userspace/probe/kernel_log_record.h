// SPDX-License-Identifier: Apache-2.0
// One record of /dev/kmsg, taken apart: "PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,caller=T123];TEXT". Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "util/result.h"

namespace memcrest {

// The kernel never hands out more in one read (CONSOLE_EXT_LOG_MAX, PRINTK_MESSAGE_MAX).
inline constexpr std::size_t kMaxKernelLogRecord = 8192;

struct KernelLogRecord {
  std::uint32_t facility = 0;  // 0: the kernel itself. A write to /dev/kmsg can never get 0 (devkmsg_write)
  std::uint64_t sequence = 0;
  std::uint64_t time_ns = 0;  // the scheduler's clock: neither CLOCK_BOOTTIME nor CLOCK_MONOTONIC
  bool fragment = false;      // the rest of a line that the kernel could not append to its beginning (pr_cont)
  std::string caller;         // "T123" or "C0"; empty without CONFIG_PRINTK_CALLER
  std::string text;           // unescaped: may hold any byte
};

// The lines after the first (" KEY=VALUE") are left out. Refuses what the kernel does not write.
[[nodiscard]] Result<KernelLogRecord> parse_kernel_log_record(std::string_view raw);

}  // namespace memcrest
