// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * OOM kills, read inside the hook while everything still stands. on_mark_victim suffices on its own; where
 * on_oom_kill_process can be had as well it adds what only oom_control knows.
 */
#include "../core/emit.bpf.h"
#include "../core/memcg.bpf.h"
#include "../core/task.bpf.h"

static __always_inline void zero_chain(struct memcrest_chain *chain)
{
	chain->used = 0;
	chain->total = 0;
	for (int i = 0; i < MEMCREST_CHAIN_LEN; i++) {
		__builtin_memset(&chain->entry[i], 0, sizeof(chain->entry[i]));
		barrier(); /* or the compiler makes one memset that is too large for the target */
	}
}

SEC("tp_btf/mark_victim")
int BPF_PROG(on_mark_victim, struct task_struct *victim)
{
	struct task_struct *trigger = bpf_get_current_task_btf();
	struct mm_struct *mm = victim->mm;
	struct memcrest_victim *r;

	r = emit_reserve(&critical, MEMCREST_REC_VICTIM, sizeof(*r));
	if (!r)
		return 0;
	fill_task(&r->trigger, trigger);
	fill_task(&r->task, victim);
	r->anon_bytes = r->file_bytes = r->shmem_bytes = r->swap_bytes = r->pagetable_bytes = 0;
	if (mm) {
		r->anon_bytes = rss_pages(mm, MM_ANONPAGES) << page_shift;
		r->file_bytes = rss_pages(mm, MM_FILEPAGES) << page_shift;
		r->shmem_bytes = rss_pages(mm, MM_SHMEMPAGES) << page_shift;
		r->swap_bytes = rss_pages(mm, MM_SWAPENTS) << page_shift;
		r->pagetable_bytes = mm->pgtables_bytes.counter;
	}
	r->oom_score_adj = victim->signal->oom_score_adj;
	zero_chain(&r->chain);
	fill_chain(&r->chain, (__u64)memory_css_of_task(victim));
	__builtin_memset(r->kernel_stack, 0, sizeof(r->kernel_stack));
	__builtin_memset(r->user_stack, 0, sizeof(r->user_stack));
	r->kernel_frames = fill_stack(ctx, r->kernel_stack, sizeof(r->kernel_stack), 0);
	r->user_frames = 0;
	if (!(trigger->flags & PF_KTHREAD))
		r->user_frames = fill_stack(ctx, r->user_stack, sizeof(r->user_stack), BPF_F_USER_STACK);
	emit_submit(r, MEMCREST_REC_VICTIM, BPF_RB_FORCE_WAKEUP);
	return 0;
}

SEC("fentry/oom_kill_process")
int BPF_PROG(on_oom_kill_process, struct oom_control *oc)
{
	struct mem_cgroup *memcg = oc->memcg;
	struct task_struct *chosen = oc->chosen;
	struct memcrest_oom *r;

	r = emit_reserve(&critical, MEMCREST_REC_OOM, sizeof(*r));
	if (!r)
		return 0;
	fill_task(&r->trigger, bpf_get_current_task_btf());
	r->memcg_id = memcg ? memcg_cgroup_id((__u64)memcg) : 0;
	r->gfp_mask = oc->gfp_mask;
	r->total_bytes = pages_to_bytes(oc->totalpages);
	r->order = oc->order;
	r->constraint = oc->constraint;
	r->chosen_tgid = chosen ? chosen->tgid : 0;
	r->pad = 0;
	zero_chain(&r->chain);
	if (memcg)
		fill_chain(&r->chain, (__u64)memcg);
	emit_submit(r, MEMCREST_REC_OOM, BPF_RB_FORCE_WAKEUP);
	return 0;
}
