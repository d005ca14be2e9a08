# SPDX-License-Identifier: Apache-2.0
"""What every end-to-end test uses: a real Docker daemon of its own, `memcrest watch` beside it, cgroups by hand.

Standard library only. CTest says where the build is (see CMakeLists.txt); by hand, build/dev is taken:
    sudo python3 -m unittest discover -s tests/e2e -p 'test_oom.py' -v
"""

import contextlib
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid

SOURCE = os.environ.get('MEMCREST_SOURCE') or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('MEMCREST_BUILD') or os.path.join(SOURCE, 'build', 'dev')
MEMCREST = os.path.join(BUILD, 'userspace', 'app', 'memcrest')
HOG = os.path.join(BUILD, 'tests', 'testprogs', 'hog')
VALIDATOR = os.path.join(SOURCE, 'tests', 'support', 'validate_incidents.py')

MIB = 1 << 20
IMAGE = 'memcrest-test:latest'
# Generous: a loaded two-core machine, not a claim about memcrest. Latency is the benchmark's business.
PATIENCE = 30


def wait_until(condition, timeout=PATIENCE, pause=0.02):
    """The first true value of condition(), or its last false one when time is up."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(pause)


def run(*command, check=True, timeout=120, **options):
    """Runs a command to its end and returns it, with its output as text."""
    options.setdefault('stdout', subprocess.PIPE)
    options.setdefault('stderr', subprocess.PIPE)
    done = subprocess.run([str(part) for part in command], timeout=timeout, text=True, errors='replace', **options)
    if check and done.returncode != 0:
        raise AssertionError(f'{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}')
    return done


def read(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def unique(prefix='mc'):
    return f'{prefix}-{uuid.uuid4().hex[:10]}'


# --- Runtimes


class PrivateRuntime:
    """What scripts/NAME-up DIR starts and scripts/NAME-down DIR ends."""

    name = ''

    def __init__(self):
        self.dir = None
        self.socket = None

    def start(self):
        self._remove_stale()
        self.dir = f'/tmp/memcrest-e2e-{self.name}-{os.getpid()}'
        self.socket = run(self._script('up'), self.dir, HOG).stdout.strip()

    def stop(self):
        if self.dir:
            run(self._script('down'), self.dir, check=False)
            self.dir = None

    def _script(self, what):
        return os.path.join(SOURCE, 'scripts', f'{self.name}-{what}')

    def _remove_stale(self):
        """What test runs left behind that were killed."""
        for old in glob.glob(f'/tmp/memcrest-e2e-{self.name}-*'):
            owner = old.rsplit('-', 1)[1]
            if owner.isdigit() and not os.path.isdir(f'/proc/{owner}'):
                run(self._script('down'), old, check=False)


class Docker(PrivateRuntime):
    """A private daemon (scripts/docker-up) for the life of a test module."""

    name = 'docker'

    def command(self, *arguments):
        return ['docker', '-H', f'unix://{self.socket}', *[str(a) for a in arguments]]

    def __call__(self, *arguments, **options):
        return run(*self.command(*arguments), env={**os.environ, 'DOCKER_CONTEXT': ''}, **options)

    def create(self, *command, memory='64m', name=None, options=()):
        """Creates a container; returns (full id, name)."""
        name = name or unique()
        made = self('create', '--network', 'none', '--memory', memory, '--memory-swap', memory, '--name', name,
                    *options, IMAGE, *command)
        return made.stdout.strip(), name

    def start_and_wait(self, container, timeout=120):
        """Starts a created container, waits for its end, returns its exit code."""
        return self('start', '-a', container, check=False, timeout=timeout).returncode

    def run_to_end(self, *command, **options):
        """Creates, runs and keeps a container; returns (full id, name, exit code)."""
        container, name = self.create(*command, **options)
        return container, name, self.start_and_wait(container)

    def inspect(self, container, what):
        return self('inspect', '-f', '{{' + what + '}}', container).stdout.strip()


docker = Docker()


def start_docker():
    """For setUpModule."""
    if os.geteuid() != 0:
        raise unittest.SkipTest('needs root')
    docker.start()


def stop_docker():
    """For tearDownModule."""
    docker.stop()


# --- cgroups


class Cgroups:
    """The hierarchy with the memory controller, v1 or v2."""

    def __init__(self):
        self.mounts = []
        self.version = None
        with open('/proc/self/mountinfo', encoding='utf-8') as file:
            for line in file:
                fields = line.split()
                dash = fields.index('-')
                kind, options, point = fields[dash + 1], fields[dash + 3].split(','), fields[4]
                if kind not in ('cgroup', 'cgroup2'):
                    continue
                self.mounts.append(point)
                if kind == 'cgroup' and 'memory' in options:
                    self.version, self.memory = 1, point
                elif kind == 'cgroup2' and self.version is None and self._has_memory(point):
                    self.version, self.memory = 2, point

    @staticmethod
    def _has_memory(point):
        with open(os.path.join(point, 'cgroup.controllers'), encoding='utf-8') as file:
            return 'memory' in file.read().split()

    def file(self, v1, v2):
        return v1 if self.version == 1 else v2

    def dir(self, path):
        return self.memory + path

    def read(self, path, v1, v2):
        with open(os.path.join(self.dir(path), self.file(v1, v2)), encoding='utf-8') as file:
            return file.read().strip()

    def write(self, path, v1, v2, value):
        with open(os.path.join(self.dir(path), self.file(v1, v2)), 'w', encoding='utf-8') as file:
            file.write(str(value))

    def limit(self, path, value):
        self.write(path, 'memory.limit_in_bytes', 'memory.max', value)

    def peak(self, path):
        return int(self.read(path, 'memory.max_usage_in_bytes', 'memory.peak'))

    def oom_kills(self, path):
        text = self.read(path, 'memory.oom_control', 'memory.events')
        return int(re.search(r'^oom_kill (\d+)', text, re.M).group(1))

    @contextlib.contextmanager
    def made(self, path, limit=None):
        """A cgroup for the life of a with statement; removed in every hierarchy, since runtimes make it in all."""
        if self.version == 2:
            self._hand_down(os.path.dirname(path))
        os.mkdir(self.dir(path))
        try:
            if limit is not None:
                self.limit(path, limit)
            yield path
        finally:
            for mount in self.mounts:
                wait_until(lambda at=mount + path: self.remove(at), timeout=5)

    def _hand_down(self, path):
        with open(os.path.join(self.dir(path), 'cgroup.subtree_control'), 'w', encoding='utf-8') as file:
            file.write('+memory')

    @staticmethod
    def remove(top):
        for directory, _, _ in os.walk(top, topdown=False):
            try:
                os.rmdir(directory)
            except OSError:
                pass
        return not os.path.isdir(top)


cgroups = Cgroups()


def shared_cgroup(container):
    """Path of a container's cgroup in the memory hierarchy."""
    return f'/docker/{container}'


