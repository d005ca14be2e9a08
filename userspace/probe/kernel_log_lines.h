// SPDX-License-Identifier: Apache-2.0
// The lines of an OOM report up to the choice of a victim, one function for each: text in, what it says out. Pure.
// For kernel_log_parser alone; the choice and the kill are in kernel_log_kill.h. Process and cgroup names in them are
// whatever a user chose, separators included: each function says how it finds the end of a name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "memcrest/event.h"

namespace memcrest::kernel_log {

inline constexpr std::size_t kMaxStats = 256;

// "NAME invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0": dump_header.
struct Invoked {
  std::string comm;
  std::optional<std::uint64_t> gfp_mask;
  std::optional<std::int32_t> order;
};
[[nodiscard]] std::optional<Invoked> parse_invoked(std::string_view line);

// "CPU: 1 UID: 0 PID: 123 Comm: NAME …" (UID since 6.12): dump_stack. The pid is the thread's.
[[nodiscard]] std::optional<std::uint32_t> parse_stack_pid(std::string_view line);

// "memory: usage 32768kB, limit 32768kB, failcnt 14" with its name, which is one of memory, memory+swap, swap, kmem.
struct NamedCounter {
  std::string_view name;
  LogCounter counter;
};
[[nodiscard]] std::optional<NamedCounter> parse_counter(std::string_view line, std::uint64_t page_size);

// "Memory cgroup stats for PATH:", before 5.2 followed by " cache:0KB rss:8KB …" on the same line.
struct StatsHeader {
  std::string path;
  std::vector<std::pair<std::string, std::uint64_t>> stats;
};
[[nodiscard]] std::optional<StatsHeader> parse_stats_header(std::string_view line);

// "anon 4096". Up to 6.3 all of them are one record with newlines inside, which the kernel cuts when it is too long.
[[nodiscard]] std::optional<std::pair<std::string, std::uint64_t>> parse_stat(std::string_view line);

// The columns of "[  pid  ]   uid  tgid total_vm      rss … name". They differ between kernels; the name is last.
struct TaskColumns {
  std::vector<std::string> names;
};
[[nodiscard]] std::optional<TaskColumns> parse_task_header(std::string_view line);
[[nodiscard]] std::optional<LogTask> parse_task(std::string_view line, const TaskColumns& columns,
                                                std::uint64_t page_size);

}  // namespace memcrest::kernel_log
