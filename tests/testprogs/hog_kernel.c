// SPDX-License-Identifier: Apache-2.0
// The modes of hog whose memory is the kernel's: slab, pipes, sockets, page tables, and requests that are refused
// without a kill.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hog.h"

static void raise_file_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int mode_memfd(char **argv)
{
	size_t size = to_size(need(argv, "SIZE"));
	struct options o = to_options(argv + 1);
	int fd = memfd_create("hog", MFD_CLOEXEC);

	if (fd < 0)
		die(kFailed, "memfd_create: %s", strerror(errno));
	write_all(fd, size, o.rate_mib, "memfd");
	sleep_ms(o.hold_ms);
	close(fd);
	return 0;
}

/* Each queue takes 16 KiB by default, in pieces of a page: one slab object of 4 KiB each. */
int mode_msgqueue(char **argv)
{
	static struct {
		long type;
		char text[4096 - 48];
	} message = { .type = 1 };
	size_t size = to_size(need(argv, "SIZE"));
	struct options o = to_options(argv + 1);
	size_t done = 0;

	/* Queues outlive their process; with a namespace of our own they do not outlive us. */
	if (unshare(CLONE_NEWIPC))
		die(kFailed, "unshare: %s", strerror(errno));
	while (done < size) {
		int queue = msgget(IPC_PRIVATE, 0600);

		if (queue < 0)
			die(kFailed, "msgget: %s", strerror(errno));
		while (done < size && msgsnd(queue, &message, sizeof(message.text), IPC_NOWAIT) == 0)
			done += 4096;
		if (done < size && errno != EAGAIN)
			die(kFailed, "msgsnd: %s", strerror(errno));
	}
	sleep_ms(o.hold_ms);
	return 0;
}

static void *wait_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* Each thread has a kernel stack of 16 KiB, and about as much of slab and of its own stack beside. */
int mode_threads(char **argv)
{
	size_t size = to_size(need(argv, "SIZE"));
	struct options o = to_options(argv + 1);
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN);
	for (size_t done = 0; done < size; done += 16384) {
		int code = pthread_create(&thread, &small, wait_for_ever, NULL);

		if (code)
			die(kFailed, "pthread_create: %s", strerror(code));
	}
	sleep_ms(o.hold_ms);
	return 0;
}

/* A descriptor of a high number makes its table large: 8 bytes for each lower one, from vmalloc. */
int mode_fdtable(char **argv)
{
	size_t size = to_size(need(argv, "SIZE"));
	struct options o = to_options(argv + 1);
	struct rlimit files;
	size_t each;

	files.rlim_cur = files.rlim_max = 1048576; /* what the kernel allows at most; root may raise it */
	if (setrlimit(RLIMIT_NOFILE, &files))
		raise_file_limit();
	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur < 65536)
		die(kFailed, "the limit of open files is too low");
	if (files.rlim_cur > 1048576)
		files.rlim_cur = 1048576;
	each = files.rlim_cur * 8;
	for (size_t done = 0; done < size; done += each) {
		switch (fork()) {
		case -1:
			die(kFailed, "fork: %s", strerror(errno));
		case 0:
			if (dup2(0, (int)files.rlim_cur - 1) < 0)
				_exit(kFailed);
			sleep_ms(o.hold_ms);
			_exit(0);
		}
	}
	for (size_t done = 0; done < size; done += each)
		wait(NULL);
	return 0;
}

/* From the kernel's pool (/proc/sys/vm/nr_hugepages): charged where memory_hugetlb_accounting is mounted (6.7). */
int mode_hugetlb(char **argv)
{
	size_t size = to_size(need(argv, "SIZE"));
	struct options o = to_options(argv + 1);
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (memory == MAP_FAILED)
		die(kFailed, "mmap of huge pages: %s", strerror(errno));
	for (size_t at = 0; at < size; at += 2u << 20)
		memory[at] = 1;
	sleep_ms(o.hold_ms);
	return 0;
}

int mode_pipes(char **argv)
{
	static char block[65536];
	size_t size = to_size(need(argv, "SIZE"));
	struct options o = to_options(argv + 1);

	raise_file_limit();
	for (size_t done = 0; done < size;) {
		int ends[2];
		ssize_t put;

		if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
			die(kFailed, "pipe: %s", strerror(errno));
		fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
		while (done < size && (put = write(ends[1], block, sizeof(block))) > 0)
			done += (size_t)put;
	}
	sleep_ms(o.hold_ms);
	return 0;
}

