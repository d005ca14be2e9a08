// SPDX-License-Identifier: Apache-2.0
// What the sources deliver, typed. Plain values: sizes in bytes, times in nanoseconds of CLOCK_BOOTTIME. Text comes
// from other processes and may hold any byte: escape it before it reaches a terminal or JSON.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
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
  std::uint64_t reclaim_ns = 0;   // direct reclaim that its own tasks were held up by so far, summed over tasks
  std::uint64_t throttle_ns = 0;  // the same for memory.high
  std::string name;               // last part of the path
};

struct MemcgChain {
  std::vector<MemcgState> entries;  // innermost first
  std::uint32_t total = 0;          // more than entries.size() when cut
};

// What memory was charged as, by what the kernel was doing.
enum class MemoryKind {
  kUnknown,
  kAnon,
  kHugePage,  // anonymous, in huge pages that the kernel made by itself (THP)
  kFile,      // page cache of files
  kShmem,     // tmpfs, memfd, System V and anonymous shared memory
  kSlab,
  kKernelStack,
  kPageTables,
  kSockets,
  kPipes,
  kPercpu,
  kVmalloc,
  kBpf,
  kHugetlb,
};

// The top of a thread's stack in user space as it entered the kernel, and its registers (x86-64, numbered as DWARF
// does).
struct StackCopy {
  std::uint32_t tid = 0;
  std::uint64_t begin = 0;  // address of bytes[0], at or below the stack pointer
  std::array<std::uint64_t, 17> registers{};
  std::string bytes;
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
  std::uint64_t reclaim_ns = 0;  // as in MemcgState
  std::uint64_t throttle_ns = 0;
  bool up = false;  // neither up nor down: the first sight, a base line
  bool down = false;
  bool ancestor = false;  // seen while a child charged
  bool foreign = false;   // `task` charged nothing here and must not be blamed
  // The kernel was filling the page cache (files, not tmpfs). Set by the source where it can name kernel functions.
  bool page_cache = false;
  MemoryKind kind = MemoryKind::kUnknown;  // of what was charged last; set likewise
  TaskInfo task;
  std::vector<std::uint64_t> user_stack;    // innermost first
  std::vector<std::uint64_t> kernel_stack;  // innermost first
  // Of the same thread, where that was asked for; for who unwinds it (symbol/unwinding_source), and gone after that.
  std::shared_ptr<const StackCopy> stack_copy;
  bool unwound = false;  // user_stack is by unwind tables, not by frame pointers
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
  // The binary as execve was given it, of a script its interpreter: may be relative, or a link. Empty: not known whole.
  std::string exe;
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

// A process that a victim comes from.
struct RelativeInfo {
  ProcessKey process;
  std::uint32_t ns_tgid = 0;    // pid inside the container (innermost pid namespace)
  std::uint64_t cgroup_id = 0;  // of its first thread
  std::string comm;
};

// Why a chain of parents has no more.
enum class ParentsEnd {
  kUnknown,  // nothing looked, the chain is longer, or a task could not be read
  kInit,     // the last one, or the victim itself, is the first process of its pid namespace
  kOutside,  // the next one lives in another pid namespace: the process entered the container (docker exec)
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
  bool sysrq = false;                 // a person asked for it (sysrq-f)
  bool limit_lowered = false;         // by writing memory.max
  std::vector<RelativeInfo> parents;  // of its pid namespace, its own parent first
  ParentsEnd parents_end = ParentsEnd::kUnknown;
  std::uint64_t parent_cgroup_id = 0;  // of its parent, whatever namespace that is in; 0: not known
  std::optional<RelativeInfo> init;  // first process of its pid namespace, which may be the victim; nullopt: not known
};

// A SIGKILL; or what asks the first process of a pid namespace to end (SIGTERM, SIGINT, SIGQUIT, SIGRTMIN+3).
struct KillEvent {
  std::uint64_t time_ns = 0;
  TaskInfo sender;
  TaskInfo target;
  bool from_kernel = false;
  bool to_group = false;
  bool without_info = false;  // not by kill(2): cgroup.kill, a parent's death
  std::uint32_t signal = 9;
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

// The kernel refused memory to a cgroup and killed nobody: the caller got the error instead. Counted in the kernel,
// so one event can stand for many failures.
struct ChargeFailureEvent {
  std::uint64_t time_ns = 0;  // of the last one
  std::uint64_t cgroup_id = 0;
  std::uint64_t serial = 0;
  std::uint64_t count = 0;  // so far, since the hook was attached
  std::int32_t error = 0;   // errno, positive
  bool at_least = false;    // the hook was attached only after a limit had been met: more may have failed before
  std::optional<std::uint64_t> gfp_mask;  // of the last one, as its task and stack
  std::optional<std::uint64_t> bytes;     // that it asked for
  TaskInfo task;
  std::vector<std::uint64_t> kernel_stack;
  std::string function;  // the kernel function that wanted memory; empty: no symbols. Set by the source
  MemcgChain chain;      // from the task's cgroup upwards
};

// One line "usage 32768kB, limit 32768kB, failcnt 14" of the kernel log.
struct LogCounter {
  std::uint64_t usage_bytes = 0;
  std::optional<std::uint64_t> limit_bytes;
  std::uint64_t failcnt = 0;
};

struct LogVictim {
  std::uint32_t pid = 0;  // in the initial pid namespace
  std::string comm;
  std::optional<std::uint32_t> uid;
  std::optional<std::int32_t> oom_score_adj;
  std::uint64_t anon_bytes = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t shmem_bytes = 0;
  std::optional<std::uint64_t> pagetable_bytes;
  std::optional<std::uint64_t> mapped_bytes;  // its address space, used or not ("total-vm")
};

// One row of the log's task dump.
struct LogTask {
  std::uint32_t pid = 0;
  std::uint32_t tgid = 0;
  std::uint32_t uid = 0;
  std::uint64_t rss_bytes = 0;
  std::uint64_t swap_bytes = 0;
  std::int32_t oom_score_adj = 0;
  std::string comm;
};

// One OOM as the kernel log tells it, once its last line was read. What the log did not say stays unset.
struct LogOomEvent {
  std::uint64_t time_ns = 0;  // of the first line, from the log's own clock: to about 10 ms
  std::string trigger_comm;   // "NAME invoked oom-killer"
  std::optional<std::uint32_t> trigger_pid;
  std::optional<std::uint64_t> gfp_mask;
  std::optional<std::int32_t> order;  // -1: a person asked for it (sysrq-f)
  std::optional<Constraint> constraint;
  bool memcg = false;          // "Memory cgroup out of memory", or a constraint that says so
  bool group_kill = false;     // memory.oom.group
  bool killed_nobody = false;  // the log says so: nobody could be killed, or who was chosen was exiting already
  std::string limit_path;      // oom_memcg: whose limit was hit
  std::string victim_path;     // task_memcg
  std::string cpuset_path;     // of a cpuset's OOM
  std::string mems_allowed;    // "0-1"
  std::optional<LogCounter> memory;
  std::optional<LogCounter> memsw;                           // v1
  std::optional<LogCounter> swap;                            // v2
  std::optional<LogCounter> kmem;                            // v1
  std::vector<std::pair<std::string, std::uint64_t>> stats;  // the log's memory.stat, in bytes or counts as there
  std::vector<LogTask> tasks;
  std::vector<LogVictim> victims;
  std::vector<std::string> gaps;  // in words: lines were dropped, the report was rate-limited, ...
};

// A cgroup's own count of kills went up (memory.events, v1 memory.oom_control): somebody died, the file does not say
// who. Only from the polling rung.
struct OomCountEvent {
  std::uint64_t time_ns = 0;    // when it was noticed
  std::uint64_t window_ns = 0;  // it happened at most so long before
  std::uint64_t cgroup_id = 0;
  std::string path;
  std::uint64_t kills = 0;  // processes, corrected for memory.oom.group, which counts one too many
  // memory.oom.group is set, here or above; told where it is set when several cgroups lost processes.
  bool group_kill = false;
  // Whose limit was hit, itself or one above: memory.events.local "oom" went up lately. v1 keeps no such count: usage
  // has reached the limit. Empty: nobody's. nullopt: its files were gone before they could be read.
  std::optional<std::string> limit_path;
  std::optional<std::uint64_t> usage_bytes;  // of the limit's cgroup
  std::optional<std::uint64_t> limit_bytes;
  std::optional<std::uint64_t> peak_bytes;
  // v1: the limit of memory and swap together was the one that was hit.
  bool memsw_hit = false;
  std::optional<std::uint64_t> memsw_limit_bytes;
  std::uint64_t memsw_usage_bytes = 0;
};

struct StuckTask {
  std::uint32_t pid = 0;
  std::uint32_t tid = 0;
  std::string comm;
  bool verified = true;  // false: it sleeps, and where may not be read
};

// cgroup v1 with oom_kill_disable: the limit is full, nobody is killed, tasks wait. Told when it is noticed and again
// when it is over.
struct StuckEvent {
  std::uint64_t time_ns = 0;
  std::uint64_t since_ns = 0;  // first seen; names the hang together with cgroup_id
  bool ended = false;
  std::uint64_t cgroup_id = 0;
  std::string path;
  std::uint64_t usage_bytes = 0;
  std::optional<std::uint64_t> limit_bytes;
  std::vector<StuckTask> tasks;  // that wait, at most 64; those of the beginning when it has ended
  std::uint64_t total_tasks = 0;
};

// Usage of a cgroup reached the line of a memory breakpoint, and its thread was sent the signal of it.
struct BreakpointEvent {
  std::uint64_t time_ns = 0;
  std::uint64_t cgroup_id = 0;  // whose line it is: the task's, or one above it
  std::uint64_t line_bytes = 0;
  std::uint64_t usage_bytes = 0;             // of that cgroup
  std::optional<std::uint64_t> limit_bytes;  // its own
  std::uint32_t signal = 0;                  // 0: none
  std::int32_t error = 0;                    // of sending it: errno, positive
  bool late = false;  // usage was read, not seen at the charge: who charged is not known, and more may have been since
  TaskInfo task;      // tid 0: the record was lost, and the process was found later
  std::vector<std::uint64_t> user_stack;    // innermost first
  std::vector<std::uint64_t> kernel_stack;  // innermost first
};

using Event =
    std::variant<StepEvent, SampleEvent, ExecEvent, ThrottleEvent, OomEvent, VictimEvent, KillEvent, CgroupEvent,
                 ExitEvent, ChargeFailureEvent, LogOomEvent, OomCountEvent, StuckEvent, BreakpointEvent>;

[[nodiscard]] inline std::uint64_t time_of(const Event& event) {
  return std::visit([](const auto& e) { return e.time_ns; }, event);
}

}  // namespace memcrest
