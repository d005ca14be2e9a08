# SPDX-License-Identifier: Apache-2.0
"""`memcrest break`: processes are stopped at a line, dumped, and always let go again."""

import contextlib
import glob
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
import unittest

import harness
from harness import HOG, MEMCREST, MIB, cgroups, docker, memcrest, read, run, shared_cgroup, wait_until
from test_agent import Agent

# Beyond the line may lie what each CPU keeps in stock (64 pages), a batch that other CPUs hold, and one huge page.
PAGE = os.sysconf('SC_PAGE_SIZE')


def overshoot_bound(threads=1):
    cpus = os.cpu_count()
    return 2 * cpus * 64 * PAGE + (threads + 1) * 2 * MIB


def setUpModule():
    harness.start_docker()


def tearDownModule():
    harness.stop_docker()


def state_of(pid):
    """The letters of all of its threads; empty: it is gone."""
    letters = set()
    for stat in glob.glob(f'/proc/{pid}/task/*/stat'):
        try:
            letters.add(read(stat).rsplit(')', 1)[1].split()[0])
        except OSError:
            pass
    return letters


def is_stopped(pid):
    return 'T' in state_of(pid)


def pids_in(path):
    try:
        return [int(line) for line in read(os.path.join(cgroups.dir(path), 'cgroup.procs')).split()]
    except OSError:
        return []


class Break(harness.Watch):
    """`memcrest break` for the life of a with statement."""

    def __init__(self, *options, **more):
        super().__init__(*options, **more)

    def __enter__(self):
        self.process = subprocess.Popen([*self.command, 'break', *self.options], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env)
        self.out = harness.Lines(self.process.stdout)
        self.err = harness.Lines(self.process.stderr)
        if not wait_until(lambda: self.banner() or self.process.poll() is not None) or not self.banner():
            self.process.kill()
            self.process.wait()
            self.err.finish()
            raise AssertionError(f'no banner: {self.err.text()}')
        return self

    def banner(self):
        return next((line for _, line in self.err.items if line.startswith(b'memcrest: breaking at')), None)

    def summary(self):
        return next((line.decode() for _, line in self.err.items if b'reached; lost:' in line), None)

    def hit(self, container=None, update=None, **more):
        return self.wait_for('breakpoint', container, update=update, **more)

    def told(self):
        return self.err.text()


# Waits for go(), which no record of memcrest's has to be read for.
WAITING = ('sh', '-c', 'while [ ! -e /go ]; do sleep 0.05; done; exec hog anon 100m --no-thp --hold 60000')


@contextlib.contextmanager
def deaf(process):
    """memcrest reads nothing meanwhile, and its critical ring (64 KiB) is full."""
    process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(600):
            path = cgroups.dir(f'/memcrest-full-{os.getpid()}')
            os.mkdir(path)
            os.rmdir(path)
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def go(container):
    docker('exec', container, 'touch', '/go')
    return wait_until(lambda: any(is_stopped(pid) for pid in pids_in(shared_cgroup(container))), timeout=5)


