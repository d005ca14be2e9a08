# SPDX-License-Identifier: Apache-2.0
"""Scenarios with a known cause, run for real, and what `memcrest watch` says of each: the corpus of the verdict.

Each is a program in a memory cgroup of its own that ends in an OOM kill. Its cause is a label of ours, here and nowhere
else: nothing of this file is seen by the program under test but a cgroup's path, which is a number.
"""

import concurrent.futures
import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import tempfile
import time

import harness
import languages
from harness import HOG, MIB, SOURCE, cgroups, wait_until

PROGRAMS = os.path.join(SOURCE, 'tests', 'testprogs', 'verdicts')
WORK = ('/usr/bin/python3', '-I', os.path.join(PROGRAMS, 'work.py'))
HIT_BY = 75  # seconds: a scenario that is not over by then has failed
SURE = 0.8


@dataclasses.dataclass
class Scenario:
    name: str
    cause: str
    command: tuple
    limit: int = 96  # MiB
    short: bool = False  # part of the quick run
    parent: bool = False  # the limit is that of the cgroup above
    beside: tuple = ()  # runs in the same parent
    first: tuple = ()  # runs to its end before, in the same cgroup
    env: dict = dataclasses.field(default_factory=dict)
    needs: tuple = ()  # programs


def work(mode, **values):
    return (*WORK, mode, *[f'{k}={v}' for k, v in values.items()])


def hog(*words):
    return (HOG, *[str(word) for word in words])


def shell(text):
    return ('sh', '-c', text)


