// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Charge tier 1: the page counters themselves. Exact for every kind of memory, one call per batch of 32 to 64 pages.
 * fexit, not fentry: at entry the value is one batch early.
 */
#include "../core/counter.bpf.h"

SEC("fexit/page_counter_try_charge")
int BPF_PROG(on_page_counter_try_charge, struct page_counter *counter, unsigned long pages, struct page_counter **fail,
	     _Bool charged_ok)
{
	if (!charged_ok) {
		limit_hits++;
		return 0;
	}
	return counted(ctx, (__u64)counter, 0);
}

/* Charges that may pass the limit (sockets, __GFP_NOFAIL, a dying task). */
SEC("fexit/page_counter_charge")
int BPF_PROG(on_page_counter_charge, struct page_counter *counter, unsigned long pages)
{
	return counted(ctx, (__u64)counter, 0);
}

SEC("fexit/page_counter_uncharge")
int BPF_PROG(on_page_counter_uncharge, struct page_counter *counter, unsigned long pages)
{
	return counted(ctx, (__u64)counter, 0);
}
