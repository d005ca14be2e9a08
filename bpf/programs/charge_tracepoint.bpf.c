// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Charge tiers 3 and 4, for kernels that refuse fexit and kprobes: every page that enters an LRU list (anon, file,
 * tmpfs) and every change of a memory cgroup's own counters (slab, stacks, page tables, sockets). Neither sees LRU
 * pages being freed; userspace samples usage while a cgroup is active. raw_tp where the kernel has no BTF of its own.
 */
#include "../core/level.bpf.h"

static __always_inline int lru_page(void *ctx, __u64 page)
{
	__u64 memcg = memcg_of_page(page);

	return memcg ? charged(ctx, memcg, 0) : 0;
}

SEC("tp_btf/mm_lru_insertion")
int BPF_PROG(on_mm_lru_insertion, __u64 page)
{
	return lru_page(ctx, page);
}

SEC("raw_tp/mm_lru_insertion")
int BPF_PROG(on_mm_lru_insertion_raw, __u64 page)
{
	return lru_page(ctx, page);
}

SEC("tp_btf/mod_memcg_state")
int BPF_PROG(on_mod_memcg_state, __u64 memcg)
{
	return charged(ctx, memcg, 0);
}

SEC("raw_tp/mod_memcg_state")
int BPF_PROG(on_mod_memcg_state_raw, __u64 memcg)
{
	return charged(ctx, memcg, 0);
}