# `{dir}`: a directory on disk of the scenario's own; `{tmpfs}`: a tmpfs of its own; `{classes}`: compiled Java; `{go}`:
# compiled heap.go.
CORPUS = (
    # One large request, of this kind or that, over a quiet floor or over work that comes and goes.
    Scenario('spike-python', 'limit-too-small-for-burst', work('spike'), short=True),
    Scenario('spike-after-requests', 'limit-too-small-for-burst', work('requests', spike_after=12), short=True),
    Scenario('spike-after-busy-requests', 'limit-too-small-for-burst',
             work('requests', spike_after=20, work=20, pause=0.01)),
    Scenario('spike-numpy', 'limit-too-small-for-burst', work('array')),
    Scenario('spike-hog', 'limit-too-small-for-burst',
             shell(f'{HOG} anon 24m --hold 60000 & sleep 10; exec {HOG} anon 400m --no-thp')),
    Scenario('spike-hog-huge-pages', 'limit-too-small-for-burst',
             shell(f'{HOG} anon 24m --hold 60000 & sleep 8; exec {HOG} anon 400m --thp')),
    Scenario('spike-hog-threads', 'limit-too-small-for-burst',
             shell(f'{HOG} anon 16m --hold 60000 & sleep 8; exec {HOG} anon 400m --threads 4 --rate 300')),
    Scenario('spike-node', 'limit-too-small-for-burst',
             ('node', '-e', 'setTimeout(() => { const a = Buffer.alloc(400 << 20, 1); }, 9000)'), needs=('node',)),
    Scenario('sort-at-once', 'limit-too-small-for-burst',
             shell('sleep 7; seq 1 30000000 | sort -R -S 400m --parallel=1 > /dev/null'), limit=64),
    Scenario('small-bursts-before', 'limit-too-small-for-burst',
             shell(f'{HOG} anon 40m --repeat 5 --hold 100 --pause 2000; exec {HOG} anon 300m --no-thp')),
    Scenario('perl-string', 'limit-too-small-for-burst', ('perl', '-e', 'sleep 9; $x = "x" x 300000000; sleep 5')),
    Scenario('php-string', 'limit-too-small-for-burst',
             ('php', '-d', 'memory_limit=-1', '-r', 'sleep(9); $x = str_repeat("x", 300 << 20); sleep(5);'),
             needs=('php',)),
    Scenario('stress-ng', 'limit-too-small-for-burst',
             shell('sleep 8; exec stress-ng --oomable --vm 1 --vm-bytes 300m --vm-keep --timeout 30'),
             needs=('stress-ng',)),
    Scenario('imagemagick', 'limit-too-small-for-burst',
             shell('sleep 8; exec convert -size 3500x3500 plasma:fractal -blur 0x8 null:'), limit=64, needs=('convert',)),
    Scenario('xz-best', 'limit-too-small-for-burst',
             shell('sleep 9; head -c 300000000 /dev/urandom | xz -9e > /dev/null'), needs=('xz',)),
    # Floors that rise under work that comes and goes, or without it.
    Scenario('leak-requests', 'leak', work('requests', keep=0.25, work=8, pause=0.03), short=True),
    Scenario('leak-slow', 'leak', work('requests', keep=0.1, work=6, pause=0.03), limit=64),
    Scenario('leak-large-work', 'leak', work('requests', keep=0.4, work=24, pause=0.05), limit=128),
    Scenario('leak-small-work', 'leak', work('requests', keep=0.3, work=3, pause=0.05)),
    Scenario('hoard', 'leak', work('hoard', step=0.25, pause=0.05)),
    Scenario('hoard-node', 'leak',
             ('node', '-e', 'const a = []; setInterval(() => a.push(Buffer.alloc(400000, 1)), 60)'), needs=('node',)),
    Scenario('leak-perl', 'leak', ('perl', '-e',
                                   'while (1) { push @a, "x" x 300000; my $w = "y" x (9 << 20); undef $w; '
                                   'select(undef, undef, undef, 0.04) }')),
    Scenario('leak-php', 'leak',
             ('php', '-d', 'memory_limit=-1', '-r',
              'while (1) { $a[] = str_repeat("x", 300000); $w = str_repeat("y", 9 << 20); unset($w); usleep(40000); }'),
             needs=('php',)),
    Scenario('redis-keys-without-end', 'leak',
             shell('redis-server --port 0 --unixsocket {dir}/socket --save "" --appendonly no --enable-debug-command yes & sleep 2; i=0; '
                   'while redis-cli -s {dir}/socket DEBUG POPULATE 2000 k$i 400 > /dev/null; do i=$((i+1)); sleep 0.2; done'),
             needs=('redis-server', 'redis-cli')),
    # What fills until it is full, with a limit that is below that.
    Scenario('cache-below-its-size', 'growth-to-plateau', work('cache', keys=300, each=0.4), limit=118, short=True),
    Scenario('cache-of-large-things', 'growth-to-plateau', work('cache', keys=60, each=2, pause=0.05), limit=120),
    Scenario('warm-up', 'growth-to-plateau', work('warm', size=70, over=6, then=0.1), limit=96),
    # To the kill it looks like a leak: what tells them apart would have come after it.
    Scenario('steady-load', 'growth-to-plateau', work('warm', size=140, over=14)),
    # Page cache that cannot go.
    Scenario('locked-file', 'page-cache', work('lock_file', path='{dir}/file'), short=True),
    Scenario('locked-file-slowly', 'page-cache', work('lock_file', path='{dir}/file', before=12), limit=64),
    # Shared memory in its forms, also somebody else's of before.
    Scenario('tmpfs-file', 'tmpfs', hog('tmpfs', '{tmpfs}', '200m', '--rate', 60), short=True),
    Scenario('memfd', 'tmpfs', hog('memfd', '200m', '--rate', 100)),
    Scenario('system-v-segment', 'tmpfs', work('segment')),
    Scenario('shared-anonymous', 'tmpfs', work('anonymous_shared')),
    Scenario('tar-into-tmpfs', 'tmpfs', shell('tar -cf {tmpfs}/out.tar /usr/lib')),
    Scenario('left-in-tmpfs', 'tmpfs', work('spike', before=3, base=2, size=60),
             first=work('fill', path='{tmpfs}/left', size=70)),
    # The kernel's own.
    Scenario('message-queues', 'kernel-memory', hog('msgqueue', '200m')),
    Scenario('pipes', 'kernel-memory', hog('pipes', '300m'), short=True),
    Scenario('page-tables', 'kernel-memory', hog('pagetables', '200m')),
    Scenario('local-sockets', 'kernel-memory', work('sockets', size=300)),
    Scenario('directories', 'kernel-memory', work('directories', path='{tmpfs}'), limit=64),
    Scenario('sleeping-threads', 'kernel-memory', work('threads'), limit=64),
    # Many that are small.
    Scenario('pool-of-workers', 'many-processes', work('pool'), short=True),
    Scenario('jobs-of-a-shell', 'many-processes',
             shell(f'sleep 3; for i in 1 2 3 4 5 6 7 8 9 10; do {HOG} anon 14m --hold 60000 & sleep 0.3; done; wait')),
    Scenario('forks-of-sort', 'many-processes',
             shell('sleep 2; for i in 1 2 3 4 5 6 7 8; do sh -c "seq 1 9000000 | sort -R -S 30m > /dev/null" & done; wait')),
    # A heap that may be larger than the limit.
    Scenario('java-heap', 'runtime-heap-vs-limit', ('java', '-Xmx1g', '-Xms32m', '-XX:+UseSerialGC', '-cp', '{classes}',
                                                    'Heap', '900', '30'), limit=128, short=True, needs=('javac',)),
    Scenario('java-heap-by-environment', 'runtime-heap-vs-limit', ('java', '-cp', '{classes}', 'Heap', '900', '30'),
             limit=128, env={'JAVA_TOOL_OPTIONS': '-Xmx1g -XX:+UseSerialGC'}, needs=('javac',)),
    Scenario('node-heap', 'runtime-heap-vs-limit',
             ('node', '--max-old-space-size=2048', os.path.join(PROGRAMS, 'heap.js'), '900', '30'), limit=128,
             needs=('node',)),
    Scenario('java-heap-by-percentage', 'runtime-heap-vs-limit',
             ('java', '-XX:MaxRAMPercentage=98', '-XX:MaxNewSize=4m', '-XX:+UseSerialGC', '-cp', '{classes}', 'Heap', '900',
              '30'), limit=300, needs=('javac',)),
    Scenario('go-never-collects', 'runtime-heap-vs-limit', ('{go}', '30'), env={'GOGC': 'off'}, needs=('go',)),
    Scenario('go-limit-above', 'runtime-heap-vs-limit', ('{go}', '30'), env={'GOMEMLIMIT': '1GiB', 'GOGC': 'off'},
             needs=('go',)),
    # Somebody else's limit.
    Scenario('parent-of-one', 'ancestor-limit', work('spike', before=4), parent=True, short=True),
    Scenario('parent-of-two', 'ancestor-limit', work('requests', keep=0.2), parent=True,
             beside=hog('anon', '40m', '--hold', 90000)),
)


