/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Part of the record contract between the kernel side (bpf/) and the user side (userspace/probe, event).
 * This file owns the integer types and the sizes that every record shares. Both compilers read the same
 * text; nothing here may be copied elsewhere.
 */
#ifndef MEMCREST_ABI_BASE_H
#define MEMCREST_ABI_BASE_H

#include <linux/types.h>

#ifdef __cplusplus
#define MEMCREST_STATIC_ASSERT(cond, msg) static_assert(cond, msg)
#else
#define MEMCREST_STATIC_ASSERT(cond, msg) _Static_assert(cond, msg)
#endif

/* Raised whenever the layout or the meaning of a record changes. */
#define MEMCREST_ABI_VERSION 6

/* "No limit" and "not known" for the byte counts below. */
#define MEMCREST_NO_LIMIT (~0ULL)
#define MEMCREST_UNKNOWN (~0ULL)

#define MEMCREST_COMM_LEN 16        /* TASK_COMM_LEN */
#define MEMCREST_CMDLINE_LEN 256    /* start of the command line; arguments end in NUL */
#define MEMCREST_EXE_LEN 128        /* path of a program, as it was asked for */
#define MEMCREST_PATH_LEN 512       /* cgroup path inside its hierarchy */
#define MEMCREST_NAME_LEN 96        /* last part of a cgroup path; a systemd container scope needs 78 */
#define MEMCREST_USER_FRAMES 32
#define MEMCREST_KERNEL_FRAMES 24
#define MEMCREST_CHAIN_LEN 12       /* memory cgroups from the victim's up to the root */
#define MEMCREST_COPY_PIECE 512     /* a user stack is copied in aligned pieces, each of which lies in one page */
#define MEMCREST_COPY_PIECES 16     /* at most */
#define MEMCREST_COPY_REGISTERS 17  /* as DWARF numbers them on x86-64; the last is the instruction pointer */
#define MEMCREST_PARENTS_LEN 8      /* processes from the victim's parent up to its container's first */

#endif
