/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A copy of the running thread's user stack and of its registers, for userspace to unwind where code keeps no frame
 * pointers. Only with copy_stacks, which the loader sets where the kernel has bpf_task_pt_regs (dd6e10fbd9fb, 5.15).
 */
#ifndef MEMCREST_CORE_STACK_BPF_H
#define MEMCREST_CORE_STACK_BPF_H

#include "compat.bpf.h"
#include "emit.bpf.h"

#ifdef __TARGET_ARCH_x86

#define USER_CODE_64 0x33 /* __USER_CS: 32-bit code keeps its stack otherwise */

/* What <asm/ptrace.h> lays out is what the kernel pushes. */
#define USER_REGISTER(regs, member) LOAD_U64((regs) + __builtin_offsetof(struct pt_regs, member))

static __always_inline void fill_registers(__u64 *out, __u64 regs)
{
	out[0] = USER_REGISTER(regs, rax);
	out[1] = USER_REGISTER(regs, rdx);
	out[2] = USER_REGISTER(regs, rcx);
	out[3] = USER_REGISTER(regs, rbx);
	out[4] = USER_REGISTER(regs, rsi);
	out[5] = USER_REGISTER(regs, rdi);
	out[6] = USER_REGISTER(regs, rbp);
	out[7] = USER_REGISTER(regs, rsp);
	out[8] = USER_REGISTER(regs, r8);
	out[9] = USER_REGISTER(regs, r9);
	out[10] = USER_REGISTER(regs, r10);
	out[11] = USER_REGISTER(regs, r11);
	out[12] = USER_REGISTER(regs, r12);
	out[13] = USER_REGISTER(regs, r13);
	out[14] = USER_REGISTER(regs, r14);
	out[15] = USER_REGISTER(regs, r15);
	out[16] = USER_REGISTER(regs, rip);
}

/* Before the step that it belongs to is reserved: what is reserved first is read first. */
static __noinline int emit_stack_copy(void)
{
	__u32 zero = 0;
	struct memcrest_copy *copy = bpf_map_lookup_elem(&copies, &zero);
	__u64 regs = (__u64)bpf_task_pt_regs(bpf_get_current_task_btf());
	struct memcrest_stack *r;
	__u32 used = 0;

	if (!copy || !regs || copy->busy || USER_REGISTER(regs, cs) != USER_CODE_64)
		return 0;
	*(volatile __u32 *)&copy->busy = 1;
	r = &copy->record;
	fill_registers(r->registers, regs);
	r->tid = (__u32)bpf_get_current_pid_tgid();
	r->begin = r->registers[7] & ~(MEMCREST_COPY_PIECE - 1ULL);
	for (int i = 0; i < MEMCREST_COPY_PIECES; i++) {
		if (bpf_probe_read_user(r->bytes + i * MEMCREST_COPY_PIECE, MEMCREST_COPY_PIECE,
					(void *)(r->begin + i * MEMCREST_COPY_PIECE)))
			break;
		used = (i + 1) * MEMCREST_COPY_PIECE;
	}
	r->used = used;
	if (used && used <= sizeof(r->bytes))
		emit_output(&bulk, &r->h, MEMCREST_REC_STACK, __builtin_offsetof(struct memcrest_stack, bytes) + used);
	*(volatile __u32 *)&copy->busy = 0;
	return 0;
}

#else

/* Elsewhere compilers keep frame pointers by default. */
static __always_inline int emit_stack_copy(void)
{
	return 0;
}

#endif
#endif