@dataclasses.dataclass
class Outcome:
    scenario: Scenario
    said: str = ''
    confidence: float = 0
    incident: dict = None
    problem: str = ''
    skipped: str = ''

    @property
    def right(self):
        return self.said == self.scenario.cause

    @property
    def confidently_wrong(self):
        return not self.right and self.confidence >= SURE


def compiled_go(directory):
    path = os.path.join(directory, 'heap')
    if languages.go():
        harness.run(languages.go(), 'build', '-o', path, os.path.join(PROGRAMS, 'heap.go'),
                    env={**os.environ, 'GOCACHE': os.path.join(directory, 'go-cache'), 'GO111MODULE': 'off'})
    return path


def compiled_java(directory):
    if shutil.which('javac'):
        harness.run('javac', '-d', directory, os.path.join(PROGRAMS, 'Heap.java'))
    return directory


class Runner:
    """Runs scenarios, some at a time, under one `memcrest watch`."""

    def __init__(self, watch, directory, at_once=3):
        self.watch = watch
        self.directory = directory
        self.classes = compiled_java(directory)
        self.go = compiled_go(directory)
        self.at_once = at_once
        self.keep = False

    def run(self, scenarios):
        with concurrent.futures.ThreadPoolExecutor(self.at_once) as threads:
            return list(threads.map(self._outcome, scenarios, range(len(scenarios))))

    def _outcome(self, scenario, number):
        out = Outcome(scenario)
        missing = [program for program in scenario.needs
                   if not (languages.go() if program == 'go' else shutil.which(program))]
        if missing:
            out.skipped = f'no {missing[0]}'
            return out
        try:
            out.incident = self._incident(scenario, number)
        except AssertionError as error:
            out.problem = str(error).splitlines()[0]
            return out
        verdict = out.incident['verdict']
        if not verdict:
            out.problem = 'no verdict'
            return out
        out.said = verdict['causes'][0]['cause']
        out.confidence = verdict['causes'][0]['confidence']
        return out

    def _incident(self, scenario, number):
        path = f'/memcrest-corpus-{os.getpid()}-{number}'
        with contextlib.ExitStack() as stack:
            stack.enter_context(cgroups.made(path, scenario.limit * MIB))
            places = self._places(stack)
            own = path
            if scenario.parent:
                own = stack.enter_context(cgroups.made(path + '/own'))
            stack.callback(self._end_all, path)
            if scenario.beside:
                beside = stack.enter_context(cgroups.made(path + '/beside'))
                stack.callback(self._end_all, beside)
                self._start(scenario.beside, beside, places, scenario.env)
            if scenario.first:
                self._start(scenario.first, own, places, scenario.env).wait(60)
            started = self._start(scenario.command, own, places, scenario.env)
            stack.callback(started.wait)
            stack.callback(self._end_all, own)
            return self.watch.wait_for('oom', match=lambda i: i['cgroup']['path'].startswith(path), timeout=HIT_BY)

    def _places(self, stack):
        disk = tempfile.mkdtemp(dir=self.directory)
        tmpfs = tempfile.mkdtemp(dir=self.directory)
        harness.run('mount', '-t', 'tmpfs', '-o', 'size=1g,nr_inodes=0', 'tmpfs', tmpfs)
        stack.callback(harness.run, 'umount', '-l', tmpfs)
        return {'{dir}': disk, '{tmpfs}': tmpfs, '{classes}': self.classes, '{go}': self.go}

    def _start(self, command, path, places, env):
        words = []
        for word in command:
            for mark, place in places.items():
                word = word.replace(mark, place)
            words.append(word)
        entry = os.path.join(cgroups.dir(path), 'cgroup.procs')
        return subprocess.Popen(['sh', '-c', f'echo $$ > {entry}; exec "$@"', 'sh', *words],
                                env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, cwd=self.directory)

    @staticmethod
    def _end_all(path):
        """Every process of a cgroup that this corpus made."""
        def none_left():
            pids = []
            for directory, _, _ in os.walk(cgroups.dir(path)):
                with contextlib.suppress(OSError):
                    pids += harness.read(os.path.join(directory, 'cgroup.procs')).split()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            return not pids
        wait_until(none_left, timeout=20, pause=0.05)


