# SPDX-License-Identifier: Apache-2.0
"""memcrest advise: limits from what real containers needed, and whether they hold when they are set."""

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
from harness import HOG, IMAGE, MEMCREST, MIB, SOURCE, docker, memcrest, unique, wait_until
from test_record import Recorder

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker

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
        with Recorder('-o', path) as recorder:
            codes = self.start_all([small, fine, wasteful, unlimited])
            self.assertEqual(codes, {small: 137, fine: 0, wasteful: 0, unlimited: 0})
            time.sleep(2.5)  # the incident, and names
            self.assertEqual(recorder.stop(), 0, recorder.out.text())

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
            self.assertGreaterEqual(peaks['p50'], least * MIB, 'it held it most of the time')
            above = {limit['kind']: limit['windows_above'] for limit in one['other_limits']}
            self.assertEqual(above['advised' if container != fine else 'current'], 0)
            self.assertGreater(one['other_limits'][0]['windows_above'], 10, '60 % of the peak')
        self.assertEqual(report['containers'][0]['class'], 'too-small', 'what wants action first')

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
        for words in (*names, 'too-small', 'wasteful', 'unlimited', 'docker update --memory', 'windows seen went above'):
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
        for limit, code in ((least * 9 // 10, 137), (least + least // 5, 0)):
            done, _ = self.run_report(*command, options=('--memory', str(limit), '--swap', '0'))
            self.assertEqual(done.returncode, code, f'{limit} of {least}\n{done.stderr}')

    def run_report(self, *command, options=()):
        path = os.path.join(self.scratch(), 'report')
        done = memcrest('run', '--json', '--output', path, *options, '--', *command)
        return done, harness.read(path)

    def test_live_and_ended_early(self):
        container = self.create('hog', 'anon', '24m', '--hold', '4000', memory='512m')
        process = subprocess.Popen([MEMCREST, 'advise', '--live', '1h', *WINDOW, '--format', 'json', '--docker-socket',
                                    docker.socket, '--container', container], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        out, err = harness.Lines(process.stdout), harness.Lines(process.stderr)
        try:
            self.assertTrue(wait_until(lambda: b'watching' in b''.join(line for _, line in list(err.items))))
            docker('start', container)
            time.sleep(2.5)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(harness.PATIENCE), 0)
        finally:
            process.kill()
            process.wait()
            out.finish()
            err.finish()
        report = checked(out.text())
        self.assertTrue(report['live'])
        one, = report['containers']
        self.assertEqual((one['container']['id'], one['class'], one['limit_bytes']), (container, 'wasteful', 512 * MIB))
        self.assertTrue(one['peak_exact'])
        self.assertGreaterEqual(one['peak_bytes'], 24 * MIB)
        self.assertGreaterEqual(one['windows'], 10)

    def test_excerpts_say_that_percentiles_do_not_hold(self):
        directory = os.path.join(self.scratch(), 'flight')
        container = self.create('hog', 'anon', '64m', memory='32m')
        with harness.Watch('--flight-recorder', directory, '--flight-after', '1s') as watch:
            self.assertEqual(docker.start_and_wait(container), 137)
            watch.wait_for('oom', container)
            time.sleep(2.5)
        report = advise(directory, '--container', container)
        self.assertFalse(report['complete'])
        self.assertTrue([gap for gap in report['gaps'] if 'around incidents alone' in gap], report['gaps'])
        self.assertEqual(report['containers'][0]['class'], 'too-small')

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
