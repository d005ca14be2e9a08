#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""top.py [CGROUPS [SECONDS]]: what `memcrest top` costs with so many containers on the screen's list, refresh 1 s: share of
one core while they are idle, and while one program after the other takes 32 MiB in one of them. One line of JSON each.
Needs root and tmux."""
import contextlib
import json
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
from harness import HOG, cgroups  # noqa: E402  pylint: disable=wrong-import-position
from test_top import Screen  # noqa: E402  pylint: disable=wrong-import-position


def pid_of(screen):
    pane = screen.tmux('list-panes', '-F', '#{pane_pid}').stdout.strip()
    with open(f'/proc/{pane}/task/{pane}/children', encoding='ascii') as file:
        return file.read().split()[0]


def figures(pid):
    """(CPU seconds, RSS in KiB)."""
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    with open(f'/proc/{pid}/status', encoding='ascii') as file:
        rss = next(int(line.split()[1]) for line in file if line.startswith('VmRSS'))
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK'), rss


def grow_in(path):
    def enter():
        with open(os.path.join(cgroups.dir(path), 'cgroup.procs'), 'w', encoding='ascii') as file:
            file.write('0')
    subprocess.run([HOG, 'anon', '32m', '--hold', '20'], preexec_fn=enter, check=True)


def measure(pid, seconds, work):
    begun, (cpu, _) = time.monotonic(), figures(pid)
    while time.monotonic() - begun < seconds:
        work()
    after, rss = figures(pid)
    return round(100 * (after - cpu) / (time.monotonic() - begun), 2), rss


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30
    parent = f'/memcrest-bench-top-{os.getpid()}'
    paths = [f'{parent}/docker/{i:064x}' for i in range(count)]
    with contextlib.ExitStack() as stack:
        for path in (parent, f'{parent}/docker', *paths):
            stack.enter_context(cgroups.made(path))
        with Screen('--docker-socket', '', '--no-bundles', '--cgroup', parent, columns=120, rows=40) as screen:
            screen.wait(f'{count} containers')
            time.sleep(3)
            pid = pid_of(screen)
            for name, work in (('idle', lambda: time.sleep(0.2)),
                               ('10 bursts a second', lambda: (time.sleep(0.05), grow_in(random.choice(paths))))):
                share, rss = measure(pid, seconds, work)
                print(json.dumps({'benchmark': 'top', 'containers': count, 'they are': name, 'cpu_percent': share,
                                  'rss_kib': rss}), flush=True)


if __name__ == '__main__':
    main()
