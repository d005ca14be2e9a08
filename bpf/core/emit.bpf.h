/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The only place where room in a ring buffer is reserved and submitted. Every attempt takes a sequence number and
 * ends in exactly one counter: attempted == submitted + dropped, per CPU and record type.
 */
#ifndef MEMCREST_CORE_EMIT_BPF_H
#define MEMCREST_CORE_EMIT_BPF_H

#include "../maps.bpf.h"

static __always_inline struct memcrest_counters *counters_of(__u32 type)
{
	return bpf_map_lookup_elem(&counters, &type);
}

static __always_inline struct memcrest_stats *own_stats(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&stats, &zero);
}

/*
 * Room for one record with its header filled in, or NULL with the loss counted. Nothing may return between this and
 * emit_submit. The sequence number can repeat where a record interrupts another on the same CPU; counters do not.
 */
static __always_inline void *emit_reserve(void *ring, __u32 type, __u32 size)
{
	struct memcrest_counters *count = counters_of(type);
	struct memcrest_stats *self = own_stats();
	struct memcrest_header *h;
	__u64 seq;

	if (!count || !self)
		return NULL;
	__sync_fetch_and_add(&count->attempted, 1);
	seq = self->seq;
	self->seq = seq + 1;
	h = bpf_ringbuf_reserve(ring, size, 0);
	if (!h) {
		__sync_fetch_and_add(&count->dropped_full, 1);
		return NULL;
	}
	h->type = type;
	h->abi = MEMCREST_ABI_VERSION;
	h->size = size;
	h->cpu = bpf_get_smp_processor_id();
	h->pad = 0;
	h->time_ns = bpf_ktime_get_boot_ns();
	h->seq = seq;
	return h;
}

static __always_inline void emit_submit(void *record, __u32 type, __u64 flags)
{
	struct memcrest_counters *count = counters_of(type);

	bpf_ringbuf_submit(record, flags);
	if (count)
		__sync_fetch_and_add(&count->submitted, 1);
}

/* A record of any size that was put together elsewhere. */
static __always_inline void emit_output(void *ring, struct memcrest_header *h, __u32 type, __u32 size)
{
	struct memcrest_counters *count = counters_of(type);
	struct memcrest_stats *self = own_stats();

	if (!count || !self)
		return;
	__sync_fetch_and_add(&count->attempted, 1);
	h->type = type;
	h->abi = MEMCREST_ABI_VERSION;
	h->size = size;
	h->cpu = bpf_get_smp_processor_id();
	h->pad = 0;
	h->time_ns = bpf_ktime_get_boot_ns();
	h->seq = self->seq;
	self->seq = h->seq + 1;
	if (bpf_ringbuf_output(ring, h, size, BPF_RB_NO_WAKEUP))
		__sync_fetch_and_add(&count->dropped_full, 1);
	else
		__sync_fetch_and_add(&count->submitted, 1);
}

/* A step that the rate limit holds back: it counts as attempted, so that the sums stay whole. */
static __always_inline void emit_throttled(__u32 type)
{
	struct memcrest_counters *count = counters_of(type);

	if (!count)
		return;
	__sync_fetch_and_add(&count->attempted, 1);
	__sync_fetch_and_add(&count->dropped_throttle, 1);
}

/* Bulk records wake the reader only when enough is pending, or when the caller asks for it. */
static __always_inline __u64 bulk_wake_flags(bool wake)
{
	if (wake || bpf_ringbuf_query(&bulk, BPF_RB_AVAIL_DATA) >= bulk_wake_bytes)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

#endif
