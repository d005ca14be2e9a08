// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * How long the tasks of a memory cgroup are held up: in direct reclaim for some memory cgroup, and by memory.high.
 * Counted for the cgroup of the task that waits, which need not be the one that is full. Fires once per reclaim,
 * never per charge.
 */
#include "../core/level.bpf.h"

static __always_inline struct memcrest_entry *own_entry(void)
{
	__u64 memcg = memory_css_of_task(bpf_get_current_task());

	return is_memcg(memcg) ? entry_for(memcg, MEMCG(memcg, css.serial_nr)) : NULL;
}

static __always_inline struct memcrest_stall *own_stall(bool make)
{
	struct memcrest_stall fresh = {};
	__u32 tid = bpf_get_current_pid_tgid();
	struct memcrest_stall *stall = bpf_map_lookup_elem(&stalls, &tid);

	if (stall || !make)
		return stall;
	bpf_map_update_elem(&stalls, &tid, &fresh, BPF_ANY);
	return bpf_map_lookup_elem(&stalls, &tid);
}

static __always_inline void release_stall(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&stalls, &tid);
}

static __always_inline int reclaim_begins(void)
{
	struct memcrest_stall *stall = own_stall(true);

	if (stall)
		stall->reclaim_since_ns = bpf_ktime_get_boot_ns();
	return 0;
}

static __always_inline int reclaim_ends(void)
{
	struct memcrest_stall *stall = own_stall(false);
	struct memcrest_entry *entry;
	__u64 took;

	if (!stall || !stall->reclaim_since_ns)
		return 0;
	entry = own_entry();
	took = bpf_ktime_get_boot_ns() - stall->reclaim_since_ns;
	stall->reclaim_since_ns = 0;
	stall->reclaimed_ns += took;
	if (entry)
		__sync_fetch_and_add(&entry->reclaim_ns, took);
	if (!stall->throttle_since_ns)
		release_stall();
	return 0;
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int on_memcg_reclaim_begin(void *ctx)
{
	return reclaim_begins();
}

SEC("raw_tp/mm_vmscan_memcg_reclaim_begin")
int on_memcg_reclaim_begin_raw(void *ctx)
{
	return reclaim_begins();
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_end")
int on_memcg_reclaim_end(void *ctx)
{
	return reclaim_ends();
}

SEC("raw_tp/mm_vmscan_memcg_reclaim_end")
int on_memcg_reclaim_end_raw(void *ctx)
{
	return reclaim_ends();
}

/* Up to 6.17 the kernel comes here on about every context switch, and leaves at once when nothing is owed: so do we. */
static __always_inline int throttle_begins(void)
{
	struct memcrest_stall *stall;

	if (bpf_core_field_exists(struct task_struct, memcg_nr_pages_over_high) &&
	    !TASK(bpf_get_current_task(), memcg_nr_pages_over_high))
		return 0;
	stall = own_stall(true);
	if (stall) {
		if (!stall->throttle_since_ns)
			__sync_fetch_and_add(&throttled_tasks, 1);
		stall->throttle_since_ns = bpf_ktime_get_boot_ns();
		stall->reclaimed_ns = 0;
	}
	return 0;
}

static __always_inline int throttle_ends(void)
{
	struct memcrest_stall *stall;
	struct memcrest_entry *entry;
	__u64 took;

	if (!throttled_tasks)
		return 0;
	stall = own_stall(false);
	if (!stall || !stall->throttle_since_ns)
		return 0;
	__sync_fetch_and_add(&throttled_tasks, -1);
	entry = own_entry();
	took = bpf_ktime_get_boot_ns() - stall->throttle_since_ns;
	if (entry && took > stall->reclaimed_ns)
		__sync_fetch_and_add(&entry->throttle_ns, took - stall->reclaimed_ns);
	release_stall();
	return 0;
}

/* The target is set by the loader: 6.18 renamed the function. */
SEC("fentry/mem_cgroup_handle_over_high")
int on_over_high_begin(void *ctx)
{
	return throttle_begins();
}

SEC("fexit/mem_cgroup_handle_over_high")
int on_over_high_end(void *ctx)
{
	return throttle_ends();
}

SEC("kprobe/mem_cgroup_handle_over_high")
int on_over_high_begin_kprobe(void *ctx)
{
	return throttle_begins();
}

SEC("kretprobe/mem_cgroup_handle_over_high")
int on_over_high_end_kprobe(void *ctx)
{
	return throttle_ends();
}
