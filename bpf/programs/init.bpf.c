// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Run once by the loader (BPF_PROG_TEST_RUN), before anything is attached: learns what only the kernel knows. */
#include "../core/memcg.bpf.h"
#include "../core/task.bpf.h"

SEC("raw_tp/cgroup_mkdir")
int on_init(void *ctx)
{
	/* Without a memory controller the enum relocation fails to a poisoned value: the loader sees the zero. */
	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return 1;
	memory_subsystem = (__u64)LOAD_AT(struct cgroup_subsys_state, memory_css_of_task(bpf_get_current_task()), ss);
	own_tgid = bpf_get_current_pid_tgid() >> 32;
	return 0;
}
