// SPDX-License-Identifier: Apache-2.0
// The lines of an OOM report from the choice of a victim on, one function for each: text in, what it says out. Pure.
// For kernel_log_parser alone. Names are whatever a user chose, as in kernel_log_lines.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "memcrest/event.h"

namespace memcrest::kernel_log {

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
