/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a page counter to the memory cgroup that it counts for: what the fexit and the kprobe tier share. */
#ifndef MEMCREST_CORE_COUNTER_BPF_H
#define MEMCREST_CORE_COUNTER_BPF_H

#include "level.bpf.h"

static __always_inline __u64 memcg_of_counter(__u64 counter)
{
	return counter - bpf_core_field_offset(struct mem_cgroup, memory);
}

/* `ahead`: pages that the counter does not hold yet (level.bpf.h). */
static __always_inline int counted(void *ctx, __u64 counter, __s64 ahead)
{
	__u64 memcg = memcg_of_counter(counter);
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
	return charged(ctx, memcg, ahead);
}

#endif
