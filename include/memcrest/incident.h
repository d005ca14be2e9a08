// SPDX-License-Identifier: Apache-2.0
// One thing that a person asks about, with its evidence. Plain values; the JSON form is docs/incident.schema.json.
// Optional means "not known", never zero.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "memcrest/container.h"
#include "memcrest/event.h"
#include "memcrest/stack.h"
#include "memcrest/verdict.h"

namespace memcrest {

enum class IncidentKind { kOom, kBurst, kKill, kChargeFailure, kBreakpoint };
enum class Scope { kMemcg, kAncestor, kHost, kCpuset, kMempolicy };

[[nodiscard]] const char* to_string(IncidentKind kind);
[[nodiscard]] const char* to_string(Scope scope);
[[nodiscard]] const char* to_string(MemoryKind kind);

struct Host {
  std::string name;
  std::string kernel;
  std::string boot_id;
};

struct CgroupRef {
  std::uint64_t id = 0;
  std::string path;  // inside the memory hierarchy; empty: unknown
};

struct Limit {
  std::optional<std::uint64_t> bytes;
  std::string kind;         // the file: "memory.max", "memory.limit_in_bytes"; "host" for the machine's own memory
  std::string cgroup_path;  // whose limit; empty for the host
  // Where it is one above the incident's cgroup: what that cgroup itself held of it. Nullopt: not known.
  std::optional<std::uint64_t> own_usage_bytes;
};

struct Trigger {
  std::uint32_t pid = 0;
  std::uint32_t tid = 0;  // 0: not known (a breakpoint whose record was lost)
  std::string comm;
  std::uint32_t container_pid = 0;
};

// A process that a victim, or the sender of a signal, comes from, as it was at the kill.
struct Parent {
  std::uint32_t pid = 0;
  std::uint32_t container_pid = 0;
  std::string comm;
  std::string cmdline;  // as that of the victim
};

struct Victim {
  std::uint32_t pid = 0;
  std::uint32_t container_pid = 0;
  std::string comm;
  std::string cmdline;  // one line, secrets masked; empty when unknown
  std::uint32_t uid = 0;
  std::int32_t oom_score_adj = 0;
  std::uint64_t anon_bytes = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t shmem_bytes = 0;
  std::uint64_t swap_bytes = 0;
  std::uint64_t pagetable_bytes = 0;
  bool main_process = false;        // the container's first process: its death ends the container
  std::string exe;                  // path of its executable in its own file system; empty when unknown
  std::uint64_t start_boot_ns = 0;  // 0: unknown, as is start_unix_ns then
  std::int64_t start_unix_ns = 0;
  std::vector<Parent> parents;     // of its pid namespace, its own parent first
  bool parents_complete = false;   // they go up to the first process of the namespace, or it is that itself
  bool main_process_known = true;  // false: main_process is false since nobody could tell
  // "NAME=VALUE NAME=VALUE": settings of memory in its environment, of an allow-list; empty also where it is not known.
  std::string environment;
};

struct Contributor {
  std::uint32_t pid = 0;
  std::string comm;
  std::uint64_t bytes = 0;
  double share = 0;  // 0..1 of the growth that steps saw
};

// Processes whose names and command lines differ in digits alone, as those of the workers of a pool do.
struct Program {
  std::string comm;     // "worker-#" where they differ, as the command line below
  std::string cmdline;  // one line, secrets masked; empty when unknown
  std::uint64_t processes = 0;
  std::uint64_t bytes = 0;
  double share = 0;  // as below
};

// Threads of one program whose names differ in digits alone, as those of a pool do.
struct ThreadPool {
  std::string comm;    // of the process
  std::string thread;  // "exec-#" where names differ, otherwise the name
  std::uint64_t threads = 0;
  std::uint64_t bytes = 0;
  double share = 0;  // as below
};

// A kind of memory, by its share of the growth that steps saw.
struct KindShare {
  MemoryKind kind = MemoryKind::kUnknown;
  std::uint64_t bytes = 0;
  double share = 0;
};

// A place in programs that memory was taken from, whichever process it was.
struct GrowthStack {
  std::vector<Frame> frames;  // innermost first
  MemoryKind kind = MemoryKind::kUnknown;
  std::uint64_t bytes = 0;
  double share = 0;
  std::string gap;  // why callers or names may be missing; empty: it is whole
};

enum class BurstEnd { kFell, kLevelled, kKilled, kRemoved, kOpen };
[[nodiscard]] const char* to_string(BurstEnd end);

struct Burst {
  std::uint64_t start_boot_ns = 0;
  std::int64_t start_unix_ns = 0;
  double duration_ms = 0;  // from the base to the peak
  std::uint64_t base_bytes = 0;
  std::uint64_t peak_bytes = 0;
  bool peak_exact = false;  // the kernel's own watermark; otherwise at most one quantum too low
  std::uint64_t growth_bytes = 0;
  double slope_bytes_per_s = 0;
  std::uint64_t page_cache_bytes = 0;  // of the growth: files, which the kernel drops when it needs room
  double above_half_ms = 0;            // how long usage stood above base + growth / 2
  BurstEnd end = BurstEnd::kOpen;
  double end_uncertainty_ms = 0;  // the fall lies this much before its time at most; 0 when a hook saw it
  std::vector<Contributor> contributors;
  std::vector<KindShare> kinds;      // heaviest first; empty: the hooks in use show no stacks
  std::vector<Program> programs;     // heaviest first
  std::vector<ThreadPool> threads;   // heaviest first; empty: each process grew by one thread of its own name
  std::vector<GrowthStack> stacks;   // heaviest first; they leave out the lightest
  std::vector<std::string> hints;    // what would show more of the stacks, in words
  std::vector<std::uint64_t> shape;  // usage at 16 even points from before the start to the end, for a sparkline
};

struct SamplerView {
  std::string name;
  std::uint64_t interval_ms = 0;
  std::uint64_t typical_seen_bytes = 0;  // median over the phase of the last value it would have shown
  double chance_seen = 0;                // 0..1 that a sample fell where usage was above base + growth / 2
};

// What only the OOM killer or the kernel log knows, and how the kill came about.
struct OomDetail {
  std::optional<std::int32_t> order;  // the allocation was of 2^order pages
  std::optional<std::uint64_t> gfp_mask;
  bool group_kill = false;             // memory.oom.group: all processes of the cgroup at once
  bool sysrq = false;                  // a person asked for it (sysrq-f): nothing was exhausted
  bool limit_lowered = false;          // somebody set the limit below the use: the trigger is who wrote it
  std::optional<std::uint64_t> kills;  // by the cgroup's own count, where nothing told who the victims were
};

// How long the cgroup's tasks were held up before the incident, summed over tasks: 8 threads for 1 s are 8 s.
struct ReclaimStall {
  double window_ms = 0;    // looked back so far
  double direct_ms = 0;    // in direct reclaim
  double throttle_ms = 0;  // by memory.high
};

struct Swap {
  std::optional<std::uint64_t> usage_bytes;  // of the cgroup whose limit it is
  std::optional<std::uint64_t> limit_bytes;  // memory.swap.max; v1: memsw's, see kind
  std::string kind;                          // "memory.swap.max"; v1 "memory.memsw.limit_in_bytes": memory and swap
};

// One line of "who holds the machine's memory".
struct RankedCgroup {
  CgroupRef cgroup;
  Runtime runtime = Runtime::kUnknown;
  std::string container_id;
  std::string container_name;
  std::string pod_name;  // containers of pods share their names: a dozen are called "app"
  std::string pod_namespace;
  std::uint64_t usage_bytes = 0;
  std::int64_t growth_bytes = 0;  // over the last `growth_window_ms`; what was freed counts as negative
};

struct HostRanking {
  double growth_window_ms = 0;
  std::vector<RankedCgroup> by_usage;  // heaviest first, at most 10; containers and other leaf cgroups
  std::vector<RankedCgroup> by_growth;
  std::string incomplete;  // why it may be wrong; empty: nothing is known to be missing
};

// cgroup v1 with oom_kill_disable: tasks wait instead of being killed.
struct Stuck {
  std::uint64_t since_boot_ns = 0;
  double duration_ms = 0;  // so far
  bool ongoing = true;     // a second incident line with the same id says when it is over
  std::uint64_t total_tasks = 0;
  std::vector<Trigger> tasks;  // at most 64
};

struct ChargeFailure {
  std::uint64_t count = 0;
  bool at_least = false;  // more may have failed before the hook was attached
  std::int32_t error = 0;
  std::string error_name;              // "ENOMEM"
  std::string function;                // the kernel function that wanted memory, empty: unknown
  std::optional<std::uint64_t> bytes;  // that the last one asked for
  std::optional<std::uint64_t> gfp_mask;
  double duration_ms = 0;  // from the first to the last
};

// Who sent a signal.
struct Sender {
  std::uint32_t pid = 0;
  std::uint32_t uid = 0;
  std::string comm;
  std::string cmdline;          // as that of a victim
  std::uint64_t cgroup_id = 0;  // of this machine; not told
  bool known = false;           // where it lives, as follows
  std::string cgroup_path;
  std::string unit;             // its systemd unit, where it is in no container
  std::string container_id;     // empty: a process of the host
  std::string container_name;   // empty: unknown
  bool same_container = false;  // as the process that it was sent to
  std::vector<Parent> parents;  // its own parent first, as far as they are known; at most 8
};

// What asked for an end before it came.
struct AskedToEnd {
  std::uint32_t signal = 0;
  double before_ms = 0;  // the end
  std::optional<Sender> sender;
};

// A process that a signal ended, without an OOM.
struct ProcessEnd {
  std::uint32_t signal = 0;
  bool core_dumped = false;
  std::uint32_t pid = 0;
  std::uint32_t container_pid = 0;
  std::string comm;
  std::string cmdline;  // as that of a victim
  std::string exe;
  std::uint32_t uid = 0;
  bool main_process = false;  // as of a victim
  bool main_process_known = true;
  bool by_kernel = false;        // the kernel itself sent it; `sender` is who ran then
  bool without_info = false;     // not by kill(2): cgroup.kill, a parent's death
  std::optional<Sender> sender;  // of a SIGKILL, or a killer's SIGTERM; nullopt: it was not seen
  std::optional<AskedToEnd> asked;
  std::uint64_t left_out = 0;  // ends in this cgroup before it that the rate limit left out
};

// One process of a container as a breakpoint found it.
struct HeldProcess {
  std::uint32_t pid = 0;
  std::uint32_t container_pid = 0;
  std::string comm;
  std::string cmdline;  // as that of a victim
  std::optional<std::uint64_t> rss_bytes;
  bool held = false;  // stopped by the breakpoint, or frozen
};

// A line that was set with `memcrest break` and reached.
struct Breakpoint {
  std::string rule;  // as it was asked for: "80%", "1 GiB", "64 MiB / 1s"
  std::uint64_t line_bytes = 0;
  std::uint64_t overshoot_bytes = 0;   // usage beyond the line when the process was stopped
  bool late = false;                   // usage was read now and then: who crossed the line is not known
  std::uint32_t signal = 0;            // sent by the kernel to the process of `trigger`; 0: none
  std::int32_t error = 0;              // of sending it, errno; 0: it was sent
  std::string action;                  // what is done, in words
  std::string outcome;                 // what came of it, in words; empty: it is not over
  bool failed = false;                 // the action did not do what was asked
  double held_ms = 0;                  // how long the process was stopped; 0: not at all, or it still is
  std::string output;                  // directory with what the action wrote; empty: none
  std::vector<Frame> frames;           // of the thread that crossed, innermost first; empty: not known
  std::string stack_gap;               // why callers or names may be missing
  std::vector<HeldProcess> processes;  // of the container, largest first, at most 64
  std::uint64_t total_processes = 0;   // 0: they were not read
};

struct Evidence {
  std::string charge_tier;
  std::string oom_tier;
  std::uint64_t lost_critical = 0;
  std::uint64_t lost_bulk = 0;
  bool complete = false;  // nothing lost and no gap
  std::vector<std::string> gaps;
};

// Whether the runtime tells of an end at or after a kill: its clock and the kernel's come by different ways, Podman's
// is that of a file, so up to 100 ms before it count too. False where it tells no time of the end.
[[nodiscard]] bool ended_after(const RuntimeState& state, std::int64_t kill_unix_ns);

struct Incident;
// Whether an end is told without an alarm: one that was ordered through the container runtime (docker stop; of a pod it
// can be an eviction or a failed probe), or a child that its own container killed.
[[nodiscard]] bool is_no_alarm(const Incident& incident);

// Whether the limit that was hit is that of the container's Kubernetes pod. Kubelet sets it to the sum of what the
// pod's containers may have, and the sandbox is counted in it too: with one container it is full first.
[[nodiscard]] bool is_limit_of_pod(const Incident& incident);
// Whether the limit that was hit is its own, or as good as that: one inside the container, or its pod's where the
// container itself held nine tenths of what was in use.
[[nodiscard]] bool is_own_limit(const Incident& incident);

struct Incident {
  IncidentKind kind = IncidentKind::kOom;
  std::string id;
  std::string update;  // empty: told for the first time; "runtime_state": the runtime has said how the container ended;
                       // "breakpoint": the action is over
  std::uint64_t boot_ns = 0;
  std::int64_t unix_ns = 0;
  Host host;
  Container container;
  CgroupRef cgroup;
  Scope scope = Scope::kMemcg;
  Limit limit;
  std::optional<std::uint64_t> usage_bytes;  // of the cgroup whose limit it is
  std::optional<std::uint64_t> peak_bytes;   // of `cgroup`, since it exists
  std::optional<Trigger> trigger;
  std::vector<Victim> victims;
  std::optional<Burst> burst;
  std::vector<SamplerView> samplers;
  std::optional<OomDetail> oom;  // kind oom only
  std::optional<ReclaimStall> reclaim;
  std::optional<Swap> swap;
  std::optional<HostRanking> ranking;  // scope host only
  std::optional<Stuck> stuck;
  std::optional<ChargeFailure> charge_failure;
  std::optional<ProcessEnd> end;         // kind kill only
  std::optional<Breakpoint> breakpoint;  // kind breakpoint only
  // memory.stat as the kernel log printed it at the kill; empty: it did not.
  std::vector<std::pair<std::string, std::uint64_t>> memory_stat;
  // What the verdict needs beside: see memcrest/verdict.h.
  std::optional<ProcessCount> processes;
  std::optional<std::uint64_t> mapped_bytes;  // address space of the first victim (the log's total-vm), used or not
  std::optional<FloorTrend> trend;
  std::vector<RuntimeSetting> settings;
  std::optional<Composition> composition;
  std::optional<Verdict> verdict;
  std::optional<Advice> advice;
  Evidence evidence;
};

}  // namespace memcrest
