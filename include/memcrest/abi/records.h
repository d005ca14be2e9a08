/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The records that travel through the two ring buffers, from bpf/core/emit.bpf.h to userspace/event/decoder.
 * Every record begins with memcrest_header. Only fixed-width types, explicit zeroed padding; sizes are bytes,
 * times are nanoseconds of CLOCK_BOOTTIME.
 */
#ifndef MEMCREST_ABI_RECORDS_H
#define MEMCREST_ABI_RECORDS_H

#include "base.h"

enum {
	MEMCREST_REC_STEP = 1,     /* bulk ring: usage crossed a level */
	MEMCREST_REC_EXEC = 2,     /* bulk ring: a process started a program */
	MEMCREST_REC_THROTTLE = 3, /* critical ring: steps of a cgroup are being left out */
	MEMCREST_REC_OOM = 4,      /* critical ring: oom_kill_process began (fentry tier only) */
	MEMCREST_REC_VICTIM = 5,   /* critical ring: a process was chosen and marked */
	MEMCREST_REC_KILL = 6, /* a SIGKILL was sent: critical ring when by the kernel, bulk ring when by a user */
	MEMCREST_REC_CGROUP = 7, /* critical ring: a memory cgroup appeared or went */
	MEMCREST_REC_EXIT = 8, /* bulk ring: a process was ended by a signal */
	MEMCREST_REC_FAILURE = 9, /* bulk ring: charges were refused without a kill */
	MEMCREST_REC_STACK = 10, /* bulk ring: registers and user stack of the step that follows; only when asked for */
	MEMCREST_REC_HIT = 11, /* critical ring: a memory breakpoint was reached; only where lines are set */
	MEMCREST_REC_TYPES = 12,
};

struct memcrest_header {
	__u16 type; /* MEMCREST_REC_* */
	__u16 abi; /* MEMCREST_ABI_VERSION */
	__u32 size; /* of the whole record */
	__u32 cpu;
	__u32 pad;
	__u64 time_ns;
	__u64 seq; /* counts the attempts of this CPU, all types and both rings together; a gap is a loss */
};
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_header) == 32, "header layout");

/* A process and the thread of it that was running. */
struct memcrest_task {
	__u32 tgid;
	__u32 tid;
	__u32 ns_tgid; /* pid in the innermost pid namespace */
	__u32 uid; /* in the initial user namespace */
	__u64 start_time_ns; /* of the thread-group leader; with tgid it names a process for good */
	__u64 cgroup_id; /* memory cgroup of the thread */
	char comm[MEMCREST_COMM_LEN]; /* of the process */
	char thread_comm[MEMCREST_COMM_LEN]; /* of the thread */
};
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_task) == 64, "task layout");

enum {
	MEMCREST_STEP_UP = 1, /* usage reached the next level */
	MEMCREST_STEP_DOWN = 2, /* usage fell more than one quantum below the last level */
	MEMCREST_STEP_FIRST = 4, /* first sight of this cgroup: a base line, not a crossing */
	MEMCREST_STEP_ANCESTOR = 8, /* an ancestor with a limit of its own, checked on a child's crossing */
	MEMCREST_STEP_FOREIGN = 16, /* the running thread belongs to another cgroup: it did not charge this */
};

struct memcrest_step {
	struct memcrest_header h;
	__u64 cgroup_id; /* inode number of the cgroup's directory */
	__u64 serial; /* css.serial_nr: never reused while the machine is up */
	__u64 usage_bytes;
	__u64 watermark_bytes; /* the kernel's own highest usage since creation or reset */
	__u64 limit_bytes; /* own memory.max, MEMCREST_NO_LIMIT without one */
	__u64 quantum_bytes; /* distance between levels */
	__u64 suppressed; /* steps of this cgroup left out since its last record */
	__u64 oom_events; /* how often its own limit has led to an OOM so far */
	__u64 reclaim_ns; /* memcrest_entry */
	__u64 throttle_ns;
	__u32 flags; /* MEMCREST_STEP_* */
	__u16 user_frames;
	__u16 kernel_frames;
	struct memcrest_task task;
	__u64 user_stack[MEMCREST_USER_FRAMES];
	__u64 kernel_stack[MEMCREST_KERNEL_FRAMES];
};
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_step) == 32 + 88 + 64 + 56 * 8, "step layout");

/*
 * The top of a thread's user stack as it entered the kernel, for unwinding without frame pointers. Belongs to the steps
 * that follow it on the same CPU without a gap in seq. The only record whose size varies: it ends after `used` bytes.
 */
