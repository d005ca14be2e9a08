# SPDX-License-Identifier: Apache-2.0
"""`memcrest export`: what others' programs make of it. One recording of an OOM kill in a container, for all tests."""

import gzip
import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile

import harness
from harness import MEMCREST, MIB, SOURCE, docker, memcrest, read, run, unique, wait_until
from peers import peers

FORMATS = ('perfetto', 'jsonl', 'csv', 'folded', 'pprof', 'otlp-json')
TABLES = ('steps', 'incidents', 'events', 'loss', 'cgroups')
HOSTILE = b'\x1b[2J"a;b,c\r\n=d\xff\xe2\x80\xae\xe2\x80\xa8\x00e'


class Fixture:
    """A recording, made once."""

    def __init__(self):
        self.directory = None

    def make(self):
        self.directory = tempfile.mkdtemp(prefix='memcrest-e2e-export.')
        self.path = os.path.join(self.directory, 'recording')
        self.name = unique('web')
        recorder = subprocess.Popen([MEMCREST, 'record', '-o', self.path, '--docker-socket', docker.socket],
                                    stderr=subprocess.PIPE)
        try:
            errors = harness.Lines(recorder.stderr)
            assert wait_until(lambda: any(b'watching' in line for _, line in errors.items)), errors.items
            self.container, _, code = docker.run_to_end('hog', 'anon', '128m', '--no-thp', '--rate', '200',
                                                        name=self.name)
            assert code == 137, code
            assert wait_until(lambda: self.rows('SELECT 1 FROM incidents WHERE kind = ? AND container_id = ?', 'oom',
                                                 self.container)), 'no incident'
        finally:
            recorder.send_signal(signal.SIGTERM)
            recorder.wait(harness.PATIENCE)
            docker('rm', '-f', self.name, check=False)

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def rows(self, sql, *parameters, path=None):
        database = sqlite3.connect(f'file:{path or self.path}?mode=ro', uri=True)
        try:
            database.text_factory = bytes
            return database.execute(sql, parameters).fetchall()
        except sqlite3.OperationalError:
            return []
        finally:
            database.close()

    def value(self, sql, *parameters):
        return self.rows(sql, *parameters)[0][0]

    def steps_of_container(self):
        """(boot_ns, usage_bytes) of the container's own cgroup."""
        return self.rows('SELECT boot_ns, usage_bytes FROM steps JOIN cgroups ON cgroups.id = steps.cgroup '
                         'JOIN containers ON containers.id = cgroups.container '
                         'WHERE containers.container_id = ? ORDER BY seq',
                         self.container)


fixture = Fixture()


def setUpModule():
    harness.start_docker()
    try:
        peers.fetch()
        fixture.make()
    except BaseException:
        tearDownModule()
        raise


def tearDownModule():
    if fixture.directory:
        fixture.remove()
    harness.stop_docker()


class ExportTestCase(harness.TestCase):
    def exported(self, kind, *options, recording=None, code=0):
        """The file with it; what was said is in self.said."""
        path = os.path.join(self.scratch(), 'out.pb.gz' if kind == 'pprof' else f'out.{kind}')
        done = memcrest('export', recording or fixture.path, '--format', kind, '-o', path, *options)
        self.said = done.stderr
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, '')
        return path

    def changed(self, *statements):
        """A copy of the recording, changed as anybody could."""
        path = os.path.join(self.scratch(), 'changed')
        shutil.copy(fixture.path, path)
        database = sqlite3.connect(path)
        for sql, parameters in statements:
            database.execute(sql, parameters)
        database.commit()
        database.close()
        return path


