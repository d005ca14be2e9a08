# SPDX-License-Identifier: Apache-2.0
"""Which code grew a container, and what kind of memory it was."""

import http.server
import json
import os
import resource
import shutil
import subprocess
import sys
import threading

import harness
from harness import Watch, docker

LANGUAGES = os.path.join(harness.SOURCE, 'tests', 'testprogs', 'languages')
MIB = 96


def setUpModule():
    harness.start_docker()


tearDownModule = harness.stop_docker


def share_of(incident, function):
    """Of the growth that came through this function."""
    return sum(stack['share'] for stack in incident['burst']['stacks']
               if any((frame['name'] or '').startswith(function) for frame in stack['frames']))


def told(incident):
    return (incident['burst']['growth_bytes'], incident['burst']['kinds'], incident['evidence'],
            [(round(s['share'], 2), s['kind'], s['gap'], [f['name'] or f['module'] for f in s['frames']])
             for s in incident['burst']['stacks']])


class SymbolsCase(harness.TestCase):
    def build(self, name, *options, strip=False, debug_link=False):
        path = os.path.join(self.scratch(), name)
        harness.run('g++-12', '-O2', *options, os.path.join(LANGUAGES, 'grow.cpp'), '-o', path)
        if debug_link:
            harness.run('objcopy', '--only-keep-debug', path, path + '.debug')
        if strip:
            harness.run('strip', path)
        if debug_link:
            harness.run('objcopy', '--add-gnu-debuglink=' + path + '.debug', path)
        return path

    def burst_of(self, watch, script, files=(), options=(), memory='512m'):
        """Runs a shell script in a container of its own that holds these files in /; returns the burst."""
        container, _ = docker.create('sh', '-c', f'sleep 1; {script}; sleep 60', memory=memory, options=options)
        self.remove_later(container)
        for file in files:
            docker('cp', file, f'{container}:/{os.path.basename(file)}')
        docker('start', container)
        incident = watch.wait_for('burst', container)
        self.assertGreaterEqual(incident['burst']['growth_bytes'], MIB << 19, incident['burst'])
        return incident


