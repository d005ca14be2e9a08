// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who sent a SIGKILL to whom, who asked a container's first process to end, and whom a killer of user space asked. The
 * OOM killer's own come from the kernel (SEND_SIG_PRIV).
 */
#include "../core/emit.bpf.h"
#include "../core/task.bpf.h"

#define SIGINT 2
#define SIGQUIT 3
#define SIGKILL 9
#define SIGTERM 15
#define SIGRTMIN_3 37 /* what systemd takes for "halt" as a container's first process */
#define TRACE_SIGNAL_DELIVERED 0 /* include/trace/events/signal.h */
#define TRACE_SIGNAL_IGNORED 1
#define ASKED_AGAIN_NS 1000000000ULL
#define SEND_SIG_NOINFO 0 /* include/linux/sched/signal.h: markers in place of a pointer */
#define SEND_SIG_PRIV 1

static __always_inline bool asks_to_end(int sig)
{
	return sig == SIGTERM || sig == SIGINT || sig == SIGQUIT || sig == SIGRTMIN_3;
}

/* Anybody can send millions, to one of his own: once a second is told. */
static __always_inline bool is_asked_anew(__u64 leader)
{
	__u64 now = bpf_ktime_get_boot_ns();
	__u64 *last = bpf_map_lookup_elem(&last_asked, &leader);

	if (last && now - *last < ASKED_AGAIN_NS)
		return false;
	bpf_map_update_elem(&last_asked, &leader, &now, BPF_ANY);
	return true;
}

/* The first process of a pid namespace, asked by somebody outside of it. */
static __always_inline bool is_first_asked_from_outside(__u64 leader)
{
	__u64 upid = innermost_upid(leader);
	__u64 own = innermost_upid((__u64)TASK(bpf_get_current_task(), group_leader));

	return upid && own && LOAD_AT(struct upid, upid, nr) == 1 &&
	       (__u64)LOAD_AT(struct upid, upid, ns) != (__u64)LOAD_AT(struct upid, own, ns);
}

/*
 * earlyoom and nohang ask before they kill. Anybody can take their names, which is for user space to judge; a process
 * in a container is none of them.
 */
static __always_inline bool is_killer_of_user_space(void)
{
	__u64 pid = (__u64)TASK((__u64)TASK(bpf_get_current_task(), group_leader), thread_pid);
	char comm[16] = {};

	if (!pid || LOAD_AT(struct pid, pid, level) != 0 || bpf_get_current_comm(comm, sizeof(comm)))
		return false;
	return !__builtin_memcmp(comm, "earlyoom", 9) || !__builtin_memcmp(comm, "nohang", 7);
}

/* The signal may be ignored, which is the rule for a first process without a handler. */
static __always_inline bool is_asked(int sig, __u64 target, int result)
{
	__u64 leader, now;

	if (!asks_to_end(sig) || (result != TRACE_SIGNAL_DELIVERED && result != TRACE_SIGNAL_IGNORED))
		return false;
	leader = (__u64)TASK(target, group_leader);
	if (sig == SIGTERM && is_killer_of_user_space()) {
		now = bpf_ktime_get_boot_ns();
		/* One that ignores it is not ended by it. */
		if (result == TRACE_SIGNAL_DELIVERED)
			bpf_map_update_elem(&asked_by_killer, &leader, &now, BPF_ANY);
		return is_asked_anew(leader);
	}
	return is_first_asked_from_outside(leader) && is_asked_anew(leader);
}

static __always_inline int signal_sent(int sig, __u64 info, __u64 target, int group, int result)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct memcrest_kill *r;

	if (sig != SIGKILL && !is_asked(sig, target, result))
		return 0;
	if (sig == SIGKILL && mark_victim_pid && info == SEND_SIG_PRIV)
		bpf_map_update_elem(&last_kill, &tid, &target, BPF_ANY);
	/* A signal to a zombie, or a second one to a dying process, changes nothing, and anybody can send millions. */
	if (sig == SIGKILL && result != TRACE_SIGNAL_DELIVERED)
		return 0;
	/*
	 * Only the kernel's own belong to an OOM: what users send must not crowd those out, nor what the end of a pid
	 * namespace sends to all of its processes (zap_pid_ns_processes: its sender exits).
	 */
	if (sig == SIGKILL && info == SEND_SIG_PRIV && !(TASK(bpf_get_current_task(), flags) & PF_EXITING))
		r = emit_reserve(&critical, MEMCREST_REC_KILL, sizeof(*r));
	else
		r = emit_reserve(&bulk, MEMCREST_REC_KILL, sizeof(*r));
	if (!r)
		return 0;
	fill_task(&r->sender, bpf_get_current_task());
	fill_task(&r->target, target);
	r->flags = (group ? MEMCREST_KILL_GROUP : 0) | (info == SEND_SIG_PRIV ? MEMCREST_KILL_KERNEL : 0) |
		   (info == SEND_SIG_NOINFO ? MEMCREST_KILL_NO_INFO : 0);
	r->signal = sig;
	r->code = info > SEND_SIG_PRIV ? LOAD_AT(struct kernel_siginfo, info, si_code) : 0;
	emit_submit(r, MEMCREST_REC_KILL, info == SEND_SIG_PRIV ? 0 : bulk_wake_flags(false));
	return 0;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal_generate, int sig, __u64 info, __u64 target, int group, int result)
{
	return signal_sent(sig, info, target, group, result);
}

SEC("raw_tp/signal_generate")
int BPF_PROG(on_signal_generate_raw, int sig, __u64 info, __u64 target, int group, int result)
{
	return signal_sent(sig, info, target, group, result);
}
