// SPDX-License-Identifier: Apache-2.0
// Uses memory on command: the one program that tests, benchmarks and the demo put into containers. Static, so that it
// runs in an empty image. Prints nothing unless --verbose is given or something is wrong.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hog.h"

static const char kHelp[] =
	"usage: hog MODE\n"
	"  anon SIZE [OPTION]...     touch SIZE of anonymous memory, then let go of it\n"
	"  tmpfs DIR SIZE [OPTION].. write SIZE into DIR/hog and leave it there\n"
	"  readfile FILE             read FILE to its end (page cache)\n"
	"  makefile FILE SIZE        write SIZE into FILE and drop it from the page cache\n"
	"  fork N [OPTION]...        start N processes, as far as the pids limit lets us, then end them\n"
	"  child MODE...             run MODE in a child; exit 0 however it ends\n"
	"  pidns MODE...             the same, the child being the first process of a pid namespace of its own\n"
	"  clone-vm SIZE [OPTION]... like anon, beside a process that shares the memory (CLONE_VM)\n"
	"  memfd SIZE [OPTION]...    write SIZE into a memfd: shared memory without a mount\n"
	"  msgqueue SIZE [OPTION]... SIZE of System V messages: kernel slab\n"
	"  pipes SIZE [OPTION]...    SIZE of pages in pipes that nobody reads\n"
	"  threads SIZE [OPTION]...  SIZE of kernel stacks, of threads that wait\n"
	"  fdtable SIZE [OPTION]...  SIZE of tables of descriptors, from vmalloc, in processes that wait\n"
	"  hugetlb SIZE [OPTION]...  SIZE of huge pages from the kernel's pool\n"
	"  tcp SIZE [OPTION]...      SIZE in sockets of this machine's loopback that nobody reads\n"
	"  pagetables SIZE [OPTION]. SIZE of page tables, by reading sparse addresses\n"
	"  pipe-resize SIZE [OPT]... a pipe with room for SIZE, --repeat times; exit 3 when all were refused with ENOMEM.\n"
	"                            Its table is SIZE / 100 in one piece: too large for the kernel to kill for it.\n"
	"  bpf-map SIZE [OPTION]...  the same with a BPF array of SIZE; charged, and never killed for, since 5.11\n"
	"  bind NODE MODE...         take memory from this NUMA node only (MPOL_BIND), then run MODE\n"
	"  name BYTES MODE...        take BYTES as the process name (\\xNN, \\n, \\e, \\\\ are understood), then run MODE\n"
	"  exec BYTES MODE...        the same for the first word of the command line\n"
	"  loop N MODE...            run MODE N times\n"
	"  sleep MS [MODE...]        sleep, then run MODE\n"
	"  exit CODE | signal NUMBER\n"
	"options:\n"
	"  --hold MS       keep the memory so long after the last touch (0.5 is fine)\n"
	"  --thp, --no-thp ask for huge pages, or for none\n"
	"  --threads N     N threads share SIZE\n"
	"  --rate MIB      MiB per second\n"
	"  --repeat N      do it N times\n"
	"  --pause MS      wait so long between two times\n"
	"  --verbose       say when memory is touched\n"
	"SIZE is a number with k, m or g (binary).\n";

void die(int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("hog: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	if (code == kUsage)
		fputs(kHelp, stderr);
	exit(code);
}

const char *need(char **argv, const char *what)
{
	if (!*argv)
		die(kUsage, "missing %s", what);
	return *argv;
}

double to_double(const char *text, const char *what)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0) || value > 1e12)
		die(kUsage, "%s: not a number that fits: %s", what, text);
	return value;
}

long to_long(const char *text, const char *what, long least, long most)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (end == text || *end || value < least || value > most)
		die(kUsage, "%s: not a number from %ld to %ld: %s", what, least, most, text);
	return value;
}

size_t to_size(const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);
	unsigned shift = 0;

	if (end == text)
		die(kUsage, "not a size: %s", text);
	switch (*end) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	default:
		break;
	}
	if (shift)
		end++;
	if (*end || value > (SIZE_MAX >> 1) >> shift)
		die(kUsage, "not a size: %s", text);
	return (size_t)value << shift;
}

struct options to_options(char **argv)
{
	struct options o = { .threads = 1, .repeat = 1 };

	for (; *argv; argv++) {
		const char *name = *argv;

		if (!strcmp(name, "--hold"))
			o.hold_ms = to_double(need(++argv, "MS"), name);
		else if (!strcmp(name, "--pause"))
			o.pause_ms = to_double(need(++argv, "MS"), name);
		else if (!strcmp(name, "--rate"))
			o.rate_mib = to_double(need(++argv, "MIB"), name);
		else if (!strcmp(name, "--threads"))
			o.threads = to_long(need(++argv, "N"), name, 1, kMaxThreads);
		else if (!strcmp(name, "--repeat"))
			o.repeat = to_long(need(++argv, "N"), name, 1, 1000000);
		else if (!strcmp(name, "--thp"))
			o.thp = 1;
		else if (!strcmp(name, "--no-thp"))
			o.thp = -1;
		else if (!strcmp(name, "--verbose"))
			o.verbose = true;
		else
			die(kUsage, "unknown option: %s", name);
	}
	return o;
}

