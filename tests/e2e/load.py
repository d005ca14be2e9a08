# SPDX-License-Identifier: Apache-2.0
"""Load on a running agent, and what it cost: cgroups that are made, burst, die; a table; an exit code that judges.

    load.py load|soak [--minutes N] [--cgroups N] [--levels N] [--steps N] [--memory MIB] [--scrape-ms N]
            [--every SECONDS]

load: as many cgroups and steps a second as asked for (1,000 and 10,000). soak: few of them, for hours (8), judged by what
grows. Needs root. Kills happen in cgroups of its own, with limits of their own.
"""

import argparse
import http.client
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import harness
from harness import HOG, MEMCREST, MIB, cgroups

HOGS = 3  # at the same time
STEP = 256 << 10  # 64 pages: what the kernel charges at once


class Churn:
    """The cgroups. Each is used by one program, then removed, and another made in its place."""

    def __init__(self, count, levels, steps_per_s, oom_every):
        self.top = f'/memcrest-load-{os.getpid()}'
        self.count, self.levels, self.steps_per_s, self.oom_every = count, levels, steps_per_s, oom_every
        self.free, self.used, self.bursts, self.ooms, self.made = [], set(), 0, [], 0
        self.steps = 0  # that were caused, at least
        self.lock, self.stop = threading.Lock(), threading.Event()
        self.threads = []

    def __enter__(self):
        self.make_inner(self.top)
        for _ in range(self.count):
            self.free.append(self.make())
        return self

    def start(self):
        self.begin = time.monotonic()
        self.threads = [threading.Thread(target=self.work, args=(index,)) for index in range(HOGS)]
        for thread in self.threads:
            thread.start()

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        harness.wait_until(lambda: harness.Cgroups.remove(cgroups.dir(self.top)), timeout=30)

    @staticmethod
    def make_inner(path):
        os.mkdir(cgroups.dir(path))
        if cgroups.version == 2:
            with open(os.path.join(cgroups.dir(path), 'cgroup.subtree_control'), 'w', encoding='utf-8') as file:
                file.write('+memory')

    def make(self):
        path = self.top
        for level in range(self.levels):
            path += f'/pod{uuid.uuid4()}' if level == 0 else f'/inner{level}'
            self.make_inner(path)
        path += f'/docker-{os.urandom(32).hex()}.scope'
        os.mkdir(cgroups.dir(path))
        self.made += 1
        return path

    def remove(self, path):
        """And those above it that were made for it."""
        while path != self.top:
            if not harness.wait_until(lambda at=path: harness.Cgroups.remove(cgroups.dir(at)), timeout=10):
                raise AssertionError(f'{path} cannot be removed')
            path = os.path.dirname(path)

    def work(self, seed):
        dice = random.Random(seed)
        while not self.stop.is_set():
            with self.lock:
                ahead = self.steps - self.steps_per_s * (time.monotonic() - self.begin)
                path = self.free.pop(dice.randrange(len(self.free)))
                dies = self.bursts % self.oom_every == self.oom_every - 1
                self.bursts += 1
            if ahead > 0:
                self.stop.wait(ahead / self.steps_per_s)
            self.burst(path, dice.choice((8, 16, 24)), dies)
            self.remove(path)
            with self.lock:
                self.free.append(self.make())

    def burst(self, path, mib, dies):
        cgroups.limit(path, (mib - 4 if dies else mib + 8) * MIB)

        def enter():
            with open(os.path.join(cgroups.dir(path), 'cgroup.procs'), 'w', encoding='utf-8') as file:
                file.write('0')
        with subprocess.Popen([HOG, 'anon', f'{mib}m', '--no-thp'], preexec_fn=enter, stderr=subprocess.DEVNULL) as hog:
            code = hog.wait()
        with self.lock:
            self.steps += (mib - 4 if dies else mib) * MIB // STEP * (self.levels + 1)
            if code == -signal.SIGKILL:
                self.ooms.append(path)


class Agent:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix='memcrest-load.')

    def __enter__(self):
        self.process = subprocess.Popen(
            [MEMCREST, 'agent', '--directory', self.directory, '--listen', '127.0.0.1:0', '--docker-socket', '',
             '--podman-socket', '', '--no-user-podman', '--no-bundles', '--no-kubernetes', '--step', str(STEP),
             '--keep-incidents', '1000000', '--keep-incidents-size', '1g'],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.err = harness.Lines(self.process.stderr)
        if not harness.wait_until(lambda: '(port ' in self.err.text() or self.process.poll() is not None):
            self.process.kill()
        found = re.search(r'\(port (\d+)\)', self.err.text())
        if not found:
            self.__exit__()
            raise SystemExit(f'the agent does not start: {self.err.text()}')
        self.port = int(found.group(1))
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.err.finish()
        shutil.rmtree(self.directory, ignore_errors=True)

    def get(self, path):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=60)
        try:
            connection.request('GET', path)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def cpu_seconds(self):
        fields = harness.read(f'/proc/{self.process.pid}/stat').rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def memory_mib(self):
        """Its own (anonymous), which has a budget, and RSS with its program and the rings."""
        status = harness.read(f'/proc/{self.process.pid}/status')
        return [int(re.search(name + r':\s*(\d+)', status).group(1)) / 1024 for name in ('RssAnon', 'VmRSS')]

    def look(self):
        # A client of its own: this process has three threads that keep it from its socket.
        path = os.path.join(self.directory, 'scrape')
        took = subprocess.run(['curl', '-sSf', '--noproxy', '*', '--max-time', '60', '-o', path, '-w', '%{time_total}', f'http://127.0.0.1:{self.port}/metrics'],
                              check=True, stdout=subprocess.PIPE).stdout
        scrape = float(took) * 1000
        text = harness.read(path)

        def total(name, *labels):
            return sum(float(line.rsplit(' ', 1)[1]) for line in text.splitlines()
                       if line.startswith((name + '{', name + ' ')) and all(label in line for label in labels))
        own, rss = self.memory_mib()
        return {'own': own, 'rss': rss, 'cpu_s': self.cpu_seconds(),
                'fds': len(os.listdir(f'/proc/{self.process.pid}/fd')), 'scrape': scrape, 'at': time.monotonic(),
                'critical': total('memcrest_lost_records_total', 'ring="critical"'),
                'bulk': total('memcrest_lost_records_total', 'ring="bulk"'),
                'events': total('memcrest_events_total'), 'kib': len(text) / 1024}

    def told(self):
        """Cgroups of which an OOM was told."""
        out, before = set(), 0
        while before is not None:
            page = harness.json.loads(self.get(f'/api/v1/incidents?limit=1000&kind=oom&before={before}'))
            out |= {one['cgroup']['path'] for one in page['incidents']}
            before = page['next']
        return out


