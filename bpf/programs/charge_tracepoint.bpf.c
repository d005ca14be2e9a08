// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Charge tier 3, for kernels that refuse fexit and kprobes: every page that enters an LRU list (anon, file, tmpfs)
 * and every change of a memory cgroup's own counters (slab, stacks, page tables, sockets). Neither sees LRU pages
 * being freed; userspace samples usage while a cgroup is active.
 */
#include "../core/level.bpf.h"

SEC("tp_btf/mm_lru_insertion")
int BPF_PROG(on_mm_lru_insertion, struct folio *folio)
{
	__u64 owner = folio->memcg_data;

	/* Low bits tell other owners (object cgroups, slab vectors) from a plain memory cgroup. */
	if (!owner || (owner & 7))
		return 0;
	return charged(ctx, owner);
}

SEC("tp_btf/mod_memcg_state")
int BPF_PROG(on_mod_memcg_state, struct mem_cgroup *memcg, int item, int change)
{
	return charged(ctx, (__u64)memcg);
}
