/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who: one task as a record carries it, and the processes that it comes from. */
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

/* `leader` is a thread-group leader; `out` must be zeroed. */
static __always_inline void fill_relative(struct memcrest_relative *out, __u64 leader)
{
	out->tgid = TASK(leader, tgid);
	out->ns_tgid = innermost_nr(leader);
	out->start_time_ns = TASK(leader, start_boottime);
	out->cgroup_id = id_of_css(memory_css_of_task(leader));
	load_text(out->comm, sizeof(out->comm), ADDRESS_OF(struct task_struct, leader, comm));
}

/* A ring-buffer record is not zeroed. */
static __always_inline void zero_parents(struct memcrest_victim *r)
{
	r->parents_used = 0;
	r->parents_end = MEMCREST_PARENTS_UNKNOWN;
	r->parent_cgroup_id = 0;
	__builtin_memset(&r->init, 0, sizeof(r->init));
	for (int i = 0; i < MEMCREST_PARENTS_LEN; i++) {
		__builtin_memset(&r->parents[i], 0, sizeof(r->parents[i]));
		barrier(); /* as in zero_chain (memcg.bpf.h) */
	}
}

/* A child that a thread made has that thread for its parent. */
static __always_inline __u64 parent_of(__u64 leader)
{
	return (__u64)TASK((__u64)TASK(leader, real_parent), group_leader);
}

/*
 * Where the victim comes from: its parents up to the first process of its pid namespace. The parent of a process that
 * entered the container (docker exec) lives in another namespace: there the walk ends.
 */
static __always_inline void fill_parents(struct memcrest_victim *r, __u64 task)
{
	__u64 leader = (__u64)TASK(task, group_leader);
	__u64 upid = innermost_upid(leader);
	__u64 ns = upid ? (__u64)LOAD_AT(struct upid, upid, ns) : 0;
	__u64 reaper;

	if (!ns)
		return;
	reaper = (__u64)LOAD_AT(struct pid_namespace, ns, child_reaper);
	if (reaper)
		fill_relative(&r->init, (__u64)TASK(reaper, group_leader));
	r->parent_cgroup_id = id_of_css(memory_css_of_task(parent_of(leader)));
	if (LOAD_AT(struct upid, upid, nr) == 1) {
		r->parents_end = MEMCREST_PARENTS_INIT;
		return;
	}
	for (int i = 0; i < MEMCREST_PARENTS_LEN; i++) {
		leader = parent_of(leader);
		upid = innermost_upid(leader);
		if (!upid)
			break;
		if ((__u64)LOAD_AT(struct upid, upid, ns) != ns) {
			r->parents_end = MEMCREST_PARENTS_OUTSIDE;
			break;
		}
		fill_relative(&r->parents[i], leader);
		r->parents_used = i + 1;
		if (r->parents[i].ns_tgid == 1) {
			r->parents_end = MEMCREST_PARENTS_INIT;
			break;
		}
	}
}

/* Addresses into `out` from entry 0, the rest zero; returns how many. Error (no user space, fault) gives 0. */
static __always_inline __u16 fill_stack(void *ctx, __u64 *out, __u32 bytes, __u64 flags)
{
	long got = bpf_get_stack(ctx, out, bytes, flags);

	return got > 0 ? got / sizeof(__u64) : 0;
}

#endif
