# SPDX-License-Identifier: Apache-2.0
"""`memcrest top` in a real terminal (tmux): keys, captured screens of several sizes, a container that dies while it is
looked at, a thousand of them, hostile names, a recording's time, an agent that goes away."""

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest

import harness
from harness import MEMCREST, MIB, SOURCE, VALIDATOR, cgroups, docker, memcrest, run, unique, wait_until
from test_agent import Agent

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker


class Screen:
    """`memcrest top` in a tmux server of its own, for the life of a with statement."""

    def __init__(self, *options, columns=80, rows=24, env=None):
        self.name = unique('mctop')
        self.options = [str(one) for one in options]
        self.size = (columns, rows)
        self.env = {'LC_ALL': 'C.UTF-8', 'TERM': 'tmux-256color', **(env or {})}

    def tmux(self, *command, check=True):
        return run('tmux', '-L', self.name, '-f', '/dev/null', *command, check=check)

    def __enter__(self):
        variables = [f'{key}={value}' for key, value in self.env.items()]
        command = ' '.join(['env', '-u', 'NO_COLOR', *variables, MEMCREST, 'top', *(f"'{one}'" for one in self.options)])
        self.tmux('new-session', '-d', '-x', self.size[0], '-y', self.size[1], f'{command}; echo "ended with $?"; sleep 600')
        self.wait('memcrest top ·')
        return self

    def __exit__(self, *_):
        self.tmux('kill-server', check=False)

    def text(self, *options):
        return self.tmux('capture-pane', '-p', *options).stdout

    def lines(self):
        return self.text().split('\n')

    def keys(self, *keys):
        self.tmux('send-keys', *keys)

    def type(self, text):
        self.tmux('send-keys', '-l', text)

    def wait(self, what, timeout=harness.PATIENCE):
        """Until the screen holds this text (or matches this pattern); returns the screen."""
        def holds():
            text = self.text()
            return text if (what.search(text) if hasattr(what, 'search') else what in text) else None
        found = wait_until(holds, timeout, pause=0.1)
        if not found:
            raise AssertionError(f'never showed {what!r}:\n{self.text()}')
        return found

    def wait_not(self, what):
        if not wait_until(lambda: what not in self.text(), pause=0.1):
            raise AssertionError(f'still shows {what!r}:\n{self.text()}')

    def resize(self, columns, rows):
        self.tmux('resize-window', '-x', columns, '-y', rows)


def live(*options, **more):
    return Screen('--docker-socket', docker.socket, '--containers-only', *options, **more)


class TopTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        if not shutil.which('tmux'):
            self.skipTest('needs tmux')

    def running(self, *command, **options):
        container, name = docker.create(*command, **options)
        self.remove_later(container)
        docker('start', container)
        return container, name

    def only(self, screen, text):
        screen.keys('f')
        screen.wait('show only:')
        screen.type(text)
        screen.keys('Enter')
        screen.wait_not('show only:')

    def test_keys_on_80_by_24_and_200_by_50(self):
        _, name = self.running('hog', 'anon', '40m', '--hold', '600000')
        _, other = self.running('hog', 'anon', '8m', '--hold', '600000', memory='128m')
        with Screen('--docker-socket', docker.socket, '--container', name, '--container', other) as screen:
            self.only(screen, 'mc-')  # what nobody could name is shown too
            screen.wait(re.compile(r'> .?' + name[:8] + r'.* 4\d\.\d MiB'))
            lines = screen.lines()
            self.assertIn('2 containers', lines[0])
            self.assertRegex(lines[2], r'NAME +USE +PEAK +LIMIT +%▼ USE┃PEAK')
            row = next(line for line in lines if name[:8] in line)
            self.assertRegex(row, r'64\.0 MiB +6\d %')
            self.assertIn('█', row)
            self.assertLessEqual(max(len(line) for line in lines), 80)
            # sorted by percent: the smaller one is last, until it is sorted by limit
            self.assertGreater(next(i for i, l in enumerate(lines) if other[:8] in l), lines.index(row))
            screen.keys('c', 'l')
            screen.wait('sort: limit')
            lines = screen.lines()
            self.assertLess(next(i for i, l in enumerate(lines) if other[:8] in l),
                            next(i for i, l in enumerate(lines) if name[:8] in l))
            screen.keys('r')
            self.only(screen, name[3:])  # is added to what was typed before
            screen.wait('1 container (')
            screen.wait(f'f filter: {name}'[:20])
            screen.keys('Escape')
            screen.wait_not('hidden')
            self.only(screen, 'mc-')
            screen.keys('/')
            screen.type(other)
            screen.keys('Enter')
            screen.wait(re.compile(r'> .?' + other[:8]))
            screen.keys('t')
            screen.wait('- /docker   2 containers')
            screen.keys('t')
            screen.keys('h')
            screen.wait('highest since the refresh before')
            screen.keys('q')
            screen.keys('i')
            screen.wait('no incident')
            screen.keys('Escape')
            screen.resize(200, 50)
            wide = screen.wait('GROWTH')
            for word in ('MAX', 'EFFECTIVE', 'LAST MIN', 'STALL', 'KIND', '/docker', 'charges '):
                self.assertIn(word, wide)
            self.assertIn('anon', wide)
            screen.keys('Enter')
            self.assertIn('60 s ago', screen.wait('limit      '))
            screen.resize(80, 24)
            screen.wait('in use')
            screen.keys('q')
            screen.wait('Enter detail')
            screen.keys('q')
            screen.wait('ended with 0')

    def test_a_burst_between_two_looks(self):
        _, name = self.running('sh', '-c', 'sleep 6; hog anon 48m --hold 20; sleep 600')
        with Screen('--docker-socket', docker.socket, '--container', name, '--interval', '3s', columns=120) as screen:
            # usage has fallen again when it is looked at
            line = screen.wait(re.compile(name[:8] + r'.*\n'))
            seen = wait_until(lambda: re.search(name[:8] + r'\S* +(\d+(?:\.\d+)? [KM]iB) +~?((?:4[89]|5\d)\.\d MiB)',
                                                screen.text()), pause=0.2)
            self.assertTrue(seen, screen.text() + line)
            self.assertNotEqual(seen.group(1), seen.group(2))

    def test_a_container_dies_while_its_detail_is_open(self):
        container, name = self.running('sh', '-c', 'sleep 8; exec hog anon 128m --no-thp --rate 100', memory='64m')
        with Screen('--docker-socket', docker.socket, '--container', name, columns=110, rows=60) as screen:
            screen.wait(name)
            screen.keys('Enter')
            screen.wait('in use')
            text = screen.wait('GONE')
            self.assertIn(name, text)
            text = screen.wait('OOM KILL')
            self.assertIn('hog', text)
            screen.keys('Escape')
            screen.keys('i')
            screen.wait(re.compile('OOM KILL +' + name))
            screen.keys('Enter')
            text = screen.wait('killed     hog anon 128m')
            self.assertIn('64.0 MiB', text)
            self.assertIn(container[:12], text)

    def test_no_colour(self):
        _, name = self.running('hog', 'anon', '62m', '--hold', '600000')
        for options, env, coloured in (((), {}, True), (('--no-color',), {}, False), ((), {'NO_COLOR': '1'}, False)):
            with Screen('--docker-socket', docker.socket, '--container', name, *options, env=env) as screen:
                screen.wait('!' + name[:6])  # says without colour that it is near its limit
                codes = re.findall(r'\x1b\[([0-9;]*)m', screen.text('-e'))
                self.assertEqual(any(re.search(r'(^|;)(3[0-7]|38)(;|$)', code) for code in codes), coloured, codes)

    def test_a_thousand_containers(self):
        parent = f'/memcrest-top-{os.getpid()}'
        with contextlib.ExitStack() as stack:
            stack.enter_context(cgroups.made(parent))
            stack.enter_context(cgroups.made(f'{parent}/docker'))
            for i in range(1000):
                stack.enter_context(cgroups.made(f'{parent}/docker/{i:064x}'))
            with Screen('--docker-socket', '', '--no-bundles', '--cgroup', parent, columns=120, rows=40) as screen:
                screen.wait('1000 containers')
                screen.keys('c', 'n')
                screen.keys('End')
                screen.wait(re.compile('> .?[?] 000000000000'))
                screen.keys('Home')
                screen.keys('NPage', 'NPage')
                screen.keys('f')
                screen.type(f'{777:064x}')
                screen.wait('1 container (999 hidden)')
                screen.keys('Escape')
                screen.wait('1000 containers')
                screen.keys('q')
                screen.wait('ended with 0')
            done = memcrest('top', '--once', '--json', '--docker-socket', '', '--no-bundles', '--cgroup', parent)
            self.assertEqual(len(done.stdout.splitlines()), 1000, done.stderr)

    def test_once_and_json(self):
        container, name = self.running('hog', 'anon', '40m', '--hold', '600000')
        done = memcrest('top', '--once', '--json', '--docker-socket', docker.socket, '--container', name)
        self.assertEqual(done.returncode, 0, done.stderr)
        harness.run('/usr/bin/python3', VALIDATOR, '--schema', os.path.join(SOURCE, 'docs', 'ps.schema.json'), input=done.stdout)
        row = next(row for row in map(json.loads, done.stdout.splitlines()) if row['container']['id'] == container)
        self.assertEqual(row['limit_bytes'], 64 * MIB)
        self.assertGreater(row['live']['peak_interval_bytes'], 39 * MIB)
        self.assertGreater(row['peak_bytes'], 39 * MIB)
        done = memcrest('top', '--once', '--docker-socket', docker.socket, '--container', name)
        self.assertRegex(done.stdout, rf'NAME.*\n.*{name} +4\d\.\d MiB')

    def test_without_a_terminal_it_says_so(self):
        done = memcrest('top', '--agent', '/nonexistent')
        self.assertEqual(done.returncode, 1)
        done = memcrest('top', '/dev/null', stdin=subprocess.DEVNULL)
        self.assertNotEqual(done.returncode, 0)

    def test_an_agent(self):
        container, name = self.running('hog', 'anon', '40m', '--hold', '600000')
        directory = self.scratch()
        socket = os.path.join(directory, 'agent.sock')
        with Agent(directory) as agent:
            url = f'http://127.0.0.1:{agent.port}'
            done = memcrest('top', '--agent', url, '--json')
            rows = {row['container']['id']: row for row in map(json.loads, done.stdout.splitlines())}
            self.assertEqual(rows[container]['container']['name'], name)
            self.assertGreater(rows[container]['live']['peak_interval_bytes'], 39 * MIB)
            with Screen('--agent', url, '--container', name, columns=120) as screen:
                screen.wait(re.compile(name[:8] + r'\S* +4\d\.\d MiB'))
                screen.keys('Enter')
                screen.wait('limit      64.0 MiB')
                screen.keys('Escape')
                agent.stop(signal.SIGKILL)
                screen.wait('ask the agent')
                screen.keys('q')
                screen.wait('ended with 0')
        self.assertFalse(os.path.exists(socket))


