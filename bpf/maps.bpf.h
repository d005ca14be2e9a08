/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every map and every knob of the kernel side: key, value, size, who reads it. */
#ifndef MEMCREST_MAPS_BPF_H
#define MEMCREST_MAPS_BPF_H

#include <linux/bpf.h>
#include <asm/ptrace.h>
#include "../vmlinux/kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "memcrest/abi/records.h"
#include "memcrest/abi/state.h"

/* Records that must never be lost to a flood: OOM, victims, the kernel's kills, cgroups. Read by RingSource. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} critical SEC(".maps");

/* Usage steps, program starts, kills by users, exits by a signal. Read by RingSource. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 << 20);
} bulk SEC(".maps");

/* css.serial_nr -> memcrest_entry. Entries go at rmdir. Read by userspace for peaks. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct memcrest_entry);
} entries SEC(".maps");

/* Slot number -> memcrest_slot: the cache in front of `entries`. Userspace reads the peaks. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MEMCREST_CACHE_SLOTS);
	__type(key, __u32);
	__type(value, struct memcrest_slot);
} slots SEC(".maps");

/* 0 -> memcrest_copy: where user stacks are put together. Exists only with copy_stacks. */
struct memcrest_copy {
	__u32 busy; /* a thread that was preempted here is not done yet */
	__u32 pad;
	struct memcrest_stack record;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct memcrest_copy);
} copies SEC(".maps");

/* MEMCREST_REC_* -> memcrest_counters. Read by userspace for every statement about loss. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MEMCREST_REC_TYPES);
	__type(key, __u32);
	__type(value, struct memcrest_counters);
} counters SEC(".maps");

/* 0 -> memcrest_stats. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct memcrest_stats);
} stats SEC(".maps");

/* Thread id -> when it was held up. Written and read by programs/reclaim only. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct memcrest_stall);
} stalls SEC(".maps");

/* Tasks that memory.high holds up now, or about so: an entry of `stalls` that was evicted leaves its one behind. */
__u64 throttled_tasks = 0;

/* Thread id -> address of the task that it sent a SIGKILL to last. Only for kernels whose mark_victim says a pid. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} last_kill SEC(".maps");

/* Thread-group leader (its address) -> when it was last asked to end: once a second is told. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u64);
} last_asked SEC(".maps");

/* Thread-group leader (its address) -> when a killer of user space asked it to end: its end is told, however it ends. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, __u64);
} asked_by_killer SEC(".maps");

/* css.serial_nr -> memcrest_failure: refused charges. Read by userspace for what no record has told yet. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct memcrest_failure);
} failures SEC(".maps");

/* Thread id -> what it asked try_charge for. Only where a kretprobe sees the result alone. */
struct memcrest_attempt {
	__u64 gfp_mask;
	__u64 pages;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384); /* LRU lists hold 128 for each CPU */
	__type(key, __u32);
	__type(value, struct memcrest_attempt);
} attempts SEC(".maps");

/* cgroup id -> memcrest_line: memory breakpoints. Written by userspace; exists only with use_lines, as the next. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct memcrest_line);
} lines SEC(".maps");

/* memcrest_hit_key -> memcrest_hit_state: who was caught and not let go yet. Userspace adds whom it stops itself. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct memcrest_hit_key);
	__type(value, struct memcrest_hit_state);
} hits SEC(".maps");

/* Knobs, set before load. */
const volatile __u64 step_pages = 0; /* distance between levels; 0: max(1 MiB, limit / 128) */
const volatile __u64 floor_pages = 256; /* 1 MiB in pages: the smallest automatic quantum */
const volatile __u32 page_shift = 12;
const volatile __u32 max_steps_per_window = 2000; /* per memory cgroup and 100 ms */
const volatile __u32 bulk_wake_bytes = 256 << 10;
const volatile bool have_rdonly_cast = false; /* bpf_rdonly_cast is there: typed loads through any pointer */
const volatile bool have_preempt_off = false; /* bpf_preempt_disable is there */
const volatile bool typed_loads_only = false; /* lockdown: no helper may read kernel memory */
const volatile bool mark_victim_pid = false; /* the tracepoint carries a pid, not a task */
const volatile bool lru_owner_is_objcg = false; /* pages on LRU lists belong to object cgroups */
const volatile bool capture_stacks = true;
const volatile bool copy_stacks = false; /* user stacks along with steps: costs KiB per record */
const volatile bool use_lines = false; /* memory breakpoints are wanted */
const volatile bool count_charges = false; /* tests and benchmarks only: costs an add per charge */

/* Address of the kernel's memory controller, learnt once by on_init; 0: memory cgroups cannot be told apart. */
__u64 memory_subsystem = 0;
/* The agent, in the initial pid namespace: its own growth never makes it write a record. Set by on_init, since the
 * agent does not know this number itself when it runs in a container. */
__u32 own_tgid = 0;

/* Charges that met a limit. Userspace looks at it: failed charges are followed only while this rises. */
__u64 limit_hits = 0;

#define MEMCREST_WINDOW_NS 100000000ULL

#endif
