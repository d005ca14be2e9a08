// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Memory cgroups and processes that come and go: what identity needs before it is too late to ask. raw_tp where the
 * kernel has no BTF of its own.
 */
#include "../core/emit.bpf.h"
#include "../core/memcg.bpf.h"
#include "../core/task.bpf.h"

static __always_inline int cgroup_changed(__u64 cgroup, __u64 path, __u32 op)
{
	__u64 css = memory_css_of_cgroup(cgroup);
	__u64 kn = (__u64)LOAD_AT(struct cgroup, cgroup, kn);
	struct memcrest_cgroup *r;
	__u64 serial;

	/* Another hierarchy of cgroup v1, or a v2 cgroup without the memory controller. */
	if (!css)
		return 0;
	serial = MEMCG(css, css.serial_nr);
	r = emit_reserve(&critical, MEMCREST_REC_CGROUP, sizeof(*r));
	if (r) {
		r->cgroup_id = LOAD_AT(struct kernfs_node, kn, id);
		r->serial = serial;
		r->parent_id = id_of_css((__u64)MEMCG(css, css.parent));
		r->watermark_bytes = pages_to_bytes(MEMCG(css, memory.watermark));
		r->op = op;
		__builtin_memset(r->path, 0, sizeof(r->path));
		r->path_len = load_text(r->path, sizeof(r->path), path);
		emit_submit(r, MEMCREST_REC_CGROUP, BPF_RB_FORCE_WAKEUP);
	}
	/* Charges may outlive the directory: entry_for() makes no new entry for a css that is dying. */
	if (op == MEMCREST_CGROUP_RMDIR)
		bpf_map_delete_elem(&entries, &serial);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_mkdir, __u64 cgroup, __u64 path)
{
	return cgroup_changed(cgroup, path, MEMCREST_CGROUP_MKDIR);
}

SEC("raw_tp/cgroup_mkdir")
int BPF_PROG(on_cgroup_mkdir_raw, __u64 cgroup, __u64 path)
{
	return cgroup_changed(cgroup, path, MEMCREST_CGROUP_MKDIR);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_cgroup_rmdir, __u64 cgroup, __u64 path)
{
	return cgroup_changed(cgroup, path, MEMCREST_CGROUP_RMDIR);
}

SEC("raw_tp/cgroup_rmdir")
int BPF_PROG(on_cgroup_rmdir_raw, __u64 cgroup, __u64 path)
{
	return cgroup_changed(cgroup, path, MEMCREST_CGROUP_RMDIR);
}

static __always_inline int program_started(__u64 task, __u64 binprm)
{
	__u64 mm = (__u64)TASK(task, mm);
	struct memcrest_exec *r;
	__u64 start, total;
	__u32 len;

	if (!mm)
		return 0;
	r = emit_reserve(&bulk, MEMCREST_REC_EXEC, sizeof(*r));
	if (!r)
		return 0;
	fill_task(&r->task, task);
	r->parent_tgid = TASK((__u64)TASK(task, real_parent), tgid);
	start = LOAD_AT(struct mm_struct, mm, arg_start);
	total = LOAD_AT(struct mm_struct, mm, arg_end) - start;
	len = total < sizeof(r->cmdline) ? total : sizeof(r->cmdline);
	__builtin_memset(r->cmdline, 0, sizeof(r->cmdline));
	if (bpf_probe_read_user(r->cmdline, len & (2 * MEMCREST_CMDLINE_LEN - 1), (void *)start))
		len = 0;
	r->cmdline_len = len;
	r->cmdline_total = total;
	__builtin_memset(r->exe, 0, sizeof(r->exe));
	load_text(r->exe, sizeof(r->exe), (__u64)LOAD_AT(struct linux_binprm, binprm, interp));
	emit_submit(r, MEMCREST_REC_EXEC, bulk_wake_flags(false));
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_sched_process_exec, __u64 task, int old_pid, __u64 binprm)
{
	return program_started(task, binprm);
}

SEC("raw_tp/sched_process_exec")
int BPF_PROG(on_sched_process_exec_raw, __u64 task, int old_pid, __u64 binprm)
{
	return program_started(task, binprm);
}

static __always_inline bool was_asked_by_killer(__u64 task)
{
	__u64 leader = (__u64)TASK(task, group_leader);

	if (!bpf_map_lookup_elem(&asked_by_killer, &leader))
		return false;
	bpf_map_delete_elem(&asked_by_killer, &leader); /* its address is used again */
	return true;
}

static __always_inline int process_ended(__u64 task)
{
	struct memcrest_exit *r;

	/* The last thread of a process that a signal ended, or that may have handled the wish of a killer of user space. */
	if (LOAD_AT(struct signal_struct, (__u64)TASK(task, signal), live.counter) ||
	    (!was_asked_by_killer(task) && !(TASK(task, exit_code) & 0x7f)))
		return 0;
	r = emit_reserve(&bulk, MEMCREST_REC_EXIT, sizeof(*r));
	if (!r)
		return 0;
	fill_task(&r->task, task);
	r->exit_code = TASK(task, exit_code);
	r->pad = 0;
	emit_submit(r, MEMCREST_REC_EXIT, bulk_wake_flags(false));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_sched_process_exit, __u64 task)
{
	return process_ended(task);
}

SEC("raw_tp/sched_process_exit")
int BPF_PROG(on_sched_process_exit_raw, __u64 task)
{
	return process_ended(task);
}