# --- memcrest


class Lines:
    """Lines of a stream, collected by a thread; each with the time at which it came."""

    def __init__(self, stream):
        self.items = []
        self._stream = stream
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self):
        with self._stream:
            for line in self._stream:
                self.items.append((time.monotonic(), line))

    def finish(self):
        self._thread.join(PATIENCE)

    def text(self):
        return b''.join(line for _, line in self.items).decode('utf-8')  # strict: our output is valid UTF-8


class Watch:
    """`memcrest watch` for the life of a with statement. The end checks its exit code, its summary and every line."""

    def __init__(self, *options, json_lines=True, socket=None, expect_code=0, env=None, command=None):
        self.options = [str(o) for o in options]
        if json_lines:
            self.options.insert(0, '--json')
        if not any(o.startswith('--docker-socket') for o in self.options):
            self.options += ['--docker-socket', docker.socket if socket is None else socket]
        self.json_lines = json_lines
        self.expect_code = expect_code
        self.env = env
        self.command = command or [MEMCREST]
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen([*self.command, 'watch', *self.options], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env)
        self.out = Lines(self.process.stdout)
        self.err = Lines(self.process.stderr)
        ready = wait_until(lambda: self.banner() or self.process.poll() is not None)
        if not ready or not self.banner():
            self.process.kill()
            self.process.wait()
            self.err.finish()
            raise AssertionError(f'no banner: {self.err.text()}')
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.stop()
        if kind is None:
            self.check_end()
        else:
            sys.stderr.write(f'--- memcrest\n{self.err.text()}{self.out.text()[:20000]}')

    def banner(self):
        return next((line for _, line in self.err.items if line.startswith(b'memcrest: watching')), None)

    def summary(self):
        return next((line.decode() for _, line in self.err.items if line.startswith(b'memcrest: seen')), None)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.wait()

    def wait(self, timeout=PATIENCE):
        code = self.process.wait(timeout)
        self.out.finish()
        self.err.finish()
        return code

    def check_end(self):
        error = self.err.text()
        if self.process.returncode != self.expect_code:
            raise AssertionError(f'memcrest ended with {self.process.returncode}\n{error}')
        if self.expect_code in (0, 4) and not self.summary():
            raise AssertionError(f'no summary line\n{error}')
        if self.json_lines:
            validate(self.out.text())

    # Incidents so far, as objects, with the moment at which each was read.
    # `update`: those told again, for this reason; by default only those told for the first time.
    def incidents(self, kind=None, container=None, match=None, update=None):
        found = []
        for at, line in list(self.out.items):
            incident = json.loads(line)
            incident['read_at'] = at
            if (incident['update'] == update and (kind is None or incident['kind'] == kind) and
                    (container is None or incident['container']['id'] == container) and
                    (match is None or match(incident))):
                found.append(incident)
        return found

    def wait_for(self, kind=None, container=None, match=None, timeout=PATIENCE, update=None):
        found = wait_until(lambda: self.incidents(kind, container, match, update), timeout)
        if not found:
            raise AssertionError(f'no such incident (kind={kind} container={container}); got:\n{self.out.text()}\n'
                                 f'{self.err.text()}')
        return found[0]

    def settle(self, seconds=1.0):
        """Time in which something that must not come could come."""
        time.sleep(seconds)


