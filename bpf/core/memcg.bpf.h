/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Memory cgroups: the address of one is followed only after its css was seen to belong to the memory controller.
 * The caller is inside a hook that holds RCU or the object itself.
 */
#ifndef MEMCREST_CORE_MEMCG_BPF_H
#define MEMCREST_CORE_MEMCG_BPF_H

#include "compat.bpf.h"

#define MEMCG(address, member) LOAD_AT(struct mem_cgroup, address, member)

static __always_inline bool is_memcg(__u64 address)
{
	return address && memory_subsystem && (__u64)MEMCG(address, css.ss) == memory_subsystem;
}

/* mem_cgroup begins with its css on every supported kernel (checked by tests/bpf). 0 at the root. */
static __always_inline __u64 memcg_parent(__u64 address)
{
	return (__u64)MEMCG(address, css.parent);
}

static __always_inline __u64 pages_to_bytes(__u64 pages)
{
	/* PAGE_COUNTER_MAX is LONG_MAX / PAGE_SIZE: no limit */
	if (pages >= (0x7fffffffffffffffULL >> page_shift))
		return MEMCREST_NO_LIMIT;
	return pages << page_shift;
}

static __always_inline __u64 memcg_cgroup_id(__u64 address)
{
	__u64 cgroup = (__u64)MEMCG(address, css.cgroup);
	__u64 kn = (__u64)LOAD_AT(struct cgroup, cgroup, kn);

	return LOAD_AT(struct kernfs_node, kn, id);
}

static __always_inline void fill_memcg(struct memcrest_memcg *out, __u64 address)
{
	__u64 serial = MEMCG(address, css.serial_nr);
	struct memcrest_entry *entry = bpf_map_lookup_elem(&entries, &serial);
	__u64 cgroup = (__u64)MEMCG(address, css.cgroup);
	__u64 kn = (__u64)LOAD_AT(struct cgroup, cgroup, kn);

	out->cgroup_id = LOAD_AT(struct kernfs_node, kn, id);
	out->serial = serial;
	out->usage_bytes = pages_to_bytes(MEMCG(address, memory.usage.counter));
	out->limit_bytes = pages_to_bytes(MEMCG(address, memory.max));
	out->high_bytes = pages_to_bytes(MEMCG(address, memory.high));
	out->watermark_bytes = pages_to_bytes(MEMCG(address, memory.watermark));
	out->swap_usage_bytes = pages_to_bytes(MEMCG(address, swap.usage.counter));
	out->swap_limit_bytes = pages_to_bytes(MEMCG(address, swap.max));
	out->failcnt = MEMCG(address, memory.failcnt);
	out->oom_events = MEMCG(address, memory_events_local[MEMCG_OOM].counter);
	out->reclaim_ns = entry ? entry->reclaim_ns : 0;
	out->throttle_ns = entry ? entry->throttle_ns : 0;
	out->flags = MEMCG(address, oom_group) ? MEMCREST_MEMCG_OOM_GROUP : 0;
	out->pad = 0;
	load_text(out->name, sizeof(out->name), (__u64)LOAD_AT(struct kernfs_node, kn, name));
}

/* The cgroup at `address` and all above it. `out` must be zeroed. */
static __always_inline void fill_chain(struct memcrest_chain *out, __u64 address)
{
	for (int i = 0; i < MEMCREST_CHAIN_LEN; i++) {
		if (!is_memcg(address))
			break;
		fill_memcg(&out->entry[i], address);
		out->used = i + 1;
		out->total = i + 1;
		address = memcg_parent(address);
	}
	for (int i = 0; i < 32; i++) {
		if (!is_memcg(address))
			break;
		out->total++;
		address = memcg_parent(address);
	}
}

/* fill_chain wants a zeroed chain, and a ring-buffer record is not. */
static __always_inline void zero_chain(struct memcrest_chain *chain)
{
	chain->used = 0;
	chain->total = 0;
	for (int i = 0; i < MEMCREST_CHAIN_LEN; i++) {
		__builtin_memset(&chain->entry[i], 0, sizeof(chain->entry[i]));
		barrier(); /* or the compiler makes one memset that is too large for the target */
	}
}

#endif
