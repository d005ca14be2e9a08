// SPDX-License-Identifier: Apache-2.0
// What the files of hog share: options and small helpers (hog.c), and the modes that use the kernel's memory
// (hog_kernel.c). Every mode takes the words after its name, ended by NULL, and returns hog's exit code.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { kMaxThreads = 64, kUsage = 2, kFailed = 1, kRefused = 3 };

struct options {
	double hold_ms;
	double pause_ms;
	double rate_mib;
	long threads;
	long repeat;
	int thp; /* 1 wanted, -1 unwanted, 0 as the system has it */
	bool verbose;
};

void die(int code, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));
const char *need(char **argv, const char *what);
double to_double(const char *text, const char *what);
long to_long(const char *text, const char *what, long least, long most);
size_t to_size(const char *text);
struct options to_options(char **argv);
void sleep_ms(double ms);
double now_ms(void);
void write_all(int fd, size_t size, double rate_mib, const char *path);
int run_mode(char **argv);

int mode_memfd(char **argv);
int mode_msgqueue(char **argv);
int mode_pipes(char **argv);
int mode_threads(char **argv);
int mode_fdtable(char **argv);
int mode_hugetlb(char **argv);
int mode_tcp(char **argv);
int mode_pagetables(char **argv);
int mode_pipe_resize(char **argv);
int mode_bpf_map(char **argv);
int mode_bind(char **argv);