class CompiledTest(SymbolsCase):
    def check_fill(self, incident, callers=True):
        self.assertGreaterEqual(share_of(incident, 'json::fill'), 0.85, told(incident))
        self.assertGreaterEqual(sum(k['share'] for k in incident['burst']['kinds'] if k['kind'] in ('anon', 'thp')), 0.85)
        if callers:
            self.assertGreaterEqual(share_of(incident, 'load_batch'), 0.85, told(incident))
            self.assertGreaterEqual(share_of(incident, 'main'), 0.85, told(incident))
            self.assertGreater(share_of(incident, 'warm_up'), 0.02, told(incident))
        self.assertEqual(incident['burst']['programs'][0]['comm'], 'grow')

    def test_with_frame_pointers_static(self):
        grow = self.build('grow', '-static', '-fno-omit-frame-pointer')
        with Watch('--containers-only', '--step', '1m') as watch:
            incident = self.burst_of(watch, f'/grow {MIB}', [grow])
        self.check_fill(incident)
        frame = next(f for f in incident['burst']['stacks'][0]['frames'] if (f['name'] or '').startswith('json::fill'))
        self.assertEqual(frame['module'], '/grow')
        self.assertTrue(frame['build_id'])
        named = harness.run('addr2line', '-f', '-C', '-e', grow, hex(frame['offset'])).stdout
        self.assertIn('json::fill', named, 'the offset is that of addr2line')

    def test_dynamic(self):
        grow = self.build('grow', '-fno-omit-frame-pointer')
        folders = [f'--volume={d}:{d}:ro' for d in ('/lib', '/lib64', '/usr/lib') if os.path.isdir(d)]
        with Watch('--containers-only', '--step', '1m') as watch:
            self.check_fill(self.burst_of(watch, f'/grow {MIB}', [grow], folders))

    def test_stripped_with_a_separate_debug_file(self):
        grow = self.build('grow', '-static', '-fno-omit-frame-pointer', strip=True, debug_link=True)
        with Watch('--containers-only', '--step', '1m') as watch:
            self.check_fill(self.burst_of(watch, f'/grow {MIB}', [grow, grow + '.debug']))

    def test_stripped_is_told_by_its_offset(self):
        grow = self.build('grow', '-static', '-fno-omit-frame-pointer', strip=True)
        with Watch('--containers-only', '--step', '1m') as watch:
            stack = self.burst_of(watch, f'/grow {MIB}', [grow])['burst']['stacks'][0]
        frames = [f for f in stack['frames'] if f['module'] == '/grow']
        self.assertTrue(frames and all(f['offset'] and f['build_id'] and f['name'] is None for f in frames), stack)

    def test_without_frame_pointers_says_so(self):
        grow = self.build('grow', '-static', '-fomit-frame-pointer')
        with Watch('--containers-only', '--step', '1m') as watch:
            incident = self.burst_of(watch, f'/grow {MIB}', [grow])
        self.check_fill(incident, callers=False)
        self.assertRegex(incident['burst']['stacks'][0]['gap'], 'missing', told(incident))
        if any(stack['gap'] and stack['gap'].endswith('code without frame pointers') for stack in incident['burst']['stacks']):
            self.assertIn('code without frame pointers: --unwind eh-frame shows its callers', incident['burst']['hints'])

    def test_without_frame_pointers_by_unwind_tables(self):
        for options in (('-static',), ('-static-pie',), ()):
            with self.subTest(options):
                grow = self.build('grow', '-fomit-frame-pointer', *options)
                folders = [] if options else [f'--volume={d}:{d}:ro' for d in ('/lib', '/lib64', '/usr/lib') if os.path.isdir(d)]
                with Watch('--containers-only', '--step', '1m', '--unwind', 'eh-frame') as watch:
                    if 'cannot be unwound' in watch.err.text():
                        self.skipTest('this kernel does not show registers of user space to programs')
                    incident = self.burst_of(watch, f'/grow {MIB}', [grow], folders)
                self.check_fill(incident)
                heaviest = incident['burst']['stacks'][0]
                self.assertIsNone(heaviest['gap'], told(incident))
                names = [(f['name'] or '').split('(')[0] for f in heaviest['frames'] if f['module'] == '/grow']
                self.assertEqual(names[:4], ['json::fill', 'json::parse', 'load_batch', 'main'], told(incident))
                self.assertEqual(incident['burst']['hints'], [])

    def test_a_stripped_program_has_its_unwind_tables_still(self):
        grow = self.build('grow', '-static', '-fomit-frame-pointer', strip=True, debug_link=True)
        with Watch('--containers-only', '--step', '1m', '--unwind', 'eh-frame') as watch:
            if 'cannot be unwound' in watch.err.text():
                self.skipTest('this kernel does not show registers of user space to programs')
            self.check_fill(self.burst_of(watch, f'/grow {MIB}', [grow, grow + '.debug']))

    def test_a_binary_that_is_deleted_while_it_runs(self):
        grow = self.build('grow', '-static', '-fno-omit-frame-pointer')
        with Watch('--containers-only', '--step', '1m') as watch:
            script = f'cp /grow /tmp/grow; sleep 2.5; /tmp/grow {MIB} & sleep 0.02; rm /tmp/grow; wait'
            self.check_fill(self.burst_of(watch, f'mkdir -p /tmp; {script}', [grow]))

    def test_a_pool_of_workers_is_one_program(self):
        grow = self.build('grow', '-static', '-fno-omit-frame-pointer')
        with Watch('--containers-only', '--step', '1m') as watch:
            script = ' '.join(['/grow 16 &'] * 8) + ' wait'
            incident = self.burst_of(watch, script, [grow])
        program = incident['burst']['programs'][0]
        self.assertGreaterEqual(program['processes'], 6, incident['burst']['programs'])
        self.assertEqual(program['cmdline'], '/grow 16')
        self.assertGreaterEqual(share_of(incident, 'json::fill'), 0.75, told(incident))

    def test_numbered_workers_are_one_line(self):
        grow = self.build('grow', '-static', '-fno-omit-frame-pointer')
        with Watch('--containers-only', '--step', '1m', json_lines=False) as watch:
            script = ' '.join(f'/grow 16 fd={n} &' for n in range(8)) + ' wait'
            container, _ = docker.create('sh', '-c', f'sleep 1; {script}; sleep 60', memory='512m')
            self.remove_later(container)
            docker('cp', grow, f'{container}:/grow')
            docker('start', container)
            found = harness.wait_until(lambda: '× /grow 16 fd=#' in watch.out.text())
            self.assertTrue(found, watch.out.text())

    def test_threads_without_names_are_counted(self):
        with Watch('--containers-only', '--step', '1m') as watch:
            burst = self.burst_of(watch, f'hog anon {MIB}m --threads 4 --no-thp --hold 500')['burst']
        self.assertEqual([(t['comm'], t['thread'], t['threads']) for t in burst['threads'][:1]], [('hog', 'hog', 4)], burst['threads'])

    def test_text_names_functions(self):
        grow = self.build('grow', '-static', '-fno-omit-frame-pointer')
        with Watch('--containers-only', '--step', '1m', json_lines=False) as watch:
            container, _ = docker.create('sh', '-c', f'sleep 1; /grow {MIB}; sleep 60', memory='512m')
            self.remove_later(container)
            docker('cp', grow, f'{container}:/grow')
            docker('start', container)
            found = harness.wait_until(lambda: 'json::fill' in watch.out.text())
            self.assertTrue(found, watch.out.text())
        self.assertIn('main → load_batch', watch.out.text())