def validate(lines):
    """Every line against the published JSON Schema."""
    if not lines:
        return
    done = subprocess.run([sys.executable, VALIDATOR], input=lines, text=True, capture_output=True, timeout=120,
                          check=False)
    if done.returncode != 0:
        raise AssertionError(f'not valid incidents:\n{done.stdout}{done.stderr}')


def memcrest(*arguments, **options):
    """Runs memcrest to its end; no check of its exit code."""
    return run(MEMCREST, *arguments, check=False, **options)


def public_copy(directory):
    """A copy of the program that any user can run: build trees may lie where only root can look."""
    path = os.path.join(directory, 'memcrest')
    shutil.copy(MEMCREST, path)
    os.chmod(directory, 0o755)
    os.chmod(path, 0o755)
    return path


class TestCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest('needs root')

    def scratch(self):
        directory = tempfile.mkdtemp(prefix='memcrest-e2e-scratch.')
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        return directory

    def remove_later(self, *containers):
        self.addCleanup(docker, 'rm', '-f', *containers, check=False)

    def assert_named(self, incident, container, name, image=IMAGE):
        self.assertEqual(incident['container']['runtime'], 'docker')
        self.assertEqual(incident['container']['id'], container)
        self.assertEqual(incident['container']['name'], name)
        self.assertEqual(incident['container']['image'], image)
        self.assertIsNone(incident['container']['unknown_reason'])
        self.assertTrue(incident['cgroup']['path'].endswith('/' + container), incident['cgroup'])

    def assert_told_again(self, watch, incident, statuses=('exited',), **state):
        """The runtime's words come once, as the same incident or at once with it; returns the incident with them."""
        container = incident['container']['id']
        known = incident['container']['state']
        if known and known['finished'] and known['finished'] >= incident['time']:
            again = incident
        else:
            again = watch.wait_for('oom', container, match=lambda i: i['id'] == incident['id'], update='runtime_state')
        self.assertEqual(again['victims'], incident['victims'])
        self.assertEqual(again['time'], incident['time'])
        told = again['container']['state']
        self.assertIn(told['status'], statuses)
        self.assertEqual({key: told[key] for key in state}, state)
        self.assertGreaterEqual(told['finished'], incident['time'][:19], 'an end before the kill')
        watch.settle()
        same = [i for i in watch.incidents('oom', container, update='runtime_state') if i['id'] == incident['id']]
        self.assertEqual(len(same), 0 if again is incident else 1)
        return again

    def assert_nothing_lost(self, incident):
        self.assertEqual(incident['evidence']['lost_critical'], 0)


def main():
    unittest.main(verbosity=2)