/* Two connected sockets; the listener is closed again. */
static void connect_pair(int *from, int *to)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*from = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || *from < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listener, 1) || getsockname(listener, (struct sockaddr *)&address, &length) ||
	    connect(*from, (struct sockaddr *)&address, length) || (*to = accept(listener, NULL, NULL)) < 0)
		die(kFailed, "loopback: %s", strerror(errno));
	close(listener);
}

int mode_tcp(char **argv)
{
	static char block[65536];
	size_t size = to_size(need(argv, "SIZE"));
	struct options o = to_options(argv + 1);

	raise_file_limit();
	for (size_t done = 0; done < size;) {
		int from, to, idle = 0;

		connect_pair(&from, &to);
		/* The receiver's window opens as its buffer grows: give it a moment before the next connection. */
		while (done < size && idle < 3) {
			ssize_t put = send(from, block, sizeof(block), MSG_DONTWAIT);

			if (put > 0) {
				done += (size_t)put;
				idle = 0;
			} else if (errno == EAGAIN) {
				idle++;
				sleep_ms(1);
			} else {
				die(kFailed, "send: %s", strerror(errno));
			}
		}
	}
	sleep_ms(o.hold_ms);
	return 0;
}

/* A read maps the shared zero page: only the page table that holds the entry costs memory, one for each 2 MiB. */
int mode_pagetables(char **argv)
{
	const size_t span = 2U << 20;
	size_t size = to_size(need(argv, "SIZE"));
	struct options o = to_options(argv + 1);
	size_t reach = size / 4096 * span;
	char *memory = mmap(NULL, reach, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		die(kFailed, "mmap: %s", strerror(errno));
	madvise(memory, reach, MADV_NOHUGEPAGE);
	for (size_t at = 0; at < reach; at += span)
		(void)*(volatile char *)(memory + at);
	sleep_ms(o.hold_ms);
	munmap(memory, reach);
	return 0;
}

/* Runs `attempt` --repeat times: exit code 3 when every one was refused for lack of memory. */
static int insist(int (*attempt)(size_t size), size_t size, const struct options *o)
{
	long refused = 0;

	for (long i = 0; i < o->repeat; i++) {
		if (i)
			sleep_ms(o->pause_ms);
		if (attempt(size) == 0)
			continue;
		if (errno != ENOMEM)
			die(kFailed, "refused for another reason: %s", strerror(errno));
		refused++;
	}
	if (o->verbose) {
		printf("refused %ld of %ld\n", refused, o->repeat);
		fflush(stdout);
	}
	sleep_ms(o->hold_ms);
	return refused == o->repeat ? kRefused : 0;
}

static int resize_pipe(size_t size)
{
	int ends[2], got, error;

	if (pipe2(ends, O_CLOEXEC))
		die(kFailed, "pipe: %s", strerror(errno));
	got = fcntl(ends[1], F_SETPIPE_SZ, size);
	error = errno;
	close(ends[0]);
	close(ends[1]);
	errno = error;
	return got < 0 ? -1 : 0;
}

int mode_pipe_resize(char **argv)
{
	size_t size = to_size(need(argv, "SIZE"));
	struct options o = to_options(argv + 1);

	if (size > 1U << 30)
		die(kUsage, "a pipe has room for 1g at most");
	return insist(resize_pipe, size, &o);
}

static int make_map(size_t size)
{
	union bpf_attr attributes;
	long fd;

	memset(&attributes, 0, sizeof(attributes));
	attributes.map_type = BPF_MAP_TYPE_ARRAY;
	attributes.key_size = 4;
	attributes.value_size = 4096;
	attributes.max_entries = (uint32_t)(size / 4096);
	fd = syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes));
	if (fd < 0)
		return -1;
	close((int)fd);
	return 0;
}

int mode_bpf_map(char **argv)
{
	size_t size = to_size(need(argv, "SIZE"));
	struct options o = to_options(argv + 1);

	return insist(make_map, size, &o);
}

int mode_bind(char **argv)
{
	unsigned long nodes = 1UL << to_long(need(argv, "NODE"), "bind", 0, 62);

	need(argv + 1, "MODE");
	if (syscall(SYS_set_mempolicy, MPOL_BIND, &nodes, 8 * sizeof(nodes)))
		die(kFailed, "set_mempolicy: %s", strerror(errno));
	return run_mode(argv + 1);
}
