// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Memory cgroups and processes that come and go: what identity needs before it is too late to ask. */
#include "../core/emit.bpf.h"
#include "../core/memcg.bpf.h"
#include "../core/task.bpf.h"

static __always_inline int cgroup_changed(struct cgroup *cgroup, const char *path, __u32 op)
{
	struct cgroup_subsys_state *css = memory_css_of_cgroup(cgroup);
	struct memcrest_cgroup *r;
	__u64 serial;
	long len;

	/* Another hierarchy of cgroup v1, or a v2 cgroup without the memory controller. */
	if (!css)
		return 0;
	serial = css->serial_nr;
	r = emit_reserve(&critical, MEMCREST_REC_CGROUP, sizeof(*r));
	if (r) {
		r->cgroup_id = cgroup->kn->id;
		r->serial = serial;
		r->parent_id = id_of_css(css->parent);
		r->watermark_bytes = pages_to_bytes(MEMCG((__u64)css, memory.watermark));
		r->op = op;
		__builtin_memset(r->path, 0, sizeof(r->path));
		len = bpf_probe_read_kernel_str(r->path, sizeof(r->path), path);
		r->path_len = len > 0 ? len - 1 : 0;
		emit_submit(r, MEMCREST_REC_CGROUP, BPF_RB_FORCE_WAKEUP);
	}
	/* Charges may outlive the directory: entry_for() makes no new entry for a css that is dying. */
	if (op == MEMCREST_CGROUP_RMDIR)
		bpf_map_delete_elem(&entries, &serial);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_mkdir, struct cgroup *cgroup, const char *path)
{
	return cgroup_changed(cgroup, path, MEMCREST_CGROUP_MKDIR);
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_cgroup_rmdir, struct cgroup *cgroup, const char *path)
{
	return cgroup_changed(cgroup, path, MEMCREST_CGROUP_RMDIR);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_sched_process_exec, struct task_struct *task)
{
	struct mm_struct *mm = task->mm;
	struct memcrest_exec *r;
	__u64 start, total;
	__u32 len;

	if (!mm)
		return 0;
	r = emit_reserve(&bulk, MEMCREST_REC_EXEC, sizeof(*r));
	if (!r)
		return 0;
	fill_task(&r->task, task);
	r->parent_tgid = task->real_parent->tgid;
	start = mm->arg_start;
	total = mm->arg_end - start;
	len = total < sizeof(r->cmdline) ? total : sizeof(r->cmdline);
	__builtin_memset(r->cmdline, 0, sizeof(r->cmdline));
	if (bpf_probe_read_user(r->cmdline, len & (2 * MEMCREST_CMDLINE_LEN - 1), (void *)start))
		len = 0;
	r->cmdline_len = len;
	r->cmdline_total = total;
	emit_submit(r, MEMCREST_REC_EXEC, bulk_wake_flags(false));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_sched_process_exit, struct task_struct *task)
{
	struct memcrest_exit *r;

	/* The last thread of a process that a signal ended. */
	if (task->signal->live.counter || !(task->exit_code & 0x7f))
		return 0;
	r = emit_reserve(&bulk, MEMCREST_REC_EXIT, sizeof(*r));
	if (!r)
		return 0;
	fill_task(&r->task, task);
	r->exit_code = task->exit_code;
	r->pad = 0;
	emit_submit(r, MEMCREST_REC_EXIT, bulk_wake_flags(false));
	return 0;
}
