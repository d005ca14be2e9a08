# SPDX-License-Identifier: Apache-2.0
"""The command line: what goes where, exit codes, how it ends, and what it says when it cannot."""

import contextlib
import json
import os
import pty
import signal
import socket
import subprocess
import tempfile
import time

import harness
from harness import MEMCREST, Watch, docker, memcrest, wait_until

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker

ESCAPE = '\x1b'


class UsageTest(harness.TestCase):
    def assert_usage_error(self, *arguments, word=None):
        done = memcrest(*arguments, timeout=20)
        self.assertEqual(done.returncode, 2, (arguments, done.stderr))
        self.assertEqual(done.stdout, '')
        self.assertTrue(done.stderr.startswith('memcrest: '), done.stderr)
        self.assertLess(len(done.stderr), 2000)
        self.assertNotIn(ESCAPE, done.stderr)
        if word:
            self.assertIn(word, done.stderr)

    def test_version(self):
        done = memcrest('version')
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r'^memcrest \d+\.\d+\.\d+\n$')
        self.assertEqual(memcrest('--version').stdout, done.stdout)

    def test_help(self):
        for arguments in (['--help'], ['watch', '--help'], ['run', '--help'], ['check', '--help']):
            done = memcrest(*arguments)
            self.assertEqual(done.returncode, 0)
            self.assertIn('xample', done.stdout + ('xample' if arguments[0] == 'check' else ''))
            self.assertEqual(done.stderr, '')

    def test_flags_named_in_help_and_errors_exist(self):
        text = memcrest('watch', '--help').stdout
        for flag in ('--json', '--container', '--step', '--burst-min', '--burst-window', '--duration', '--fail-on',
                     '--docker-socket'):
            self.assertIn(flag, text)

    def test_wrong_command_lines(self):
        self.assert_usage_error()
        self.assert_usage_error('nonsense')
        self.assert_usage_error('watch', '--nonsense')
        self.assert_usage_error('watch', 'extra')

    def test_values_that_make_no_sense(self):
        for option, values in {
            '--step': ['0', '-1', '1', 'abc', '', '64mm', '99999999999999999999', '1e3m', 'nan'],
            '--burst-min': ['0', '-64m', 'x', '99999999g'],
            '--burst-window': ['0s', '5', '-1s', 'abc', '', '99999999h'],
            '--duration': ['0s', '10', '-1s', 'forever'],
            '--fail-on': ['', 'everything', 'oom,burst'],
        }.items():
            for value in values:
                with self.subTest(option=option, value=value):
                    self.assert_usage_error('watch', f'{option}={value}', word=option)

    def test_values_that_contradict_each_other(self):
        self.assert_usage_error('watch', '--step', '64m', '--burst-min', '16m', word='--burst-min')

    def test_settings_of_kubernetes_that_cannot_be(self):
        for verb in ('ps', 'watch'):
            for arguments, word in (
                (['--kubernetes-ca', '/ca.pem'], '--kubernetes-server is needed'),
                (['--kubernetes-server', 'k8s.example'], 'https://'),
                (['--kubernetes-server', 'http://k8s.example', '--kubernetes-node', 'n'], 'plain http'),
                (['--kubernetes-server', 'https://k8s.example', '--kubernetes-node', 'n'], 'CA file'),
                (['--kubernetes-server', 'https://k8s.example', '--kubernetes-ca', '/ca.pem'], 'NODE_NAME'),
            ):
                with self.subTest(verb=verb, arguments=arguments):
                    self.assert_usage_error(verb, *arguments, word=word)

    def test_hostile_arguments_are_not_echoed_raw(self):
        self.assert_usage_error('watch', '--step', '\x1b[31mred\nline')
        self.assert_usage_error('\x1b[2J')