class BreakTest(harness.TestCase):
    def run_container(self, *command, memory='128m', name=None, options=()):
        container, name = docker.create(*command, memory=memory, name=name, options=options)
        self.remove_later(container)
        docker('start', container)
        return container, name

    def assert_hit(self, incident, line, threads=1):
        hit = incident['breakpoint']
        self.assertEqual(hit['line_bytes'], line)
        self.assertEqual(incident['usage_bytes'] - line, hit['overshoot_bytes'])
        self.assertLessEqual(hit['overshoot_bytes'], overshoot_bound(threads))
        self.assertFalse(hit['late'])
        self.assertIsNone(hit['errno'])
        return hit

    def assert_all_run(self, path):
        self.assertTrue(wait_until(lambda: not any(is_stopped(pid) for pid in pids_in(path)), timeout=10),
                        {pid: state_of(pid) for pid in pids_in(path)})

    # Stop and resume

    def stops_at_its_line(self, *more, threads=1):
        name = harness.unique()
        with Break('--at', '50%', '--container', name, '--hold', '2s') as watch:
            container, _ = self.run_container('hog', 'anon', '100m', '--hold', '60000', *more, name=name)
            incident = watch.hit(container)
            hit = self.assert_hit(incident, 64 * MIB, threads)
            pid = incident['trigger']['pid']
            self.assert_named(incident, container, name)
            self.assertEqual(hit['signal'], 'SIGSTOP')
            self.assertEqual(hit['rule'], '50%')
            self.assertEqual(incident['limit']['bytes'], 128 * MIB)
            self.assertEqual([one['pid'] for one in hit['processes']], [pid])
            self.assertTrue(hit['processes'][0]['held'])
            self.assertGreater(hit['processes'][0]['rss_bytes'], 32 * MIB)
            self.assertEqual(incident['trigger']['container_pid'], 1)
            over = watch.hit(container, update='breakpoint')
            self.assertEqual(over['id'], incident['id'])
            self.assertIn('resumed after', over['breakpoint']['outcome'])
            self.assertGreaterEqual(over['breakpoint']['held_ms'], 2000)
            # It goes on to what it wanted.
            self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(container)) >= 100 * MIB))
            self.assert_all_run(shared_cgroup(container))
            self.assertEqual(len(watch.incidents('breakpoint', container)), 1)
        return hit

    def test_stops_a_process_at_its_line_and_resumes_it(self):
        self.stops_at_its_line('--no-thp')

    def test_of_eight_threads_one_is_told_and_all_are_stopped(self):
        self.stops_at_its_line('--no-thp', '--threads', '8', threads=8)

    def test_huge_pages_pass_the_line_by_one(self):
        self.stops_at_its_line('--thp')

    def test_it_stands_still_while_it_is_held(self):
        name = harness.unique()
        with Break('--at', '48m', '--container', name, '--hold', 'forever') as watch:
            container, _ = self.run_container('hog', 'anon', '100m', '--no-thp', '--hold', '60000', name=name)
            pid = watch.hit(container)['trigger']['pid']
            self.assertEqual(state_of(pid), {'T'})
            path = shared_cgroup(container)
            before = cgroups.read(path, 'memory.usage_in_bytes', 'memory.current')
            watch.settle(1)
            self.assertEqual(state_of(pid), {'T'})
            self.assertLess(abs(int(cgroups.read(path, 'memory.usage_in_bytes', 'memory.current')) - int(before)), MIB)
            done = memcrest('break', '--resume')
            self.assertEqual(done.returncode, 0, done.stderr)
            over = watch.hit(container, update='breakpoint')
            self.assertIn('--resume', over['breakpoint']['outcome'])
            self.assert_all_run(path)

    def test_nobody_is_told_to_resume_where_nobody_breaks(self):
        done = memcrest('break', '--resume')
        self.assertEqual(done.returncode, 1)
        self.assertIn('no other', done.stderr)

    def test_all_of_a_pool_that_grow_on_are_stopped(self):
        name = harness.unique()
        script = 'for i in 1 2 3 4; do hog anon 40m --no-thp --rate 40 --hold 60000 & done; wait'
        with Break('--at', '64m', '--container', name, '--hold', '5s') as watch:
            container, _ = self.run_container('sh', '-c', script, memory='256m', name=name)
            self.assert_hit(watch.hit(container), 64 * MIB, threads=4)
            path = shared_cgroup(container)
            hogs = [pid for pid in pids_in(path) if read(f'/proc/{pid}/comm').strip() == 'hog']
            self.assertEqual(len(hogs), 4)
            self.assertTrue(wait_until(lambda: all(is_stopped(pid) for pid in hogs), timeout=4))
            watch.hit(container, update='breakpoint')
            self.assertEqual(len(watch.incidents('breakpoint', container)), 1, 'one hit, however many are stopped')
            self.assertTrue(wait_until(lambda: cgroups.peak(path) >= 160 * MIB))
            self.assert_all_run(path)

    def test_ctrl_c_resumes(self):
        name = harness.unique()
        with Break('--at', '48m', '--container', name, '--hold', 'forever') as watch:
            container, _ = self.run_container('hog', 'anon', '100m', '--no-thp', '--hold', '60000', name=name)
            pid = watch.hit(container)['trigger']['pid']
            self.assertTrue(is_stopped(pid))
            self.assertEqual(watch.stop(signal.SIGINT), 0)
            self.assert_all_run(shared_cgroup(container))
            self.assertNotEqual(state_of(pid), set())

    def test_others_have_no_line(self):
        mine, other = harness.unique(), harness.unique()
        with Break('--at', '32m', '--container', mine, '--hold', '1s') as watch:
            bystander, _ = self.run_container('hog', 'anon', '64m', '--no-thp', '--hold', '60000', name=other)
            self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(bystander)) >= 64 * MIB))
            container, _ = self.run_container('hog', 'anon', '64m', '--no-thp', '--hold', '60000', name=mine)
            watch.hit(container)
            self.assertEqual({one['container']['name'] for one in watch.incidents('breakpoint')}, {mine})

    def test_one_that_is_above_its_line_already_is_told_at_once(self):
        container, name = self.run_container('hog', 'anon', '64m', '--no-thp', '--hold', '60000')
        path = shared_cgroup(container)
        self.assertTrue(wait_until(lambda: cgroups.peak(path) >= 64 * MIB))
        with Break('--at', '32m', '--container', name, '--hold', '2s') as watch:
            hit = watch.hit(container)['breakpoint']
            self.assertTrue(hit['late'])
            self.assertGreaterEqual(hit['overshoot_bytes'], 31 * MIB)
            self.assertTrue(all(one['held'] for one in hit['processes']))
            watch.hit(container, update='breakpoint')
            self.assert_all_run(path)
            self.assertIn('already', watch.told() if watch.process.poll() is not None else
                          b''.join(line for _, line in watch.err.items).decode())

    def test_a_container_that_runs_already_is_caught_when_it_grows(self):
        container, name = self.run_container('sh', '-c', 'sleep 3; exec hog anon 64m --no-thp --hold 60000')
        with Break('--at', '32m', '--container', name, '--hold', '1s') as watch:
            self.assert_hit(watch.hit(container), 32 * MIB)

    def test_once_ends_after_the_first(self):
        name = harness.unique()
        with Break('--at', '32m', '--container', name, '--hold', '500ms', '--once') as watch:
            self.run_container('hog', 'anon', '64m', '--no-thp', '--hold', '60000', name=name)
            self.assertEqual(watch.wait(), 0)
            self.assertEqual(len(watch.incidents('breakpoint')), 1)

    def test_armed_again_below(self):
        name = harness.unique()
        with Break('--at', '48m', '--rearm-below', '24m', '--container', name, '--hold', '500ms') as watch:
            container, _ = self.run_container('hog', 'loop', '3', 'anon', '64m', '--no-thp', '--hold', '1000',
                                              '--repeat', '3', '--pause', '4000', name=name)
            self.assertTrue(wait_until(lambda: len(watch.incidents('breakpoint', container)) >= 2, timeout=40))

    def test_a_line_follows_the_limit(self):
        name = harness.unique()
        with Break('--at', '50%', '--container', name, '--hold', '1s') as watch:
            container, _ = self.run_container('sh', '-c', 'sleep 5; exec hog anon 100m --no-thp --hold 60000', name=name)
            time.sleep(1)
            docker('update', '--memory', '160m', '--memory-swap', '160m', container)
            self.assert_hit(watch.hit(container), 80 * MIB)

    def test_growth_in_a_short_time(self):
        """24 MiB a second are let go, however much they come to; what comes at once is caught, above what was there."""
        name = harness.unique()
        script = ('hog anon 60m --no-thp --rate 24 --hold 60000 & sleep 5; '
                  'exec hog anon 80m --no-thp --hold 60000')
        with Break('--growth', '40m/1s', '--container', name, '--hold', '1s') as watch:
            container, _ = self.run_container('sh', '-c', script, memory='256m', name=name)
            incident = watch.hit(container)
            line = incident['breakpoint']['line_bytes']
            self.assert_hit(incident, line)
            self.assertEqual(incident['breakpoint']['rule'], '40.0 MiB within 1.00 s')
            self.assertTrue(99 * MIB <= line <= 108 * MIB, line)  # the 60, the shell's, and how seldom a line is moved
            watch.hit(container, update='breakpoint')
            self.assert_all_run(shared_cgroup(container))
            self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(container)) >= 140 * MIB))
            self.assertEqual(len(watch.incidents('breakpoint', container)), 1)

    def test_a_size_and_growth_what_comes_first(self):
        done = memcrest('break', '--at', '48m', '--growth', '16m/10s', '--memory', '128m', '--hold', '300ms', '--', HOG,
                        'anon', '64m', '--no-thp')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('16.0 MiB within 10.0 s', done.stderr)
        self.assertIn('1 line reached', done.stderr)

    # What is done meanwhile

    def test_a_signal_instead(self):
        name = harness.unique()
        with Break('--at', '48m', '--container', name, '--signal', 'TERM') as watch:
            container, _ = self.run_container('sh', '-c', 'hog anon 100m --no-thp --hold 60000; sleep 60', name=name)
            incident = watch.hit(container)
            hit = self.assert_hit(incident, 48 * MIB)
            self.assertEqual((hit['signal'], hit['held_ms']), ('SIGTERM', 0))
            self.assertTrue(wait_until(lambda: state_of(incident['trigger']['pid']) == set()))

    def test_a_command_meanwhile(self):
        directory = self.scratch()
        name = harness.unique()
        command = 'cut -d" " -f3 /proc/$MEMCREST_PID/stat; echo $MEMCREST_USAGE'
        with Break('--at', '48m', '--container', name, '--exec', command, '--output', directory + '/out') as watch:
            container, _ = self.run_container('hog', 'anon', '100m', '--no-thp', '--hold', '60000', name=name)
            first = watch.hit(container)
            over = first if first['breakpoint']['outcome'] else watch.hit(container, update='breakpoint')
            hit = over['breakpoint']
            self.assertFalse(hit['failed'])
            self.assertEqual(hit['outcome'], '/bin/sh ended with 0')
            self.assertEqual(os.stat(hit['output']).st_mode & 0o777, 0o700)
            self.assertEqual(read(hit['output'] + '/output.txt').split(), ['T', str(over['usage_bytes'])])
            self.assert_all_run(shared_cgroup(container))

    def test_a_command_that_takes_too_long_is_ended(self):
        directory = self.scratch()
        name = harness.unique()
        with Break('--at', '48m', '--container', name, '--exec', 'sleep 600 & sleep 600', '--hold', '1s', '--output',
                   directory + '/out') as watch:
            container, _ = self.run_container('hog', 'anon', '100m', '--no-thp', '--hold', '60000', name=name)
            first = watch.hit(container)
            over = first if first['breakpoint']['outcome'] else watch.hit(container, update='breakpoint')
            self.assertTrue(over['breakpoint']['failed'])
            self.assert_all_run(shared_cgroup(container))

    def test_smaps_of_all_processes(self):
        directory = self.scratch()
        name = harness.unique()
        with Break('--at', '48m', '--container', name, '--dump', 'smaps', '--output', directory + '/out') as watch:
            container, _ = self.run_container('sh', '-c', 'hog anon 100m --no-thp --hold 60000; true', name=name)
            first = watch.hit(container)
            over = first if first['breakpoint']['outcome'] else watch.hit(container, update='breakpoint')
            hit = over['breakpoint']
            self.assertFalse(hit['failed'], hit)
            self.assertEqual(hit['total_processes'], 2)
            for one in hit['processes']:
                self.assertIn('Rss:', read(f"{hit['output']}/{one['pid']}.smaps"))
                self.assertIn('State:\tT' if one['held'] else 'State:\tS', read(f"{hit['output']}/{one['pid']}.status"))

    @unittest.skipUnless(shutil.which('gcore'), 'gdb is not installed')
    def test_a_core(self):
        directory = self.scratch()
        name = harness.unique()
        with Break('--at', '48m', '--container', name, '--dump', 'core', '--output', directory + '/out') as watch:
            container, _ = self.run_container('hog', 'anon', '100m', '--no-thp', '--hold', '60000', name=name)
            first = watch.hit(container, timeout=60)
            over = first if first['breakpoint']['outcome'] else watch.hit(container, update='breakpoint', timeout=60)
            hit = over['breakpoint']
            self.assertFalse(hit['failed'], hit)
            core = f"{hit['output']}/core.{over['trigger']['pid']}"
            self.assertGreater(os.path.getsize(core), 40 * MIB)
            self.assert_all_run(shared_cgroup(container))

    def test_frozen_as_a_whole(self):
        name = harness.unique()
        script = 'sh -c "while :; do :; done" & exec hog anon 100m --no-thp --hold 60000'
        with Break('--at', '48m', '--container', name, '--freeze', '--hold', '2s') as watch:
            container, _ = self.run_container('sh', '-c', script, name=name)
            hit = watch.hit(container)['breakpoint']
            self.assertEqual([one['held'] for one in hit['processes']], [True] * len(hit['processes']))
            watch.hit(container, update='breakpoint')
            busy = next(pid for pid in pids_in(shared_cgroup(container)) if read(f'/proc/{pid}/comm').strip() == 'sh')
            ticks = lambda: int(read(f'/proc/{busy}/stat').rsplit(')', 1)[1].split()[11])
            before = ticks()
            self.assertTrue(wait_until(lambda: ticks() > before), 'it was thawed')

    # A command

    def test_a_command_of_its_own(self):
        done = memcrest('break', '--at', '50%', '--memory', '64m', '--hold', '300ms', '--', HOG, 'anon', '40m', '--no-thp')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('BREAKPOINT', done.stderr)
        self.assertIn('line       32.0 MiB', done.stderr)
        self.assertIn('1 line reached', done.stderr)

    def test_the_commands_exit_code_is_ours(self):
        done = memcrest('break', '--at', '50%', '--memory', '64m', '--', 'sh', '-c', 'exit 7')
        self.assertEqual(done.returncode, 7)
        self.assertEqual(memcrest('break', '--at', '1m', '--', 'no-such-command').returncode, 127)

    def test_where_no_hook_sees_charges_it_is_late_and_says_so(self):
        done = memcrest('break', '--at', '50%', '--memory', '64m', '--hold', '300ms', '--json', '--charge-tier', 'sampled',
                        '--', HOG, 'anon', '40m', '--no-thp', '--hold', '1000')
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith('{')]
        self.assertTrue(lines, done.stderr)
        self.assertTrue(lines[0]['breakpoint']['late'])
        self.assertIsNone(lines[0]['trigger'])
        self.assertIn('late', done.stderr)

    # Nothing stays stopped

    def test_kill_of_memcrest_leaves_nobody_stopped(self):
        """At random moments around the crossing: before it, while it is told, while it is held."""
        generator = random.Random(7)
        for attempt in range(20):
            name = harness.unique()
            process = subprocess.Popen([MEMCREST, 'break', '--at', '40m', '--container', name, '--hold', 'forever',
                                        '--docker-socket', docker.socket], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE)
            self.addCleanup(process.stderr.close)
            try:
                while b'breaking at' not in process.stderr.readline():
                    self.assertIsNone(process.poll())
                container, _ = self.run_container('hog', 'anon', '100m', '--no-thp', '--rate', '200', '--threads', '4',
                                                  '--hold', '60000', name=name)
                path = shared_cgroup(container)
                if attempt % 2:
                    self.assertTrue(wait_until(lambda: any(is_stopped(pid) for pid in pids_in(path))))
                time.sleep(generator.uniform(0, 0.3))
            finally:
                process.kill()
                process.wait()
            # It goes on to its end: it was not left behind.
            self.assertTrue(wait_until(lambda: cgroups.peak(path) >= 100 * MIB, timeout=15),
                            f'attempt {attempt}: {[(pid, state_of(pid)) for pid in pids_in(path)]}')
            self.assert_all_run(path)
            docker('rm', '-f', container)

    def test_kill_of_memcrest_thaws(self):
        name = harness.unique()
        process = subprocess.Popen([MEMCREST, 'break', '--at', '40m', '--container', name, '--hold', 'forever', '--freeze',
                                    '--json', '--docker-socket', docker.socket], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        try:
            while b'breaking at' not in process.stderr.readline():
                self.assertIsNone(process.poll())
            container, _ = self.run_container('hog', 'anon', '100m', '--no-thp', '--hold', '60000', name=name)
            incident = json.loads(process.stdout.readline())
            self.assertTrue(all(one['held'] for one in incident['breakpoint']['processes']))
        finally:
            process.kill()
            process.wait()
        self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(container)) >= 100 * MIB, timeout=15))
        self.assert_all_run(shared_cgroup(container))

    def held_in_a_container(self, *options):
        """A memcrest that holds a container's process for ever."""
        name = harness.unique()
        process = subprocess.Popen([MEMCREST, 'break', '--at', '40m', '--container', name, '--hold', 'forever', *options,
                                    '--json', '--docker-socket', docker.socket], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        while b'breaking at' not in process.stderr.readline():
            self.assertIsNone(process.poll())
        container, _ = self.run_container('hog', 'anon', '100m', '--no-thp', '--hold', '60000', name=name)
        pid = json.loads(process.stdout.readline())['trigger']['pid']
        self.assertTrue(is_stopped(pid))
        return process, container, pid

    def assert_ends_unguarded(self, process):
        self.assertEqual(process.wait(30), 1)
        self.assertIn(b'the guardian is gone', process.stderr.read())
        self.assertIn("guardian was gone", json.loads(process.stdout.readline())['breakpoint']['outcome'])

    def test_a_memcrest_that_does_not_answer_leaves_nobody_stopped(self):
        """As after Ctrl-Z, or where a file of a container never gives its bytes."""
        process, container, pid = self.held_in_a_container()
        process.send_signal(signal.SIGSTOP)
        self.assertTrue(wait_until(lambda: not is_stopped(pid), timeout=30))
        self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(container)) >= 100 * MIB))
        process.send_signal(signal.SIGCONT)
        self.assert_ends_unguarded(process)

    def test_without_its_guardian_it_lets_go_and_ends(self):
        process, container, _ = self.held_in_a_container()
        children = read(f'/proc/{process.pid}/task/{process.pid}/children').split()
        guardian, = [int(pid) for pid in children if read(f'/proc/{pid}/comm').strip() == 'break-guard']
        os.kill(guardian, signal.SIGKILL)
        self.assert_ends_unguarded(process)
        self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(container)) >= 100 * MIB))
        self.assert_all_run(shared_cgroup(container))

    def test_one_whose_record_was_lost_is_told_as_far_as_it_can_be(self):
        name = harness.unique()
        with Break('--at', '50%', '--container', name, '--hold', '2s', '--critical-ring', '64k') as watch:
            container, _ = self.run_container(*WAITING, name=name)
            time.sleep(2)  # it is armed
            with deaf(watch.process):
                self.assertTrue(go(container))
            incident = watch.hit(container)
            self.assert_lost(incident)
            # It is read later, when CPUs have given back what they kept in stock.
            self.assertEqual(incident['breakpoint']['line_bytes'], 64 * MIB)
            self.assertGreater(incident['usage_bytes'], 63 * MIB)
            self.assertLessEqual(incident['breakpoint']['overshoot_bytes'], overshoot_bound())
            self.assert_named(incident, container, name)
            self.assertIn('resumed after', watch.hit(container, update='breakpoint')['breakpoint']['outcome'])
            self.assert_all_run(shared_cgroup(container))
            self.assertEqual(len(watch.incidents('breakpoint', container)), 1)

    def test_so_is_a_signal_whose_record_was_lost(self):
        name = harness.unique()
        with Break('--at', '50%', '--container', name, '--signal', 'TERM', '--critical-ring', '64k') as watch:
            container, _ = self.run_container('sh', '-c', 'while [ ! -e /go ]; do sleep 0.05; done; '
                                              'hog anon 100m --no-thp --hold 60000; sleep 60', name=name)
            time.sleep(2)
            with deaf(watch.process):
                docker('exec', container, 'touch', '/go')
                self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(container)) >= 64 * MIB))
                time.sleep(1)
            incident = watch.hit(container)
            self.assertTrue(any('the record of this hit was lost' in gap for gap in incident['evidence']['gaps']))
            self.assertIn('SIGTERM sent', incident['breakpoint']['outcome'])
            self.assertEqual(len(watch.incidents('breakpoint', container)), 1)
            self.assertLess(cgroups.peak(shared_cgroup(container)), 100 * MIB, 'it ended hog')

    def assert_lost(self, incident):
        self.assertGreater(incident['evidence']['lost_critical'], 0)
        self.assertFalse(incident['evidence']['complete'])
        self.assertTrue(any('the record of this hit was lost' in gap for gap in incident['evidence']['gaps']))
        self.assertEqual((incident['trigger']['tid'], incident['trigger']['comm']), (0, 'hog'))
        self.assertEqual(incident['trigger']['container_pid'], 1)
        self.assertEqual(incident['breakpoint']['frames'], [])

    # Cgroups without a container

    def in_cgroup(self, path, *command):
        process = subprocess.Popen(['sh', '-c', f'echo 0 > {cgroups.dir(path)}/cgroup.procs && exec "$@"', 'sh', *command],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_the_line_of_a_parent(self):
        with cgroups.made('/' + harness.unique('break'), 64 * MIB) as parent, cgroups.made(parent + '/inner') as inner:
            with Break('--at', '50%', '--cgroup', parent, '--hold', '1s') as watch:
                process = self.in_cgroup(inner, 'sh', '-c', f'sleep 2; exec {HOG} anon 50m --no-thp --hold 100')
                incident = watch.hit(match=lambda one: one['cgroup']['path'] == parent)
                self.assert_hit(incident, 32 * MIB)
                self.assertEqual(incident['trigger']['pid'], process.pid)
                self.assertEqual([one['pid'] for one in incident['breakpoint']['processes'] if one['held']], [process.pid])
                self.assertEqual(process.wait(30), 0)

    def test_a_percentage_of_the_limit_above(self):
        with cgroups.made('/' + harness.unique('break'), 64 * MIB) as parent, cgroups.made(parent + '/inner') as inner:
            with Break('--at', '50%', '--cgroup', inner, '--hold', '1s') as watch:
                process = self.in_cgroup(inner, 'sh', '-c', f'sleep 2; exec {HOG} anon 50m --no-thp --hold 100')
                self.assert_hit(watch.hit(match=lambda one: one['cgroup']['path'] == inner), 32 * MIB)
                self.assertEqual(process.wait(30), 0)

    def test_a_daemon_that_came_after_the_line_is_let_go(self):
        daemon = os.path.join(self.scratch(), 'dockerd')
        shutil.copy(HOG, daemon)
        with cgroups.made('/' + harness.unique('break')) as path, \
                Break('--at', '40m', '--cgroup', path, '--hold', 'forever') as watch:
            process = self.in_cgroup(path, 'sh', '-c', f'sleep 2; exec {daemon} anon 80m --no-thp --hold 100')
            over = watch.hit(match=lambda one: one['cgroup']['path'] == path)
            self.assertIn('let go at once: dockerd, pid', over['breakpoint']['outcome'])
            self.assertTrue(over['breakpoint']['failed'])
            self.assertEqual(process.wait(30), 0)

    def test_who_is_frozen_by_others_stays_frozen(self):
        container, name = self.run_container('hog', 'anon', '80m', '--no-thp', '--hold', '60000')
        self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(container)) >= 80 * MIB))
        docker('pause', container)
        with Break('--at', '48m', '--container', name, '--hold', '1s', '--freeze') as watch:
            self.assertTrue(watch.hit(container)['breakpoint']['late'])
            watch.hit(container, update='breakpoint')
            self.assertIn('it is frozen already', watch.told())
        with open(f'/proc/{docker.inspect(container, ".State.Pid")}/cgroup', encoding='utf-8') as lines:
            at = {name: path for _, name, path in (line.strip().split(':', 2) for line in lines)}
        state = read(f'/sys/fs/cgroup/freezer{at["freezer"]}/freezer.state') if 'freezer' in at else \
            read(f'/sys/fs/cgroup{at[""]}/cgroup.freeze')
        self.assertIn(state.strip(), ('FROZEN', '1'))
        docker('unpause', container)
        self.assert_all_run(shared_cgroup(container))

    def test_however_fast_it_grows_it_is_caught_before_the_limit(self):
        """The limit lies 5 % above the line, and what is wanted far above both. MEMCREST_BREAK_ROUNDS: how often each."""
        line = 120 * MIB
        name = harness.unique('fast')
        rounds = int(os.environ.get('MEMCREST_BREAK_ROUNDS', '5'))
        beyond = {}
        with Break('--at', '120m', '--cgroup', f'/{name}-*', '--signal', 'KILL') as watch:
            for words in ('--no-thp', '--thp', '--no-thp --threads 8', '--thp --threads 2'):
                for attempt in range(rounds):
                    path = f'/{name}-{words.replace(" ", "")}-{attempt}'
                    with cgroups.made(path, line * 105 // 100):
                        # Until the line is set; then all at once.
                        process = self.in_cgroup(path, 'sh', '-c', f'sleep 0.7; exec {HOG} anon 600m --hold 100 {words}')
                        self.assertEqual(process.wait(60), -signal.SIGKILL, words)
                        self.assertEqual(cgroups.oom_kills(path), 0, f'{words}, attempt {attempt}')
                        hit = watch.hit(match=lambda one, at=path: one['cgroup']['path'] == at)['breakpoint']
                        self.assertFalse(hit['late'])
                        beyond.setdefault(words, []).append(hit['overshoot_bytes'])
        print({words: f'{len(all_of)} of {rounds}, at most {max(all_of) >> 10} KiB beyond' for words, all_of in beyond.items()})

    # Whom it never stops

    def test_a_cgroup_with_memcrest_inside_gets_no_line(self):
        with cgroups.made('/' + harness.unique('break')) as path:
            join = f'echo 0 > {cgroups.dir(path)}/cgroup.procs && exec "$@"'
            done = run('sh', '-c', join, 'sh', MEMCREST, 'break', '--at', '4k', '--cgroup', path, '--hold', '1s', '--', 'true',
                       check=False)
            self.assertNotEqual(done.returncode, 0)  # a filter does not go with a command
            process = subprocess.Popen(['sh', '-c', join, 'sh', MEMCREST, 'break', '--at', '4k', '--cgroup', path],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            lines = []
            reader = threading.Thread(target=lambda: lines.extend(process.stderr))
            reader.start()
            try:
                self.assertTrue(wait_until(lambda: any('memcrest itself' in line for line in lines)), lines)
            finally:
                process.terminate()
                self.assertEqual(process.wait(30), 0)
                reader.join()
                process.stderr.close()

    def test_wrong_command_lines(self):
        for arguments, text in ((('--container', 'x'), '--at'), (('--at', '0'), '--at'), (('--at', '101%'), '100%'),
                                (('--at', '1m'), 'whom'), (('--growth', '1m'), '--growth'), (('--growth', '1m/1ms'), '100ms'),
                                (('--growth', '0/1s'), '--growth'), (('--growth', '1m/1s'), 'whom'), (('--at', '1m', '--container', 'x', '--signal', 'NO'), '--signal'),
                                (('--at', '1m', '--container', 'x', '--dump', 'no'), '--dump'),
                                (('--at', '1m', '--container', 'x', '--stop', '--exec', 'true'), 'one of'),
                                (('--at', '1m', '--container', 'x', '--hold', '25h'), '--hold'),
                                (('--at', '50%', '--', 'true'), '--memory')):
            done = memcrest('break', *arguments)
            self.assertIn(done.returncode, (2, 125), arguments)
            self.assertIn(text, done.stderr)


class PolicyTest(harness.TestCase):
    """What the agent does at lines: for whom asks, if it is allowed, and seldom."""

    def setUp(self):
        super().setUp()
        self.directory = self.scratch()

    def agent(self, *options):
        return Agent(self.directory, '--break-at', '50%', *options)

    def run_container(self, *command, label=None, name=None):
        container, name = docker.create(*command, memory='128m', name=name,
                                        options=[f'--label=memcrest.break={label}'] if label else [])
        self.remove_later(container)
        docker('start', container)
        return container

    def waits(self, *hog):
        """A program that lets the agent find its container first."""
        return ('sh', '-c', f'sleep 3; exec hog {" ".join(hog)}')

    def hits(self, agent, container):
        return [i for i in agent.incidents() if i['kind'] == 'breakpoint' and i['container']['id'] == container]

    def test_what_a_label_asks_for_is_done(self):
        with self.agent('--break-allow', 'smaps,signal:TERM') as agent:
            asks = self.run_container(*self.waits('anon', '100m', '--no-thp', '--hold', '60000'), label='smaps')
            signalled = self.run_container('sh', '-c', 'sleep 3; hog anon 100m --no-thp --hold 60000; sleep 60',
                                           label='signal:TERM')
            silent = self.run_container(*self.waits('anon', '100m', '--no-thp', '--hold', '60000'))
            self.assertTrue(wait_until(lambda: [i for i in self.hits(agent, asks) if i['breakpoint']['outcome']]),
                            agent.err.text())
            incident = self.hits(agent, asks)[0]
            hit = incident['breakpoint']
            self.assertEqual((hit['rule'], hit['line_bytes'], hit['failed']), ('50%', 64 * MIB, False))
            self.assertIn('smaps of 1 processes written', hit['outcome'])
            self.assertTrue(hit['output'].startswith(f'{self.directory}/break/'))
            # On the page as well, whose recording was made before it was over.
            page = agent.get(f"/api/v1/incidents/{incident['id']}?format=markdown")[1]
            self.assertIn('smaps of 1 processes written', page)
            self.assertIn('| 1 breakpoint |', page)
            self.assertIn('Rss:', read(f"{hit['output']}/{incident['trigger']['pid']}.smaps"))
            self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(asks)) >= 100 * MIB), 'it goes on')
            self.assertTrue(wait_until(lambda: self.hits(agent, signalled)))
            self.assertIn('SIGTERM sent', self.hits(agent, signalled)[0]['breakpoint']['outcome'])
            self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(silent)) >= 100 * MIB))
            self.assertEqual(self.hits(agent, silent), [])
            self.assertEqual(agent.sample('memcrest_breakpoint_actions_total', 'action="smaps"', 'result="done"'), 1)
            self.assertEqual(agent.sample('memcrest_breakpoint_actions_total', 'action="signal:TERM"', 'result="done"'), 1)
            self.assertEqual(agent.sample('memcrest_incidents_total', 'kind="breakpoint"'), 2)
            told = {i['id']: i['breakpoint']['outcome'] for i in self.hits(agent, asks) + self.hits(agent, signalled)}
            self.assertEqual(agent.stop(), 0)
        # And in the recordings, which had it as it was reached.
        recorded = {}
        for file in sorted(glob.glob(f'{self.directory}/**/memcrest-*.db', recursive=True)):
            for one in json.loads(run(MEMCREST, 'report', '--format', 'json', file).stdout)['incidents']:
                if one['incident']['kind'] == 'breakpoint':
                    recorded[one['incident']['id']] = one['incident']['breakpoint']['outcome']
        self.assertEqual(recorded, told)

    def test_what_is_not_allowed_is_not_done(self):
        with self.agent('--break-allow', 'smaps') as agent:
            asks = self.run_container(*self.waits('anon', '100m', '--no-thp', '--hold', '60000'), label='signal:KILL')
            self.assertTrue(wait_until(lambda: agent.says("asks for 'signal:KILL'")))
            self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(asks)) >= 100 * MIB))
            self.assertEqual(self.hits(agent, asks), [])

    def test_once_in_a_while_and_only_so_often_on_a_host(self):
        with self.agent('--break-allow', 'smaps', '--break-default', 'smaps', '--break-most', '2') as agent:
            again = self.run_container('sh', '-c', 'sleep 3; hog anon 100m --no-thp --repeat 3 --pause 1500 --hold 500; '
                                       'sleep 60')
            self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(again)) >= 100 * MIB))
            self.assertTrue(wait_until(lambda: self.hits(agent, again)))
            second = self.run_container(*self.waits('anon', '100m', '--no-thp', '--hold', '60000'))
            self.assertTrue(wait_until(lambda: self.hits(agent, second)))
            self.assertTrue(wait_until(lambda: agent.says('2 lines were reached within an hour')))
            third = self.run_container(*self.waits('anon', '100m', '--no-thp', '--hold', '60000'))
            self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(third)) >= 100 * MIB))
            time.sleep(1)
            self.assertEqual([len(self.hits(agent, one)) for one in (again, second, third)], [1, 1, 0])

    def test_nobody_stays_stopped_when_the_agent_is_killed(self):
        with self.agent('--break-allow', 'stop', '--break-hold', '5min') as agent:
            container = self.run_container(*self.waits('anon', '100m', '--no-thp', '--hold', '60000'), label='stop')
            self.assertTrue(wait_until(lambda: self.hits(agent, container)), agent.err.text())
            pid = self.hits(agent, container)[0]['trigger']['pid']
            self.assertTrue(is_stopped(pid))
            agent.process.kill()
            agent.process.wait()
            self.assertTrue(wait_until(lambda: not is_stopped(pid), timeout=10))
            self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(container)) >= 100 * MIB))

    def test_what_is_done_is_told_where_the_record_was_lost(self):
        with self.agent('--break-allow', 'smaps', '--critical-ring', '64k') as agent:
            container = self.run_container(*WAITING, label='smaps')
            time.sleep(3)
            with deaf(agent.process):
                docker('exec', container, 'touch', '/go')
                self.assertTrue(wait_until(lambda: cgroups.peak(shared_cgroup(container)) >= 100 * MIB), 'it goes on')
                time.sleep(3)  # all is over by then, and nothing may be done a second time
            self.assertTrue(wait_until(lambda: [i for i in self.hits(agent, container) if i['breakpoint']['outcome']]))
            time.sleep(1)
            self.assertEqual(len(os.listdir(os.path.join(self.directory, 'break'))), 1)
            incident, = self.hits(agent, container)
            BreakTest.assert_lost(self, incident)
            self.assertIn('smaps of 1 processes written', incident['breakpoint']['outcome'])
            self.assertEqual(agent.sample('memcrest_breakpoint_actions_total', 'action="smaps"', 'result="done"'), 1)

    def test_without_the_capability_to_resume_the_agent_does_not_start(self):
        done = harness.run('setpriv', '--bounding-set=-kill', MEMCREST, 'agent', '--directory', self.directory, '--listen',
                           '127.0.0.1:0', '--break-at', '90%', '--break-allow', 'smaps', check=False, timeout=30)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn('--break-at: CAP_KILL is missing: whoever is stopped could not be resumed', done.stderr)

    def test_the_configuration_is_checked(self):
        for options, text in ((('--break-allow', 'smaps'), '--break-at'), (('--break-at', '90%'), '--break-allow'),
                              (('--break-at', '90%', '--break-allow', 'rm'), "'rm'"),
                              (('--break-at', '90%', '--break-allow', 'smaps', '--break-default', 'stop'), '--break-default')):
            done = memcrest('agent', '--check-config', *options)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(text, done.stderr)


if __name__ == '__main__':
    harness.main()
