// SPDX-License-Identifier: Apache-2.0
// The fields of every event by name, once for writing and for reading. A name is part of the recording's format: it is
// never used again for something else. A field that is missing keeps its default.
#pragma once

#include <array>
#include <concepts>
#include <type_traits>

#include "memcrest/event.h"

namespace memcrest {

// Names of an enum's values, in their order. They are part of the format as well.
template <typename T>
struct EnumNames;
template <>
struct EnumNames<Constraint> {
  static constexpr std::array kNames{"none", "cpuset", "memory_policy", "memcg"};
};
template <>
struct EnumNames<MemoryKind> {
  static constexpr std::array kNames{"unknown",     "anon",    "thp",   "file",   "shmem",   "slab", "kernel_stack",
                                     "page_tables", "sockets", "pipes", "percpu", "vmalloc", "bpf",  "hugetlb"};
};
template <>
struct EnumNames<ParentsEnd> {
  static constexpr std::array kNames{"unknown", "init", "outside"};
};

// T or const T.
template <typename E, typename T>
concept Some = std::same_as<std::remove_const_t<E>, T>;

template <typename V, Some<ProcessKey> E>
void fields(V& v, E& e) {
  v("pid", e.tgid);
  v("start_ns", e.start_ns);
}

template <typename V, Some<TaskInfo> E>
void fields(V& v, E& e) {
  v("process", e.process);
  v("tid", e.tid);
  v("ns_pid", e.ns_tgid);
  v("uid", e.uid);
  v("cgroup_id", e.cgroup_id);
  v("comm", e.comm);
  v("thread_comm", e.thread_comm);
}

template <typename V, Some<MemcgState> E>
void fields(V& v, E& e) {
  v("cgroup_id", e.cgroup_id);
  v("serial", e.serial);
  v("usage_bytes", e.usage_bytes);
  v("limit_bytes", e.limit_bytes);
  v("high_bytes", e.high_bytes);
  v("watermark_bytes", e.watermark_bytes);
  v("swap_usage_bytes", e.swap_usage_bytes);
  v("swap_limit_bytes", e.swap_limit_bytes);
  v("failcnt", e.failcnt);
  v("oom_events", e.oom_events);
  v("oom_group", e.oom_group);
  v("reclaim_ns", e.reclaim_ns);
  v("throttle_ns", e.throttle_ns);
  v("name", e.name);
}

template <typename V, Some<MemcgChain> E>
void fields(V& v, E& e) {
  v("entries", e.entries);
  v("total", e.total);
}

template <typename V, Some<StepEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("cgroup_id", e.cgroup_id);
  v("serial", e.serial);
  v("usage_bytes", e.usage_bytes);
  v("watermark_bytes", e.watermark_bytes);
  v("limit_bytes", e.limit_bytes);
  v("quantum_bytes", e.quantum_bytes);
  v("suppressed", e.suppressed);
  v("oom_events", e.oom_events);
  v("reclaim_ns", e.reclaim_ns);
  v("throttle_ns", e.throttle_ns);
  v("up", e.up);
  v("down", e.down);
  v("ancestor", e.ancestor);
  v("foreign", e.foreign);
  v("page_cache", e.page_cache);
  v("memory_kind", e.kind);
  v("task", e.task);
  v("user_stack", e.user_stack);
  v("kernel_stack", e.kernel_stack);
}

template <typename V, Some<SampleEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("cgroup_id", e.cgroup_id);
  v("usage_bytes", e.usage_bytes);
}

template <typename V, Some<ExecEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("task", e.task);
  v("parent_pid", e.parent_tgid);
  v("cmdline", e.cmdline);
  v("cmdline_cut", e.cmdline_cut);
  v("exe", e.exe);
}

template <typename V, Some<ThrottleEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("cgroup_id", e.cgroup_id);
  v("steps_per_window", e.steps_per_window);
  v("window_ns", e.window_ns);
}

template <typename V, Some<OomEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("trigger", e.trigger);
  v("memcg_id", e.memcg_id);
  v("gfp_mask", e.gfp_mask);
  v("total_bytes", e.total_bytes);
  v("order", e.order);
  v("constraint", e.constraint);
  v("chosen_pid", e.chosen_tgid);
  v("chain", e.chain);
}

template <typename V, Some<RelativeInfo> E>
void fields(V& v, E& e) {
  v("process", e.process);
  v("ns_pid", e.ns_tgid);
  v("cgroup_id", e.cgroup_id);
  v("comm", e.comm);
}

template <typename V, Some<VictimEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("trigger", e.trigger);
  v("task", e.task);
  v("anon_bytes", e.anon_bytes);
  v("file_bytes", e.file_bytes);
  v("shmem_bytes", e.shmem_bytes);
  v("swap_bytes", e.swap_bytes);
  v("pagetable_bytes", e.pagetable_bytes);
  v("oom_score_adj", e.oom_score_adj);
  v("chain", e.chain);
  v("kernel_stack", e.kernel_stack);
  v("user_stack", e.user_stack);
  v("memcg_oom", e.memcg_oom);
  v("sysrq", e.sysrq);
  v("limit_lowered", e.limit_lowered);
  v("parents", e.parents);
  v("parents_end", e.parents_end);
  v("parent_cgroup_id", e.parent_cgroup_id);
  v("init", e.init);
}

