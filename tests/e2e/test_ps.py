# SPDX-License-Identifier: Apache-2.0
"""memcrest ps: what it lists, against the kernel's own files and against Docker."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import harness
from harness import IMAGE, MEMCREST, MIB, cgroups, docker, memcrest, unique, wait_until
from runtimes import seeing

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker

SCHEMA = os.path.join(harness.SOURCE, 'docs', 'ps.schema.json')
HOLD = ('hog', 'anon', '20m', '--hold', '600000')


def ps(*options, check=True, **more):
    """Runs ps to its end."""
    if '--docker-socket' not in options:
        options = (*options, '--docker-socket', docker.socket)
    done = memcrest('ps', *options, timeout=60, **more)
    if check and done.returncode != 0:
        raise AssertionError(f'ps ended with {done.returncode}\n{done.stderr}')
    return done


def rows(*options):
    """Each line as an object; all of them fit the schema."""
    done = ps('--json', *options)
    if done.stdout:
        checked = subprocess.run([sys.executable, harness.VALIDATOR, '--schema', SCHEMA], input=done.stdout, text=True,
                                 capture_output=True, check=False)
        if checked.returncode != 0:
            raise AssertionError(checked.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def names(*options):
    return {row['container']['name'] for row in rows(*options)}


def in_terminal(columns, *options, env=None):
    """What a terminal of that width shows, stdout and stderr together."""
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 50, columns, 0, 0))
    process = subprocess.Popen([MEMCREST, 'ps', '--docker-socket', docker.socket, *options], stdin=subprocess.DEVNULL,
                               stdout=terminal, stderr=terminal, env={**os.environ, 'TERM': 'xterm', **(env or {})})
    os.close(terminal)
    shown = b''
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(main)
    return process.wait(harness.PATIENCE), shown.decode().replace('\r\n', '\n')


class PsCase(harness.TestCase):
    def start(self, *command, **options):
        """A running container; returns (id, name)."""
        container, name = docker.create(*(command or HOLD), **options)
        self.remove_later(container)
        docker('start', container)
        return container, name

    def row(self, container, *options):
        found = [row for row in rows(*options) if row['container']['id'] == container and row['kind'] == 'container']
        self.assertEqual(len(found), 1, found)
        return found[0]

    def wait_for_memory(self, path, size):
        def used():
            return int(cgroups.read(path, 'memory.usage_in_bytes', 'memory.current')) >= size
        self.assertTrue(wait_until(used))


class FiguresTest(PsCase):
    def test_a_container_and_the_kernels_own_files(self):
        container, name = self.start(memory='64m', options=['--label', 'tier=front'])
        path = harness.shared_cgroup(container)
        self.wait_for_memory(path, 20 * MIB)
        row = self.row(container)
        self.assertEqual(row['container']['name'], name)
        self.assertEqual(row['container']['runtime'], 'docker')
        self.assertEqual(row['container']['image'], IMAGE)
        self.assertEqual(row['container']['labels']['tier'], 'front')
        self.assertIsNone(row['container']['unknown_reason'])
        self.assertEqual(row['cgroup']['path'], path)
        self.assertEqual(row['cgroup']['id'], os.stat(cgroups.dir(path)).st_ino)
        # It holds still; only what processors have taken in advance may be given back.
        self.assertAlmostEqual(row['usage_bytes'], int(cgroups.read(path, 'memory.usage_in_bytes', 'memory.current')),
                               delta=MIB)
        self.assertEqual(row['peak_bytes'], cgroups.peak(path))
        self.assertGreaterEqual(row['peak_bytes'], row['usage_bytes'])
        stat = cgroups.read(path, 'memory.stat', 'memory.stat')
        key = cgroups.file('total_inactive_file', 'inactive_file')
        inactive = int(re.search(rf'^{key} (\d+)$', stat, re.M).group(1))
        self.assertAlmostEqual(row['working_set_bytes'], row['usage_bytes'] - inactive, delta=64 << 10)
        self.assertEqual((row['has_limit'], row['limit_bytes']), (True, 64 * MIB))
        self.assertEqual(row['effective_limit'],
                         {'bytes': 64 * MIB, 'cgroup_path': path, 'usage_bytes': row['usage_bytes']})
        self.assertTrue(row['effective_limit_known'])
        self.assertAlmostEqual(row['share_of_limit'], row['working_set_bytes'] / (64 * MIB))
        self.assertEqual(row['oom_kills'], 0)
        self.assertEqual(row['gaps'], [])
        if row['swap']:
            self.assertEqual(row['swap']['kind'], cgroups.file('memory.memsw.limit_in_bytes', 'memory.swap.max'))
            self.assertEqual(row['swap']['limit_bytes'], 64 * MIB if cgroups.version == 1 else 0)

    def test_docker_stats_shows_the_working_set(self):
        # 30 MiB of files that were read once: what docker stats leaves out.
        container, _ = self.start('sh', '-c', 'hog makefile /f 30m && hog readfile /f && touch /ready && sleep 600',
                                  memory='128m')
        wait_until(lambda: docker('exec', container, 'test', '-e', '/ready', check=False).returncode == 0)
        shown = docker('stats', '--no-stream', '--format', '{{.MemUsage}}', container).stdout
        number, unit = re.match(r'([\d.]+)(\w+)', shown).groups()
        stats = float(number) * {'B': 1, 'KiB': 1 << 10, 'MiB': MIB}[unit]
        row = self.row(container)
        self.assertGreater(row['usage_bytes'], row['working_set_bytes'] + 10 * MIB)
        self.assertAlmostEqual(row['working_set_bytes'], stats, delta=MIB)

    def test_a_container_without_a_limit(self):
        container, name = self.start(memory='0')
        row = self.row(container)
        self.assertEqual((row['has_limit'], row['limit_bytes']), (False, None))
        self.assertIsNone(row['effective_limit'])
        self.assertTrue(row['effective_limit_known'])
        self.assertIsNone(row['share_of_limit'])
        line = next(line for line in ps().stdout.splitlines() if name in line)
        self.assertRegex(line, r'\bnone\b')

    def test_a_limit_of_a_parent_that_is_smaller(self):
        parent = '/' + unique('mcps')
        with cgroups.made(parent, 48 * MIB):
            container, name = docker.create(*HOLD, memory='512m', options=['--cgroup-parent', parent])
            try:
                docker('start', container)
                path = f'{parent}/{container}'
                self.wait_for_memory(path, 20 * MIB)
                row = self.row(container)
                self.assertEqual(row['limit_bytes'], 512 * MIB)
                self.assertEqual(row['effective_limit']['bytes'], 48 * MIB)
                self.assertEqual(row['effective_limit']['cgroup_path'], parent)
                self.assertGreaterEqual(row['effective_limit']['usage_bytes'], row['usage_bytes'])
                self.assertGreater(row['share_of_limit'], 20 / 48)
                if cgroups.version == 1:  # the kernel's own view of the same
                    stat = cgroups.read(path, 'memory.stat', 'memory.stat')
                    self.assertIn(f'hierarchical_memory_limit {48 * MIB}\n', stat)
                line = next(line for line in ps().stdout.splitlines() if name in line)
                self.assertIn(parent + ' (', line)
            finally:
                docker('rm', '-f', container)

    def test_the_count_after_a_real_oom(self):
        container, _ = self.start('sh', '-c', 'hog anon 256m; hog anon 256m; sleep 600', memory='32m')
        path = harness.shared_cgroup(container)
        self.assertTrue(wait_until(lambda: cgroups.oom_kills(path) == 2))
        row = self.row(container)
        self.assertEqual(row['oom_kills'], 2)
        self.assertEqual(row['peak_bytes'], 32 * MIB)
        self.assertEqual(row['peak_bytes'], cgroups.peak(path))

    def test_kills_in_a_cgroup_of_the_container_count(self):
        container, _ = self.start('sh', '-c', 'while [ ! -e /go ]; do sleep 0.05; done; hog anon 64m; sleep 600',
                                  memory='256m')
        main = docker.inspect(container, '.State.Pid')
        inner = harness.shared_cgroup(container) + '/inner'
        with cgroups.made(inner, 16 * MIB):
            cgroups.write(inner, 'cgroup.procs', 'cgroup.procs', main)
            docker('exec', container, 'touch', '/go')
            self.assertTrue(wait_until(lambda: cgroups.oom_kills(inner) == 1))
            self.assertEqual(self.row(container)['oom_kills'], 1)
            found = [row for row in rows('--all') if row['cgroup']['path'] == inner]
            self.assertEqual([row['kind'] for row in found], ['cgroup'])
            self.assertEqual(found[0]['container']['id'], container)
            self.assertEqual(found[0]['limit_bytes'], 16 * MIB)
            docker('rm', '-f', container)

    def test_one_that_ended_is_not_shown(self):
        container, _, _ = docker.run_to_end('true')
        self.remove_later(container)
        self.assertNotIn(container, {row['container']['id'] for row in rows('--all')})


class ChoiceTest(PsCase):
    def test_filters(self):
        _, web = self.start(name=unique('web'), options=['--label', 'tier=front', '--label', 'app=shop'])
        other, db = self.start(name=unique('db'), options=['--label', 'tier=back', '--label', 'app=shop'])
        both = {web, db}
        for options, expected in [
                ([], both),
                (['--container', web], {web}),
                (['--container', other[:20]], {db}),
                (['--container', web, '--container', db], both),
                (['--container', web[:-4] + '*'], {web}),
                (['--container', 'nothing-like-it'], set()),
                (['--label', 'tier=front'], {web}),
                (['--label', 'tier=*', '--label', 'none'], both),
                (['--label', 'tier'], both),
                (['--label', 'tier=front', '--container', db], set()),
                (['--label', 'app=shop', '--container', db], {db}),
                (['--image', 'memcrest-test'], both),
                (['--image', 'memcrest-*:latest', '--label', 'tier=back'], {db}),
                (['--image', 'nginx'], set()),
                (['--cgroup', '/docker'], both),
                (['--cgroup', f'/docker/{other}'], {db}),
                (['--cgroup', '/kubepods/**'], set()),
                (['--runtime', 'docker'], both),
                (['--runtime', 'podman'], set()),
                (['--pod', '*'], set()),
                (['--namespace', '*'], set()),
        ]:
            with self.subTest(options=options):
                self.assertEqual(names(*options) & both, expected)

    def test_watch_takes_the_same_filters(self):
        with harness.Watch('--label', 'tier=front', '--cgroup', '/docker') as watch:
            back, _, code = docker.run_to_end('hog', 'anon', '256m', options=['--label', 'tier=back'])
            front, name, _ = docker.run_to_end('hog', 'anon', '256m', options=['--label', 'tier=front'])
            self.remove_later(back, front)
            self.assertEqual(code, 137)
            self.assert_named(watch.wait_for('oom', front), front, name)
            watch.settle()
            self.assertEqual(watch.incidents(container=back), [])

    def test_nothing_that_matches(self):
        container, _ = self.start()
        done = ps('--container', 'nothing-like-it', '--cgroup', harness.shared_cgroup(container))
        self.assertEqual(done.stdout, '')
        self.assertRegex(done.stderr, r'none of \d+ matches')

    def test_all_shows_other_cgroups(self):
        path = '/' + unique('mcplain')
        with cgroups.made(path, 16 * MIB):
            self.assertNotIn(path, {row['cgroup']['path'] for row in rows()})
            found = [row for row in rows('--all') if row['cgroup']['path'] == path]
            self.assertEqual(len(found), 1)
            self.assertEqual(found[0]['kind'], 'cgroup')
            self.assertEqual(found[0]['container']['runtime'], 'none')
            self.assertEqual(found[0]['limit_bytes'], 16 * MIB)
            self.assertEqual({row['cgroup']['path'] for row in rows('--all', '--cgroup', path)}, {path})

    def test_sorting(self):
        mine = [self.start('hog', 'anon', size, '--hold', '600000', memory=limit, name=unique(letter))[1]
                for letter, size, limit in [('a', '30m', '256m'), ('b', '10m', '16m'), ('c', '5m', '0')]]

        def my_rows(*options):
            return [row for row in rows(*options) if row['container']['name'] in mine]

        def order(*options):
            return ''.join(row['container']['name'][0] for row in my_rows(*options))
        least = {'a': 30 * MIB, 'b': 10 * MIB, 'c': 5 * MIB}
        self.assertTrue(wait_until(lambda: len(my_rows()) == 3 and all(
            row['usage_bytes'] >= least[row['container']['name'][0]] for row in my_rows())))
        self.assertEqual(order(), 'bac')
        self.assertEqual(order('--sort', 'percent'), 'bac')
        self.assertEqual(order('--sort', 'usage'), 'abc')
        self.assertEqual(order('--sort', 'peak'), 'abc')
        self.assertEqual(order('--sort', 'limit'), 'abc')
        self.assertEqual(order('--sort', 'name'), 'abc')


class TextTest(PsCase):
    def test_the_table(self):
        container, name = self.start(memory='64m')
        done = ps('--cgroup', harness.shared_cgroup(container))
        header, *lines = done.stdout.splitlines()
        self.assertEqual(header.split()[:3], ['NAME', 'RUNTIME', 'POD'])
        line = next(line for line in lines if name in line)
        for cell in ('docker', '64.0 MiB', 'itself'):
            self.assertIn(cell, line)
        self.assertNotIn('\x1b', done.stdout)
        self.assertEqual(done.stderr, '')

    def test_it_fits_the_terminal(self):
        self.start(name=unique('a-name-that-is-much-longer-than-a-column-can-be-wide-' + 'x' * 60))
        for columns in (60, 80, 140, 200):
            code, shown = in_terminal(columns, env={'NO_COLOR': '1'})
            self.assertEqual(code, 0)
            table = [line for line in shown.splitlines() if not line.startswith('memcrest:')]
            self.assertGreater(len(table), 1)
            for line in table:
                self.assertLessEqual(len(line), columns, line)
            self.assertIn('…', shown)
            if columns in (60, 200):
                self.assertEqual('no room for' in shown, columns == 60, shown)
        self.assertIn('\x1b[', in_terminal(80)[1])
        self.assertNotIn('\x1b[', in_terminal(80, env={'NO_COLOR': '1'})[1])

    def test_output_that_cannot_be_written(self):
        self.start()
        with open('/dev/full', 'w', encoding='utf-8') as full:
            self.assertEqual(ps(check=False, stdout=full).returncode, 5)


class TroubleTest(PsCase):
    def test_without_docker_it_says_so_once(self):
        containers = [self.start()[0] for _ in range(2)]
        done = ps('--no-bundles', '--docker-socket', '/nowhere/docker.sock')
        for container in containers:
            self.assertIn('? ' + container[:12], done.stdout)
        self.assertEqual(done.stderr.count('/nowhere/docker.sock'), 1, done.stderr)
        self.assertRegex(done.stderr, r'no Docker socket.*\(\d+ times\)')
        found = [json.loads(line) for line in ps('--json', '--no-bundles', '--docker-socket', '').stdout.splitlines()]
        self.assertTrue(all(row['container']['unknown_reason'] for row in found))
        self.assertIn(64 * MIB, {row['limit_bytes'] for row in found})

    def test_without_docker_names_come_from_its_files_and_that_is_said(self):
        _, name = self.start()
        command = seeing(os.path.join(docker.dir, 'ps-view'), {'/var/lib/docker': f'{docker.dir}/data',
                                                               '/run/docker': f'{docker.dir}/exec'})
        done = harness.run(*command, 'ps', '--docker-socket', '/nowhere/docker.sock')
        self.assertIn(name, done.stdout)
        self.assertEqual(done.stderr.count('no Docker socket at /nowhere/docker.sock'), 1, done.stderr)
        self.assertNotIn('does not answer', ps().stderr)

    def test_a_docker_that_hangs_is_not_waited_for_longer_than_asked(self):
        container, name = self.start()
        pid = int(harness.read(docker.dir + '/docker.pid'))
        os.kill(pid, 19)
        try:
            done = ps('--no-bundles', '--wait', '300ms')
        finally:
            os.kill(pid, 18)
        self.assertIn('? ' + container[:12], done.stdout)
        self.assertIn('has not answered', done.stderr)
        self.assertIn(name, ps().stdout)

    def test_as_nobody(self):
        container, _ = self.start()
        program = harness.public_copy(self.scratch())
        done = harness.run('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', program, 'ps', '--json',
                           '--docker-socket', docker.socket, check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        row = next(row for row in map(json.loads, done.stdout.splitlines()) if row['container']['id'] == container)
        self.assertEqual(row['limit_bytes'], 64 * MIB)
        self.assertIsNone(row['container']['name'])
        self.assertIn('Permission denied', done.stderr)
        self.assertEqual(done.stderr.count('Permission denied'), 1, done.stderr)

    def test_wrong_command_lines(self):
        for options in (['--sort', 'size'], ['--runtime', 'rkt'], ['--label', '=x'], ['--cgroup', 'docker'],
                        ['--container', ''], ['--wait', '1'], ['extra']):
            done = ps(*options, check=False)
            self.assertEqual(done.returncode, 2, options)
            self.assertEqual(done.stdout, '')
            self.assertIn(options[0], done.stderr)

    def test_names_that_flags_are_called_in_the_help_exist(self):
        text = memcrest('ps', '--help').stdout
        for flag in ('--json', '--all', '--sort', '--wait', '--container', '--pod', '--namespace', '--label', '--image',
                     '--cgroup', '--runtime', '--docker-socket'):
            self.assertIn(flag, text)


if __name__ == '__main__':
    harness.main()
