// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Who sent a SIGKILL to whom. The OOM killer's own come from the kernel (SEND_SIG_PRIV). */
#include "../core/emit.bpf.h"
#include "../core/task.bpf.h"

#define SIGKILL 9
#define TRACE_SIGNAL_DELIVERED 0 /* include/trace/events/signal.h */
#define SEND_SIG_PRIV 1 /* include/linux/sched/signal.h: a marker in place of a pointer */

SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal_generate, int sig, struct kernel_siginfo *info, struct task_struct *target, int group,
	     int result)
{
	__u64 marker = (__u64)info;
	struct memcrest_kill *r;

	/* A signal to a zombie, or a second one to a dying process, changes nothing, and anybody can send millions. */
	if (sig != SIGKILL || result != TRACE_SIGNAL_DELIVERED)
		return 0;
	/* Only the kernel's own belong to an OOM: what users send must not crowd those out. */
	if (marker == SEND_SIG_PRIV)
		r = emit_reserve(&critical, MEMCREST_REC_KILL, sizeof(*r));
	else
		r = emit_reserve(&bulk, MEMCREST_REC_KILL, sizeof(*r));
	if (!r)
		return 0;
	fill_task(&r->sender, bpf_get_current_task_btf());
	fill_task(&r->target, target);
	r->flags = (group ? MEMCREST_KILL_GROUP : 0) | (marker == SEND_SIG_PRIV ? MEMCREST_KILL_KERNEL : 0);
	r->code = marker > SEND_SIG_PRIV ? BPF_CORE_READ(info, si_code) : 0;
	emit_submit(r, MEMCREST_REC_KILL, marker == SEND_SIG_PRIV ? 0 : bulk_wake_flags(false));
	return 0;
}