class PrivilegesTest(harness.TestCase):
    def as_nobody(self, *arguments):
        directory = self.scratch()
        program = harness.public_copy(directory)
        return harness.run('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', program, *arguments,
                           check=False, timeout=30)

    def test_watch_without_root(self):
        done = self.as_nobody('watch')
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertEqual(done.stdout, '')
        self.assertRegex(done.stderr, r'(?i)root|CAP_BPF')

    def test_run_without_root(self):
        done = self.as_nobody('run', '--', 'true')
        self.assertEqual(done.returncode, 125, done.stderr)
        self.assertRegex(done.stderr, r'(?i)root|permi')

    def test_check_without_root(self):
        done = self.as_nobody('check')
        self.assertEqual(done.returncode, 3, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r'CAP_BPF|cap_bpf')
        done = self.as_nobody('check', '--json')
        self.assertIsInstance(json.loads(done.stdout), dict)

    def test_version_without_root(self):
        self.assertEqual(self.as_nobody('version').returncode, 0)

    def test_bpf_without_perfmon(self):
        done = harness.run('setpriv', '--bounding-set=-all,+bpf', MEMCREST, 'watch', '--duration', '1s', check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertRegex(done.stderr, r'(?i)cap_perfmon|privilege')

    def without_btf(self, command):
        return harness.run('unshare', '-m', 'sh', '-c', f'mount -t tmpfs none /sys/kernel/btf && exec {command}',
                           check=False)

    def test_no_btf(self):
        done = self.without_btf(f'{MEMCREST} watch --duration 1s')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('charges sampled · oom kmsg', done.stderr)
        self.assertRegex(done.stderr, 'without BPF.*BTF.*--btf')
        done = self.without_btf(f'{MEMCREST} check')
        self.assertEqual(done.returncode, 0)
        self.assertIn('without BPF', done.stdout)
        done = self.without_btf(f'{MEMCREST} watch --duration 1s --oom-tier mark_victim')
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn('BTF', done.stderr)

    def test_btf_from_a_file(self):
        directory = self.scratch()
        harness.run('cp', '/sys/kernel/btf/vmlinux', f'{directory}/btf')
        done = self.without_btf(f'{MEMCREST} watch --duration 1s --btf {directory}/btf')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('oom mark_victim', done.stderr)
        self.assertNotIn('sampled', done.stderr.splitlines()[0])
        with open(f'{directory}/btf', 'w') as file:
            file.write('not BTF')
        done = self.without_btf(f'{MEMCREST} watch --duration 1s --btf {directory}/btf')
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(f'{directory}/btf', done.stderr)

    def test_tiers_by_hand(self):
        for option in ('--charge-tier', '--oom-tier'):
            done = memcrest('watch', option, 'best')
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(option, done.stderr)
        done = memcrest('watch', '--duration', '1s', '--charge-tier', 'sampled', '--oom-tier', 'polling')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('charges sampled · oom polling', done.stderr)

    def test_sampling_needs_no_privileges(self):
        directory = self.scratch()
        program = harness.public_copy(directory)
        done = harness.run('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', program, 'watch',
                           '--duration', '1s', '--charge-tier', 'sampled', '--oom-tier', 'polling', check=False,
                           timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn('without BPF', done.stderr)

    def test_no_cgroup_filesystem(self):
        done = harness.run('unshare', '-m', 'sh', '-c',
                           f'umount -R -l /sys/fs/cgroup && exec {MEMCREST} watch --duration 1s', check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn('cgroup', done.stderr)


class CheckTest(harness.TestCase):
    def test_text(self):
        done = memcrest('check')
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ('charges', 'oom', 'cgroup'):
            self.assertIn(word, done.stdout.lower())
        self.assertNotIn(ESCAPE, done.stdout)

    def test_json(self):
        done = memcrest('check', '--json')
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertIsInstance(json.loads(done.stdout), dict)

    def sources(self, *options):
        """What check says of each source of names, by its name: (state, reason)."""
        done = memcrest('check', '--json', *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return {one['name']: (one['state'], one['reason']) for one in json.loads(done.stdout)['name_sources']}

    def test_who_tells_names(self):
        with tempfile.TemporaryDirectory() as directory:
            dead = os.path.join(directory, 'dead.sock')
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
                listener.bind(dead)
            sources = self.sources('--docker-socket', dead, '--podman-socket', f'{directory}/none.sock',
                                   '--kubernetes-server', 'http://127.0.0.1:1', '--kubernetes-node', 'n')
            self.assertEqual(sources['OCI bundles'], ('works', ''))
            self.assertEqual(sources['Docker'][0], 'fails')
            self.assertIn('refused', sources['Docker'][1])
            self.assertEqual(sources['Podman'][0], 'absent')
            self.assertEqual(sources['Kubernetes API'][0], 'fails')
            self.assertIn('127.0.0.1:1', sources['Kubernetes API'][1])
            text = memcrest('check', '--docker-socket', dead).stdout
            self.assertRegex(text, r'names of containers\n  works +OCI bundles')
            self.assertRegex(text, r'FAILS +Docker .*refused')
        sources = self.sources('--docker-socket', '', '--podman-socket', '', '--no-bundles', '--no-kubernetes')
        self.assertEqual({state for state, _ in sources.values()}, {'not_asked'})
        self.assertTrue(all(reason for _, reason in sources.values()), sources)

    def test_a_daemon_that_hangs_costs_two_seconds(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, 'silent.sock')
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
                listener.bind(path)
                listener.listen()
                self.assertEqual(self.sources('--docker-socket', path)['Docker'], ('fails', 'no answer within 2 s'))

    def test_stdout_that_cannot_be_written(self):
        for arguments in ('check', 'version', 'check --json'):
            done = harness.run('sh', '-c', f'{MEMCREST} {arguments} >/dev/full', check=False)
            self.assertEqual(done.returncode, 5, (arguments, done.stderr))
            done = harness.run('sh', '-c', f'{MEMCREST} {arguments} >&-', check=False)
            self.assertEqual(done.returncode, 5, (arguments, done.stderr))


class EndTest(harness.TestCase):
    def kill_one(self):
        container, name, code = docker.run_to_end('hog', 'anon', '256m')
        self.remove_later(container)
        self.assertEqual(code, 137)
        return container, name

    def test_sigterm_and_sigint(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Watch() as watch:
                container, _ = self.kill_one()
                watch.wait_for('oom', container)
                started = time.monotonic()
                self.assertEqual(watch.stop(number), 0)
                self.assertLess(time.monotonic() - started, 5)
                self.assertRegex(watch.summary(), r'seen [1-9]\d* OOMs? ')  # others may have some beside
                self.assertIn('lost', watch.summary())

    def test_an_incident_just_before_the_end_is_not_lost(self):
        with Watch() as watch:
            container, _ = self.kill_one()
            watch.stop()
            self.assertEqual(len(watch.incidents('oom', container)), 1)

    def test_duration(self):
        started = time.monotonic()
        with Watch('--duration', '1500ms') as watch:
            self.assertEqual(watch.wait(), 0)
        self.assertGreater(time.monotonic() - started, 1.4)
        self.assertLess(time.monotonic() - started, 10)

    def test_fail_on_oom(self):
        with Watch('--fail-on', 'oom', expect_code=4) as watch:
            container, _ = self.kill_one()
            watch.wait_for('oom', container)
            self.assertEqual(watch.stop(), 4)
        with Watch('--fail-on', 'oom') as watch:
            self.assertEqual(watch.stop(), 0)

    def test_fail_on_burst(self):
        with Watch('--fail-on', 'burst', expect_code=4) as watch:
            container, _, _ = docker.run_to_end('sh', '-c', 'sleep 0.5; hog anon 100m; sleep 1', memory='256m')
            self.remove_later(container)
            watch.wait_for('burst', container)
            self.assertEqual(watch.stop(), 4)

    def test_stdout_carries_incidents_only(self):
        with Watch() as watch:
            container, _ = self.kill_one()
            watch.wait_for('oom', container)
        for line in watch.out.text().splitlines():
            self.assertEqual(json.loads(line)['schema'], 'memcrest.incident.v1')
        for line in watch.err.text().splitlines():
            self.assertTrue(line.startswith('memcrest: '), line)

    # Output that ends early

    def test_a_reader_that_takes_one_line(self):
        command = f'{MEMCREST} watch --json --docker-socket {docker.socket} 2>"$1" | head -n 1'
        error = os.path.join(self.scratch(), 'err')
        process = subprocess.Popen(['bash', '-c', f'set -o pipefail; {command}; exit ${{PIPESTATUS[0]}}', '_', error],
                                   stdout=subprocess.PIPE, text=True)
        self.assertTrue(wait_until(lambda: os.path.exists(error) and 'memcrest: watching' in harness.read(error)))
        for _ in range(3):
            self.kill_one()
            if process.poll() is not None:
                break
        out, _ = process.communicate(timeout=20)
        self.assertEqual(len(out.splitlines()), 1)
        self.assertEqual(process.returncode, 5)

    def test_stdout_that_is_full(self):
        with open('/dev/full', 'wb') as full:
            process = subprocess.Popen([MEMCREST, 'watch', '--json', '--docker-socket', docker.socket], stdout=full,
                                       stderr=subprocess.PIPE)
            error = harness.Lines(process.stderr)
            self.assertTrue(wait_until(lambda: 'memcrest: watching' in error.text()))
            self.kill_one()
            self.assertEqual(process.wait(20), 5)
        error.finish()
        self.assertIn('No space left', error.text())

    def test_stdout_that_is_closed(self):
        done = harness.run('sh', '-c', f'{MEMCREST} watch --json --duration 2s >&-', check=False)
        self.assertEqual(done.returncode, 5)
        self.assertIn('standard output', done.stderr)

    def test_a_reader_that_does_not_read(self):
        """A full pipe must not stall the watch, nor its end."""
        process = subprocess.Popen([MEMCREST, 'watch', '--json', '--docker-socket', docker.socket],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, pipesize=4096)
        error = harness.Lines(process.stderr)
        self.assertTrue(wait_until(lambda: 'memcrest: watching' in error.text()))
        for _ in range(6):
            self.kill_one()
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        self.assertLess(time.monotonic() - started, 10)
        error.finish()
        self.assertIn('memcrest: seen', error.text())
        process.stdout.close()

    def test_stderr_that_is_closed(self):
        done = harness.run('sh', '-c', f'{MEMCREST} watch --json --duration 1s 2>&-', check=False)
        self.assertEqual(done.returncode, 0)

    # Terminals

    def test_no_escape_codes_without_a_terminal(self):
        with Watch(json_lines=False) as watch:
            container, name = self.kill_one()
            wait_until(lambda: name in watch.out.text())
        self.assertNotIn(ESCAPE, watch.out.text() + watch.err.text())
        self.assertIn(container[:12], watch.out.text())
        self.assertIn('hog', watch.out.text())
        self.assertRegex(watch.out.text(), r'64(\.0)? MiB')

    def on_a_terminal(self, env):
        pid, master = pty.fork()
        if pid == 0:
            os.execve(MEMCREST, [MEMCREST, 'watch', '--docker-socket', docker.socket], env)
        seen = []

        def read():
            try:
                seen.append(os.read(master, 65536).decode('utf-8', 'replace'))
            except OSError:
                return None
            return ''.join(seen)

        self.assertTrue(wait_until(lambda: 'watching' in (read() or '')))
        _, name = self.kill_one()
        self.assertTrue(wait_until(lambda: name in (read() or '')))
        os.write(master, b'\x03')  # Ctrl-C
        while read() is not None:
            pass
        _, status = os.waitpid(pid, 0)
        os.close(master)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0)
        return ''.join(seen)

    def test_terminal(self):
        env = {k: v for k, v in os.environ.items() if k != 'NO_COLOR'}
        self.assertIn(ESCAPE, self.on_a_terminal({**env, 'TERM': 'xterm-256color'}))

    def test_no_color(self):
        self.assertNotIn(ESCAPE, self.on_a_terminal({**os.environ, 'TERM': 'xterm-256color', 'NO_COLOR': '1'}))

    def test_dumb_terminal(self):
        env = {k: v for k, v in os.environ.items() if k != 'NO_COLOR'}
        self.assertNotIn(ESCAPE, self.on_a_terminal({**env, 'TERM': 'dumb'}))

    # Other ways to be started

    def test_as_pid_1(self):
        with Watch(command=['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', MEMCREST]) as watch:
            container, name = self.kill_one()
            self.assert_named(watch.wait_for('oom', container), container, name)
            children = f'/proc/{watch.process.pid}/task/{watch.process.pid}/children'
            with open(children, encoding='utf-8') as file:
                inner = int(file.read().split()[0])
            os.kill(inner, signal.SIGTERM)
            self.assertEqual(watch.wait(), 0)

    def test_as_pid_1_of_a_container(self):
        """With the host's libraries mounted: the image holds nothing."""
        name = harness.unique('watcher')
        mounts = [f'-v={d}:{d}:ro' for d in ('/usr', '/lib', '/lib64', '/etc') if os.path.isdir(d)]
        # Not --privileged: that asks for capabilities that root itself may lack. Docker 20.10 does not know CAP_BPF yet;
        # SYS_ADMIN stands for it.
        rights = ['--cap-add=SYS_ADMIN', '--cap-add=SYS_PTRACE', '--cap-add=SYSLOG',
                  '--security-opt=seccomp=unconfined', '--security-opt=apparmor=unconfined',
                  '--cgroupns=host']
        container = docker('create', '--name', name, '--network', 'none', *rights, *mounts,
                           '-v', f'{MEMCREST}:/memcrest:ro', '-v', '/sys:/sys:ro',
                           '-v', f'{os.path.dirname(docker.socket)}:/docker', harness.IMAGE,
                           '/memcrest', 'watch', '--json', '--docker-socket', '/docker/docker.sock').stdout.strip()
        self.remove_later(container)
        docker('start', container)
        self.assertTrue(wait_until(lambda: 'memcrest: watching' in docker('logs', container).stderr),
                        docker('logs', container).stderr)
        victim, victim_name = self.kill_one()
        self.assertTrue(wait_until(lambda: victim in docker('logs', container).stdout), docker('logs', container).stderr)
        docker('stop', '-t', '10', container)
        self.assertEqual(docker.inspect(container, '.State.ExitCode'), '0')
        logs = docker('logs', container)
        self.assertIn('memcrest: seen', logs.stderr)
        harness.validate(logs.stdout)
        incident = next(i for i in map(json.loads, logs.stdout.splitlines()) if i['container']['id'] == victim)
        self.assert_named(incident, victim, victim_name)

    def test_two_at_once(self):
        with Watch() as one, Watch() as two:
            container, name = self.kill_one()
            for watch in (one, two):
                self.assert_named(watch.wait_for('oom', container), container, name)

    def test_loss_is_stated(self):
        """A tiny ring: what could not be kept is in the summary, and the kill is not among it."""
        with Watch('--bulk-ring', '4k', '--step', '4k') as watch:
            container, name = self.kill_one()
            incident = watch.wait_for('oom', container)
            self.assert_named(incident, container, name)
            self.assertGreater(incident['evidence']['lost_bulk'], 0)
            self.assertFalse(incident['evidence']['complete'])
            watch.stop()
            self.assertRegex(watch.summary(), r'lost: .*[1-9]')


if __name__ == '__main__':
    harness.main()
