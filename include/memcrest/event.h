// SPDX-License-Identifier: Apache-2.0
// What the sources deliver, typed. Plain values: sizes in bytes, times in nanoseconds of CLOCK_BOOTTIME. Text comes
// from other processes and may hold any byte: escape it before it reaches a terminal or JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace memcrest {

// A process for good: pids are reused, pid and start time together are not.
struct ProcessKey {
  std::uint32_t tgid = 0;
  std::uint64_t start_ns = 0;
  auto operator<=>(const ProcessKey&) const = default;
};

struct TaskInfo {
  ProcessKey process;
  std::uint32_t tid = 0;
  std::uint32_t ns_tgid = 0;  // pid inside the container (innermost pid namespace)
  std::uint32_t uid = 0;
  std::uint64_t cgroup_id = 0;
  std::string comm;         // of the process
  std::string thread_comm;  // of the thread
};

// One memory cgroup as it stood inside the hook.
struct MemcgState {
  std::uint64_t cgroup_id = 0;
  std::uint64_t serial = 0;
  std::uint64_t usage_bytes = 0;
  std::optional<std::uint64_t> limit_bytes;
  std::optional<std::uint64_t> high_bytes;
  std::uint64_t watermark_bytes = 0;
  std::uint64_t swap_usage_bytes = 0;  // v2: swap; v1: memory+swap
  std::optional<std::uint64_t> swap_limit_bytes;
  std::uint64_t failcnt = 0;
  std::uint64_t oom_events = 0;  // own limit hit, as in memory.events.local "oom"
  bool oom_group = false;
  std::string name;  // last part of the path
};

struct MemcgChain {
  std::vector<MemcgState> entries;  // innermost first
  std::uint32_t total = 0;          // more than entries.size() when cut
};

struct StepEvent {
  std::uint64_t time_ns = 0;
  std::uint64_t cgroup_id = 0;
  std::uint64_t serial = 0;
  std::uint64_t usage_bytes = 0;
  std::uint64_t watermark_bytes = 0;
  std::optional<std::uint64_t> limit_bytes;
  std::uint64_t quantum_bytes = 0;
  std::uint64_t suppressed = 0;  // steps of this cgroup left out before this one
  std::uint64_t oom_events = 0;  // own limit hit so far, as in memory.events.local "oom"
  bool up = false;               // neither up nor down: the first sight, a base line
  bool down = false;
  bool ancestor = false;  // seen while a child charged
  bool foreign = false;   // `task` charged nothing here and must not be blamed
  // The kernel was filling the page cache (files, not tmpfs). Set by the source where it can name kernel functions.
  bool page_cache = false;
  TaskInfo task;
  std::vector<std::uint64_t> user_stack;    // innermost first
  std::vector<std::uint64_t> kernel_stack;  // innermost first
};

// Usage read from the cgroup's own file, not from a hook. It only ever adds what hooks cannot see: falls.
struct SampleEvent {
  std::uint64_t time_ns = 0;
  std::uint64_t cgroup_id = 0;
  std::uint64_t usage_bytes = 0;
};

struct ExecEvent {
  std::uint64_t time_ns = 0;
  TaskInfo task;
  std::uint32_t parent_tgid = 0;
  std::string cmdline;  // raw, arguments end in NUL
  bool cmdline_cut = false;
};

struct ThrottleEvent {
  std::uint64_t time_ns = 0;
  std::uint64_t cgroup_id = 0;
  std::uint64_t steps_per_window = 0;
  std::uint64_t window_ns = 0;
};

enum class Constraint { kNone, kCpuset, kMemoryPolicy, kMemcg };

// oom_kill_process began; only from the tier that can see oom_control.
struct OomEvent {
  std::uint64_t time_ns = 0;
  TaskInfo trigger;
  std::uint64_t memcg_id = 0;  // 0: no memory cgroup's limit
  std::uint64_t gfp_mask = 0;
  std::optional<std::uint64_t> total_bytes;
  std::int32_t order = 0;
  Constraint constraint = Constraint::kNone;
  std::uint32_t chosen_tgid = 0;
  MemcgChain chain;  // from the cgroup that was hit upwards
};

struct VictimEvent {
  std::uint64_t time_ns = 0;
  TaskInfo trigger;
  TaskInfo task;
  std::uint64_t anon_bytes = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t shmem_bytes = 0;
  std::uint64_t swap_bytes = 0;
  std::uint64_t pagetable_bytes = 0;
  std::int32_t oom_score_adj = 0;
  MemcgChain chain;                         // from the victim's cgroup upwards
  std::vector<std::uint64_t> kernel_stack;  // of the trigger, innermost first
  std::vector<std::uint64_t> user_stack;
  // Set by the source from kernel_stack where it can name kernel functions: was this a memory cgroup's OOM?
  std::optional<bool> memcg_oom;
};

struct KillEvent {
  std::uint64_t time_ns = 0;
  TaskInfo sender;
  TaskInfo target;
  bool from_kernel = false;
  bool to_group = false;
  std::int32_t code = 0;
};

struct CgroupEvent {
  std::uint64_t time_ns = 0;
  std::uint64_t cgroup_id = 0;
  std::uint64_t serial = 0;
  std::uint64_t parent_id = 0;
  std::uint64_t watermark_bytes = 0;
  bool created = false;  // otherwise removed
  std::string path;      // inside the memory hierarchy, begins with '/'
  bool path_cut = false;
};

struct ExitEvent {
  std::uint64_t time_ns = 0;
  TaskInfo task;
  std::int32_t exit_code = 0;  // as for wait(2)
};

using Event = std::variant<StepEvent, SampleEvent, ExecEvent, ThrottleEvent, OomEvent, VictimEvent, KillEvent,
                           CgroupEvent, ExitEvent>;

[[nodiscard]] inline std::uint64_t time_of(const Event& event) {
  return std::visit([](const auto& e) { return e.time_ns; }, event);
}

}  // namespace memcrest