class KindsTest(SymbolsCase):
    """Each kind of memory comes out as what it is."""

    def test_kinds(self):
        """The better of three: charges that others cause meanwhile are of no kind, on a machine that is busy."""
        _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
        modes = [('anon', 'hog anon 96m --no-thp --hold 500', ()), ('thp', 'hog anon 96m --thp --hold 500', ()),
                 ('shmem', 'hog tmpfs /t 96m', ('--tmpfs', '/t:size=512m')), ('shmem', 'hog memfd 96m --hold 500', ()),
                 ('pipes', 'hog pipes 48m --hold 500', ('--ulimit', 'nofile=8192')),
                 ('page_tables', 'hog pagetables 64m --hold 500', ()),
                 ('slab', 'hog msgqueue 48m --hold 500', ('--cap-add', 'SYS_ADMIN'))]
        if files >= 1048576:  # smaller tables need no vmalloc; in VMs tests/vm plays it
            modes.append(('vmalloc', 'hog fdtable 48m --hold 500', ('--ulimit', 'nofile=1048576')))
        with Watch('--containers-only', '--step', '1m', '--burst-min', '24m') as watch:
            for kind, command, options in modes:
                with self.subTest(command):
                    seen = []
                    while len(seen) < 3 and not (seen and seen[-1][0] >= 0.95):
                        container, _ = docker.create('sh', '-c', f'sleep 1; {command}; sleep 60', memory='512m',
                                                     options=options)
                        self.remove_later(container)
                        docker('start', container)
                        incident = watch.wait_for('burst', container)
                        kinds = incident['burst']['kinds']
                        seen.append((sum(one['share'] for one in kinds if one['kind'] == kind), kinds, incident['evidence']))
                    if len(seen) > 1:
                        print(command, seen, file=sys.stderr)
                    self.assertGreaterEqual(seen[-1][0], 0.95, seen)

    def test_page_cache_is_told_beside_what_makes_it_a_burst(self):
        with Watch('--containers-only', '--step', '1m', '--burst-min', '24m') as watch:
            container, _ = docker.create(
                'sh', '-c', 'hog makefile /f 64m; sleep 2; hog readfile /f; hog anon 32m --no-thp --hold 500; sleep 60', memory='512m')
            self.remove_later(container)
            docker('start', container)
            incident = watch.wait_for('burst', container)
        kinds = {one['kind']: one['share'] for one in incident['burst']['kinds']}
        self.assertGreaterEqual(kinds.get('file', 0), 0.95 * 64 / 96, kinds)
        self.assertGreaterEqual(kinds.get('anon', 0), 0.95 * 32 / 96, kinds)

    def test_threads_cost_the_kernel_stacks_and_slab(self):
        """The better of three: charges that others cause meanwhile are of no kind, on a machine that is busy."""
        told = []
        with Watch('--containers-only', '--step', '1m', '--burst-min', '24m') as watch:
            for _ in range(3):
                container, _ = docker.create('sh', '-c', 'sleep 1; hog threads 24m --hold 500; sleep 60', memory='512m')
                self.remove_later(container)
                docker('start', container)
                kinds = {one['kind']: one['share'] for one in watch.wait_for('burst', container)['burst']['kinds']}
                known = sum(kinds.get(kind, 0) for kind in ('kernel_stack', 'slab', 'anon', 'page_tables'))
                told.append((known, kinds))
                if known >= 0.95:
                    break
        known, kinds = max(told, key=lambda one: one[0])
        self.assertGreaterEqual(kinds.get('kernel_stack', 0), 0.35, told)
        self.assertGreaterEqual(known, 0.95, told)


