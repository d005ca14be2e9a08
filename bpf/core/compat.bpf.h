/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Kernel differences, each behind one getter; callers never branch on a kernel. */
#ifndef MEMCREST_CORE_COMPAT_BPF_H
#define MEMCREST_CORE_COMPAT_BPF_H

#include "../maps.bpf.h"

/*
 * One member of a kernel structure at an address that carries no type for the verifier. A typed load where the
 * kernel can cast (faster, and allowed under lockdown), a probe read otherwise; both give 0 for a bad address.
 */
#ifdef MEMCREST_NO_KFUNC
#define TYPED_LOAD(value, type, address, member) ((void)0)
#else
/* a35b9af4ec2c, 6.2: any address as a pointer that the verifier lets us load from. */
extern void *bpf_rdonly_cast(void *obj, __u32 btf_id) __ksym __weak;
#define TYPED_LOAD(value, type, address, member)                                                                       \
	({                                                                                                             \
		type *typed__ = bpf_rdonly_cast((void *)(address), bpf_core_type_id_kernel(type));                     \
		value = typed__->member;                                                                               \
	})
#endif
#define LOAD_AT(type, address, member)                                                                                 \
	({                                                                                                             \
		__u64 address__ = (__u64)(address);                                                                    \
		typeof(((type *)0)->member) value__ = 0;                                                               \
		if (have_rdonly_cast)                                                                                  \
			TYPED_LOAD(value__, type, address__, member);                                                  \
		else                                                                                                   \
			bpf_core_read(&value__, sizeof(value__), &((type *)address__)->member);                        \
		value__;                                                                                               \
	})

/*
 * Nobody else runs on this CPU in between: bpf_get_stack's buffer is per CPU, and is read after the kernel's walk gave
 * it back (fc7566ad0a82, 6.10). Programs that run with preemption off anyway (kprobes, tracepoints) lose nothing.
 */
#ifdef MEMCREST_NO_KFUNC
#define PREEMPT_OFF() ((void)0)
#define PREEMPT_ON() ((void)0)
#else
extern void bpf_preempt_disable(void) __ksym __weak;
extern void bpf_preempt_enable(void) __ksym __weak;
#define PREEMPT_OFF()                                                                                                  \
	do {                                                                                                           \
		if (have_preempt_off)                                                                                  \
			bpf_preempt_disable();                                                                         \
	} while (0)
#define PREEMPT_ON()                                                                                                   \
	do {                                                                                                           \
		if (have_preempt_off)                                                                                  \
			bpf_preempt_enable();                                                                          \
	} while (0)
#endif

/* 64 plain bits at any address: never a pointer to the verifier, so that it may be computed with. */
#define LOAD_U64(address) ((__u64)LOAD_AT(struct timespec64, address, tv_sec))

#define TASK(address, member) LOAD_AT(struct task_struct, address, member)

/* The address of a member of a kernel structure at an address. */
#define ADDRESS_OF(type, address, member) ((__u64)(address) + bpf_core_field_offset(type, member))

/*
 * Text from kernel memory, up to its NUL, `size` bytes at most (a multiple of 8); `out` must be zeroed. Returns its
 * length. Under lockdown=confidentiality the helper for it is refused: words are loaded instead.
 */
static __always_inline __u32 load_text(char *out, __u32 size, __u64 address)
{
	long got;

	if (!typed_loads_only) {
		got = bpf_probe_read_kernel_str(out, size, (void *)address);
		return got > 0 ? got - 1 : 0;
	}
	for (__u32 i = 0; i + 8 <= size; i += 8) {
		__u64 word = LOAD_U64(address + i);

		/* The lowest zero byte ends the text: keep what lies below it (every target is little-endian). */
		for (__u32 k = 0; k < 8; k++)
			if (!((word >> (k * 8)) & 0xff)) {
				*(__u64 *)(out + i) = k ? word & (~0ULL >> (64 - k * 8)) : 0;
				return i + k;
			}
		*(__u64 *)(out + i) = word;
	}
	out[size - 1] = 0;
	return size - 1;
}

/* A cgroup's or a task's part in the memory controller. The index is an enum value that differs between kernels. */
static __always_inline __u64 memory_css_of_set(__u64 set)
{
	return LOAD_U64(ADDRESS_OF(struct css_set, set, subsys) +
			bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) * sizeof(void *));
}

static __always_inline __u64 memory_css_of_cgroup(__u64 cgroup)
{
	return LOAD_U64(ADDRESS_OF(struct cgroup, cgroup, subsys) +
			bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) * sizeof(void *));
}

/* Pages of one kind in a process, as the kernel's own OOM report counts them: per-CPU rests are left out. */
static __always_inline __u64 rss_pages(__u64 mm, const int kind)
{
	long pages;

	if (bpf_core_field_exists(struct mm_struct___v6_1, rss_stat.count))
		pages = LOAD_U64(ADDRESS_OF(struct mm_struct___v6_1, mm, rss_stat.count) +
				 kind * sizeof(atomic_long_t));
	else
		pages = LOAD_AT(struct percpu_counter,
				ADDRESS_OF(struct mm_struct, mm, rss_stat) +
					kind * (__u64)bpf_core_type_size(struct percpu_counter),
				count);
	return pages > 0 ? pages : 0;
}

/*
 * Address of the struct upid (number and namespace) of the innermost pid namespace: struct pid ends in one per level.
 * 0: the task has no pid any more.
 */
static __always_inline __u64 innermost_upid(__u64 task)
{
	__u64 pid = LOAD_U64(ADDRESS_OF(struct task_struct, task, thread_pid));

	if (!pid)
		return 0;
	return ADDRESS_OF(struct pid, pid, numbers) +
	       LOAD_AT(struct pid, pid, level) * (__u64)bpf_core_type_size(struct upid);
}

static __always_inline __u32 innermost_nr(__u64 task)
{
	__u64 upid = innermost_upid(task);

	return upid ? LOAD_AT(struct upid, upid, nr) : 0;
}

/*
 * Whom a page on an LRU list belongs to. 7.2 made it an object cgroup, which names its memory cgroup; bits below 8
 * tell other owners. 0: nobody, or not known.
 */
static __always_inline __u64 memcg_of_page(__u64 page)
{
	__u64 owner;

	if (bpf_core_field_exists(struct page___v5_10, mem_cgroup))
		return (__u64)LOAD_AT(struct page___v5_10, page, mem_cgroup);
	if (bpf_core_field_exists(struct page___v5_11, memcg_data))
		owner = LOAD_AT(struct page___v5_11, page, memcg_data);
	else
		owner = LOAD_AT(struct folio, page, memcg_data);
	if (lru_owner_is_objcg)
		return owner & ~7ULL ? (__u64)LOAD_AT(struct obj_cgroup, owner & ~7ULL, memcg) : 0;
	return owner & 7 ? 0 : owner;
}

#endif
