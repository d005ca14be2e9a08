# SPDX-License-Identifier: Apache-2.0
"""memcrest advise: limits from what real containers needed, and whether they hold when they are set."""

import concurrent.futures
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time

import harness
from harness import HOG, MEMCREST, MIB, SOURCE, docker, memcrest, unique, wait_until
from test_record import Recorder

# Of its own: what runs beside has containers of the other one.
IMAGE = 'memcrest-advise:latest'


def setUpModule():
    harness.start_docker()
    docker('tag', harness.IMAGE, IMAGE)


def tearDownModule():
    docker('rmi', IMAGE, check=False)
    harness.stop_docker()


WINDOW = ('--window', '100ms')


def advise(*arguments, code=0):
    """The report as an object, checked against its schema."""
    done = memcrest('advise', '--format', 'json', *arguments)
    if done.returncode != code:
        raise AssertionError(f'advise ended with {done.returncode}\n{done.stderr}')
    return checked(done.stdout)


def checked(line):
    schema = os.path.join(SOURCE, 'docs', 'advise.schema.json')
    done = subprocess.run([sys.executable, harness.VALIDATOR, '--schema', schema], input=line, text=True,
                          capture_output=True, timeout=60, check=False)
    if done.returncode != 0:
        raise AssertionError(f'not valid: {done.stdout}{done.stderr}')
    return json.loads(line)


