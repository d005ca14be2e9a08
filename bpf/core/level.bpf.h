/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hot path: is this memory cgroup still between its two levels? Per-CPU cache first, the shared table on a miss,
 * a record only on a crossing. Two CPUs that cross together may both write a record; none is skipped.
 */
#ifndef MEMCREST_CORE_LEVEL_BPF_H
#define MEMCREST_CORE_LEVEL_BPF_H

#include "breakpoint.bpf.h"
#include "emit.bpf.h"
#include "memcg.bpf.h"
#include "stack.bpf.h"
#include "task.bpf.h"

#define ANCESTORS_CHECKED 8

static __always_inline struct memcrest_slot *slot_of(__u64 serial)
{
	__u32 index = memcrest_slot_index(serial);

	return bpf_map_lookup_elem(&slots, &index);
}

static __always_inline __u64 quantum_for(__u64 limit)
{
	__u64 quantum = limit >> 7;

	if (step_pages)
		return step_pages;
	if (limit >= (0x7fffffffffffffffULL >> page_shift) || quantum < floor_pages)
		return floor_pages;
	return quantum;
}

/* Levels around `usage`: up at the next multiple, down one whole quantum below the last one. */
static __always_inline void set_levels(struct memcrest_entry *entry, __u64 usage)
{
	__u64 below = usage - usage % entry->quantum;

	entry->next = below + entry->quantum;
	entry->floor = below > entry->quantum ? below - entry->quantum : 0;
}

/* Whether the rate limit allows one more step of this cgroup; says so once per window when it does not. */
static __always_inline bool may_emit(struct memcrest_entry *entry, __u64 serial, __u64 now)
{
	struct memcrest_throttle *r;

	/* Signed: another CPU may have begun a window a moment after our clock reading. */
	if ((__s64)(now - entry->window_start_ns) >= (__s64)MEMCREST_WINDOW_NS) {
		entry->window_start_ns = now;
		entry->window_steps = 0;
	}
	if (++entry->window_steps <= max_steps_per_window)
		return true;
	entry->suppressed++;
	emit_throttled(MEMCREST_REC_STEP);
	if (entry->window_told_ns == entry->window_start_ns)
		return false;
	entry->window_told_ns = entry->window_start_ns;
	r = emit_reserve(&critical, MEMCREST_REC_THROTTLE, sizeof(*r));
	if (!r)
		return false;
	r->cgroup_id = entry->cgroup_id;
	r->serial = serial;
	r->steps_per_window = max_steps_per_window;
	r->window_ns = MEMCREST_WINDOW_NS;
	emit_submit(r, MEMCREST_REC_THROTTLE, 0);
	return false;
}

/* What one charge is about: the memory cgroup that was charged, and the limit that its levels follow. */
struct charge {
	__u64 cgroup_id; /* of the cgroup charged, also while its ancestors are looked at */
	__u64 limit;     /* the lowest of its own and its ancestors', in pages */
	bool copied;     /* the user stack is on its way: for the steps of all ancestors, too */
};