template <typename V, Some<KillEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("sender", e.sender);
  v("target", e.target);
  v("from_kernel", e.from_kernel);
  v("to_group", e.to_group);
  v("without_info", e.without_info);
  // Written where it is not SIGKILL, as all were at first.
  std::uint32_t asks = e.signal == 9 ? 0 : e.signal;
  v("asks_signal", asks);
  if constexpr (!std::is_const_v<E>) {
    e.signal = asks == 0 ? 9 : asks;
  }
  v("code", e.code);
}

template <typename V, Some<CgroupEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("cgroup_id", e.cgroup_id);
  v("serial", e.serial);
  v("parent_id", e.parent_id);
  v("watermark_bytes", e.watermark_bytes);
  v("created", e.created);
  v("path", e.path);
  v("path_cut", e.path_cut);
}

template <typename V, Some<ExitEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("task", e.task);
  v("exit_code", e.exit_code);
}

template <typename V, Some<ChargeFailureEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("cgroup_id", e.cgroup_id);
  v("serial", e.serial);
  v("count", e.count);
  v("errno", e.error);
  v("at_least", e.at_least);
  v("gfp_mask", e.gfp_mask);
  v("bytes", e.bytes);
  v("task", e.task);
  v("kernel_stack", e.kernel_stack);
  v("function", e.function);
  v("chain", e.chain);
}

template <typename V, Some<LogCounter> E>
void fields(V& v, E& e) {
  v("usage_bytes", e.usage_bytes);
  v("limit_bytes", e.limit_bytes);
  v("failcnt", e.failcnt);
}

template <typename V, Some<LogVictim> E>
void fields(V& v, E& e) {
  v("pid", e.pid);
  v("comm", e.comm);
  v("uid", e.uid);
  v("oom_score_adj", e.oom_score_adj);
  v("anon_bytes", e.anon_bytes);
  v("file_bytes", e.file_bytes);
  v("shmem_bytes", e.shmem_bytes);
  v("pagetable_bytes", e.pagetable_bytes);
  v("mapped_bytes", e.mapped_bytes);
}

template <typename V, Some<LogTask> E>
void fields(V& v, E& e) {
  v("tid", e.pid);
  v("pid", e.tgid);
  v("uid", e.uid);
  v("rss_bytes", e.rss_bytes);
  v("swap_bytes", e.swap_bytes);
  v("oom_score_adj", e.oom_score_adj);
  v("comm", e.comm);
}

template <typename V, Some<std::pair<std::string, std::uint64_t>> E>
void fields(V& v, E& e) {
  v("name", e.first);
  v("value", e.second);
}

template <typename V, Some<LogOomEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("trigger_comm", e.trigger_comm);
  v("trigger_pid", e.trigger_pid);
  v("gfp_mask", e.gfp_mask);
  v("order", e.order);
  v("constraint", e.constraint);
  v("memcg", e.memcg);
  v("group_kill", e.group_kill);
  v("killed_nobody", e.killed_nobody);
  v("limit_path", e.limit_path);
  v("victim_path", e.victim_path);
  v("cpuset_path", e.cpuset_path);
  v("mems_allowed", e.mems_allowed);
  v("memory", e.memory);
  v("memsw", e.memsw);
  v("swap", e.swap);
  v("kmem", e.kmem);
  v("stats", e.stats);
  v("tasks", e.tasks);
  v("victims", e.victims);
  v("gaps", e.gaps);
}

template <typename V, Some<OomCountEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("window_ns", e.window_ns);
  v("cgroup_id", e.cgroup_id);
  v("path", e.path);
  v("kills", e.kills);
  v("group_kill", e.group_kill);
  v("limit_path", e.limit_path);
  v("usage_bytes", e.usage_bytes);
  v("limit_bytes", e.limit_bytes);
  v("peak_bytes", e.peak_bytes);
  v("memsw_hit", e.memsw_hit);
  v("memsw_limit_bytes", e.memsw_limit_bytes);
  v("memsw_usage_bytes", e.memsw_usage_bytes);
}

template <typename V, Some<StuckTask> E>
void fields(V& v, E& e) {
  v("pid", e.pid);
  v("tid", e.tid);
  v("comm", e.comm);
  v.always("verified", e.verified);
}

template <typename V, Some<StuckEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("since_ns", e.since_ns);
  v("ended", e.ended);
  v("cgroup_id", e.cgroup_id);
  v("path", e.path);
  v("usage_bytes", e.usage_bytes);
  v("limit_bytes", e.limit_bytes);
  v("tasks", e.tasks);
  v("total_tasks", e.total_tasks);
}

template <typename V, Some<BreakpointEvent> E>
void fields(V& v, E& e) {
  v("time_ns", e.time_ns);
  v("cgroup_id", e.cgroup_id);
  v("line_bytes", e.line_bytes);
  v("usage_bytes", e.usage_bytes);
  v("limit_bytes", e.limit_bytes);
  v("signal", e.signal);
  v("errno", e.error);
  v("late", e.late);
  v("task", e.task);
  v("user_stack", e.user_stack);
  v("kernel_stack", e.kernel_stack);
}

}  // namespace memcrest
