// SPDX-License-Identifier: Apache-2.0
// Holds the namespaces of a pod in tests: waits until it is asked to end, and collects children that nobody waits for,
// being process 1. Static, in an image of its own.
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	sigset_t awaited;
	int number;

	sigemptyset(&awaited);
	sigaddset(&awaited, SIGINT);
	sigaddset(&awaited, SIGTERM);
	sigaddset(&awaited, SIGCHLD);
	/* Blocked, a signal also waits for process 1, which ignores what it has no handler for. */
	sigprocmask(SIG_BLOCK, &awaited, NULL);
	for (;;) {
		if (sigwait(&awaited, &number))
			return 1;
		if (number != SIGCHLD)
			return 0;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
