// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * OOM kills, read inside the hook while everything still stands. on_mark_victim suffices on its own; where
 * on_oom_kill_process can be had as well it adds what only oom_control knows.
 */
#include "../core/emit.bpf.h"
#include "../core/memcg.bpf.h"
#include "../core/task.bpf.h"

static __always_inline int victim_marked(void *ctx, __u64 victim, __u32 pid)
{
	__u64 trigger = bpf_get_current_task();
	__u64 mm = victim ? (__u64)TASK(victim, mm) : 0;
	struct memcrest_victim *r;

	r = emit_reserve(&critical, MEMCREST_REC_VICTIM, sizeof(*r));
	if (!r)
		return 0;
	fill_task(&r->trigger, trigger);
	__builtin_memset(&r->task, 0, sizeof(r->task));
	r->task.tgid = pid;
	r->oom_score_adj = 0;
	zero_chain(&r->chain);
	zero_parents(r);
	if (victim) {
		fill_task(&r->task, victim);
		r->oom_score_adj = LOAD_AT(struct signal_struct, (__u64)TASK(victim, signal), oom_score_adj);
		fill_chain(&r->chain, memory_css_of_task(victim));
		fill_parents(r, victim);
	}
	r->anon_bytes = r->file_bytes = r->shmem_bytes = r->swap_bytes = r->pagetable_bytes = 0;
	if (mm) {
		r->anon_bytes = rss_pages(mm, MM_ANONPAGES) << page_shift;
		r->file_bytes = rss_pages(mm, MM_FILEPAGES) << page_shift;
		r->shmem_bytes = rss_pages(mm, MM_SHMEMPAGES) << page_shift;
		r->swap_bytes = rss_pages(mm, MM_SWAPENTS) << page_shift;
		r->pagetable_bytes = LOAD_AT(struct mm_struct, mm, pgtables_bytes.counter);
	}
	__builtin_memset(r->kernel_stack, 0, sizeof(r->kernel_stack));
	__builtin_memset(r->user_stack, 0, sizeof(r->user_stack));
	r->kernel_frames = fill_stack(ctx, r->kernel_stack, sizeof(r->kernel_stack), 0);
	r->user_frames = 0;
	if (!(TASK(trigger, flags) & PF_KTHREAD))
		r->user_frames = fill_stack(ctx, r->user_stack, sizeof(r->user_stack), BPF_F_USER_STACK);
	emit_submit(r, MEMCREST_REC_VICTIM, BPF_RB_FORCE_WAKEUP);
	return 0;
}

/*
 * 72ba14deb40a (6.10, and back to some 5.10.y) made the argument a task; it was a pid before. Then the task is the one
 * that this thread has just sent its SIGKILL to (programs/signal); without it only the number is known.
 */
static __always_inline int mark(void *ctx, __u64 argument)
{
	__u32 tid = bpf_get_current_pid_tgid();
	__u64 *task;

	if (!mark_victim_pid)
		return victim_marked(ctx, argument, 0);
	task = bpf_map_lookup_elem(&last_kill, &tid);
	if (task && TASK(*task, pid) == (int)argument)
		return victim_marked(ctx, *task, argument);
	return victim_marked(ctx, 0, argument);
}

SEC("tp_btf/mark_victim")
int BPF_PROG(on_mark_victim, __u64 victim)
{
	return mark(ctx, victim);
}

SEC("raw_tp/mark_victim")
int BPF_PROG(on_mark_victim_raw, __u64 victim)
{
	return mark(ctx, victim);
}

static __always_inline int kill_begins(__u64 oc)
{
	__u64 memcg = (__u64)LOAD_AT(struct oom_control, oc, memcg);
	__u64 chosen = (__u64)LOAD_AT(struct oom_control, oc, chosen);
	struct memcrest_oom *r;

	r = emit_reserve(&critical, MEMCREST_REC_OOM, sizeof(*r));
	if (!r)
		return 0;
	fill_task(&r->trigger, bpf_get_current_task());
	r->memcg_id = memcg ? memcg_cgroup_id(memcg) : 0;
	r->gfp_mask = LOAD_AT(struct oom_control, oc, gfp_mask);
	r->total_bytes = pages_to_bytes(LOAD_AT(struct oom_control, oc, totalpages));
	r->order = LOAD_AT(struct oom_control, oc, order);
	r->constraint = LOAD_AT(struct oom_control, oc, constraint);
	r->chosen_tgid = chosen ? TASK(chosen, tgid) : 0;
	r->pad = 0;
	zero_chain(&r->chain);
	if (memcg)
		fill_chain(&r->chain, memcg);
	emit_submit(r, MEMCREST_REC_OOM, BPF_RB_FORCE_WAKEUP);
	return 0;
}

SEC("fentry/oom_kill_process")
int BPF_PROG(on_oom_kill_process, __u64 oc)
{
	return kill_begins(oc);
}

SEC("kprobe/oom_kill_process")
int BPF_KPROBE(on_oom_kill_process_kprobe, __u64 oc)
{
	return kill_begins(oc);
}