static __always_inline void emit_step(void *ctx, __u64 memcg, __u64 serial, struct memcrest_entry *entry, __u64 usage,
				      __u32 flags, struct charge *charge)
{
	__u64 task = bpf_get_current_task();
	__u64 now = bpf_ktime_get_boot_ns();
	__u64 watermark = MEMCG(memcg, memory.watermark);
	struct memcrest_step *r;
	bool wake;

	if (!may_emit(entry, serial, now))
		return;
	/* The hook may run ahead of the kernel's own bookkeeping of its peak, never by more than this charge. */
	if (watermark < usage)
		watermark = usage;
	if (copy_stacks && !charge->copied && id_of_css(memory_css_of_task(task)) == charge->cgroup_id &&
	    !(TASK(task, flags) & PF_KTHREAD)) {
		emit_stack_copy();
		charge->copied = true;
	}
	r = emit_reserve(&bulk, MEMCREST_REC_STEP, sizeof(*r));
	if (!r)
		return;
	/* A quiet cgroup that starts to move is told at once; while it moves, the reader comes by itself. */
	wake = now - entry->last_wake_ns > MEMCREST_WINDOW_NS / 2;
	if (wake)
		entry->last_wake_ns = now;
	r->cgroup_id = entry->cgroup_id;
	r->serial = serial;
	r->usage_bytes = pages_to_bytes(usage);
	r->watermark_bytes = pages_to_bytes(watermark);
	r->limit_bytes = pages_to_bytes(entry->limit);
	r->quantum_bytes = pages_to_bytes(entry->quantum);
	r->suppressed = entry->suppressed;
	r->oom_events = MEMCG(memcg, memory_events_local[MEMCG_OOM].counter);
	r->reclaim_ns = entry->reclaim_ns;
	r->throttle_ns = entry->throttle_ns;
	entry->suppressed = 0;
	fill_task(&r->task, task);
	__builtin_memset(r->user_stack, 0, sizeof(r->user_stack));
	__builtin_memset(r->kernel_stack, 0, sizeof(r->kernel_stack));
	r->user_frames = 0;
	r->kernel_frames = 0;
	/* Batched hooks may run under a task that charged nothing here: its stack would accuse the wrong one. */
	if (r->task.cgroup_id != charge->cgroup_id)
		flags |= MEMCREST_STEP_FOREIGN;
	if (capture_stacks && !(flags & MEMCREST_STEP_FOREIGN))
		fill_stacks(ctx, task, r->h.seq, r->user_stack, &r->user_frames, r->kernel_stack, &r->kernel_frames);
	r->flags = flags;
	emit_submit(r, MEMCREST_REC_STEP, bulk_wake_flags(wake));
}

static __always_inline struct memcrest_entry *entry_for(__u64 memcg, __u64 serial)
{
	struct memcrest_entry *entry = bpf_map_lookup_elem(&entries, &serial);
	struct memcrest_entry fresh = {};
	struct memcrest_stats *self;

	if (entry || (MEMCG(memcg, css.flags) & CSS_DYING))
		return entry;
	fresh.cgroup_id = memcg_cgroup_id(memcg);
	bpf_map_update_elem(&entries, &serial, &fresh, BPF_NOEXIST);
	entry = bpf_map_lookup_elem(&entries, &serial);
	if (!entry) {
		self = own_stats();
		if (self)
			__sync_fetch_and_add(&self->table_full, 1);
	}
	return entry;
}

/* Compare one memory cgroup with its shared levels and write a step if it crossed. */
static __always_inline struct memcrest_entry *check_levels(void *ctx, __u64 memcg, __u64 serial, __u64 usage,
							   __u32 flags, struct charge *charge)
{
	struct memcrest_entry *entry = entry_for(memcg, serial);
	__u64 limit, quantum;

	if (!entry)
		return NULL;
	if (usage > entry->peak)
		entry->peak = usage;
	if (entry->quantum && usage < entry->next && usage >= entry->floor)
		return entry;
	/*
	 * The agent's own growth waits until somebody else in its cgroup charges: no record feeds on itself. A batch of
	 * another cgroup's pages that is drained while the agent runs is not the agent's.
	 */
	if ((bpf_get_current_pid_tgid() >> 32) == own_tgid &&
	    id_of_css(memory_css_of_task(bpf_get_current_task())) == charge->cgroup_id)
		return entry;
	limit = MEMCG(memcg, memory.max);
	quantum = quantum_for(flags & MEMCREST_STEP_ANCESTOR ? limit : charge->limit);
	if (!entry->quantum)
		flags |= MEMCREST_STEP_FIRST;
	else
		flags |= usage >= entry->next ? MEMCREST_STEP_UP : MEMCREST_STEP_DOWN;
	entry->limit = limit;
	entry->quantum = quantum;
	set_levels(entry, usage);
	emit_step(ctx, memcg, serial, entry, usage, flags, charge);
	return entry;
}