class Live:
    """`memcrest advise --live` for the life of a with statement, ended early by Ctrl-C."""

    def __init__(self, *options):
        self.options = options
        self.report = None

    def __enter__(self):
        self.process = subprocess.Popen([MEMCREST, 'advise', '--live', '1h', '--format', 'json', '--docker-socket',
                                         docker.socket, *WINDOW, *self.options], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.out, self.err = harness.Lines(self.process.stdout), harness.Lines(self.process.stderr)
        if not wait_until(lambda: b'watching' in b''.join(line for _, line in list(self.err.items))):
            self.__exit__()
            raise AssertionError(f'no banner: {self.err.text()}')
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.out.finish()
        self.err.finish()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(harness.PATIENCE)
        self.out.finish()
        self.err.finish()
        if code != 0:
            raise AssertionError(f'ended with {code}: {self.err.text()}')
        return checked(self.out.text())


class AdviseTest(harness.TestCase):
    def create(self, *command, memory=None, options=()):
        """As harness.docker.create, also without a limit."""
        name = unique()
        limit = ('--memory', memory, '--memory-swap', memory) if memory else ()
        container = docker('create', '--network', 'none', *limit, '--name', name, *options, IMAGE,
                           *command).stdout.strip()
        self.remove_later(container)
        return container

    @staticmethod
    def start_all(containers):
        """Starts them together, waits for their ends; exit codes by container."""
        codes = {}

        def one(container):
            codes[container] = docker.start_and_wait(container)

        threads = [threading.Thread(target=one, args=(container,)) for container in containers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return codes

    def run_line(self, sizing):
        """The ready line, as it is, against the private daemon."""
        line = next(line['text'] for line in sizing['lines'] if line['tool'] == 'docker update')
        words = shlex.split(line)
        self.assertEqual(words[:2], ['docker', 'update'])
        docker(*words[1:])

    def test_the_advised_limits_hold(self):
        path = os.path.join(self.scratch(), 'a.db')
        hold = ('--hold', '2500')
        small = self.create('hog', 'anon', '128m', memory='64m')
        fine = self.create('hog', 'anon', '40m', *hold, memory='64m')
        wasteful = self.create('hog', 'anon', '24m', *hold, memory='512m')
        unlimited = self.create('hog', 'anon', '48m', *hold)
        excerpts = os.path.join(self.scratch(), 'flight')
        with Live() as live, Recorder('-o', path) as recorder, \
                harness.Watch('--flight-recorder', excerpts, '--flight-after', '1s'):
            codes = self.start_all([small, fine, wasteful, unlimited])
            self.assertEqual(codes, {small: 137, fine: 0, wasteful: 0, unlimited: 0})
            time.sleep(2.5)  # the incident, and names
            self.assertEqual(recorder.stop(), 0, recorder.out.text())
            lived = live.stop()

        report = advise(path, *WINDOW, '--image', IMAGE)
        by_id = {one['container']['id']: one for one in report['containers']}
        self.assertEqual({one: by_id[one]['class'] for one in codes},
                         {small: 'too-small', fine: 'fine', wasteful: 'wasteful', unlimited: 'unlimited'})
        self.assertEqual(by_id[small]['ooms']['own_limit'], 1)
        self.assertEqual(by_id[small]['limit_bytes'], 64 * MIB)
        self.assertEqual((by_id[unlimited]['has_limit'], by_id[unlimited]['limit_bytes']), (False, None))
        for container, least in ((fine, 40), (wasteful, 24), (unlimited, 48)):
            one = by_id[container]
            self.assertTrue(one['peak_exact'], one)
            self.assertGreaterEqual(one['peak_bytes'], least * MIB)
            self.assertLess(one['peak_bytes'], (least + 16) * MIB, 'the program and what starts it')
            self.assertGreaterEqual(one['windows'], 20)
            peaks = one['window_peaks']
            self.assertEqual(list(peaks.values()), sorted(peaks.values()))
            self.assertEqual(peaks['p100'], one['peak_bytes'])
            self.assertGreaterEqual(peaks['p95'], least * MIB, 'it held it for a while')
            above = {limit['kind']: limit['windows_above'] for limit in one['other_limits']}
            self.assertEqual(above['advised' if container != fine else 'current'], 0)
            self.assertGreater(one['other_limits'][0]['windows_above'], 10, '60 % of the peak')
        self.assertEqual(report['containers'][0]['class'], 'too-small', 'what wants action first')

        self.check_live(lived, {container: by_id[container] for container in codes})
        self.check_excerpts(excerpts, small)

        # As advised, each survives.
        for container in (small, wasteful, unlimited):
            self.assertGreaterEqual(by_id[container]['advised_bytes'], 1.1 * by_id[container]['peak_bytes'])
            self.run_line(by_id[container])
            self.assertEqual(int(docker.inspect(container, '.HostConfig.Memory')), by_id[container]['advised_bytes'])
        codes = self.start_all([small, wasteful, unlimited])
        self.assertEqual(set(codes.values()), {0}, (codes, by_id[small]['advised_bytes']))

        self.check_other_forms(path, [docker.inspect(c, '.Name').lstrip('/') for c in (small, wasteful, fine)])

    def check_other_forms(self, path, names):
        small, wasteful, fine = names
        text = memcrest('advise', path, *WINDOW)
        self.assertEqual(text.returncode, 0, text.stderr)
        for words in (*names, 'too-small', 'wasteful', 'unlimited', 'docker update --memory', 'windows seen above'):
            self.assertIn(words, text.stdout)
        self.assertRegex(text.stderr, 'lost: ')
        script = memcrest('advise', path, *WINDOW, '--format', 'docker').stdout
        self.assertEqual(subprocess.run(['sh', '-n'], input=script, text=True, check=False).returncode, 0)
        self.assertRegex(script, rf'(?m)^docker update .* {small}$')
        self.assertNotIn(fine, script)
        only = advise(path, *WINDOW, '--container', wasteful)
        self.assertEqual([one['name'] for one in only['containers']], [wasteful])
        image = advise(path, *WINDOW, '--by', 'image', '--image', IMAGE)
        self.assertEqual([(one['name'], one['containers']) for one in image['containers']], [(IMAGE, 4)])
        short = advise(path, '--container', wasteful)  # in windows of a minute
        self.assertEqual((short['containers'][0]['class'], short['containers'][0]['advised_bytes']), ('unknown', None))
        # Anybody may read a recording, without privileges.
        scratch = self.scratch()
        program = harness.public_copy(scratch)
        copy = shutil.copy(path, os.path.join(scratch, 'b.db'))
        os.chmod(copy, 0o644)
        done = harness.run('setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', program, 'advise', copy)
        self.assertIn(wasteful, done.stdout)

    def test_less_than_what_run_reports_does_not_hold(self):
        command = (HOG, 'anon', '64m')
        least = json.loads(self.run_report(*command)[1])['smallest_limit_bytes']
        self.assertGreaterEqual(least, 64 * MIB)
        expected = {least * 9 // 10: 137, least + least // 5: 0}
        with concurrent.futures.ThreadPoolExecutor() as pool:
            ends = {limit: pool.submit(self.run_report, *command, options=('--memory', str(limit), '--swap', '0'))
                    for limit in expected}
        self.assertEqual({limit: end.result()[0].returncode for limit, end in ends.items()}, expected, least)

    def run_report(self, *command, options=()):
        path = os.path.join(self.scratch(), 'report')
        done = memcrest('run', '--json', '--output', path, *options, '--', *command)
        return done, harness.read(path)

    def check_live(self, report, by_id):
        """The same machine at the same time, without a recording."""
        self.assertTrue(report['live'])
        live = {one['container']['id']: one for one in report['containers']}
        for container, recorded in by_id.items():
            one = live[container]
            self.assertEqual((one['class'], one['limit_bytes'], one['peak_exact'], one['ooms']['own_limit']),
                             (recorded['class'], recorded['limit_bytes'], recorded['peak_exact'],
                              recorded['ooms']['own_limit']))
            self.assertEqual(one['peak_bytes'], recorded['peak_bytes'], 'the kernel has one mark')

    def check_excerpts(self, directory, container):
        report = advise(directory, '--container', container)
        self.assertFalse(report['complete'])
        self.assertTrue([gap for gap in report['gaps'] if 'around incidents alone' in gap], report['gaps'])
        one, = (c for c in report['containers'] if c['container']['id'] == container)
        self.assertEqual(one['class'], 'too-small')

    def test_what_is_no_recording(self):
        damaged = os.path.join(self.scratch(), 'damaged.db')
        with open(damaged, 'wb') as file:
            file.write(b'SQLite format 3\0' + bytes(range(256)) * 64)
        for source in ('/nonexistent', '/dev/null', self.scratch(), MEMCREST, damaged):
            done = memcrest('advise', source)
            self.assertEqual((done.returncode, done.stdout), (1, ''), source)
            self.assertIn('memcrest: ', done.stderr)
        for wrong in ((), ('--live', '1s', damaged), (damaged, '--margin', '-1'), (damaged, '--by', 'pod'),
                      (damaged, '--format', 'docker', '--by', 'image'), (damaged, '--window', '0s'), (damaged, '--format', 'x')):
            self.assertEqual(memcrest('advise', *wrong).returncode, 2, wrong)
