// SPDX-License-Identifier: Apache-2.0
// The lines of an OOM report, one function for each: text in, what it says out. Pure, and shared by nobody but
// kernel_log_parser. Process and cgroup names in them are whatever a user chose, separators included: each function
// says how it finds the end of a name.
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

// "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=NAME,mems_allowed=0,oom_memcg=PATH,task_memcg=PATH,
// task=NAME,pid=1,uid=0", or global_oom in place of oom_memcg=PATH: dump_oom_summary. What lines before it said
// tells where a name ends that holds ",task=" and the like.
struct SummaryHints {
  std::string_view limit_path;  // of the statistics
  const std::vector<LogTask>* tasks = nullptr;
};
struct Summary {
  std::optional<Constraint> constraint;
  std::string cpuset_path;
  std::string mems_allowed;
  std::string limit_path;
  std::string victim_path;
  std::optional<std::uint32_t> pid;
  bool complete = false;  // its end was there
};
inline constexpr std::string_view kSummaryStart = "oom-kill:constraint=";
[[nodiscard]] Summary parse_summary(std::string_view line, const SummaryHints& hints);

// "MESSAGE: Killed process 123 (NAME) total-vm:1kB, anon-rss:1kB, …": __oom_kill_process. Where MESSAGE is "Memory
// cgroup out of memory", "Out of memory" or "Out of memory (oom_kill_allocating_task)", or, before 5.1, missing.
struct Killed {
  LogVictim victim;
  std::optional<bool> memcg;  // unset: the line does not say
  bool sizes = false;         // the sizes were there
};
[[nodiscard]] std::optional<Killed> parse_killed(std::string_view line);

// "MESSAGE: OOM victim 123 (NAME) is already exiting. Skip killing the task", and before 5.1 the announcement
// "MESSAGE: Kill process 123 (NAME) score 1000 or sacrifice child". Neither is a kill.
struct Named {
  std::uint32_t pid = 0;
  bool memcg = false;
};
[[nodiscard]] std::optional<Named> parse_exiting(std::string_view line);
[[nodiscard]] std::optional<Named> parse_announcement(std::string_view line);

// "Tasks in PATH are going to be killed due to memory.oom.group set".
inline constexpr std::string_view kGroupStart = "Tasks in ";
[[nodiscard]] std::optional<std::string> parse_group(std::string_view line);

// The lines that the kernel prints in pieces (pr_cont): whether `line` begins like one and its end is missing.
[[nodiscard]] bool unfinished(std::string_view line);
// Whether `piece` can be a piece of one.
[[nodiscard]] bool continues(std::string_view line, std::string_view piece);

}  // namespace memcrest::kernel_log
