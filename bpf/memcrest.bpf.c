// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The one object of the kernel side. The program files are joined here by inclusion rather than by the static linker:
 * bpftool 7.1 cannot link a weak kfunc that two objects use (docs/adr/0003).
 */
#include "maps.bpf.h"

#include "programs/charge_fexit.bpf.c"
#include "programs/charge_kprobe.bpf.c"
#include "programs/charge_tracepoint.bpf.c"
#include "programs/failure.bpf.c"
#include "programs/init.bpf.c"
#include "programs/lifecycle.bpf.c"
#include "programs/oom.bpf.c"
#include "programs/reclaim.bpf.c"
#include "programs/signal.bpf.c"

/* Nothing reads this: it puts the records into the object's BTF, where tests/bpf compares their layout. */
union memcrest_records {
	struct memcrest_step step;
	struct memcrest_exec exec;
	struct memcrest_throttle throttle;
	struct memcrest_oom oom;
	struct memcrest_victim victim;
	struct memcrest_kill kill;
	struct memcrest_cgroup cgroup;
	struct memcrest_exit exit;
	struct memcrest_failed failed;
	struct memcrest_stack stack;
	struct memcrest_stats stats;
	struct memcrest_hit hit;
};
const union memcrest_records *memcrest_records __attribute__((unused));

char LICENSE[] SEC("license") = "Dual BSD/GPL";