class RecordedTopTest(harness.TestCase):
    """Needs no privileges; the recording is made once."""

    @classmethod
    def setUpClass(cls):
        cls.directory = f'/tmp/memcrest-e2e-top-{os.getpid()}'
        os.makedirs(cls.directory, exist_ok=True)
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.path = os.path.join(cls.directory, 'night.db')
        recorder = subprocess.Popen([MEMCREST, 'record', '-o', cls.path, '--docker-socket', docker.socket],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        lines = harness.Lines(recorder.stderr)
        wait_until(lambda: any(b'watching' in line for _, line in lines.items))
        cls.container, cls.name, _ = docker.run_to_end('sh', '-c', 'hog anon 24m; sleep 4; exec hog anon 128m --rate 200')
        docker('rm', '-f', cls.container, check=False)
        time.sleep(2)
        recorder.send_signal(signal.SIGTERM)
        recorder.wait(30)
        lines.finish()

    def test_time_travel(self):
        with Screen(self.path, '--container', self.name, columns=120, rows=40) as screen:
            screen.keys('$')
            screen.keys('(')  # the last incident
            screen.keys('{', '$')
            text = screen.wait(re.compile('stopped at .* of '))
            self.assertIn('!', text.split('\n')[1])
            screen.keys('(', 'i')
            screen.wait('OOM KILL')
            screen.keys('Enter')
            screen.wait('killed     hog anon 128m')
            screen.keys('Escape')
            screen.wait('Enter the full story')
            screen.keys('Escape')
            screen.wait('Enter detail')
            screen.wait(re.compile(self.name[:8] + r'\S* .*64\.0 MiB'))
            screen.keys('[', '[')
            text = screen.wait(re.compile(self.name[:8] + r'\S* +(?!6[0-9]\.)\d'))
            before = text.split('\n')[1]
            screen.keys(']')
            wait_until(lambda: screen.lines()[1] != before)
            self.assertNotEqual(screen.lines()[1], before)
            screen.keys('0')
            screen.wait(re.compile('stopped at 0 '))
            screen.keys('Space')
            screen.wait('playing')
            screen.keys('q')
            screen.wait('ended with 0')

    def test_once_is_the_moment_of_the_first_incident(self):
        done = memcrest('top', self.path, '--json', '--container', self.name)
        row = next(row for row in map(json.loads, done.stdout.splitlines()) if row['container']['id'] == self.container)
        self.assertEqual(row['container']['name'], self.name)
        self.assertEqual(row['limit_bytes'], 64 * MIB)

    def test_hostile_and_wide_names(self):
        evil = '日本語コンテナ名前a\x1b[31m\x1b]0;owned\x07\u202e\r\nb' + 'x' * 300
        path = os.path.join(self.directory, 'evil.db')
        shutil.copy(self.path, path)
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE containers SET name = ?, image = ?, json = ''", (evil, evil))
        with Screen(path, columns=100, rows=30) as screen:
            screen.keys('$', '(')
            screen.wait('日本')
            for keys in (('Enter',), ('Escape', 't'), ('i',), ('Enter',)):
                screen.keys(*keys)
                time.sleep(0.7)
                text = screen.text()
                self.assertIn('memcrest top ·', text.split('\n')[0], text)
                self.assertEqual(len(text.rstrip('\n').split('\n')), 30, text)
                self.assertNotIn('\u202e', text)
            self.assertNotIn('owned', screen.tmux('display-message', '-p', '#{pane_title}').stdout)
            rows = [line for line in screen.lines() if '日本' in line]
            self.assertTrue(all(len(row) <= 100 for row in rows), rows)


if __name__ == '__main__':
    harness.main()
