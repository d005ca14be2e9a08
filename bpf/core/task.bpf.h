/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who: one task as a record carries it. */
#ifndef MEMCREST_CORE_TASK_BPF_H
#define MEMCREST_CORE_TASK_BPF_H

#include "compat.bpf.h"

/* inode number of a cgroup directory. */
static __always_inline __u64 id_of_css(__u64 css)
{
	__u64 cgroup = (__u64)LOAD_AT(struct cgroup_subsys_state, css, cgroup);
	__u64 kn = (__u64)LOAD_AT(struct cgroup, cgroup, kn);

	return css ? LOAD_AT(struct kernfs_node, kn, id) : 0;
}

static __always_inline __u64 memory_css_of_task(__u64 task)
{
	return memory_css_of_set((__u64)TASK(task, cgroups));
}

/* `out` may lie in a ring-buffer record: every byte is written. */
static __always_inline void fill_task(struct memcrest_task *out, __u64 task)
{
	__u64 leader = (__u64)TASK(task, group_leader);

	out->tgid = TASK(task, tgid);
	out->tid = TASK(task, pid);
	out->ns_tgid = innermost_nr(leader);
	out->uid = LOAD_AT(struct cred, (__u64)TASK(task, real_cred), uid.val);
	out->start_time_ns = TASK(leader, start_boottime);
	out->cgroup_id = id_of_css(memory_css_of_task(task));
	__builtin_memset(out->comm, 0, sizeof(out->comm));
	__builtin_memset(out->thread_comm, 0, sizeof(out->thread_comm));
	load_text(out->comm, sizeof(out->comm), ADDRESS_OF(struct task_struct, leader, comm));
	load_text(out->thread_comm, sizeof(out->thread_comm), ADDRESS_OF(struct task_struct, task, comm));
}

/* Addresses into `out` from entry 0, the rest zero; returns how many. Error (no user space, fault) gives 0. */
static __always_inline __u16 fill_stack(void *ctx, __u64 *out, __u32 bytes, __u64 flags)
{
	long got = bpf_get_stack(ctx, out, bytes, flags);

	return got > 0 ? got / sizeof(__u64) : 0;
}

#endif
