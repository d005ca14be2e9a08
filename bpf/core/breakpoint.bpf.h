/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory breakpoints: lines on memory cgroups. Looked at behind the cache only, whose `next` stops short of the nearest
 * line, so that the hot path pays nothing. The thread that charges beyond a line is caught: its process gets the line's
 * signal before it runs another instruction of its own.
 *
 * A signal may be sent from here: where a lock of signals or of the scheduler is held, interrupts are off, and
 * bpf_send_signal then leaves it to an interrupt that follows at once.
 */
#ifndef MEMCREST_CORE_BREAKPOINT_BPF_H
#define MEMCREST_CORE_BREAKPOINT_BPF_H

#include "emit.bpf.h"
#include "memcg.bpf.h"
#include "stack.bpf.h"
#include "task.bpf.h"

#define LINES_ABOVE 8

/* Where preemption cannot be turned off, stacks between which others wrote records on this CPU may be theirs. */
static __always_inline void fill_stacks(void *ctx, __u64 task, __u64 seq, __u64 *user, __u16 *user_frames,
					__u64 *kernel, __u16 *kernel_frames)
{
	struct memcrest_stats *self = own_stats();

	PREEMPT_OFF();
	if (!(TASK(task, flags) & PF_KTHREAD))
		*user_frames = fill_stack(ctx, user, MEMCREST_USER_FRAMES * sizeof(__u64), BPF_F_USER_STACK);
	*kernel_frames = fill_stack(ctx, kernel, MEMCREST_KERNEL_FRAMES * sizeof(__u64), 0);
	PREEMPT_ON();
	if (!have_preempt_off && self && self->seq != seq + 1) {
		*user_frames = 0;
		*kernel_frames = 0;
	}
}

/* Never a kernel thread, the machine's first process, the agent, or one that is ending anyway. */
static __always_inline bool may_be_caught(__u64 task)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	return tgid > 1 && tgid != own_tgid && !(TASK(task, flags) & (PF_KTHREAD | PF_EXITING));
}

/* As it is at this moment, and of this cgroup: whoever is preempted here finds another's line in the entry. */
static __always_inline bool copy_line(const volatile struct memcrest_line *from, __u64 id, struct memcrest_line *line)
{
	if (from->cgroup_id != id)
		return false;
	line->pages = from->pages;
	line->settled = from->settled;
	line->signal = from->signal;
	line->flags = from->flags;
	barrier();
	return from->cgroup_id == id && line->settled != id;
}

/* 1: nobody else is to be caught at this line. */
static __noinline int catch_thread(void *ctx, __u64 memcg, __u64 usage, struct memcrest_line *line)
{
	__u64 task = bpf_get_current_task();
	struct memcrest_hit_state state = {};
	struct memcrest_hit_key key = {};
	struct memcrest_hit *r;
	__s32 error = 0;

	if (!line || !may_be_caught(task))
		return 0;
	state.tgid = bpf_get_current_pid_tgid() >> 32;
	state.start_time_ns = TASK((__u64)TASK(task, group_leader), start_boottime);
	state.time_ns = bpf_ktime_get_boot_ns();
	state.signal = line->signal;
	key.cgroup_id = memcg_cgroup_id(memcg);
	key.tgid = line->flags & MEMCREST_LINE_EACH ? state.tgid : 0;
	/* Of many that come at once one gets in; and whoever cleans up knows of it before the signal is out. */
	if (bpf_map_update_elem(&hits, &key, &state, BPF_NOEXIST))
		return 0;
	if (state.signal)
		error = bpf_send_signal(state.signal);
	r = emit_reserve(&critical, MEMCREST_REC_HIT, sizeof(*r));
	if (!r)
		return !key.tgid;
	r->cgroup_id = key.cgroup_id;
	r->line_bytes = pages_to_bytes(line->pages);
	r->usage_bytes = pages_to_bytes(usage);
	r->limit_bytes = pages_to_bytes(MEMCG(memcg, memory.max));
	r->signal = state.signal;
	r->error = error;
	r->pad = 0;
	r->user_frames = 0;
	r->kernel_frames = 0;
	fill_task(&r->task, task);
	__builtin_memset(r->user_stack, 0, sizeof(r->user_stack));
	__builtin_memset(r->kernel_stack, 0, sizeof(r->kernel_stack));
	if (capture_stacks)
		fill_stacks(ctx, task, r->h.seq, r->user_stack, &r->user_frames, r->kernel_stack, &r->kernel_frames);
	emit_submit(r, MEMCREST_REC_HIT, BPF_RB_FORCE_WAKEUP);
	return !key.tgid;
}

/*
 * Usage at which this memory cgroup must be looked at again: `next`, or where a line of it or above it may be reached.
 * 0: a line was passed, and the thread that runs is not one to be caught for it.
 */
static __always_inline __u64 next_stop(void *ctx, __u64 memcg, __u64 usage, __s64 ahead, __u64 next)
{
	/* Batches of pages, and packets, are charged while a thread runs that has nothing to do with them. */
	bool own = id_of_css(memory_css_of_task(bpf_get_current_task())) == memcg_cgroup_id(memcg);
	__u64 here = usage;

	for (int i = 0; i <= LINES_ABOVE; i++) {
		__u64 id = memcg_cgroup_id(memcg);
		struct memcrest_line *entry = bpf_map_lookup_elem(&lines, &id);
		struct memcrest_line line;

		if (entry && copy_line(entry, id, &line)) {
			if (here < line.pages) {
				if (usage + (line.pages - here) < next)
					next = usage + (line.pages - here);
			} else if (own && catch_thread(ctx, memcg, here, &line)) {
				entry->settled = id;
			} else {
				next = 0;
			}
		}
		memcg = memcg_parent(memcg);
		if (!is_memcg(memcg))
			break;
		here = MEMCG(memcg, memory.usage.counter) + ahead;
	}
	return next;
}

#endif