void sleep_ms(double ms)
{
	struct timespec left = { (time_t)(ms / 1000), (long)((ms - (double)(long)(ms / 1000) * 1000) * 1e6) };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Waits until `done` bytes are due at the wanted rate. */
static void pace(double start_ms, size_t done, double rate_mib)
{
	double due = start_ms + (double)done / 1048576.0 / rate_mib * 1e3;
	double now = now_ms();

	if (rate_mib > 0 && due > now)
		sleep_ms(due - now);
}

struct piece {
	char *start;
	size_t size;
	double rate_mib;
};

static void *touch(void *argument)
{
	const struct piece *piece = argument;
	const size_t page = 4096, chunk = 1U << 20;
	double start = now_ms();

	for (size_t at = 0; at < piece->size; at += page) {
		if (piece->rate_mib > 0 && at % chunk == 0)
			pace(start, at, piece->rate_mib);
		*(volatile char *)(piece->start + at) = 1;
	}
	return NULL;
}

static char *map_anon(size_t size, int thp)
{
	/* More than the machine has may be asked for: that is what the OOM killer is about. */
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		die(kFailed, "mmap: %s", strerror(errno));
	if (thp)
		madvise(memory, size, thp > 0 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return memory;
}

static void touch_all(char *memory, size_t size, const struct options *o)
{
	struct piece pieces[kMaxThreads];
	pthread_t threads[kMaxThreads];
	size_t share = (size / (size_t)o->threads) & ~(size_t)4095;

	for (long i = 0; i < o->threads; i++) {
		pieces[i].start = memory + (size_t)i * share;
		pieces[i].size = i == o->threads - 1 ? size - (size_t)i * share : share;
		pieces[i].rate_mib = o->rate_mib / (double)o->threads;
	}
	for (long i = 1; i < o->threads; i++)
		if (pthread_create(&threads[i], NULL, touch, &pieces[i]))
			die(kFailed, "cannot start thread %ld", i);
	touch(&pieces[0]);
	for (long i = 1; i < o->threads; i++)
		pthread_join(threads[i], NULL);
}

static int mode_anon(char **argv)
{
	size_t size = to_size(need(argv, "SIZE"));
	struct options o = to_options(argv + 1);

	for (long i = 0; i < o.repeat; i++) {
		double start = now_ms();
		char *memory;

		if (i)
			sleep_ms(o.pause_ms);
		memory = map_anon(size, o.thp);
		touch_all(memory, size, &o);
		if (o.verbose) {
			printf("touched %zu bytes in %.3f ms\n", size, now_ms() - start);
			fflush(stdout);
		}
		sleep_ms(o.hold_ms);
		munmap(memory, size);
	}
	return 0;
}

void write_all(int fd, size_t size, double rate_mib, const char *path)
{
	static char block[65536];
	double start = now_ms();

	memset(block, 'x', sizeof(block));
	for (size_t done = 0; done < size;) {
		size_t part = size - done < sizeof(block) ? size - done : sizeof(block);
		ssize_t put = write(fd, block, part);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			die(kFailed, "write %s: %s", path, strerror(errno));
		done += (size_t)put;
		if (rate_mib > 0)
			pace(start, done, rate_mib);
	}
}

static int mode_tmpfs(char **argv)
{
	const char *dir = need(argv, "DIR");
	size_t size = to_size(need(argv + 1, "SIZE"));
	struct options o = to_options(argv + 2);
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/hog", dir) >= (int)sizeof(path))
		die(kUsage, "path too long");
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		die(kFailed, "open %s: %s", path, strerror(errno));
	write_all(fd, size, o.rate_mib, path);
	sleep_ms(o.hold_ms);
	return 0;
}

static int mode_readfile(char **argv)
{
	static char block[65536];
	const char *path = need(argv, "FILE");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		die(kFailed, "open %s: %s", path, strerror(errno));
	do
		got = read(fd, block, sizeof(block));
	while (got > 0 || (got < 0 && errno == EINTR));
	if (got < 0)
		die(kFailed, "read %s: %s", path, strerror(errno));
	return 0;
}

static int mode_makefile(char **argv)
{
	const char *path = need(argv, "FILE");
	size_t size = to_size(need(argv + 1, "SIZE"));
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		die(kFailed, "open %s: %s", path, strerror(errno));
	write_all(fd, size, 0, path);
	if (fsync(fd))
		die(kFailed, "fsync %s: %s", path, strerror(errno));
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

static int mode_fork(char **argv)
{
	long wanted = to_long(need(argv, "N"), "N", 1, 1000000);
	struct options o = to_options(argv + 1);
	long made = 0;
	pid_t *pids = calloc((size_t)wanted, sizeof(*pids));

	if (!pids)
		die(kFailed, "out of memory");
	for (; made < wanted; made++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		pids[made] = pid;
	}
	if (o.verbose) {
		printf("started %ld of %ld\n", made, wanted);
		fflush(stdout);
	}
	sleep_ms(o.hold_ms);
	for (long i = 0; i < made; i++)
		kill(pids[i], SIGKILL);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	free(pids);
	return 0;
}

static int mode_child(char **argv)
{
	pid_t pid;
	int status;

	need(argv, "MODE");
	pid = fork();
	if (pid < 0)
		die(kFailed, "fork: %s", strerror(errno));
	if (pid == 0)
		_exit(run_mode(argv));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return 0;
}

static int mode_pidns(char **argv)
{
	if (unshare(CLONE_NEWPID))
		die(kFailed, "unshare: %s", strerror(errno));
	return mode_child(argv);
}

static int sharer(void *unused)
{
	(void)unused;
	while (pause())
		;
	return 0;
}

static int mode_clone_vm(char **argv)
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t pid;
	int code;

	need(argv, "SIZE");
	pid = clone(sharer, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	if (pid < 0)
		die(kFailed, "clone: %s", strerror(errno));
	code = mode_anon(argv);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return code;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Bytes that a shell, JSON or a registry would not carry, written as escapes. */
static char *unescape(const char *text)
{
	char *bytes = malloc(strlen(text) + 1), *out = bytes;

	if (!bytes)
		die(kFailed, "out of memory");
	for (; *text; text++) {
		if (*text != '\\' || !text[1]) {
			*out++ = *text;
			continue;
		}
		text++;
		if (*text == 'x' && hex_digit(text[1]) >= 0 && hex_digit(text[2]) >= 0) {
			*out++ = (char)(hex_digit(text[1]) * 16 + hex_digit(text[2]));
			text += 2;
		} else {
			*out++ = *text == 'n' ? '\n' : *text == 'e' ? '\033' : *text;
		}
	}
	*out = '\0';
	return bytes;
}

static int mode_name(char **argv)
{
	char *name = unescape(need(argv, "BYTES"));

	need(argv + 1, "MODE");
	prctl(PR_SET_NAME, name);
	free(name);
	return run_mode(argv + 1);
}

static int mode_exec(char **argv)
{
	argv[0] = unescape(need(argv, "BYTES"));
	need(argv + 1, "MODE");
	execv("/proc/self/exe", argv);
	die(kFailed, "exec: %s", strerror(errno));
	return kFailed;
}

static int mode_loop(char **argv)
{
	long times = to_long(need(argv, "N"), "N", 1, 1000000000);
	int code = 0;

	need(argv + 1, "MODE");
	while (times-- > 0 && code == 0)
		code = run_mode(argv + 1);
	return code;
}

static int mode_sleep(char **argv)
{
	sleep_ms(to_double(need(argv, "MS"), "sleep"));
	return argv[1] ? run_mode(argv + 1) : 0;
}

static int mode_exit(char **argv)
{
	return (int)to_long(need(argv, "CODE"), "exit", 0, 255);
}

static int mode_signal(char **argv)
{
	int number = (int)to_long(need(argv, "NUMBER"), "signal", 1, 64);

	signal(number, SIG_DFL);
	raise(number);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(char **argv);
} kModes[] = {
	{ "anon", mode_anon },
	{ "tmpfs", mode_tmpfs },
	{ "readfile", mode_readfile },
	{ "makefile", mode_makefile },
	{ "fork", mode_fork },
	{ "child", mode_child },
	{ "clone-vm", mode_clone_vm },
	{ "name", mode_name },
	{ "exec", mode_exec },
	{ "loop", mode_loop },
	{ "sleep", mode_sleep },
	{ "exit", mode_exit },
	{ "pidns", mode_pidns },
	{ "signal", mode_signal },
	{ "memfd", mode_memfd },
	{ "msgqueue", mode_msgqueue },
	{ "pipes", mode_pipes },
	{ "threads", mode_threads },
	{ "fdtable", mode_fdtable },
	{ "hugetlb", mode_hugetlb },
	{ "tcp", mode_tcp },
	{ "pagetables", mode_pagetables },
	{ "bind", mode_bind },
	{ "bpf-map", mode_bpf_map },
	{ "pipe-resize", mode_pipe_resize },
};

int run_mode(char **argv)
{
	for (size_t i = 0; i < sizeof(kModes) / sizeof(kModes[0]); i++)
		if (!strcmp(argv[0], kModes[i].name))
			return kModes[i].run(argv + 1);
	die(kUsage, "unknown mode: %s", argv[0]);
	return kUsage;
}

int main(int argc, char **argv)
{
	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(kHelp, stdout);
		return 0;
	}
	need(argv + 1, "MODE");
	return run_mode(argv + 1);
}
