/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * State that lives in BPF maps and is read by both sides: the table of memory cgroups, the per-CPU cache in front of
 * it, and the counters that prove what was lost.
 */
#ifndef MEMCREST_ABI_STATE_H
#define MEMCREST_ABI_STATE_H

#include "records.h"

/* Slots of the per-CPU cache. A power of two; a node with more busy memory cgroups per CPU than this pays a hash
 * look-up per charge, never a wrong result. */
#define MEMCREST_CACHE_SLOTS 256

/* Serial numbers come in a row (one per controller and cgroup): the low bits spread them well. */
static inline __u32 memcrest_slot_index(__u64 serial)
{
	return (__u32)((serial ^ (serial >> 8)) & (MEMCREST_CACHE_SLOTS - 1));
}

/* Per-CPU, direct-mapped: what the hot path needs to return early. Sizes in pages. */
struct memcrest_slot {
	__u64 serial; /* css.serial_nr, 0 when empty */
	__u64 next;   /* usage at or above: a step up */
	__u64 floor;  /* usage below: a step down */
	__u64 peak;   /* highest usage that this CPU saw */
};

/* Shared, one per memory cgroup, keyed by css.serial_nr. Sizes in pages. */
struct memcrest_entry {
	__u64 cgroup_id;
	__u64 next;
	__u64 floor;
	__u64 peak;
	__u64 quantum;
	__u64 limit;          /* memory.max as of the last crossing */
	__u64 window_start_ns; /* rate limit: start of the current window */
	__u64 window_steps;
	__u64 window_told_ns;  /* window for which the throttle record was written */
	__u64 suppressed;   /* steps left out since the last record */
	__u64 last_wake_ns; /* when a step of this cgroup last woke the reader */
	__u64 reclaim_ns;   /* direct reclaim of its own tasks, summed */
	__u64 throttle_ns;  /* the same for memory.high, reclaim inside left out */
};

/* One thread that is being held up. Times of CLOCK_BOOTTIME, 0: it is not. */
struct memcrest_stall {
	__u64 reclaim_since_ns;
	__u64 throttle_since_ns;
	__u64 reclaimed_ns; /* direct reclaim since throttle_since_ns */
};

enum {
	MEMCREST_LINE_EACH =
		1, /* every process that charges beyond the line is hit once; otherwise the first one alone */
};

/* A memory breakpoint, by the cgroup's id. Written by userspace, which removes it to disarm. */
struct memcrest_line {
	__u64 cgroup_id; /* the key again, and first: the kernel gives an entry that was replaced to another at once */
	__u64 pages; /* usage at or above: a hit */
	__u64 settled; /* the key once more, set by the kernel side: nobody else is to be hit */
	__u32 signal; /* for the process of the thread that charged; 0: none */
	__u32 flags; /* MEMCREST_LINE_* */
};

/* Who was hit, written before the signal is sent: whoever cleans up finds all that may have been stopped. */
struct memcrest_hit_key {
	__u64 cgroup_id; /* of the line */
	__u32 tgid; /* 0: the first one alone */
	__u32 pad;
};

struct memcrest_hit_state {
	__u64 start_time_ns; /* of the thread-group leader */
	__u64 time_ns;
	__u32 tgid;
	__u32 signal;
};

/* Refused charges of one memory cgroup, that of the task that asked. */
struct memcrest_failure {
	__u64 cgroup_id;
	__u64 count; /* since the hook was attached */
	__u64 told; /* count as of the last record */
	__u64 told_ns; /* time of it */
};

/* Per CPU and record type: attempted == submitted + dropped_full + dropped_throttle, always. */
struct memcrest_counters {
	__u64 attempted;
	__u64 submitted;
	__u64 dropped_full; /* the ring had no room */
	__u64 dropped_throttle; /* more steps per window than allowed */
};

/* Per CPU, not tied to a record type. */
struct memcrest_stats {
	__u64 seq;
	__u64 charges; /* calls that reached the level compare; counted only when count_charges is set */
	__u64 misses; /* of these, calls that left the fast path */
	__u64 table_full; /* memory cgroups that could not be entered in the table: blind spots */
	__u64 not_memcg; /* hook arguments that were no memory cgroup after all */
};

#endif