class OddBinariesTest(SymbolsCase):
    """Where code lies that no file names, or names wrongly."""

    def test_a_program_without_a_file(self):
        grow = self.build('grow', '-static', '-fno-omit-frame-pointer')
        start = os.path.join(self.scratch(), 'start')
        source = start + '.c'
        with open(source, 'w', encoding='utf-8') as out:
            out.write('''
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>
int main(int count, char **arguments, char **environment)
{
    int in = open("/grow", O_RDONLY), out = memfd_create("hidden", MFD_CLOEXEC);
    while (sendfile(out, in, 0, 1 << 20) > 0)
        ;
    char *const program[] = {"hidden", arguments[1], 0};
    sleep(2);
    fexecve(out, program, environment);
    return count;
}
''')
        harness.run('gcc-12', '-O2', '-static', source, '-o', start)
        with Watch('--containers-only', '--step', '1m') as watch:
            incident = self.burst_of(watch, f'/start {MIB}', [grow, start])
        self.assertGreaterEqual(share_of(incident, 'json::fill'), 0.85, told(incident))
        module = next(f['module'] for f in incident['burst']['stacks'][0]['frames'] if (f['name'] or '').startswith('json::fill'))
        self.assertIn('memfd:hidden', module)

    def test_two_gigabytes(self):
        grow = self.build('grow', '-static', '-fno-omit-frame-pointer')
        script = f'cp /grow /big; truncate -s 2g /big; sleep 2; /big {MIB}'
        with Watch('--containers-only', '--step', '1m') as watch:
            incident = self.burst_of(watch, script, [grow])
        self.assertGreaterEqual(share_of(incident, 'json::fill'), 0.85, told(incident))

    def test_no_debug_file_outside_of_the_container(self):
        """A link that would lead out of the container's root, as seen by the host, to symbols that are there alone."""
        grow = self.build('grow', '-static', '-fno-omit-frame-pointer', strip=True, debug_link=True)
        outside = grow + '.debug'
        script = f'mkdir /.debug; ln -s /proc/1/root{outside} /grow.debug; ln -s ../../../../../../..{outside} /.debug/grow.debug; /grow {MIB}'
        with Watch('--containers-only', '--step', '1m') as watch:
            incident = self.burst_of(watch, script, [grow])
        frames = [f for stack in incident['burst']['stacks'] for f in stack['frames'] if f['module'] == '/grow']
        self.assertTrue(frames and all(f['name'] is None for f in frames), told(incident))


