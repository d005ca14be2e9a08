# SPDX-License-Identifier: Apache-2.0
"""`memcrest run`: /usr/bin/time for memory. It must be as if it were not there."""

import glob
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import harness
from harness import HOG, MEMCREST, MIB, cgroups, memcrest, wait_until


def run_cgroups():
    return glob.glob(cgroups.memory + '/**/memcrest-run-*', recursive=True)


def leftovers():
    """Those whose owner is gone. Others may be of a memcrest that has nothing to do with us."""
    return [d for d in run_cgroups() if not os.path.isdir('/proc/' + os.path.basename(d).split('-')[2])]


class RunTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        before = set(leftovers())
        # Registered first, so that it runs when the test's own clean-up is done.
        self.addCleanup(lambda: self.assertTrue(wait_until(lambda: set(leftovers()) <= before, timeout=10), leftovers()))

    def report(self, *arguments, **options):
        """Runs with --json; returns (finished process, report)."""
        path = os.path.join(self.scratch(), 'report.json')
        done = memcrest('run', '--json', '--output', path, *arguments, **options)
        with open(path, encoding='utf-8') as file:
            return done, json.load(file)

    def start(self, *arguments, **options):
        process = subprocess.Popen([MEMCREST, 'run', *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, **options)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        return process

    def first_line(self, process):
        return process.stdout.readline().strip()

    # Exit codes and streams

    def test_exit_codes(self):
        for code in (0, 1, 7, 255):
            self.assertEqual(memcrest('run', '--', 'sh', '-c', f'exit {code}').returncode, code)
        for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGINT):
            self.assertEqual(memcrest('run', '--', HOG, 'signal', int(number)).returncode, 128 + number)

    def test_not_found_and_not_executable(self):
        done = memcrest('run', '--', 'no-such-command-at-all')
        self.assertEqual(done.returncode, 127)
        self.assertIn('no-such-command-at-all', done.stderr)
        self.assertEqual(memcrest('run', '--', '/etc/passwd').returncode, 126)
        self.assertEqual(memcrest('run', '--', '/').returncode, 126)

    def test_streams_pass_through(self):
        done = memcrest('run', '--', 'sh', '-c', 'cat; echo to-stderr >&2', input='some input\n')
        self.assertEqual(done.stdout, 'some input\n')
        self.assertIn('to-stderr\n', done.stderr)

    def test_report_goes_to_stderr_or_a_file_never_to_stdout(self):
        done = memcrest('run', '--', 'echo', 'only this')
        self.assertEqual(done.stdout, 'only this\n')
        self.assertIn('peak', done.stderr)
        path = os.path.join(self.scratch(), 'report')
        done = memcrest('run', '--output', path, '--', 'echo', 'only this')
        self.assertEqual(done.stdout, 'only this\n')
        self.assertNotIn('peak', done.stderr)
        with open(path, encoding='utf-8') as file:
            self.assertIn('peak', file.read())

    def test_options_of_the_command_are_its_own(self):
        self.assertEqual(memcrest('run', '--', 'echo', '--json', '--memory', '-h').stdout, '--json --memory -h\n')

    def test_a_closed_stdout_is_the_commands_business(self):
        done = harness.run('sh', '-c', f'{MEMCREST} run -- sh -c "exit 5" >&-', check=False)
        self.assertEqual(done.returncode, 5)
        done = harness.run('sh', '-c', f'{MEMCREST} run -- sh -c "echo x" >&-', check=False)
        self.assertNotEqual(done.returncode, 0)

    def test_environment_and_directory_pass_through(self):
        done = memcrest('run', '--', 'sh', '-c', 'echo $MC_TEST; pwd', env={**os.environ, 'MC_TEST': 'x y'}, cwd='/usr')
        self.assertEqual(done.stdout, 'x y\n/usr\n')

    # Memory

    def test_peak(self):
        done, report = self.report('--', HOG, 'anon', '64m', '--hold', '1')
        self.assertEqual(done.returncode, 0)
        self.assertEqual(report['exit_code'], 0)
        self.assertEqual(report['oom_kills'], 0)
        self.assertGreaterEqual(report['peak_bytes'], 64 * MIB)
        self.assertLess(report['peak_bytes'], 70 * MIB)
        self.assertGreaterEqual(report['smallest_limit_bytes'], 64 * MIB)
        bursts = [i for i in report['incidents'] if i['kind'] == 'burst']
        self.assertEqual(len(bursts), 1)
        self.assertLessEqual(abs(bursts[0]['burst']['peak_bytes'] - report['peak_bytes']), 2 * MIB)
        harness.validate('\n'.join(json.dumps(i) for i in report['incidents']))

    def test_the_smallest_limit_is_survived_and_less_is_not(self):
        _, report = self.report('--', HOG, 'anon', '64m')
        limit = report['smallest_limit_bytes']
        done, _ = self.report('--memory', limit, '--swap', '0', '--', HOG, 'anon', '64m')
        self.assertEqual(done.returncode, 0)
        done, _ = self.report('--memory', limit - 4 * MIB, '--swap', '0', '--', HOG, 'anon', '64m')
        self.assertEqual(done.returncode, 137)

    def test_oom(self):
        done, report = self.report('--memory', '32m', '--swap', '0', '--', HOG, 'anon', '128m')
        self.assertEqual(done.returncode, 137)
        self.assertEqual(report['exit_code'], 137)
        self.assertEqual(report['signal'], 9)
        self.assertEqual(report['oom_kills'], 1)
        self.assertEqual(report['peak_bytes'], 32 * MIB)
        self.assertIsNone(report['smallest_limit_bytes'])
        ooms = [i for i in report['incidents'] if i['kind'] == 'oom']
        self.assertEqual(len(ooms), 1)
        self.assertEqual(ooms[0]['limit']['bytes'], 32 * MIB)
        self.assertEqual(ooms[0]['victims'][0]['comm'], 'hog')
        harness.validate('\n'.join(json.dumps(i) for i in report['incidents']))

    def test_oom_as_text(self):
        done = memcrest('run', '--memory', '32m', '--swap', '0', '--', HOG, 'anon', '128m')
        self.assertEqual(done.returncode, 137)
        self.assertRegex(done.stderr, r'killed hog\[\d+\]')
        self.assertNotIn('\x1b', done.stderr)

    def test_a_child_is_killed_and_the_command_lives_on(self):
        done, report = self.report('--memory', '32m', '--swap', '0', '--', HOG, 'child', 'anon', '128m')
        self.assertEqual(done.returncode, 0)
        self.assertEqual(report['oom_kills'], 1)

    def test_page_cache_does_not_count_as_need(self):
        path = os.path.join(self.scratch(), 'file')
        harness.run(HOG, 'makefile', path, '80m')
        done, report = self.report('--memory', '32m', '--swap', '0', '--', HOG, 'readfile', path)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(report['oom_kills'], 0)
        self.assertEqual([i for i in report['incidents'] if i['kind'] == 'oom'], [])

    # Signals

    def test_signals_reach_the_command(self):
        for name in ('TERM', 'HUP', 'USR1', 'USR2', 'INT', 'QUIT'):
            with self.subTest(signal=name):
                script = f"trap 'exit 42' {name}; echo ready; while :; do sleep 0.05; done"
                process = self.start('--', 'sh', '-c', script)
                self.assertEqual(self.first_line(process), 'ready')
                process.send_signal(getattr(signal, 'SIG' + name))
                self.assertEqual(process.wait(10), 42)

    def test_a_signal_that_kills_the_command(self):
        process = self.start('--', 'sh', '-c', 'echo ready; exec sleep 60')
        self.first_line(process)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 128 + signal.SIGTERM)

    def test_ignored_signals_stay_ignored(self):
        done = harness.run('sh', '-c', f"trap '' HUP; {MEMCREST} run -- grep -E '^Sig(Ign|Blk)' /proc/self/status")
        self.assertRegex(done.stdout, r'SigBlk:\s+0{16}\n')
        self.assertRegex(done.stdout, r'SigIgn:\s+0{15}1\n')

    def on_a_terminal(self, *command):
        """Runs memcrest as the leader of a terminal of its own; returns (pid, master descriptor)."""
        pid, master = pty.fork()
        if pid == 0:
            os.execv(MEMCREST, [MEMCREST, 'run', '--', *command])
        self.addCleanup(os.close, master)
        return pid, master

    def read_until(self, master, word, timeout=15):
        seen = b''
        deadline = time.monotonic() + timeout
        while word not in seen and time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    seen += os.read(master, 4096)
                except OSError:
                    break
        self.assertIn(word, seen)
        return seen

    def test_ctrl_c_reaches_the_command_once(self):
        script = "trap 'n=$((n+1))' INT; echo ready; i=0; while [ $i -lt 20 ]; do sleep 0.1; i=$((i+1)); done; echo INT=$n."
        pid, master = self.on_a_terminal('sh', '-c', script)
        self.read_until(master, b'ready')
        os.write(master, b'\x03')
        self.read_until(master, b'INT=1.')
        _, status = os.waitpid(pid, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0)

    def test_ctrl_c_ends_both(self):
        pid, master = self.on_a_terminal('sh', '-c', 'echo ready; exec sleep 60')
        self.read_until(master, b'ready')
        os.write(master, b'\x03')
        self.read_until(master, b'peak')
        _, status = os.waitpid(pid, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 130)

    def test_the_command_owns_the_terminal(self):
        pid, master = self.on_a_terminal('sh', '-c', 'read line; echo "got $line"')
        os.write(master, b'hello\n')
        self.read_until(master, b'got hello')
        os.waitpid(pid, 0)

    def test_ctrl_z_stops_both_and_fg_goes_on(self):
        pid, master = pty.fork()
        if pid == 0:
            os.execvpe('bash', ['bash', '--norc', '--noprofile', '--noediting', '-i'], {**os.environ, 'PS1': 'prompt> '})
        self.addCleanup(os.close, master)
        self.read_until(master, b'prompt> ')
        script = "echo rea''dy; read line; echo go''t \\$line"
        os.write(master, f'{MEMCREST} run -- sh -c "{script}"\n'.encode())
        self.read_until(master, b'ready')
        os.write(master, b'\x1a')
        stopped = self.read_until(master, b'prompt> ')  # a shell that is not at its prompt yet may drop what is typed
        self.assertIn(b'Stopped', stopped)
        os.write(master, b'fg\n')
        self.read_until(master, b'\n')
        os.write(master, b'hello\n')
        self.read_until(master, b'got hello')
        self.read_until(master, b'prompt> ')
        os.write(master, b'exit 5\n')
        _, status = os.waitpid(pid, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 5)

    # The cgroup

    def test_the_command_is_in_its_own_cgroup(self):
        done = memcrest('run', '--', 'cat', '/proc/self/cgroup')
        line = r':memory:.*/memcrest-run-\d+-\d+$' if cgroups.version == 1 else r'^0::.*/memcrest-run-\d+-\d+$'
        self.assertRegex(done.stdout, re.compile(line, re.M))

    def test_removed_after_kill_9(self):
        process = self.start('--', 'sh', '-c', 'echo ready; sleep 1.5')
        self.first_line(process)
        mine = [d for d in run_cgroups() if f'memcrest-run-{process.pid}-' in d]
        self.assertEqual(len(mine), 1)
        process.kill()
        process.wait()
        time.sleep(0.5)
        self.assertTrue(os.path.isdir(mine[0]), 'the command still runs in it')
        self.assertTrue(wait_until(lambda: not os.path.isdir(mine[0]), timeout=10))

    def test_removed_after_kill_9_of_the_group(self):
        process = self.start('--', 'sh', '-c', 'echo ready; sleep 60', start_new_session=True)
        self.first_line(process)
        mine = [d for d in run_cgroups() if f'memcrest-run-{process.pid}-' in d]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.assertTrue(wait_until(lambda: not os.path.isdir(mine[0]), timeout=10))

    def test_what_is_left_running_is_reported_and_not_killed(self):
        path = os.path.join(self.scratch(), 'survived')
        started = time.monotonic()
        done, report = self.report('--', 'sh', '-c', f'(sleep 1.5; echo x >{path}) >/dev/null 2>&1 </dev/null &')
        self.assertLess(time.monotonic() - started, 1.4 + 5)
        self.assertEqual(done.returncode, 0)
        self.assertGreaterEqual(report['left_behind'], 1)
        self.assertTrue(wait_until(lambda: os.path.exists(path), timeout=10))

    def test_readers_of_the_output_see_its_end_although_something_is_left_running(self):
        done = memcrest('run', '--', 'sh', '-c', 'echo x; sleep 8 >/dev/null 2>&1 </dev/null &', timeout=7.5)
        self.assertEqual(done.stdout, 'x\n')

    def test_two_at_once(self):
        processes = [self.start('--', 'sh', '-c', 'echo ready; sleep 0.5; exit 3') for _ in range(3)]
        self.assertEqual([p.wait(20) for p in processes], [3, 3, 3])

    # What cannot be

    def test_limits_that_make_no_sense(self):
        for arguments in (['--memory', '1'], ['--memory', '-5'], ['--memory', 'lots'], ['--swap', 'x']):
            done = memcrest('run', *arguments, '--', 'true')
            self.assertEqual(done.returncode, 125, arguments)
            self.assertTrue(done.stderr.startswith('memcrest: '), done.stderr)

    def test_no_command(self):
        self.assertEqual(memcrest('run').returncode, 125)

    def test_a_report_that_cannot_be_written_does_not_cost_a_run(self):
        path = os.path.join(self.scratch(), 'ran')
        done = memcrest('run', '--output', '/no/such/directory/report', '--', 'touch', path)
        self.assertEqual(done.returncode, 125)
        self.assertFalse(os.path.exists(path))


if __name__ == '__main__':
    harness.main()
