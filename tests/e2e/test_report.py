# SPDX-License-Identifier: Apache-2.0
"""`memcrest report` on a real recording of a real OOM in a real container, its page in Debian's Chromium.

What the page shows is compared with the recording, read by SQLite itself. Screenshots go to $MEMCREST_SCREENSHOTS, if set.
"""

import contextlib
import csv
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import unittest

import harness
from harness import MEMCREST, MIB, SOURCE, VALIDATOR, docker, memcrest, run, wait_until

CHROMIUM = '/usr/bin/chromium'
HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror="alert(1)"><!--'


def setUpModule():
    harness.start_docker()


def tearDownModule():
    harness.stop_docker()


def size(value):
    """format_size() of userspace/util/units.h, as the page must say it, too."""
    if value < 1024:
        return f'{value} B'
    for unit in ('KiB', 'MiB', 'GiB'):
        value /= 1024
        if value < 1023.5:
            break
    digits = 0 if value >= 99.95 else 1 if value >= 9.995 else 2
    return f'{value:.{digits}f} {unit}'


def browser_packages():
    """Where playwright-core is: installed once per lockfile, shared by all builds."""
    place = os.path.join(SOURCE, 'tests', 'browser')
    with open(os.path.join(place, 'package-lock.json'), 'rb') as file:
        name = hashlib.sha256(file.read()).hexdigest()[:16]
    target = os.path.join(SOURCE, 'build', 'web', name)
    run(os.path.join(SOURCE, 'web', 'install'), place, target, timeout=300)
    return target


