// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Charges that end with an error and no kill: the caller gets ENOMEM. try_charge runs for every page, so this is
 * attached only while limits are being met (limit_hits), never on a healthy machine.
 */
#include "../core/emit.bpf.h"
#include "../core/memcg.bpf.h"
#include "../core/task.bpf.h"

/* include/linux/gfp_types.h; the same from 5.10 to 7.3. */
#define GFP_MOVABLE 0x8
#define GFP_DIRECT_RECLAIM 0x400
#define GFP_NOWARN 0x2000
#define GFP_NORETRY 0x10000
#define GFP_HARDWALL 0x100000
#define GFP_ACCOUNT 0x400000

/*
 * Whether nobody gets an error for it. Huge and large pages (movable, or for user space) fall back to small ones,
 * kvmalloc (__GFP_NORETRY) to vmalloc, vmalloc's large pages (which do not wait) to single ones, a node of a tree that
 * is asked for under a lock (__GFP_NOWARN) to one without it, readahead to none; a packet's memory that an interrupt
 * wants is charged all the same. A hugetlb page and an atomic allocation without
 * __GFP_ACCOUNT that are refused look the same, and are not told.
 */
static __always_inline bool is_optional(__u64 gfp, __u64 pages)
{
	if (gfp & GFP_NORETRY)
		return true;
	if (!(gfp & GFP_DIRECT_RECLAIM))
		return !(gfp & GFP_ACCOUNT) || (gfp & GFP_NOWARN) || pages > 1;
	return pages > 1 && !(gfp & GFP_ACCOUNT) && (gfp & (GFP_MOVABLE | GFP_HARDWALL));
}

static __noinline int charge_failed(void *ctx, int error, __u64 gfp, __u64 pages)
{
	__u64 task = bpf_get_current_task();
	__u64 memcg = memory_css_of_task(task);
	struct memcrest_failure fresh = {};
	struct memcrest_failure *failure;
	__u64 now = bpf_ktime_get_boot_ns();
	struct memcrest_failed *r;
	__u64 serial;

	/* Whoever is being killed is refused everything; that is the kill's story. */
	if ((LOAD_AT(struct signal_struct, (__u64)TASK(task, signal), flags) & SIGNAL_GROUP_EXIT) ||
	    (TASK(task, flags) & PF_EXITING) || !is_memcg(memcg))
		return 0;
	serial = MEMCG(memcg, css.serial_nr);
	failure = bpf_map_lookup_elem(&failures, &serial);
	if (!failure) {
		fresh.cgroup_id = memcg_cgroup_id(memcg);
		bpf_map_update_elem(&failures, &serial, &fresh, BPF_NOEXIST);
		failure = bpf_map_lookup_elem(&failures, &serial);
		if (!failure)
			return 0;
	}
	__sync_fetch_and_add(&failure->count, 1);
	if (failure->told && now - failure->told_ns < MEMCREST_WINDOW_NS)
		return 0;
	r = emit_reserve(&bulk, MEMCREST_REC_FAILURE, sizeof(*r));
	if (!r)
		return 0;
	fill_task(&r->task, task);
	r->cgroup_id = failure->cgroup_id;
	r->serial = serial;
	r->count = failure->count;
	failure->told = r->count;
	failure->told_ns = now;
	r->gfp_mask = gfp;
	r->bytes = pages == MEMCREST_UNKNOWN ? MEMCREST_UNKNOWN : pages << page_shift;
	r->error = error;
	r->pad = 0;
	zero_chain(&r->chain);
	fill_chain(&r->chain, memcg);
	__builtin_memset(r->kernel_stack, 0, sizeof(r->kernel_stack));
	r->kernel_frames = fill_stack(ctx, r->kernel_stack, sizeof(r->kernel_stack), 0);
	emit_submit(r, MEMCREST_REC_FAILURE, BPF_RB_FORCE_WAKEUP);
	return 0;
}

/* The target is set by the loader: try_charge up to 5.10, try_charge_memcg since. */
SEC("fexit/try_charge_memcg")
int BPF_PROG(on_try_charge, void *memcg, unsigned int gfp, unsigned int pages, int error)
{
	return error < 0 && !is_optional(gfp, pages) ? charge_failed(ctx, -error, gfp, pages) : 0;
}

SEC("kprobe/try_charge_memcg")
int BPF_KPROBE(on_try_charge_begin_kprobe, void *memcg, unsigned int gfp, unsigned int pages)
{
	struct memcrest_attempt attempt = { .gfp_mask = gfp, .pages = pages };
	__u32 tid = bpf_get_current_pid_tgid();

	bpf_map_update_elem(&attempts, &tid, &attempt, BPF_ANY);
	return 0;
}

/* An interrupt that charges in between leaves its own attempt: then this one is judged by that. */
SEC("kretprobe/try_charge_memcg")
int BPF_KRETPROBE(on_try_charge_kprobe, int error)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct memcrest_attempt *attempt;
	struct memcrest_attempt asked;

	if (error >= 0)
		return 0;
	attempt = bpf_map_lookup_elem(&attempts, &tid);
	if (!attempt)
		return 0; /* begun before this was attached, or forgotten: whether it matters is not known */
	asked = *attempt;
	bpf_map_delete_elem(&attempts, &tid);
	return is_optional(asked.gfp_mask, asked.pages) ? 0 : charge_failed(ctx, -error, asked.gfp_mask, asked.pages);
}
