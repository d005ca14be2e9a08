/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Kernel differences, each behind one getter; callers never branch on a kernel. */
#ifndef MEMCREST_CORE_COMPAT_BPF_H
#define MEMCREST_CORE_COMPAT_BPF_H

#include "../maps.bpf.h"

/* a35b9af4ec2c, 6.2: any address as a pointer that the verifier lets us load from. */
extern void *bpf_rdonly_cast(void *obj, __u32 btf_id) __ksym __weak;

/*
 * One member of a kernel structure at an address that carries no type for the verifier. A typed load where the
 * kernel can cast (faster, and allowed under lockdown), a probe read otherwise; both give 0 for a bad address.
 */
#define LOAD_AT(type, address, member)                                                                                 \
	({                                                                                                             \
		typeof(((type *)0)->member) value__ = 0;                                                               \
		if (have_rdonly_cast) {                                                                                \
			type *typed__ = bpf_rdonly_cast((void *)(address), bpf_core_type_id_kernel(type));             \
			value__ = typed__->member;                                                                     \
		} else {                                                                                               \
			bpf_core_read(&value__, sizeof(value__), &((type *)(address))->member);                        \
		}                                                                                                      \
		value__;                                                                                               \
	})

/* The array index is a relocated enum value, which the compiler cannot fold into one relocation: add it by hand. */
static __always_inline struct cgroup_subsys_state *memory_css_of(struct css_set *set)
{
	void *array = (void *)set + bpf_core_field_offset(struct css_set, subsys);
	return *(struct cgroup_subsys_state **)(array + bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) *
								sizeof(void *));
}

static __always_inline struct cgroup_subsys_state *memory_css_of_cgroup(struct cgroup *cgroup)
{
	void *array = (void *)cgroup + bpf_core_field_offset(struct cgroup, subsys);
	return *(struct cgroup_subsys_state **)(array + bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) *
								sizeof(void *));
}

/* Pages of one kind in a process, as the kernel's own OOM report counts them: per-CPU rests are left out. */
static __always_inline __u64 rss_pages(struct mm_struct *mm, int kind)
{
	struct mm_struct___v6_1 *old = (void *)mm;
	long pages = 0;

	if (bpf_core_field_exists(struct mm_struct___v6_1, rss_stat.count)) {
		switch (kind) {
		case MM_FILEPAGES:
			pages = BPF_CORE_READ(old, rss_stat.count[MM_FILEPAGES].counter);
			break;
		case MM_ANONPAGES:
			pages = BPF_CORE_READ(old, rss_stat.count[MM_ANONPAGES].counter);
			break;
		case MM_SWAPENTS:
			pages = BPF_CORE_READ(old, rss_stat.count[MM_SWAPENTS].counter);
			break;
		case MM_SHMEMPAGES:
			pages = BPF_CORE_READ(old, rss_stat.count[MM_SHMEMPAGES].counter);
			break;
		}
	} else {
		switch (kind) {
		case MM_FILEPAGES:
			pages = mm->rss_stat[MM_FILEPAGES].count;
			break;
		case MM_ANONPAGES:
			pages = mm->rss_stat[MM_ANONPAGES].count;
			break;
		case MM_SWAPENTS:
			pages = mm->rss_stat[MM_SWAPENTS].count;
			break;
		case MM_SHMEMPAGES:
			pages = mm->rss_stat[MM_SHMEMPAGES].count;
			break;
		}
	}
	return pages > 0 ? pages : 0;
}

/*
 * The pid in the innermost namespace: struct pid ends in one struct upid per level. Its address is read as a number,
 * since the verifier of 6.1 refuses to add a variable to a typed pointer.
 */
static __always_inline __u32 innermost_nr(struct task_struct *task)
{
	struct upid in = {};
	__u64 pid = 0;
	__u32 level;

	bpf_core_read(&pid, sizeof(pid), &task->thread_pid);
	if (!pid)
		return 0;
	level = LOAD_AT(struct pid, pid, level);
	bpf_probe_read_kernel(&in, sizeof(in),
			      (void *)(pid + bpf_core_field_offset(struct pid, numbers) +
				       level * (__u64)bpf_core_type_size(struct upid)));
	return in.nr;
}

#endif