/* A slot is valid only while its serial is: an interrupt that takes the slot in between finds it empty. */
static __always_inline void fill_slot(struct memcrest_slot *slot, __u64 serial, __u64 next, __u64 floor)
{
	*(volatile __u64 *)&slot->serial = 0;
	barrier();
	slot->next = next;
	slot->floor = floor;
	barrier();
	*(volatile __u64 *)&slot->serial = serial;
}

/* The lowest limit above a memory cgroup may be what it runs into: its levels must be fine enough for that one. */
static __always_inline void look_up(struct charge *charge, __u64 memcg)
{
	__u64 limit;

	charge->cgroup_id = memcg_cgroup_id(memcg);
	charge->copied = false;
	charge->limit = MEMCG(memcg, memory.max);
	for (int i = 0; i < ANCESTORS_CHECKED; i++) {
		memcg = memcg_parent(memcg);
		if (!is_memcg(memcg))
			break;
		limit = MEMCG(memcg, memory.max);
		if (limit < charge->limit)
			charge->limit = limit;
	}
}

/* The part behind the cache. Ancestors are compared here too: one of them may be the one that is full. */
static __noinline int charged_slow(void *ctx, __u64 memcg, __u64 usage, __s64 ahead)
{
	__u64 serial = MEMCG(memcg, css.serial_nr);
	struct memcrest_slot *slot = slot_of(serial);
	struct memcrest_entry *entry, *evicted;
	struct memcrest_stats *self;
	struct charge charge;
	__u64 up = memcg, next;

	if (!slot)
		return 0;
	/* On kernels from 7.2 on an LRU page may belong to an object cgroup instead. */
	if (!is_memcg(memcg)) {
		self = own_stats();
		if (self)
			__sync_fetch_and_add(&self->not_memcg, 1);
		return 0;
	}
	if (slot->serial && slot->serial != serial) {
		evicted = bpf_map_lookup_elem(&entries, &slot->serial);
		if (evicted && slot->peak > evicted->peak)
			evicted->peak = slot->peak;
	}
	if (slot->serial != serial)
		slot->peak = 0;
	/* The root has no limit, and its counter is only the sum of all others: never a step of its own. */
	if (!memcg_parent(memcg)) {
		fill_slot(slot, serial, ~0ULL, 0);
		return 0;
	}
	look_up(&charge, memcg);
	entry = check_levels(ctx, memcg, serial, usage, 0, &charge);
	if (!entry)
		return 0;
	next = entry->next;
	if (use_lines)
		next = next_stop(ctx, memcg, usage, ahead, next);
	fill_slot(slot, serial, next, entry->floor);
	if (usage > slot->peak)
		slot->peak = usage;

	for (int i = 0; i < ANCESTORS_CHECKED; i++) {
		up = memcg_parent(up);
		if (!is_memcg(up))
			break;
		if (pages_to_bytes(MEMCG(up, memory.max)) == MEMCREST_NO_LIMIT)
			continue;
		check_levels(ctx, up, MEMCG(up, css.serial_nr), MEMCG(up, memory.usage.counter) + ahead,
			     MEMCREST_STEP_ANCESTOR, &charge);
	}
	return 0;
}

/* Entry of every charge hook: a memory cgroup whose usage has just changed, or will by `ahead` pages at once. */
static __always_inline int charged(void *ctx, __u64 memcg, __s64 ahead)
{
	__u64 serial = MEMCG(memcg, css.serial_nr);
	__u64 usage = MEMCG(memcg, memory.usage.counter) + ahead;
	struct memcrest_slot *slot = slot_of(serial);
	struct memcrest_stats *self;

	if (!slot)
		return 0;
	if (count_charges) {
		self = own_stats();
		if (self)
			self->charges++;
	}
	if (slot->serial == serial && usage < slot->next && usage >= slot->floor) {
		if (usage > slot->peak)
			slot->peak = usage;
		return 0;
	}
	if (count_charges) {
		self = own_stats();
		if (self)
			self->misses++;
	}
	return charged_slow(ctx, memcg, usage, ahead);
}

#endif