def row(first, before, now, churn):
    seconds = now['at'] - before['at']
    print(f'{now["at"] - first["at"]:7.0f} {(now["events"] - before["events"]) / seconds:9.0f} {churn.bursts:8d} '
          f'{len(churn.ooms):6d} {now["own"]:8.1f} {now["rss"]:8.1f} {100 * (now["cpu_s"] - before["cpu_s"]) / seconds:6.1f} '
          f'{now["fds"]:5d} {now["scrape"]:8.1f} {now["critical"]:8.0f} {now["bulk"]:8.0f}', flush=True)


def measure(options, churn, agent):
    print('seconds  events/s   bursts   OOMs  own MiB  RSS MiB  CPU %   fds scrape ms critical     bulk')
    first = before = agent.look()
    churn.start()
    looks = []
    end = time.monotonic() + options.minutes * 60
    while time.monotonic() < end:
        time.sleep(min(options.every, max(end - time.monotonic(), 0.1)))
        now = agent.look()
        row(first, before, now, churn)
        looks.append(now)
        before = now
    churn.__exit__()
    harness.wait_until(lambda: set(churn.ooms) <= agent.told(), timeout=60, pause=1)
    looks.append(agent.look())
    return first, looks


def judge(options, churn, agent, first, looks):
    """What is not as it must be, in words."""
    last, seconds = looks[-1], looks[-2]['at'] - first['at']
    rate = (looks[-2]['events'] - first['events']) / seconds
    own, rss = (max(one[key] for one in looks) for key in ('own', 'rss'))
    scrape = statistics.quantiles([one['scrape'] for one in looks], n=20)[-1]
    missing = set(churn.ooms) - agent.told()
    print(f'in all: {churn.made} cgroups, {len(churn.ooms)} OOMs, {len(missing)} not told; {rate:.0f} events/s; '
          f'memory of its own at most {own:.1f} MiB, RSS {rss:.1f} MiB; CPU {100 * (last["cpu_s"] - first["cpu_s"]) / (last["at"] - first["at"]):.1f} % of one; '
          f'scrape, 95th percentile {scrape:.1f} ms of {last["kib"]:.0f} KiB; lost: critical {last["critical"]:.0f}, '
          f'bulk {last["bulk"]:.0f}')
    wrong = [(last['critical'] > 0, f'{last["critical"]:.0f} critical records lost'),
             (bool(missing), f'{len(missing)} OOMs not told'),
             (not churn.ooms, 'no OOM came to be'),
             (own > options.memory, f'memory of its own of {own:.1f} MiB is above {options.memory}'),
             (scrape > options.scrape_ms, f'a scrape of {scrape:.1f} ms is above {options.scrape_ms}')]
    if options.what == 'load':
        wrong.append((rate < options.rate, f'{rate:.0f} events/s: this machine does not reach the {options.rate:.0f} that are judged'))
    else:
        half = looks[len(looks) // 2:-1] or looks
        early, late = half[:max(len(half) // 3, 1)], half[-max(len(half) // 3, 1):]
        grown = statistics.median(one['own'] for one in late) - statistics.median(one['own'] for one in early)
        more = max(one['fds'] for one in late) - max(one['fds'] for one in early)
        print(f'second half, its last third against its first: memory of its own {grown:+.2f} MiB, descriptors {more:+d}')
        wrong += [(grown > options.growth_mib, f'memory grows: {grown:.2f} MiB'), (more > 16, f'descriptors grow: {more}')]
    return [text for bad, text in wrong if bad]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('what', choices=('load', 'soak'))
    soak = 'soak' in sys.argv[1:2]
    parser.add_argument('--minutes', type=float, default=480 if soak else 10)
    parser.add_argument('--cgroups', type=int, default=30 if soak else 1000)
    parser.add_argument('--steps', type=int, default=250 if soak else 10000, help='a second')
    parser.add_argument('--levels', type=int, default=1, help='cgroups above each, as those of pods: each has steps of its own')
    parser.add_argument('--rate', type=float, help='steps a second that must have come; of load, half of --steps')
    parser.add_argument('--memory', type=float, default=32, help='MiB of its own')
    parser.add_argument('--scrape-ms', type=float, default=50)
    parser.add_argument('--growth-mib', type=float, default=1)
    parser.add_argument('--every', type=float, default=60 if soak else 10)
    options = parser.parse_args()
    options.rate = options.steps / 2 if options.rate is None else options.rate
    if os.geteuid() != 0:
        raise SystemExit('needs root')
    with Agent() as agent, Churn(options.cgroups, options.levels, options.steps, 20 if soak else 50) as churn:
        first, looks = measure(options, churn, agent)
        wrong = judge(options, churn, agent, first, looks)
    for text in wrong:
        print(f'WRONG: {text}')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
