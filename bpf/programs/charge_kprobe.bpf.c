// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Charge tier 2: the same functions by kprobe, where fexit is refused. At their entry the counters are one batch
 * behind: the pages asked for are added. No kretprobe: it costs as much again, does not know the counter, and loses
 * calls when it runs out of return slots. A charge that will fail at the own limit is left out; one that fails
 * at an ancestor's is told up to one batch too high.
 */
#include "../core/counter.bpf.h"

SEC("kprobe/page_counter_try_charge")
int BPF_KPROBE(on_page_counter_try_charge_kprobe, struct page_counter *counter, unsigned long pages)
{
	__u64 usage = LOAD_AT(struct page_counter, counter, usage.counter);

	if (usage + pages > LOAD_AT(struct page_counter, counter, max)) {
		limit_hits++;
		return 0;
	}
	return counted(ctx, (__u64)counter, pages);
}

SEC("kprobe/page_counter_charge")
int BPF_KPROBE(on_page_counter_charge_kprobe, struct page_counter *counter, unsigned long pages)
{
	return counted(ctx, (__u64)counter, pages);
}

SEC("kprobe/page_counter_uncharge")
int BPF_KPROBE(on_page_counter_uncharge_kprobe, struct page_counter *counter, unsigned long pages)
{
	return counted(ctx, (__u64)counter, -(__s64)pages);
}