struct memcrest_stack {
	struct memcrest_header h;
	__u64 begin; /* address of bytes[0]: the stack pointer, down to a whole piece */
	__u32 tid;
	__u32 used;
	__u64 registers[MEMCREST_COPY_REGISTERS]; /* 0 where the kernel does not keep them */
	__u8 bytes[MEMCREST_COPY_PIECE * MEMCREST_COPY_PIECES];
};
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_stack) == 32 + 16 + 17 * 8 + 8192, "stack layout");

struct memcrest_exec {
	struct memcrest_header h;
	struct memcrest_task task;
	__u32 parent_tgid;
	__u32 cmdline_len; /* bytes used in cmdline */
	__u64 cmdline_total; /* bytes that the process has; more than cmdline_len when cut */
	char cmdline[MEMCREST_CMDLINE_LEN];
	/* The binary as execve was given it, of a script its interpreter: may be relative, or a link. Full when cut. */
	char exe[MEMCREST_EXE_LEN];
};
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_exec) == 32 + 64 + 16 + 256 + 128, "exec layout");

struct memcrest_throttle {
	struct memcrest_header h;
	__u64 cgroup_id;
	__u64 serial;
	__u64 steps_per_window;
	__u64 window_ns;
};
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_throttle) == 64, "throttle layout");

enum {
	MEMCREST_MEMCG_OOM_GROUP = 1, /* memory.oom.group is set */
};

/* One memory cgroup as it stood inside the hook. */
struct memcrest_memcg {
	__u64 cgroup_id;
	__u64 serial;
	__u64 usage_bytes;
	__u64 limit_bytes;
	__u64 high_bytes;
	__u64 watermark_bytes;
	__u64 swap_usage_bytes; /* v2: swap; v1: memory+swap */
	__u64 swap_limit_bytes;
	__u64 failcnt;
	__u64 oom_events; /* how often its own limit led to an OOM: memory.events.local "oom" */
	__u64 reclaim_ns; /* memcrest_entry; 0 as well where it is not followed */
	__u64 throttle_ns;
	__u32 flags; /* MEMCREST_MEMCG_* */
	__u32 pad;
	char name[MEMCREST_NAME_LEN];
};
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_memcg) == 200, "memcg layout");

struct memcrest_chain {
	__u32 used; /* entries filled, from the task's own cgroup upwards */
	__u32 total; /* depth of the real chain; more than used when cut */
	struct memcrest_memcg entry[MEMCREST_CHAIN_LEN];
};

enum {
	MEMCREST_CONSTRAINT_NONE = 0, /* enum oom_constraint of the kernel */
	MEMCREST_CONSTRAINT_CPUSET = 1,
	MEMCREST_CONSTRAINT_MEMORY_POLICY = 2,
	MEMCREST_CONSTRAINT_MEMCG = 3,
};

struct memcrest_oom {
	struct memcrest_header h;
	struct memcrest_task trigger;
	__u64 memcg_id; /* cgroup whose limit was hit, 0 for a host-wide OOM */
	__u64 gfp_mask;
	__u64 total_bytes; /* what the killer may choose from: a limit, never a use */
	__s32 order;
	__u32 constraint; /* MEMCREST_CONSTRAINT_* */
	__u32 chosen_tgid;
	__u32 pad;
	struct memcrest_chain chain; /* from the cgroup that was hit upwards */
};

/* A process that the victim comes from. */
struct memcrest_relative {
	__u32 tgid; /* 0: there is none, or it could not be read */
	__u32 ns_tgid; /* pid in its innermost pid namespace */
	__u64 start_time_ns;
	__u64 cgroup_id; /* memory cgroup of the process's first thread */
	char comm[MEMCREST_COMM_LEN];
};
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_relative) == 40, "relative layout");

enum {
	MEMCREST_PARENTS_UNKNOWN = 0, /* not read to the end: the chain is longer, or a task could not be read */
	MEMCREST_PARENTS_INIT = 1, /* the last one, or the victim itself, is the first process of its pid namespace */
	MEMCREST_PARENTS_OUTSIDE = 2, /* the next one lives in another pid namespace: it entered the container */
};