class Perfetto(ExportTestCase):
    ERRORS = "SELECT name, value FROM stats WHERE severity != 'info' AND value > 0"

    def test_usage_is_what_the_steps_say(self):
        errors, counters, limits = peers.trace(
            self.exported('perfetto'), self.ERRORS, *(
                'SELECT c.ts, c.value FROM counter c JOIN track t ON t.id = c.track_id '
                f"JOIN track p ON p.id = t.parent_id WHERE t.name = '{name}' AND p.name = '{fixture.name}' ORDER BY c.ts"
                for name in ('memory usage', 'memory limit')))
        self.assertEqual(errors, [])
        steps = fixture.steps_of_container()
        self.assertGreater(len(steps), 30)
        seen = {(row['ts'], int(row['value'])) for row in counters}
        self.assertEqual([step for step in steps if step not in seen], [])
        self.assertEqual({int(row['value']) for row in limits}, {64 * MIB})

    def test_stacks_are_those_of_the_steps(self):
        rows, = peers.trace(
            self.exported('perfetto'),
            'SELECT s.ts, s.name, thread.name AS thread, process.name AS process, process.pid, frame.name AS leaf, '
            'mapping.name AS mapping FROM __intrinsic_track_event_callstacks c JOIN slice s ON s.id = c.slice_id '
            'JOIN thread_track t ON t.id = s.track_id JOIN thread USING (utid) JOIN process USING (upid) '
            'JOIN stack_profile_callsite site ON site.id = c.callsite_id JOIN stack_profile_frame frame ON frame.id = '
            'site.frame_id JOIN stack_profile_mapping mapping ON mapping.id = frame.mapping ORDER BY s.ts')
        by_time = {row['ts']: row for row in rows}
        checked = 0
        for boot_ns, comm, pid, leaf in fixture.rows(
                'SELECT boot_ns, comm, pid, k.address FROM steps JOIN tasks ON tasks.id = steps.task JOIN stacks k ON '
                "k.id = kernel_stack WHERE comm = 'hog' AND direction > 0 AND ancestor = 0 AND \"foreign\" = 0"):
            row = by_time.get(boot_ns)
            if row:  # the first step of a cgroup has grown nothing yet
                self.assertEqual((row['name'], row['process'], row['pid']), ('grew', comm.decode(), pid))
                self.assertEqual((row['leaf'], row['mapping']), (hex(leaf & (2**64 - 1)), '/kernel'))
                checked += 1
        self.assertGreater(checked, 30)

    def test_kills_bursts_and_clocks(self):
        slices, clocks = peers.trace(
            self.exported('perfetto'),
            "SELECT s.ts, s.dur, s.name, s.category, p.name AS parent, EXTRACT_ARG(s.arg_set_id, 'debug.killed') "
            "AS killed, EXTRACT_ARG(s.arg_set_id, 'debug.id') AS id FROM slice s JOIN track t ON t.id = s.track_id "
            'LEFT JOIN track p ON p.id = t.parent_id',
            "SELECT ts, clock_value FROM clock_snapshot WHERE clock_name = 'REALTIME'")
        ooms = [one for one in slices if one['name'] == 'OOM kill' and one['parent'] == fixture.name]
        incident = json.loads(fixture.value("SELECT json FROM incidents WHERE kind = 'oom' AND container_name = ? AND "
                                            '"update" IS NULL', fixture.name))
        self.assertEqual([(one['ts'], one['id']) for one in ooms], [(incident['boot_time_ns'], incident['id'])])
        self.assertEqual(ooms[0]['killed'], f'hog[{incident["victims"][0]["pid"]}]')
        self.assertIn('victim of the OOM killer', [one['name'] for one in slices])
        self.assertIn('SIGKILL', [one['name'] for one in slices])
        burst = next(one for one in slices if one['category'] == 'burst' and one['id'] == incident['id'])
        self.assertAlmostEqual(burst['dur'] / 1e6, incident['burst']['duration_ms'], places=2)
        known = {(boot, unix) for boot, unix in fixture.rows('SELECT boot_ns, unix_ns FROM clock')}
        self.assertGreater(len(clocks), 0)
        self.assertEqual([row for row in clocks if (row['ts'], int(row['clock_value'])) not in known], [])

    def test_loss_is_a_loss_to_perfetto_too(self):
        path = self.changed(('INSERT INTO loss SELECT max(seq) + 1, ?, 0, 7, 0, 0, 0, 0 FROM '
                             '(SELECT max(seq) AS seq FROM clock UNION SELECT max(seq) FROM incidents)', (1,)),
                            ("DELETE FROM meta WHERE key = 'ended'", ()))
        errors, slices = peers.trace(self.exported('perfetto', recording=path), self.ERRORS,
                                     "SELECT name FROM slice WHERE category = 'loss'")
        self.assertEqual(errors, [{'name': 'traced_buf_trace_writer_packet_loss', 'value': 7}])
        self.assertEqual({row['name'] for row in slices}, {'records lost', 'the recording is not whole'})
        self.assertIn('has no end', self.said)
        self.assertIn('lost: 7 steps', self.said)


