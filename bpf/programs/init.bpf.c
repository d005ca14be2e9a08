// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Run once by the loader (BPF_PROG_TEST_RUN), before anything is attached: learns what only the kernel knows. */
#include "../core/memcg.bpf.h"

SEC("raw_tp/cgroup_mkdir")
int on_init(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 id = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	struct cgroup_subsys_state *css = 0;
	struct css_set *set;

	/* Without a memory controller the enum relocation fails to a poisoned value: the loader sees the zero. */
	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return 1;
	set = BPF_CORE_READ(task, cgroups);
	bpf_probe_read_kernel(&css, sizeof(css),
			      (void *)set + bpf_core_field_offset(struct css_set, subsys) + id * sizeof(void *));
	memory_subsystem = (__u64)BPF_CORE_READ(css, ss);
	memory_subsystem_id = id;
	own_tgid = bpf_get_current_pid_tgid() >> 32;
	return 0;
}