def confusion(outcomes):
    """A table in Markdown: the true cause by the one that was told, and each scenario that was told wrongly."""
    ran = [o for o in outcomes if not o.skipped]
    causes = sorted({o.scenario.cause for o in ran} | {o.said or '(none)' for o in ran})
    lines = ['| true cause | ' + ' | '.join(causes) + ' |', '|---' * (len(causes) + 1) + '|']
    for true in sorted({o.scenario.cause for o in ran}):
        row = [sum(1 for o in ran if o.scenario.cause == true and (o.said or '(none)') == said) for said in causes]
        lines.append(f'| {true} | ' + ' | '.join(str(n) if n else '' for n in row) + ' |')
    right = sum(o.right for o in ran)
    wrong = sum(o.confidently_wrong for o in ran)
    lines += ['', f'{right} of {len(ran)} right ({100 * right // max(1, len(ran))} %); '
                  f'wrong with a confidence of {SURE} or more: {wrong}', '']
    return '\n'.join(lines)


def detail(outcomes):
    lines = []
    for o in outcomes:
        mark = 'skip' if o.skipped else 'ok' if o.right else 'WRONG'
        lines.append(f'{mark:5}  {o.scenario.name:28} {o.scenario.cause:27} -> {o.said or "-":27} '
                     f'{o.confidence:.2f}  {o.problem or o.skipped}')
    return '\n'.join(lines)


def run_corpus(short=False, names=None, options=()):
    """Runs it; returns the outcomes."""
    chosen = [s for s in CORPUS if (not short or s.short) and (not names or s.name in names)]
    # The long ones first: the others run beside them.
    directory = tempfile.mkdtemp(prefix='memcrest-corpus.', dir='/var/tmp')
    try:
        with harness.Watch('--docker-socket', '', *options) as watch:
            outcomes = Runner(watch, directory, at_once=len(chosen) if short else 4).run(chosen)
            time.sleep(0.5)
        return outcomes
    finally:
        shutil.rmtree(directory, ignore_errors=True)