struct memcrest_victim {
	struct memcrest_header h;
	struct memcrest_task trigger;
	struct memcrest_task task;
	__u64 anon_bytes;
	__u64 file_bytes;
	__u64 shmem_bytes;
	__u64 swap_bytes;
	__u64 pagetable_bytes;
	__s32 oom_score_adj;
	__u16 kernel_frames;
	__u16 user_frames;
	struct memcrest_chain chain; /* from the victim's cgroup upwards */
	__u64 kernel_stack[MEMCREST_KERNEL_FRAMES]; /* of the trigger: tells a memcg OOM from a host OOM */
	__u64 user_stack[MEMCREST_USER_FRAMES]; /* of the trigger */
	__u32 parents_used; /* entries filled, the victim's parent first; all in the victim's pid namespace */
	__u32 parents_end; /* MEMCREST_PARENTS_*: why there are no more */
	__u64 parent_cgroup_id; /* memory cgroup of the parent, whatever namespace it is in */
	struct memcrest_relative
		init; /* first process of the victim's pid namespace; the victim itself if it is that */
	struct memcrest_relative parents[MEMCREST_PARENTS_LEN];
};
/* With its ring-buffer header it must fit into the smallest ring, of one page. */
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_victim) == 32 + 128 + 48 + 2408 + 56 * 8 + 16 + 9 * 40, "victim layout");
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_victim) + 8 <= 4096, "victim fits into a page");

enum {
	MEMCREST_KILL_KERNEL = 1, /* sent by the kernel itself (SEND_SIG_PRIV) */
	MEMCREST_KILL_GROUP = 2, /* to the whole process */
	MEMCREST_KILL_NO_INFO = 4, /* SEND_SIG_NOINFO: cgroup.kill, a parent's death; not kill(2) */
};

/* SIGKILL to any process; what asks the first process of a pid namespace to end (a container's stop signal). */

struct memcrest_kill {
	struct memcrest_header h;
	struct memcrest_task sender; /* who was running */
	struct memcrest_task target;
	__u16 flags; /* MEMCREST_KILL_* */
	__u16 signal;
	__s32 code; /* si_code, 0 when unknown */
};
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_kill) == 32 + 128 + 8, "kill layout");

enum {
	MEMCREST_CGROUP_MKDIR = 1,
	MEMCREST_CGROUP_RMDIR = 2,
};

struct memcrest_cgroup {
	struct memcrest_header h;
	__u64 cgroup_id;
	__u64 serial; /* of the memory controller's part */
	__u64 parent_id; /* 0 at the root */
	__u64 watermark_bytes; /* at rmdir: the highest usage of its whole life */
	__u32 op; /* MEMCREST_CGROUP_* */
	__u32 path_len; /* without the closing NUL; MEMCREST_PATH_LEN - 1 when it may be cut */
	char path[MEMCREST_PATH_LEN];
};
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_cgroup) == 32 + 40 + 512, "cgroup layout");

struct memcrest_exit {
	struct memcrest_header h;
	struct memcrest_task task;
	__s32 exit_code; /* as for wait(2): low 7 bits the signal */
	__u32 pad;
};
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_exit) == 104, "exit layout");

/* Charges that the kernel refused without killing anybody; the task and the stack are those of the last one. */
struct memcrest_failed {
	struct memcrest_header h;
	struct memcrest_task task;
	__u64 cgroup_id; /* of the task */
	__u64 serial;
	__u64 count; /* since the hook was attached */
	__u64 gfp_mask; /* MEMCREST_UNKNOWN where only the result can be seen, as bytes */
	__u64 bytes;
	__s32 error; /* errno, positive */
	__u16 kernel_frames;
	__u16 pad;
	struct memcrest_chain chain; /* from the task's cgroup upwards */
	__u64 kernel_stack[MEMCREST_KERNEL_FRAMES];
};

/* A thread charged memory while usage stood at or above the line of its cgroup, or of one above (memcrest_line). */
struct memcrest_hit {
	struct memcrest_header h;
	__u64 cgroup_id; /* whose line it is */
	__u64 line_bytes;
	__u64 usage_bytes; /* of that cgroup, the charge included */
	__u64 limit_bytes; /* its own memory.max, MEMCREST_NO_LIMIT without one */
	__u32 signal; /* that was sent to the thread's process, 0: none */
	__s32 error; /* of sending it, as a negative errno; 0: it was sent */
	__u16 user_frames;
	__u16 kernel_frames;
	__u32 pad;
	struct memcrest_task task; /* the thread: its cgroup is the line's, or one below that */
	__u64 user_stack[MEMCREST_USER_FRAMES];
	__u64 kernel_stack[MEMCREST_KERNEL_FRAMES];
};
MEMCREST_STATIC_ASSERT(sizeof(struct memcrest_hit) == 32 + 48 + 64 + 56 * 8, "hit layout");

#endif