class Stacks(ExportTestCase):
    def folded(self, *options):
        lines = read(self.exported('folded', *options)).splitlines()
        return [line.rsplit(' ', 1) for line in lines]

    def test_folded_through_flamegraph(self):
        path = self.exported('folded')
        svg = peers.flamegraph(path)
        self.assertTrue(f'<title>{fixture.name} (' in svg)
        total = sum(int(line.rsplit(' ', 1)[1]) for line in read(path).splitlines())
        shown = re.search(r'<title>all \(([0-9,]+) bytes', svg).group(1)
        self.assertEqual(int(shown.replace(',', '')), total)

    def test_growth_is_that_of_the_container(self):
        lines = self.folded('--container', fixture.name)
        self.assertEqual({line[0].split(';')[0] for line in lines}, {fixture.name})
        grown = sum(int(line[1]) for line in lines)
        steps = fixture.steps_of_container()
        risen = max(usage for _, usage in steps) - steps[0][1]
        self.assertGreaterEqual(grown, risen)
        self.assertLess(grown, risen + 16 * MIB, 'more than it fell in between')
        by_hog = sum(int(line[1]) for line in lines if line[0].split(';')[1] == 'hog')
        self.assertGreater(by_hog, grown * 0.9)
        self.assertTrue(any('_[k]' in line[0] for line in lines))

    def test_pprof_says_the_same(self):
        path = self.exported('pprof', '--container', fixture.name)
        total = sum(int(line[1]) for line in self.folded('--container', fixture.name))
        raw = peers.pprof(path, '-raw')
        values = [tuple(map(int, match)) for match in re.findall(r'^ +(\d+) +(\d+): ', raw, re.M)]
        self.assertEqual(sum(value for value, _ in values), total)
        self.assertIn(f'container:[{fixture.name}]', raw)
        self.assertRegex(raw, r'process:\[hog\]')
        self.assertRegex(raw, r'kind:\[(anon|thp)\]')
        top = peers.pprof(path, '-top', '-unit=b', '-tagfocus=process=hog')
        self.assertIn('Type: growth_bytes', top)
        self.assertRegex(top, r'\n +[1-9][0-9]*B +[0-9.]+% .* (0xffffffff[0-9a-f]+|[a-z_]+)')
        self.assertIn('Type: steps', peers.pprof(path, '-top', '-sample_index=steps'))


