// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Charge tier 1: the page counters themselves. Exact for every kind of memory, one call per batch of 32 to 64 pages.
 * fexit, not fentry: at entry the value is one batch early.
 */
#include "../core/level.bpf.h"

static __always_inline int counted(void *ctx, struct page_counter *counter)
{
	__u64 memcg = (__u64)counter - bpf_core_field_offset(struct mem_cgroup, memory);
	struct memcrest_stats *self;

	/* The same functions count swap, kernel memory, sockets and hugetlb; only a memcg's `memory` passes. */
	if (!is_memcg(memcg)) {
		if (count_charges) {
			self = own_stats();
			if (self)
				self->not_memcg++;
		}
		return 0;
	}
	return charged(ctx, memcg);
}

SEC("fexit/page_counter_try_charge")
int BPF_PROG(on_page_counter_try_charge, struct page_counter *counter, unsigned long pages, struct page_counter **fail,
	     _Bool charged_ok)
{
	return charged_ok ? counted(ctx, counter) : 0;
}

/* Charges that may pass the limit (sockets, __GFP_NOFAIL, a dying task). */
SEC("fexit/page_counter_charge")
int BPF_PROG(on_page_counter_charge, struct page_counter *counter, unsigned long pages)
{
	return counted(ctx, counter);
}

SEC("fexit/page_counter_uncharge")
int BPF_PROG(on_page_counter_uncharge, struct page_counter *counter, unsigned long pages)
{
	return counted(ctx, counter);
}