class Recording:
    """One recording of an OOM kill by a burst, in a container beside another process."""

    def __init__(self, directory):
        self.path = os.path.join(directory, 'oom.memcrest')
        recorder = subprocess.Popen([MEMCREST, 'record', '-o', self.path, '--docker-socket', docker.socket],
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        lines = harness.Lines(recorder.stderr)
        try:
            if not wait_until(lambda: any(b'watching' in line for _, line in lines.items)):
                raise AssertionError('the recorder did not start')
            self.container, self.name, code = docker.run_to_end(
                'sh', '-c', 'hog anon 24m --hold 60000 & sleep 3; exec hog anon 512m --no-thp --rate 300',
                memory='128m', options=['--label', 'com.docker.compose.project=shop', '--label', 'com.docker.compose.service=web'])
            assert code == 137, code
            # Other containers of this machine die in it, too, while other tests run.
            wait_until(lambda: self.rows("SELECT 1 FROM incidents WHERE kind = 'oom' AND \"update\" IS NOT NULL AND container_name = ?",
                                         self.name), timeout=45)
        finally:
            recorder.send_signal(signal.SIGTERM)
            recorder.wait(30)
            recorder.stdout.close()
            lines.finish()
            docker('rm', '-f', self.name, check=False)
        self.incident = json.loads(self.rows("SELECT json FROM incidents WHERE kind = 'oom' AND container_name = ? ORDER BY seq DESC LIMIT 1",
                                             self.name)[0][0])

    def rows(self, sql, *values):
        # Closed at once: a reader would keep the recorder from making one file of it.
        with contextlib.closing(sqlite3.connect(f'file:{self.path}?mode=ro', uri=True)) as database:
            try:
                return database.execute(sql, values).fetchall()
            except sqlite3.OperationalError:
                return []  # not there yet

    def usage(self):
        """Time and usage of every step and sample of the container's cgroup."""
        cgroup = self.incident['cgroup']['id']
        points = self.rows('SELECT boot_ns, usage_bytes FROM steps WHERE cgroup IN (SELECT id FROM cgroups WHERE cgroup_id = ?)', cgroup)
        points += self.rows('SELECT boot_ns, usage_bytes FROM samples WHERE cgroup_id = ?', cgroup)
        points += self.rows('SELECT created_ns, 0 FROM cgroups WHERE cgroup_id = ? AND created_ns IS NOT NULL LIMIT 1', cgroup)
        return sorted(points, key=lambda point: point[0])


class ReportTest(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest('needs root')
        cls.directory = harness.tempfile.mkdtemp(prefix='memcrest-e2e-report.')
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.recording = Recording(cls.directory)

    def report(self, *arguments, path=None, code=0):
        done = memcrest('report', path or self.recording.path, *arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def page(self, *arguments, path=None, name='page'):
        """Makes the page and uses it in the browser; what was seen there."""
        if not os.path.exists(CHROMIUM):
            self.skipTest('no chromium')
        out = os.path.join(self.scratch(), name)
        os.mkdir(out)
        html = os.path.join(out, 'report.html')
        self.report('-o', html, *arguments, path=path)
        done = run('node', os.path.join(SOURCE, 'tests', 'browser', 'report.mjs'), browser_packages(), html, out, timeout=300)
        pictures = os.environ.get('MEMCREST_SCREENSHOTS')
        if pictures:
            shutil.copytree(out, os.path.join(pictures, name), dirs_exist_ok=True)
        seen = json.loads(done.stdout)
        seen['out'] = out
        seen['html_bytes'] = os.path.getsize(html)
        return seen

    def changed(self, script):
        """A copy of the recording that somebody with SQLite has changed."""
        path = os.path.join(self.scratch(), 'changed.memcrest')
        shutil.copy(self.recording.path, path)
        database = sqlite3.connect(path)
        script(database)
        database.commit()
        database.close()
        return path


class TextTest(ReportTest):
    def test_text_tells_the_recording_and_the_whole_story(self):
        text = self.report('--container', self.recording.name).stdout
        self.assertIn('oom.memcrest', text)
        self.assertIn('OOM KILL   ' + self.recording.name, text)
        self.assertIn(self.recording.incident['id'], text)
        self.assertRegex(text, r'state +\S+ · exit code 137')
        self.assertIn('evidence', text)

    def test_json_holds_the_incident_as_it_was_recorded(self):
        done = self.report('--format', 'json')
        validated = subprocess.run([sys.executable, VALIDATOR, '--schema', os.path.join(SOURCE, 'docs', 'report.schema.json'), '--at-least', '1'],
                                   input=done.stdout, text=True, capture_output=True, check=False, timeout=60)
        self.assertEqual(validated.returncode, 0, validated.stderr)
        document = json.loads(done.stdout)
        found = [i for i in document['incidents'] if i['id'] == self.recording.incident['id']]
        self.assertEqual(len(found), 1)
        self.assertEqual(found[0]['incident'], self.recording.incident)
        self.assertIn(',"incident":' + json.dumps(self.recording.incident, ensure_ascii=False, separators=(',', ':')) + ',', done.stdout)
        harness.validate(json.dumps(found[0]['incident'], separators=(',', ':')) + '\n')
        self.assertEqual(document['recording']['steps'], self.recording.rows('SELECT count(*) FROM steps')[0][0])
        growth = found[0]['detail']['growth']
        self.assertEqual(sum(p['bytes'] for p in growth['processes']), growth['total_bytes'])
        burst = self.recording.incident['burst']
        self.assertAlmostEqual(growth['total_bytes'], burst['growth_bytes'], delta=4 * MIB)

    def test_markdown_is_for_a_ticket(self):
        text = self.report('--format', 'markdown', '--incident', self.recording.incident['id']).stdout
        self.assertIn(f'## OOM kill: `{self.recording.name}`', text)
        self.assertIn('| limit | **128 MiB**', text)

    def test_the_outputs_name_chooses_the_format_and_a_file_is_whole(self):
        directory = self.scratch()
        for name, begin in (('a.json', '{"schema":'), ('a.md', '# memcrest'), ('a.html', '<!doctype html>'), ('a.txt', 'oom.memcrest')):
            path = os.path.join(directory, name)
            self.report('-o', path)
            self.assertTrue(harness.read(path).startswith(begin), name)
        self.assertEqual(sorted(os.listdir(directory)), ['a.html', 'a.json', 'a.md', 'a.txt'])
        self.assertEqual(os.stat(os.path.join(directory, 'a.html')).st_mode & 0o777, 0o600)
        link = os.path.join(directory, 'link')
        os.symlink('a.md', link)
        self.report('-o', link, '--format', 'text')
        self.assertTrue(os.path.islink(link), 'what it leads to is written, not the link')
        self.assertTrue(harness.read(os.path.join(directory, 'a.md')).startswith('oom.memcrest'))
        with open(os.path.join(directory, 'out'), 'w', encoding='utf-8') as out:
            self.assertEqual(memcrest('report', self.recording.path, '-o', '/dev/stdout', stdout=out).returncode, 0)
        self.assertTrue(os.path.islink('/dev/stdout'))
        self.assertTrue(harness.read(os.path.join(directory, 'out')).startswith('oom.memcrest'))

    def test_errors_are_clear(self):
        done = self.report('--incident', 'nonesuch', code=1)
        self.assertIn(self.recording.incident['id'], done.stderr)
        self.assertIn('names the recording itself', self.report('-o', self.recording.path, code=2).stderr)
        self.assertIn('No such file', self.report(path='/nonesuch', code=1).stderr)
        self.assertIn('--format', self.report('--format', 'pdf', code=2).stderr)
        self.assertIn('/nonesuch', self.report('-o', '/nonesuch/x', code=1).stderr)
        with open('/dev/full', 'w', encoding='utf-8') as full:
            self.assertEqual(memcrest('report', self.recording.path, stdout=full).returncode, 5)


class WordsTest(harness.TestCase):
    """What the page says, without a browser."""

    def node(self, script):
        words = os.path.join(SOURCE, 'web', 'report')
        return json.loads(run('node', '--input-type=module', '-e', script.replace('WEB', f'file://{words}')).stdout)

    def test_no_span_has_sixty_seconds(self):
        spans = self.node("""import { span } from 'WEB/words.js';
            console.log(JSON.stringify([59.94, 59.97, 119.6, 3599.7, 7199, 65, 5400].map(span)));""")
        self.assertEqual(spans, ['59.9 s', '1 min 0 s', '2 min 0 s', '1 h 0 min', '2 h 0 min', '1 min 5 s', '1 h 30 min'])

    def test_json_keeps_every_digit(self):
        text = '{"id":18446744073709551615,"s":"a, [b] \\" {","e":[],"o":{},"l":[1,-2.5e-3]}'
        shown, = self.node(f"""import {{ indented }} from 'WEB/words.js';
            console.log(JSON.stringify([indented({json.dumps(text)})]));""")
        self.assertIn('18446744073709551615', shown)
        self.assertEqual(json.loads(shown), json.loads(text))
        self.assertEqual(len(shown.splitlines()), 9 + 1, shown)

    def test_a_limit_that_was_removed_ends(self):
        drawn, = self.node("""import { limitsOf } from 'WEB/limits.js';
            const series = { x: [0, 5, 9], y: [1, 1, 1] };
            console.log(JSON.stringify([[limitsOf([[1e9, 64], [5e9, null]], series), limitsOf([[0, null]], series), limitsOf([], series)]]));""")
        self.assertEqual(drawn[0], {'x': [0, 5, 9], 'y': [64, None, None], 'told': True})
        self.assertEqual(drawn[1], {'x': [], 'y': [], 'told': True})
        self.assertEqual(drawn[2], {'x': [], 'y': [], 'told': False})


class PageTest(ReportTest):
    def test_the_page_shows_what_was_recorded(self):
        incident = self.recording.incident
        seen = self.page('--incident', incident['id'], name='oom')
        print(f'page: {seen["html_bytes"]} bytes, shown {seen["painted_ms"]:.0f} ms after its begin', file=sys.stderr)
        self.assertEqual((seen['requests'], seen['errors'], seen['dialogs']), ([], [], 0))

        # Figures.
        facts = seen['facts']
        self.assertIn(size(incident['limit']['bytes']), facts['limit'])
        self.assertIn(f"{size(incident['burst']['base_bytes'])} → {size(incident['burst']['peak_bytes'])}", facts['grew'])
        self.assertIn(f"anon {size(incident['victims'][0]['anon_bytes'])}", facts['killed'])
        shown = incident['samplers'][0]['typical_seen_bytes']
        self.assertIn(f'docker stats last showed about {size(shown)}' if shown else 'had shown nothing yet', facts['samplers'])
        self.assertIn('exit code 137', facts['state'])
        self.assertIn(self.recording.name, seen['headings'])
        self.assertEqual(seen['told'], [incident['verdict']['text'], incident['advice']['text']])
        self.assertEqual(seen['ready'], [line['text'] for line in incident['advice']['lines']])
        captions = {table['caption']: table['rows'] for table in seen['tables']}
        for caption in ('Tools that look every so often, at their usual intervals', 'Growth by process', 'The burst by kind of memory',
                        'Resident memory of those that were killed, at the kill', 'Processes at the kill, largest first'):
            self.assertIn(caption, captions)
            self.assertIn(caption, seen['roles']['table'])
        victim = incident['victims'][0]
        self.assertIn(f"{victim['comm']}[{victim['pid']}]", captions['Growth by process'][0][0])
        killed = [row for row in captions['Processes at the kill, largest first'] if 'killed' in row[0]]
        self.assertEqual(len(killed), len(incident['victims']))

        # The chart is drawn from every point of the recording, to the byte and the nanosecond.
        with open(os.path.join(seen['out'], 'usage.csv'), encoding='utf-8', newline='') as file:
            drawn = [(round(float(row['seconds_since_recording_began']) * 1e9), int(row['usage_bytes'])) for row in csv.DictReader(file)]
        expected = self.recording.usage()
        self.assertEqual([usage for _, usage in sorted(drawn, key=lambda p: p[0])], [usage for _, usage in expected])
        self.assertEqual([time - drawn[0][0] for time, _ in drawn], [time - expected[0][0] for time, _ in expected])
        self.assertEqual(sum(1 for _ in drawn), len(expected))
        self.assertRegex(seen['said_at_moment'], r'usage \d+ MiB \((100|over 99|9\d) %\)')

        # Who grew: frames of the recorded stacks.
        self.assertGreater(len(seen['frames']), 3)
        self.assertTrue(any('0x' in frame for frame in seen['frames']))

        self.assert_can_be_used(seen)

    def assert_can_be_used(self, seen):
        views = seen['views']
        width = {name: to - begin for name, (begin, to) in views.items()}
        self.assertAlmostEqual(width['dragged'], width['home'] / 4, delta=width['home'] * 0.02)
        self.assertGreater(width['whole'], width['home'])
        self.assertAlmostEqual(width['button'], width['whole'] / 2, delta=width['whole'] * 0.01)
        self.assertEqual(views['back'], views['home'])
        self.assertLess(width['wheel'], width['home'])
        self.assertFalse(seen['wheel_scrolled'])
        self.assertAlmostEqual(width['plus'], width['home'] / 2, delta=1e-6)
        self.assertAlmostEqual(width['minus'], width['home'], delta=1e-6)
        self.assertLess(views['left'][0], views['minus'][0])
        self.assertLess(seen['pinched'][1][1] - seen['pinched'][1][0], seen['pinched'][0][1] - seen['pinched'][0][0])
        self.assertIn('Shown:', seen['said_zoom'])
        self.assertNotEqual(*seen['said_step'])
        self.assertEqual(seen['toggle'], [True, False])
        self.assertEqual(seen['frame_said'], seen['frame_zoomed'])
        for control in ('As the system', 'Zoom in', 'Zoom out', 'Earlier', 'Later', 'Show the burst', 'Show the whole recording', 'The chart as a table',
                        'Show all frames', 'The incident as JSON'):
            self.assertTrue(any(control in name for name in seen['tabs']), (control, seen['tabs']))
        self.assertEqual(seen['unmarked'], [])
        self.assertEqual({role for role in ('main', 'banner', 'contentinfo') if role in seen['roles']}, {'main', 'banner', 'contentinfo'})
        self.assertEqual(seen['axe'], {'light': [], 'dark': [], 'phone': []})
        self.assertEqual(seen['paper']['dark'], seen['paper']['chosen_dark'])
        self.assertNotEqual(seen['paper']['dark'], seen['paper']['light'])
        self.assertEqual(seen['print']['paper'], 'rgb(255, 255, 255)')
        self.assertFalse(seen['print']['tools'])
        self.assertGreater(seen['pdf_bytes'], 10_000)
        self.assertLessEqual(seen['phone']['page'], 320)
        self.assertIn('OOM KILL', seen['without_script'])

    def test_hostile_names_do_nothing(self):
        def hostile(database):
            for seq, text in database.execute('SELECT seq, json FROM incidents').fetchall():
                incident = json.loads(text)
                incident['container'].update(name=HOSTILE, image=HOSTILE, labels={HOSTILE: HOSTILE}, unknown_reason=HOSTILE)
                incident['cgroup']['path'] = '/' + HOSTILE
                incident['evidence']['gaps'] = [HOSTILE]
                for victim in incident['victims']:
                    victim.update(comm=HOSTILE, cmdline=HOSTILE)
                for sampler in incident['samplers']:
                    sampler['name'] = HOSTILE
                database.execute('UPDATE incidents SET json = ?, container_name = ? WHERE seq = ?', (json.dumps(incident), HOSTILE, seq))
            database.execute('UPDATE tasks SET comm = ?, thread_comm = ?', (HOSTILE, HOSTILE))
            database.execute('UPDATE cgroups SET path = ?', ('/' + HOSTILE,))
            database.execute("UPDATE meta SET value = ? WHERE key IN ('host_name', 'kernel', 'charge_tier')", (HOSTILE,))
        seen = self.page(path=self.changed(hostile), name='hostile')
        self.assertEqual((seen['requests'], seen['errors'], seen['dialogs']), ([], [], 0))
        self.assertEqual(seen['foreign'], {'images': 0, 'scripts': 2, 'frames': 0})
        self.assertIn('memcrest report', seen['title'])
        self.assertIn(HOSTILE, seen['text'])
        self.assertLessEqual(seen['phone']['page'], 320)

    def test_a_hundred_thousand_steps(self):
        cgroup = self.recording.incident['cgroup']['id']

        def many(database):
            row, task = database.execute('SELECT steps.cgroup, steps.task FROM steps, cgroups WHERE cgroups.id = steps.cgroup AND cgroup_id = ? LIMIT 1', (cgroup,)).fetchone()
            first = database.execute('SELECT max(boot_ns) FROM steps').fetchone()[0]
            seq = max(database.execute(f'SELECT max(seq) FROM {table}').fetchone()[0] or 0 for table in ('steps', 'events', 'clock', 'answers', 'loss', 'incidents', 'samples'))
            database.executemany(
                'INSERT INTO steps SELECT ?, ?, ?, ?, ?, ?, user_stack, kernel_stack, watermark_bytes, limit_bytes, quantum_bytes, ancestor, '
                '"foreign", page_cache, suppressed, oom_events, reclaim_ns, throttle_ns, kind FROM (SELECT * FROM steps WHERE cgroup = ? LIMIT 1)',
                ((seq + i + 1, first + i * 1_000_000, row, (40 + i % 60) * MIB + i % 7 * 4096, 1, task, row) for i in range(100_000)))
        seen = self.page('--incident', self.recording.incident['id'], path=self.changed(many), name='many')
        print(f'100,000 steps: {seen["html_bytes"]} bytes, shown {seen["painted_ms"]:.0f} ms after its begin', file=sys.stderr)
        self.assertEqual((seen['requests'], seen['errors']), ([], []))
        with open(os.path.join(seen['out'], 'usage.csv'), encoding='utf-8') as file:
            self.assertGreater(sum(1 for _ in file), 100_000)

    def test_each_cause_reads_as_it_was_approved(self):
        """tests/golden: NAME.json is an incident that was seen, NAME.page what the page says of it. MEMCREST_GOLDEN=write
        writes these anew, to be read before they are kept."""
        golden = os.path.join(SOURCE, 'tests', 'golden')
        names = sorted(name.removesuffix('.json') for name in os.listdir(golden) if name.endswith('.json'))
        self.assertGreater(len(names), 20)

        def causes(database):
            row = dict(zip([c[1] for c in database.execute('PRAGMA table_info(incidents)')],
                           database.execute('SELECT * FROM incidents LIMIT 1').fetchone()))
            database.execute('DELETE FROM incidents')
            for number, name in enumerate(names):
                text = harness.read(os.path.join(golden, f'{name}.json')).strip()
                incident = json.loads(text)
                row.update(seq=number + 1, id=incident['id'], kind=incident['kind'], json=text, boot_ns=number + 1)
                row['update'] = None
                database.execute(f"INSERT INTO incidents VALUES ({', '.join('?' * len(row))})", list(row.values()))
        seen = self.page(path=self.changed(causes), name='causes')
        self.assertEqual((seen['requests'], seen['errors']), ([], []))
        self.assertEqual(len(seen['stories']), len(names))
        for name, story in zip(names, seen['stories']):
            path = os.path.join(golden, f'{name}.page')
            if os.environ.get('MEMCREST_GOLDEN') == 'write':
                with open(path, 'w', encoding='utf-8') as file:
                    file.write(story + '\n')
            with self.subTest(name):
                self.assertEqual(story + '\n', harness.read(path))

    def test_a_recording_without_incidents_and_one_without_steps(self):
        def nothing(database):
            database.execute('DELETE FROM incidents')
        text = self.report(path=self.changed(nothing)).stdout
        self.assertRegex(text, r'incidents +none')

        def no_steps(database):
            database.execute('DELETE FROM steps')
            database.execute('DELETE FROM samples')
            database.execute('UPDATE cgroups SET created_ns = NULL')
        seen = self.page('--incident', self.recording.incident['id'], path=self.changed(no_steps), name='no-steps')
        self.assertFalse(seen['has_chart'])
        self.assertEqual(seen['errors'], [])
        self.assertIn('No usage of this cgroup was recorded', seen['text'])


del ReportTest  # only its children are tests

if __name__ == '__main__':
    harness.main()