class Names(harness.TestCase):
    """A program of known functions, recorded alone."""

    def record(self):
        directory = self.scratch()
        grow = os.path.join(directory, 'grow')
        source = os.path.join(SOURCE, 'tests', 'testprogs', 'languages', 'grow.cpp')
        run('g++-12', '-O2', '-static', '-fno-omit-frame-pointer', source, '-o', grow)
        path = os.path.join(directory, 'recording')
        done = memcrest('record', '-o', path, '--step', '1m', '--', grow, '96', timeout=120)
        self.assertTrue(os.path.exists(path), done.stderr)
        return grow, path

    def export(self, path, form):
        done = subprocess.run([MEMCREST, 'export', path, '--format', form], capture_output=True, check=False, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_functions_and_kinds(self):
        grow, path = self.record()
        stacks = [line.rsplit(' ', 1) for line in self.export(path, 'folded').decode().splitlines()]
        total = sum(int(size) for stack, size in stacks if ';grow;' in stack)
        filled = sum(int(size) for stack, size in stacks
                     if re.search(r';main;.*load_batch.*;json::fill[^;]*;.*_\[k\]$', stack))
        self.assertGreaterEqual(filled, 0.8 * total, stacks[:20])
        steps = [json.loads(line) for line in self.export(path, 'jsonl').splitlines() if b'memcrest.step.v1' in line]
        own = [step for step in steps if (step['process'] or {}).get('comm') == 'grow']
        kinds = [step['kind'] for step in own if any('json::fill' in frame for frame in step['user_stack'])]
        self.assertTrue(kinds and set(kinds) <= {'anon', 'thp', 'page_tables', 'unknown'}, kinds)
        self.assertTrue({'anon', 'thp'} & set(kinds), kinds)
        profile = path + '.pb.gz'
        with open(profile, 'wb') as out:
            out.write(self.export(path, 'pprof'))
        top = peers.pprof(profile, '-top', '-cum', '-nodecount=60')
        self.assertRegex(top, r'json::fill')
        files = peers.pprof(profile, '-raw')
        build_id = re.search(r'Build ID: ([0-9a-f]+)', run('readelf', '-n', grow).stdout).group(1)
        self.assertIn(f'{grow} {build_id}', files, 'which file of which build')
        report = json.loads(memcrest('report', '--format', 'json', path).stdout)
        self.assertTrue(report['incidents'], 'a burst')
        growth = report['incidents'][0]['detail']['growth']
        self.assertTrue(growth['has_names'])

        def named(node):
            found = [node] if node['name'].startswith('json::fill') else []
            return found + [deeper for child in node['children'] for deeper in named(child)]
        fills = named(growth['stacks'])
        self.assertTrue(fills)
        self.assertTrue(all(node['module'] == grow for node in fills), fills[0]['module'])
        self.assertGreaterEqual(sum(node['memory'].get('anon', 0) + node['memory'].get('thp', 0) for node in fills),
                                0.8 * sum(node['bytes'] for node in fills))

    def test_a_recording_without_names_says_how_they_are_found(self):
        _, path = self.record()
        database = sqlite3.connect(path)
        database.executescript('DROP TABLE code; DROP TABLE frames')
        database.close()
        self.assertNotIn(b'json::fill', self.export(path, 'folded'))
        last = json.loads(self.export(path, 'jsonl').splitlines()[-1])
        self.assertTrue(any('addr2line' in note for note in last['notes']), last)
        self.assertTrue(last['complete'], 'nothing is lost')


class Tables(ExportTestCase):
    def test_steps_through_sqlite(self):
        rows = peers.imported(self.exported('csv'), 'SELECT count(*) AS n, sum(usage_bytes) AS usage, '
                              'min(boot_time_ns) AS first, sum(user_stack != \'\') AS stacks FROM t')
        count, usage, first, stacks = fixture.rows('SELECT count(*), sum(usage_bytes), min(boot_ns), '
                                                   'sum(user_stack IS NOT NULL) FROM steps')[0]
        self.assertEqual(rows, [{'n': count, 'usage': usage, 'first': str(first), 'stacks': stacks}])

    def test_the_other_tables(self):
        for table in ('incidents', 'events'):
            rows = peers.imported(self.exported('csv', '--table', table), 'SELECT * FROM t')
            samples = fixture.value('SELECT count(*) FROM samples') if table == 'events' else 0
            self.assertEqual(len(rows), fixture.value(f'SELECT count(*) FROM {table}') + samples)
            for row in rows:
                json.loads(row['json'])
        names = peers.imported(self.exported('csv', '--table', 'cgroups'), 'SELECT container_name AS name FROM t')
        self.assertIn({'name': fixture.name}, names)
        self.exported('csv', '--table', 'loss')

    def test_json_lines(self):
        lines = read(self.exported('jsonl')).splitlines()
        objects = [json.loads(line) for line in lines]
        of = {}
        for line, one in zip(lines, objects):
            of.setdefault(one['schema'], []).append(line)
        self.assertEqual(len(of['memcrest.step.v1']), fixture.value('SELECT count(*) FROM steps'))
        self.assertEqual(len(of['memcrest.event.v1']),
                         fixture.value('SELECT count(*) FROM events') + fixture.value('SELECT count(*) FROM samples'))
        self.assertEqual(of['memcrest.incident.v1'],
                         [row[0].decode() for row in fixture.rows('SELECT json FROM incidents ORDER BY seq')])
        harness.validate('\n'.join(of.pop('memcrest.incident.v1')) + '\n')
        self.validate_others([line for group in of.values() for line in group])
        self.assertEqual((objects[-1]['schema'], objects[-1]['complete']), ('memcrest.recording.v1', True))

    def validate_others(self, lines):
        schema = os.path.join(SOURCE, 'docs', 'export.schema.json')
        done = subprocess.run([sys.executable, harness.VALIDATOR, '--schema', schema], input='\n'.join(lines), text=True,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[:2000])

    def test_otlp_by_its_own_classes(self):
        messages = [peers.otlp(line) for line in read(self.exported('otlp-json')).splitlines()]
        usage = {}
        logs = []
        for message in messages:
            for resource in getattr(message, 'resource_metrics', []):
                name = {one.key: one.value.string_value for one in resource.resource.attributes}.get('container.name')
                for metric in resource.scope_metrics[0].metrics:
                    if metric.name == 'memcrest.memory.usage':
                        usage.setdefault(name, []).extend(point.as_int for point in metric.gauge.data_points)
            for resource in getattr(message, 'resource_logs', []):
                logs.extend(resource.scope_logs[0].log_records)
        self.assertEqual(usage[fixture.name], [value for _, value in fixture.steps_of_container()])
        self.assertEqual(sum(map(len, usage.values())), fixture.value('SELECT count(*) FROM steps'))
        self.assertEqual(len(logs), fixture.value('SELECT count(*) FROM incidents') + 1)


class Hostile(ExportTestCase):
    def recording(self):
        return self.changed(
            ('UPDATE tasks SET comm = ?, thread_comm = ?', (HOSTILE, HOSTILE)),
            ("UPDATE containers SET json = '{', name = ?, image = ?", (HOSTILE, HOSTILE)),
            ('UPDATE cgroups SET path = ?', (HOSTILE,)),
            ("UPDATE meta SET value = ? WHERE key IN ('host_name', 'kernel', 'boot_id', 'unrecorded')", (HOSTILE,)),
            ('UPDATE steps SET usage_bytes = -1, limit_bytes = -1, reclaim_ns = -seq, boot_ns = -1 WHERE seq % 7 = 0',
             ()),
            ('UPDATE clock SET unix_ns = -9223372036854775808, boot_ns = -1 WHERE seq % 5 = 0', ()),
            ('INSERT INTO incidents (seq, id, boot_ns, unix_ns, kind, json) '
             "SELECT max(seq) + 1, 'x', 0, 0, 'oom', '{\"a\"' FROM incidents", ()),
            ('INSERT INTO loss SELECT max(seq) + 2, -1, -1, -1, -1, -1, -1, -1 FROM incidents', ()))

    def test_everything_is_still_read_by_everybody(self):
        path = self.recording()
        peers.trace(self.exported('perfetto', recording=path), 'SELECT count(*) AS n FROM slice')
        self.assertNotIn('\x1b', self.said)
        peers.flamegraph(self.exported('folded', recording=path))
        peers.pprof(self.exported('pprof', recording=path), '-raw')
        for table in TABLES:
            peers.imported(self.exported('csv', '--table', table, recording=path), 'SELECT * FROM t')
        text = read(self.exported('jsonl', recording=path))
        for line in text.split('\n')[:-1]:
            json.loads(line)
        self.assertNotIn('\x1b', text)
        for line in read(self.exported('otlp-json', recording=path)).splitlines():
            peers.otlp(line)
        self.assertIn('incidents of the recording could not be read', self.said)

    def test_what_comes_before_the_damage_is_exported(self):
        path = self.changed(("UPDATE events SET json = '{\"time_ns\":\"x\"}' WHERE seq = (SELECT max(seq) FROM events)",
                             ()))
        for kind in FORMATS:
            out = self.exported(kind, recording=path, code=1)
            self.assertIn('could not be read to its end', self.said)
            self.assertGreater(os.path.getsize(out), 100)

    def test_a_file_that_is_no_recording(self):
        directory = self.scratch()
        noise = os.path.join(directory, 'noise')
        with open(noise, 'wb') as file:
            file.write(os.urandom(100_000))
        for path in (noise, os.path.join(directory, 'nothing'), directory):
            done = memcrest('export', path, '--format', 'csv', '-o', os.path.join(directory, 'out'))
            self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(os.listdir(directory), ['noise'])


class Output(ExportTestCase):
    def test_to_standard_output(self):
        for kind in FORMATS:
            done = subprocess.run([MEMCREST, 'export', fixture.path, '--format', kind], capture_output=True, check=True)
            with open(self.exported(kind), 'rb') as file:
                self.assertEqual(done.stdout, file.read())
        self.assertEqual(gzip.decompress(subprocess.run([MEMCREST, 'export', fixture.path, '-f', 'pprof', '-o', '-'],
                                                        capture_output=True, check=True).stdout)[:1], b'\x0a')

    def test_binary_is_not_written_to_a_terminal(self):
        for kind, code in (('perfetto', 2), ('pprof', 2), ('folded', 0)):
            ours, theirs = pty.openpty()
            done = subprocess.Popen([MEMCREST, 'export', fixture.path, '--container', 'none', '--format', kind],
                                    stdout=theirs, stderr=subprocess.PIPE)
            os.close(theirs)
            text = done.communicate()[1]
            os.close(ours)
            self.assertEqual(done.returncode, code, text)

    def test_a_file_that_is_there_stays(self):
        path = os.path.join(self.scratch(), 'out')
        with open(path, 'w', encoding='utf-8') as file:
            file.write('precious')
        done = memcrest('export', fixture.path, '--format', 'csv', '-o', path)
        self.assertEqual(done.returncode, 1)
        self.assertIn('File exists', done.stderr)
        self.assertEqual(read(path), 'precious')

    def test_a_full_disk_leaves_no_half(self):
        directory = self.scratch()
        run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory)
        self.addCleanup(run, 'umount', directory)
        done = memcrest('export', fixture.path, '--format', 'jsonl', '-o', os.path.join(directory, 'out'))
        self.assertEqual(done.returncode, 1)
        self.assertIn('No space left', done.stderr)
        self.assertEqual(os.listdir(directory), [])
        done = run('sh', '-c', f'{MEMCREST} export {fixture.path} --format jsonl > /dev/full', check=False)
        self.assertEqual(done.returncode, 5)

    def test_a_reader_that_goes(self):
        done = run('sh', '-c', f'{{ {MEMCREST} export {fixture.path} --format jsonl; echo $? >&2; }} | head -n 1')
        self.assertTrue(done.stderr.rstrip().endswith('5'), done.stderr)

    def test_the_command_line(self):
        for options, word in ((('--format', 'xml'), 'must be perfetto'), ((), '--format'),
                              (('--format', 'folded', '--table', 'steps'), '--table'),
                              (('--format', 'csv', '--table', 'steps', '--table', 'loss'), 'one table'),
                              (('--format', 'csv', '--table', 'x'), 'must be steps'),
                              (('--format', 'otlp-json', '--table', 'loss'), 'steps or incidents')):
            done = memcrest('export', fixture.path, *options)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(word, done.stderr)


if __name__ == '__main__':
    harness.main()