class RecordingTest(SymbolsCase):
    def test_a_replay_tells_the_same_names(self):
        grow = self.build('grow', '-static', '-fno-omit-frame-pointer')
        file = os.path.join(self.scratch(), 'r.db')
        process = subprocess.Popen([harness.MEMCREST, 'record', '-o', file, '--docker-socket', docker.socket],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        process.stderr.readline()
        try:
            container, _ = docker.create('sh', '-c', f'sleep 1; /grow {MIB}; sleep 1', memory='512m')
            self.remove_later(container)
            docker('cp', grow, f'{container}:/grow')
            docker.start_and_wait(container)
        finally:
            process.terminate()
            process.communicate(timeout=harness.PATIENCE)
        first = harness.memcrest('replay', '--json', file)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertIn('json::fill', first.stdout)
        harness.validate(first.stdout)

    def test_a_report_takes_names_from_debug_files(self):
        grow = self.build('grow', '-g', '-static', '-fno-omit-frame-pointer', strip=True, debug_link=True)
        file = os.path.join(self.scratch(), 'r.db')
        process = subprocess.Popen([harness.MEMCREST, 'record', '-o', file, '--docker-socket', docker.socket],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        process.stderr.readline()
        try:
            container, _ = docker.create('sh', '-c', f'sleep 1; /grow {MIB}; sleep 1', memory='512m')
            self.remove_later(container)
            docker('cp', grow, f'{container}:/grow')
            docker.start_and_wait(container)
        finally:
            process.terminate()
            process.communicate(timeout=harness.PATIENCE)
        plain = harness.memcrest('report', file, '--format', 'json')
        named = harness.memcrest('report', file, '--format', 'json', '--debug-dir', os.path.dirname(grow))
        self.assertEqual((plain.returncode, named.returncode), (0, 0), named.stderr)
        self.assertNotIn('json::touch', plain.stdout)
        self.assertIn('json::touch', named.stdout)
        for name in ('markdown', 'html', 'text'):
            told_as = harness.memcrest('report', file, '--format', name, '--debug-dir', os.path.dirname(grow))
            self.assertIn('json::touch', told_as.stdout, name)


class SymbolizeTest(SymbolsCase):
    """Elsewhere, later, by whoever has the debug files."""

    def symbolize(self, *arguments, **options):
        return harness.memcrest('symbolize', *arguments, **options)

    def incidents_of(self, grow):
        file = os.path.join(self.scratch(), 'incidents.jsonl')
        with Watch('--containers-only', '--step', '1m') as watch:
            incident = self.burst_of(watch, f'/grow {MIB}', [grow])
        with open(file, 'w', encoding='utf-8') as out:
            out.write(json.dumps({name: value for name, value in incident.items() if name != 'read_at'}) + '\n')
        return file

    def test_names_lines_and_inlined_calls(self):
        grow = self.build('grow', '-g', '-static', '-fno-omit-frame-pointer', strip=True, debug_link=True)
        file = self.incidents_of(grow)
        folder = os.path.dirname(grow)

        done = self.symbolize(file, '--debug-dir', folder, '--json')
        self.assertEqual(done.returncode, 0, done.stderr)
        incident = json.loads(done.stdout)
        harness.validate(done.stdout)
        frames = [f for f in incident['burst']['stacks'][0]['frames'] if f['module'] == '/grow']
        self.assertEqual([f['name'].split('(')[0] for f in frames[:3]], ['json::touch', 'json::fill', 'load_batch'], frames)
        self.assertEqual([f['inlined'] for f in frames[:2]], [True, False])
        source = os.path.join(LANGUAGES, 'grow.cpp')
        with open(source, encoding='utf-8') as lines:
            line = next(n for n, text in enumerate(lines, 1) if '*page = 1' in text)
        self.assertEqual((frames[0]['file'], frames[0]['line']), (source, line))
        self.assertGreaterEqual(share_of(incident, 'json::touch'), 0.85, told(incident))

        text = self.symbolize(file, '--debug-dir', folder)
        self.assertRegex(text.stdout, rf'json::touch\(char\*\)  {source}:{line}  \(inlined\)')

        # As distributions lay them out.
        by_id = os.path.join(self.scratch(), 'debug')
        build_id = frames[0]['build_id']
        os.makedirs(f'{by_id}/.build-id/{build_id[:2]}')
        shutil.copy(grow + '.debug', f'{by_id}/.build-id/{build_id[:2]}/{build_id[2:]}.debug')
        self.assertEqual(self.symbolize(file, '--debug-dir', by_id, '--json').stdout, done.stdout)

        nothing = self.symbolize(file, '--debug-dir', self.scratch(), '--json')
        self.assertEqual(nothing.returncode, 0, nothing.stderr)
        self.assertIn(f'no debug file for /grow (build id {build_id})', nothing.stderr)
        with open(file, encoding='utf-8') as given:
            self.assertEqual(json.loads(nothing.stdout), json.load(given))

    def test_debuginfod_only_when_told_to(self):
        grow = self.build('grow', '-g', '-static', '-fno-omit-frame-pointer', strip=True, debug_link=True)
        file = self.incidents_of(grow)
        with open(file, encoding='utf-8') as lines:
            build_id = next(f['build_id'] for f in json.loads(lines.readline())['burst']['stacks'][0]['frames'] if f['module'] == '/grow')
        asked = []

        class Server(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                known = self.path == f'/buildid/{build_id}/debuginfo'
                body = b''
                if known:
                    with open(grow + '.debug', 'rb') as debug:
                        body = debug.read()
                self.send_response(200 if known else 404)
                self.send_header('Content-Length', str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f'http://127.0.0.1:{server.server_port}/'
        env = dict(os.environ, DEBUGINFOD_URLS=url, DEBUGINFOD_CACHE_PATH=self.scratch())

        alone = self.symbolize(file, '--json', env=env)
        self.assertEqual((alone.returncode, asked), (0, []), 'the environment alone makes nobody ask')
        done = self.symbolize(file, '--debuginfod', url, '--json', env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f'/buildid/{build_id}/debuginfo', asked)
        self.assertGreaterEqual(share_of(json.loads(done.stdout), 'json::touch'), 0.85, done.stderr)

    def test_bad_input_costs_nothing_else(self):
        file = os.path.join(self.scratch(), 'lines')
        with open(file, 'w', encoding='utf-8') as out:
            out.write('no incident\n\n{"kind":"burst","id":"a-1","time":"2026-11-27T01:00:53Z","boot_time_ns":1}\n')
        done = self.symbolize(file, '--json')
        self.assertEqual(done.returncode, 1)
        self.assertIn('read line 1', done.stderr)
        self.assertEqual(json.loads(done.stdout)['id'], 'a-1')
        self.assertEqual(self.symbolize('/nowhere').returncode, 1)
        self.assertIn('/nowhere', self.symbolize(file, '--debug-dir', '/nowhere').stderr)


if __name__ == '__main__':
    harness.main()
