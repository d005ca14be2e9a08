/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel types that the BPF side reads, with only the members that it reads. CO-RE relocates every access by
 * name against the running kernel's BTF, so order and offsets here mean nothing. See README.md beside this file.
 */
#ifndef MEMCREST_VMLINUX_KERNEL_H
#define MEMCREST_VMLINUX_KERNEL_H

#include <linux/types.h>

#ifndef bool
#define bool _Bool
#define true 1
#define false 0
#endif

typedef __u64 u64;
typedef __u32 u32;

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	long counter;
} atomic_long_t;

typedef struct {
	__s64 counter;
} atomic64_t;

/* Index of the memory controller in css_set.subsys; its number depends on the kernel's configuration. */
enum cgroup_subsys_id {
	memory_cgrp_id = 4,
};

enum memcg_memory_event {
	MEMCG_OOM = 3,
};

enum {
	MM_FILEPAGES = 0,
	MM_ANONPAGES = 1,
	MM_SWAPENTS = 2,
	MM_SHMEMPAGES = 3,
	NR_MM_COUNTERS = 4,
};

enum oom_constraint {
	CONSTRAINT_NONE = 0,
	CONSTRAINT_MEMCG = 3,
};

struct cgroup_subsys;

struct kernfs_node {
	const char *name;
	u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys *ss;
	unsigned int flags;
	u64 serial_nr;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
	struct cgroup_subsys_state *subsys[16];
};

struct css_set {
	struct cgroup_subsys_state *subsys[16];
};

struct page_counter {
	atomic_long_t usage;
	unsigned long failcnt;
	unsigned long watermark;
	unsigned long high;
	unsigned long max;
	struct page_counter *parent;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
	struct page_counter memory;
	struct page_counter swap; /* v1: memsw, in a union */
	bool oom_group;
	atomic_long_t memory_events_local[9];
};

struct folio {
	unsigned long memcg_data;
};

/* bcfe06bf2622 in 5.11 replaced this member by memcg_data. */
struct page___v5_10 {
	struct mem_cgroup *mem_cgroup;
};

/* struct folio came with 5.16. Where both have the member, it is at the same place. */
struct page___v5_11 {
	unsigned long memcg_data;
};

struct obj_cgroup {
	struct mem_cgroup *memcg;
};

/* Not read as a time: a structure of every kernel that begins with 64 plain bits (LOAD_U64). */
struct timespec64 {
	__s64 tv_sec;
};

struct pid_namespace;

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct percpu_counter {
	__s64 count;
};

struct mm_struct {
	struct percpu_counter rss_stat[4];
	atomic_long_t pgtables_bytes;
	unsigned long arg_start;
	unsigned long arg_end;
};

/* Up to 6.1 the counters stand in a structure of their own (f1a7941243c1 in 6.2 made them percpu_counters). */
struct mm_rss_stat___v6_1 {
	atomic_long_t count[4];
};

struct mm_struct___v6_1 {
	struct mm_rss_stat___v6_1 rss_stat;
};

struct signal_struct {
	atomic_t live;
	unsigned int flags;
	short oom_score_adj;
};

struct cred {
	struct {
		u32 val;
	} uid;
};

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	int exit_code;
	u64 start_boottime;
	char comm[16];
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	struct mm_struct *mm;
	struct signal_struct *signal;
	struct pid *thread_pid;
	const struct cred *real_cred;
	struct css_set *cgroups;
	unsigned int memcg_nr_pages_over_high;
};

struct pid_namespace {
	struct task_struct *child_reaper;
};

struct linux_binprm {
	const char *interp; /* what is really executed: of a script, its interpreter */
};

struct kernel_siginfo {
	int si_signo;
	int si_code;
};

struct oom_control {
	struct mem_cgroup *memcg;
	unsigned int gfp_mask;
	int order;
	unsigned long totalpages;
	struct task_struct *chosen;
	enum oom_constraint constraint;
};

#pragma clang attribute pop

#define CSS_DYING (1 << 4) /* include/linux/cgroup-defs.h: set before the rmdir tracepoint fires */
#define PF_KTHREAD 0x00200000 /* include/linux/sched.h, stable since 3.x */
#define PF_EXITING 0x00000004
#define SIGNAL_GROUP_EXIT 0x00000004 /* include/linux/sched/signal.h: the whole process is being ended */

#endif
