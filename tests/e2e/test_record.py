# SPDX-License-Identifier: Apache-2.0
"""Recordings: what they hold, how they end, and what may happen to them meanwhile."""

import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import time

import harness
from harness import HOG, MEMCREST, MIB, SOURCE, Watch, docker, memcrest, run, unique, wait_until

# scripts/test-durability kills more often.
KILLS = int(os.environ.get('MEMCREST_KILLS', '5'))
# What a kill may cost: the flush interval, and a write under way on a machine that is busy with other tests.
FLUSH_SECONDS = 1
WRITE_SECONDS = 2

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker


class Recorder:
    """`memcrest record` for the life of a with statement."""

    def __init__(self, *options, socket=None):
        self.options = [*map(str, options), '--docker-socket', docker.socket if socket is None else socket]
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen([MEMCREST, 'record', *self.options], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.out = harness.Lines(self.process.stdout)
        if not wait_until(lambda: self.says('watching') or self.process.poll() is not None) or not self.says('watching'):
            self.__exit__()
            raise AssertionError(f'no banner: {self.out.text()}')
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.out.finish()

    def says(self, text):
        return any(text in line.decode() for _, line in list(self.out.items))

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(harness.PATIENCE)
        self.out.finish()
        return code


def query(path, sql):
    with contextlib.closing(sqlite3.connect(f'file:{path}?mode=ro', uri=True)) as database:
        return database.execute(sql).fetchall()


def meta(path):
    return dict(query(path, 'SELECT key, value FROM meta'))


@contextlib.contextmanager
def busy():
    """Cgroups that come, grow and go."""
    script = f'while :; do {MEMCREST} run -- {HOG} anon 48m >/dev/null 2>&1; {HOG} anon 32m; done'
    process = subprocess.Popen(['sh', '-c', script], start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


class RecordTest(harness.TestCase):
    def record_an_oom(self, *options):
        """Returns (path, container's id and name, output of watch beside it)."""
        path = os.path.join(self.scratch(), 'a.db')
        with Watch() as watch, Recorder('-o', path, *options) as recorder:
            container, name, code = docker.run_to_end('sh', '-c', 'sleep 1; exec hog anon 128m', memory='64m')
            self.remove_later(container)
            self.assertEqual(code, 137)
            watch.wait_for('oom', container)
            wait_until(lambda: query(path, f"SELECT * FROM incidents WHERE container_id = '{container}'"))
            time.sleep(2)  # its runtime's word
            self.assertEqual(recorder.stop(), 0, recorder.out.text())
        return path, container, name, watch

    def test_holds_everything_and_replays_to_the_byte(self):
        path, container, name, watch = self.record_an_oom()
        recorded = query(path, 'SELECT json FROM incidents ORDER BY seq')
        replayed = memcrest('replay', '--json', path)
        self.assertEqual(replayed.returncode, 0, replayed.stderr)
        self.assertEqual(replayed.stdout, ''.join(line + '\n' for (line,) in recorded))
        harness.validate(replayed.stdout)
        self.assertRegex(replayed.stderr, rf'{len(recorded)} incidents, {len(recorded)} of them byte for byte')
        # What watch saw beside it.
        seen = watch.wait_for('oom', container)
        mine = [json.loads(line) for (line,) in recorded if json.loads(line)['container']['id'] == container]
        oom = next(i for i in mine if i['kind'] == 'oom')
        self.assertEqual(oom['victims'][0]['pid'], seen['victims'][0]['pid'])
        # And by SQL.
        self.assertEqual(query(path, 'PRAGMA integrity_check'), [('ok',)])
        self.assertEqual(query(path, 'PRAGMA application_id'), [(0x4d435231,)])
        self.assertEqual(query(path, 'SELECT name, image, runtime FROM containers WHERE container_id = '
                               f"'{container}'"), [(name, harness.IMAGE, 'docker')])
        (peak, limit), = query(path, f"""
            SELECT max(usage_bytes), max(limit_bytes) FROM steps JOIN cgroups ON cgroups.id = steps.cgroup
            JOIN containers ON containers.id = cgroups.container WHERE containers.container_id = '{container}'""")
        self.assertEqual(limit, 64 * MIB)
        self.assertGreater(peak, 62 * MIB)
        self.assertLessEqual(peak, 64 * MIB)
        self.assertEqual(meta(path)['ended'], 'whole')
        self.assertFalse(os.path.exists(path + '-wal'), 'one file')
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        text = memcrest('replay', path, '--container', name)
        self.assertIn('OOM KILL', text.stdout)
        self.assertIn(name, text.stdout)

    def test_the_queries_of_the_manual(self):
        path, _, name, _ = self.record_an_oom()
        with open(os.path.join(SOURCE, 'docs', 'recording.md'), encoding='utf-8') as file:
            queries = re.findall(r'```sql\n(.*?)```', file.read(), re.S)
        self.assertGreaterEqual(len(queries), 5)
        for sql in queries:
            with self.subTest(sql=sql):
                rows = query(path, sql.replace("name = 'web'", f"name = '{name}'"))
                if 'FROM loss' not in sql:
                    self.assertTrue(rows)

    def test_filters(self):
        path, container, name, _ = self.record_an_oom('--container', 'nobody-*')
        self.assertEqual(query(path, 'SELECT count(*) FROM incidents'), [(0,)])
        self.assertEqual(meta(path)['filter'], '--container nobody-*')
        path, container, name, _ = self.record_an_oom('--runtime', 'docker', '--image', 'memcrest-test')
        self.assertEqual({c for c, in query(path, 'SELECT container_id FROM incidents')}, {container})
        # Others are kept until their names are known, which a busy machine takes seconds for.
        named = query(path, """SELECT path, max(steps.boot_ns) - min(steps.boot_ns) FROM steps
                               JOIN cgroups ON cgroups.id = steps.cgroup GROUP BY path""")
        for cgroup, span_ns in named:
            self.assertTrue(not cgroup or f'/docker/{container}'.startswith(cgroup) or span_ns < 3e9, named)

    def test_one_command(self):
        path = os.path.join(self.scratch(), 'a.db')
        done = memcrest('record', '-o', path, '--', 'sh', '-c', f'{HOG} anon 64m; exit 7')
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertIn('peak', done.stderr)
        self.assertIn('recorded', done.stderr)
        cgroup = meta(path)['filter'].removeprefix('--cgroup ')
        self.assertIn('memcrest-run-', cgroup)
        (peak,), = query(path, f"""SELECT max(usage_bytes) FROM steps JOIN cgroups ON cgroups.id = steps.cgroup
                                   WHERE path = '{cgroup}'""")
        self.assertGreater(peak, 60 * MIB)
        # Without its recording it does not run.
        done = memcrest('record', '-o', path, '--', 'sh', '-c', f'touch {path}.ran')
        self.assertEqual(done.returncode, 125)
        self.assertIn('File exists', done.stderr)
        self.assertFalse(os.path.exists(path + '.ran'))

    def test_wrong_command_lines(self):
        for options, says in ((['record'], '--output FILE or --directory DIR'),
                              (['record', '-o', 'x', '--directory', 'y'], 'excludes'),
                              (['record', '-o', 'x', '--keep-count', '3'], 'requires --directory'),
                              (['watch', '--keep-count', '3'], 'requires --flight-recorder'),
                              (['record', '-o', 'x', '--container', 'a', '--', 'true'], 'no filter'),
                              (['record', '-o', 'x', '--max-size', '10'], 'must lie between'),
                              (['watch', '--flight-recorder', 'x', '--flight-before', '2h'], 'must lie between')):
            with self.subTest(options=options):
                done = memcrest(*options)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(says, done.stderr)
                self.assertFalse(os.path.exists('x'))

    def test_files_that_are_no_recordings(self):
        directory = self.scratch()
        path = os.path.join(directory, 'a')
        good, *_ = self.record_an_oom()
        newer = os.path.join(directory, 'newer.db')
        run('cp', good, newer)
        with contextlib.closing(sqlite3.connect(newer)) as database:
            database.execute('PRAGMA user_version = 99')
        truncated = os.path.join(directory, 'truncated.db')
        with open(good, 'rb') as source, open(truncated, 'wb') as target:
            target.write(source.read()[:40000])
        run('sqlite3', os.path.join(directory, 'other.db'), 'CREATE TABLE a (b)')
        os.mkfifo(os.path.join(directory, 'fifo'))
        for file, says in ((path, 'No such file'), (directory, ''), (newer, 'newer memcrest'), (truncated, ''),
                           (os.path.join(directory, 'other.db'), 'no recording'), (MEMCREST, ''),
                           (os.path.join(directory, 'fifo'), ''), ('/dev/zero', '')):
            with self.subTest(file=file):
                done = memcrest('replay', file, timeout=60)
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn(says, done.stderr)

    def test_reading_while_it_is_written(self):
        path = os.path.join(self.scratch(), 'a.db')
        with busy(), Recorder('-o', path) as recorder:
            wait_until(lambda: query(path, 'SELECT count(*) FROM steps') > [(100,)])
            done = memcrest('replay', path)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn('has no end', done.stderr)
            second = memcrest('record', '-o', path, '--duration', '1s')
            self.assertEqual(second.returncode, 1)
            self.assertIn('File exists', second.stderr)
            self.assertEqual(recorder.stop(), 0, recorder.out.text())
        self.assertEqual(memcrest('replay', path).returncode, 0)

    def test_kill_minus_9(self):
        lost = []
        with busy():
            for number in range(KILLS):
                path = os.path.join(self.scratch(), f'{number}.db')
                with Recorder('-o', path) as recorder:
                    begun = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                    time.sleep(random.uniform(1.2, 4))
                    killed = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
                    recorder.process.kill()
                    recorder.process.wait()
                self.assertEqual(query(path, 'PRAGMA integrity_check'), [('ok',)])
                (last,), = query(path, 'SELECT max(boot_ns) FROM clock')
                self.assertNotIn('ended', meta(path))
                lost.append((killed - (last or begun)) / 1e9)  # a slow disk: nothing of it is there yet
                done = memcrest('replay', path)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn('has no end', done.stderr)
        print(f'lost by kill -9: {", ".join(f"{one:.2f} s" for one in sorted(lost))}')
        self.assertLess(max(lost), FLUSH_SECONDS + WRITE_SECONDS)

    @contextlib.contextmanager
    def small_disk(self, *options):
        at = self.scratch()
        run('mount', '-t', 'tmpfs', '-o', ','.join(['size=2m', *options]), 'memcrest-test', at)
        try:
            yield at
        finally:
            run('umount', at)

    def test_a_full_disk(self):
        with self.small_disk() as disk, busy():
            path = os.path.join(disk, 'a.db')
            with Recorder('-o', path, '--min-free', '0') as recorder:
                self.assertTrue(wait_until(lambda: recorder.says('recording is in trouble, watching goes on')),
                                recorder.out.text())
                self.assertTrue(recorder.says('full'), recorder.out.text())
                time.sleep(1)
                self.assertIsNone(recorder.process.poll(), 'watching goes on')
                self.assertEqual(recorder.stop(), 1)
            self.assertIn('items left out', recorder.out.text())
            self.assertEqual(query(path, 'PRAGMA integrity_check'), [('ok',)])
            self.assertGreater(query(path, 'SELECT count(*) FROM steps')[0][0], 100)
            self.assertEqual(memcrest('replay', path).returncode, 0)

    def test_space_that_is_kept(self):
        with self.small_disk() as disk:
            path = os.path.join(disk, 'a.db')
            with Recorder('-o', path) as recorder:
                self.assertTrue(wait_until(lambda: recorder.says('are kept free')), recorder.out.text())
                self.assertEqual(recorder.stop(), 1)
            self.assertIn('kept free', meta(path)['ended'])

    def test_where_nothing_may_be_written(self):
        with self.small_disk('ro') as disk:
            for options in (['-o', os.path.join(disk, 'a.db')], ['--directory', os.path.join(disk, 'a')],
                            ['--directory', disk], ['-o', os.path.join(disk, 'no', 'a.db')], ['-o', disk]):
                done = memcrest('record', '--duration', '1s', *options)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertRegex(done.stderr, 'Read-only file system|No such file|unable to open|Is a directory|exists')

    def test_file_after_file(self):
        directory = os.path.join(self.scratch(), 'recordings')
        with busy(), Recorder('--directory', directory, '--max-time', '1s', '--keep-count', '2') as recorder:
            first = wait_until(lambda: sorted(n for n in os.listdir(directory) if n.endswith('.db')))[0]
            second = memcrest('record', '--directory', directory, '--duration', '1s')
            self.assertEqual(second.returncode, 1)
            self.assertIn('another memcrest records there', second.stderr)
            self.assertTrue(wait_until(lambda: first not in os.listdir(directory)), 'the oldest goes')
            self.assertEqual(recorder.stop(), 0, recorder.out.text())
        files = sorted(os.listdir(directory))
        self.assertEqual(len(files), 2, files)
        for name in files:
            path = os.path.join(directory, name)
            self.assertEqual(meta(path)['ended'], 'whole')
            done = memcrest('replay', path)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn('it continues', done.stderr)
        self.assertEqual(meta(os.path.join(directory, files[1]))['continues'], files[0])

    def test_files_that_follow_each_other_are_one(self):
        directory = os.path.join(self.scratch(), 'recordings')
        with Recorder('--directory', directory, '--max-time', '2s') as recorder:
            container, name, code = docker.run_to_end('sh', '-c', 'sleep 3; exec hog anon 128m --no-thp --rate 30',
                                                      memory='64m', name=unique())
            self.remove_later(container)
            self.assertEqual(code, 137)

            def told():
                with contextlib.suppress(sqlite3.OperationalError):  # one that is being begun has no tables
                    return any(query(os.path.join(directory, n), "SELECT 1 FROM incidents WHERE kind = 'oom'")
                               for n in sorted(os.listdir(directory)) if n.endswith('.db'))
                return False
            self.assertTrue(wait_until(told))
            self.assertEqual(recorder.stop(), 0, recorder.out.text())
        files = [os.path.join(directory, n) for n in sorted(os.listdir(directory))]
        self.assertGreaterEqual(len(files), 2)
        recorded = [line for path in files for line, in query(path, 'SELECT json FROM incidents ORDER BY seq')]
        whole = memcrest('replay', '--json', directory)
        self.assertEqual(whole.returncode, 0, whole.stderr)
        self.assertEqual(whole.stdout.splitlines(), recorded, 'byte for byte, over the ends of files')
        self.assertNotIn('it continues', whole.stderr)
        self.assertNotIn('not found again', whole.stderr)
        shuffled = memcrest('replay', '--json', *reversed(files))
        self.assertEqual(shuffled.stdout, whole.stdout)
        steps = sum(query(path, 'SELECT count(*) FROM steps')[0][0] for path in files)
        told = json.loads(memcrest('report', '--format', 'json', directory).stdout)
        self.assertEqual(told['recording']['steps'], steps)
        self.assertEqual(told['recording']['ended'], 'whole')
        csv = memcrest('export', '--format', 'csv', *files)
        self.assertEqual(csv.returncode, 0, csv.stderr)
        self.assertEqual(len(csv.stdout.splitlines()), steps + 1)
        if len(files) > 2:
            gap = memcrest('replay', files[0], files[2])
            self.assertEqual(gap.returncode, 1)
            self.assertIn('but 2', gap.stderr)

    def test_flight_recorder(self):
        directory = os.path.join(self.scratch(), 'flights')
        with Watch('--flight-recorder', directory, '--flight-before', '5s', '--flight-after', '2s') as watch:
            container, name, code = docker.run_to_end('sh', '-c', 'hog anon 32m; sleep 1; exec hog anon 128m',
                                                      memory='64m', name=unique())
            self.remove_later(container)
            self.assertEqual(code, 137)
            incident = watch.wait_for('oom', container)
            self.assertTrue(wait_until(lambda: [n for n in os.listdir(directory) if not n.endswith(('-wal', '-shm'))]))
            watch.settle(3)
        # OOMs of others on this machine may have made files of their own.
        found = [path for path in (os.path.join(directory, n) for n in os.listdir(directory))
                 if (incident['id'],) in query(path, 'SELECT id FROM incidents')]
        self.assertEqual(len(found), 1, os.listdir(directory))
        path, = found
        self.assertEqual(meta(path)['ended'], 'whole')
        told = [json.loads(line) for line, in query(path, 'SELECT json FROM incidents')]
        self.assertIn(incident['id'], [i['id'] for i in told])
        steps = query(path, f"""SELECT steps.boot_ns, usage_bytes FROM steps JOIN cgroups ON cgroups.id = steps.cgroup
                                JOIN containers ON containers.id = cgroups.container
                                WHERE containers.name = '{name}' ORDER BY steps.seq""")
        self.assertLess(steps[0][0], incident['boot_time_ns'] - 900_000_000, 'the first hog, a second before')
        self.assertGreater(max(usage for _, usage in steps), 60 * MIB)
        done = memcrest('replay', path)
        self.assertEqual(done.returncode, 1)
        self.assertIn('memcrest report', done.stderr)


if __name__ == '__main__':
    harness.main()
