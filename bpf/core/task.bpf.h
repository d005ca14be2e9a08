/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who: one task as a record carries it. */
#ifndef MEMCREST_CORE_TASK_BPF_H
#define MEMCREST_CORE_TASK_BPF_H

#include "compat.bpf.h"

/* inode number of a cgroup directory. */
static __always_inline __u64 id_of_css(struct cgroup_subsys_state *css)
{
	return css ? css->cgroup->kn->id : 0;
}

static __always_inline struct cgroup_subsys_state *memory_css_of_task(struct task_struct *task)
{
	return memory_css_of(task->cgroups);
}

/* `out` may lie in a ring-buffer record: every byte is written. */
static __always_inline void fill_task(struct memcrest_task *out, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;

	out->tgid = task->tgid;
	out->tid = task->pid;
	out->ns_tgid = innermost_nr(leader);
	out->uid = task->real_cred->uid.val;
	out->start_time_ns = leader->start_boottime;
	out->cgroup_id = id_of_css(memory_css_of_task(task));
	__builtin_memset(out->comm, 0, sizeof(out->comm));
	__builtin_memset(out->thread_comm, 0, sizeof(out->thread_comm));
	bpf_probe_read_kernel_str(out->comm, sizeof(out->comm), leader->comm);
	bpf_probe_read_kernel_str(out->thread_comm, sizeof(out->thread_comm), task->comm);
}

/* Addresses into `out` from entry 0, the rest zero; returns how many. Error (no user space, fault) gives 0. */
static __always_inline __u16 fill_stack(void *ctx, __u64 *out, __u32 bytes, __u64 flags)
{
	long got = bpf_get_stack(ctx, out, bytes, flags);

	return got > 0 ? got / sizeof(__u64) : 0;
}

#endif
