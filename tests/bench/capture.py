#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""capture.py [COUNT]: who sees a burst. COUNT bursts (default 200) of 16, 64 and 200 MiB for each of seven durations, at
random moments, in real Docker containers, under memcrest and what people use instead at the same time:

  memcrest          `memcrest watch --json --burst-min 8m` (the default would pass over the smallest: 5 % of the limit)
  docker stats      the daemon's own stream, which `docker stats` shows: once a second
  file, 10 s        the usage file every 10 s, as cAdvisor reads it
  prometheus, N s   a real Prometheus that scrapes an exporter of the usage file every 1 s and 15 s
  max_usage, 1 s    the kernel's mark of the highest usage, read once a second and never reset: sees what is a new record

A burst is caught when a value that was shown while it lasted lies above its base by at least half of its height. The
truth is the kernel's mark, reset before each burst (which `max_usage` would not do, so that it has containers of its
own). One line of JSON for each duration and tool. Needs root, Docker and Prometheus.
"""
import bisect
import http.client
import http.server
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'e2e'))
import harness  # noqa: E402  pylint: disable=wrong-import-position
from harness import HOG, MIB, Watch, cgroups, docker, shared_cgroup  # noqa: E402  pylint: disable=wrong-import-position

HOLDS_MS = (0.2, 1, 5, 50, 200, 500, 1000)
SIZES_MIB = (16, 64, 200)
LIMIT = '512m'


class Container:
    """One container; bursts of one duration, each by a program of its own in the container's memory cgroup."""

    def __init__(self, hold_ms, resets):
        self.hold_ms, self.resets = hold_ms, resets
        self.id, self.name = docker.create('sleep', '1000000', memory=LIMIT)
        docker('start', self.id)
        self.path = shared_cgroup(self.id)
        self.seen = {}  # tool: [(time, bytes)]
        self.bursts = []  # (begin, end, base, peak)

    def usage(self):
        return int(cgroups.read(self.path, 'memory.usage_in_bytes', 'memory.current'))

    def burst(self, size_mib):
        directory = cgroups.dir(self.path)
        base = self.usage()
        if self.resets:
            cgroups.write(self.path, 'memory.max_usage_in_bytes', 'memory.peak', 0)

        def enter():
            with open(os.path.join(directory, 'cgroup.procs'), 'w', encoding='ascii') as file:
                file.write('0')
        begin = time.time()
        with subprocess.Popen([HOG, 'anon', f'{size_mib}m', '--hold', str(self.hold_ms)], preexec_fn=enter) as process:
            process.wait()
        end = time.time()
        peak = cgroups.peak(self.path) if self.resets else base + size_mib * MIB
        self.bursts.append((begin, end, base, peak))

    def note(self, tool, value, at=None):
        self.seen.setdefault(tool, []).append((at or time.time(), value))

    def follow_docker(self, stop):
        connection = http.client.HTTPConnection('docker')
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(docker.socket)
        connection.request('GET', f'/containers/{self.id}/stats?stream=1')
        answer = connection.getresponse()
        while not stop.is_set():
            line = answer.readline()
            if not line:
                return
            memory = json.loads(line)['memory_stats']
            if 'usage' in memory:
                files = memory.get('stats', {}).get('total_inactive_file', memory.get('stats', {}).get('inactive_file', 0))
                self.note('docker stats', memory['usage'] - files)


class Exporter:
    """A plain exporter of the usage files, and a Prometheus that scrapes it every second and every 15."""

    def __init__(self, containers, directory):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                lines = ''.join(f'container_usage_bytes{{id="{one.id}"}} {one.usage()}\n' for one in containers)
                self.send_response(200)
                self.send_header('Content-Type', 'text/plain; version=0.0.4')
                self.end_headers()
                self.wfile.write(lines.encode())

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = harness.free_port()
        config = os.path.join(directory, 'prometheus.yml')
        with open(config, 'w', encoding='utf-8') as file:
            file.write('scrape_configs:\n' + ''.join(
                f'- job_name: every{seconds}\n  scrape_interval: {seconds}s\n  scrape_timeout: 1s\n  static_configs:\n'
                f'  - targets: ["127.0.0.1:{self.server.server_port}"]\n' for seconds in (1, 15)))
        self.process = subprocess.Popen(
            ['prometheus', f'--config.file={config}', f'--storage.tsdb.path={directory}/data',
             f'--web.listen-address=127.0.0.1:{self.port}'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def collect(self, containers, seconds):
        for one in containers:
            for every in (1, 15):
                query = urllib.parse.urlencode(
                    {'query': f'container_usage_bytes{{job="every{every}",id="{one.id}"}}[{int(seconds) + 60}s]'})
                with urllib.request.urlopen(f'http://127.0.0.1:{self.port}/api/v1/query?{query}', timeout=60) as answer:
                    for series in json.load(answer)['data']['result']:
                        for at, value in series['values']:
                            one.note(f'prometheus, {every} s', int(float(value)), float(at))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.server.shutdown()
        self.server.server_close()


def poll(containers, seconds, stop, read, tool):
    at = time.time() + random.random() * seconds
    while not stop.wait(max(0.0, at - time.time())):
        for one in containers:
            one.note(tool, read(one))
        at += seconds


def work(one, count, random_of):
    for number in range(count):
        time.sleep(random_of.uniform(0.6, 2.4))
        one.burst(SIZES_MIB[number % len(SIZES_MIB)])


def judged(values, bursts):
    """(caught, errors): for each burst the highest value shown while it lasted."""
    values = sorted(values)
    times = [at for at, _ in values]
    caught, errors = 0, []
    for begin, end, base, peak in bursts:
        inside = [value for _, value in values[bisect.bisect_left(times, begin):bisect.bisect_right(times, end)]]
        highest = max(inside, default=base)
        caught += highest >= base + (peak - base) / 2
        errors.append(max(0, peak - highest))
    return caught, errors


def judged_records(values, bursts):
    """The kernel's mark as a poller sees it: a burst shows when the mark rose from before it to after it."""
    values = sorted(values)
    times = [at for at, _ in values]
    caught, errors = 0, []
    for begin, end, base, peak in bursts:
        before = values[bisect.bisect_left(times, begin) - 1][1] if bisect.bisect_left(times, begin) else 0
        after = bisect.bisect_left(times, end)
        shown = values[after][1] if after < len(values) else before
        seen = shown > before and shown >= base + (peak - base) / 2
        caught += seen
        errors.append(abs(peak - shown) if seen else peak - base)
    return caught, errors


def judged_incidents(incidents, one):
    told = sorted((i['burst']['peak_bytes'], harness_time(i['burst']['start']), i['burst']['duration_ms'] / 1e3)
                  for i in incidents if i['container']['id'] == one.id and i['burst'])
    caught, errors, exact = 0, [], 0
    for begin, end, base, peak in one.bursts:
        mine = [p for p, start, lasted in told if begin - 0.05 <= start + lasted <= end + 0.05]
        highest = max(mine, default=base)
        caught += highest >= base + (peak - base) / 2
        errors.append(abs(peak - highest))
        exact += highest == peak
    return caught, errors, exact


def harness_time(text):
    """Seconds of an RFC 3339 time with nanoseconds."""
    whole, fraction = text.rstrip('Z').split('.')
    return time.mktime(time.strptime(whole, '%Y-%m-%dT%H:%M:%S')) - time.timezone + float('0.' + fraction)


def line(tool, hold_ms, count, caught, errors, **more):
    print(json.dumps({'benchmark': 'capture', 'hold_ms': hold_ms, 'tool': tool, 'bursts': count, 'caught': caught,
                      'share': round(caught / count, 3), 'peak_error_median_bytes': int(statistics.median(errors)),
                      'peak_error_worst_bytes': max(errors), **more}), flush=True)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    if os.geteuid() != 0:
        sys.exit('needs root')
    harness.start_docker()
    stop = threading.Event()
    containers, records = [], []
    try:
        with tempfile.TemporaryDirectory(prefix='memcrest-capture.') as directory, Watch('--containers-only', '--burst-min', '8m') as watch:
            containers = [Container(hold, True) for hold in HOLDS_MS]
            records = [Container(hold, False) for hold in HOLDS_MS]
            exporter = Exporter(containers, directory)
            begun = time.time()
            threads = [threading.Thread(target=one.follow_docker, args=(stop,), daemon=True) for one in containers]
            threads.append(threading.Thread(target=poll, daemon=True,
                                            args=(containers, 10, stop, Container.usage, 'file, 10 s')))
            threads.append(threading.Thread(target=poll, daemon=True, args=(
                records, 1, stop, lambda one: cgroups.peak(one.path), 'max_usage, 1 s')))
            for one in threads:
                one.start()
            time.sleep(3)
            workers = [threading.Thread(target=work, args=(one, count, random.Random(number)))
                       for number, one in enumerate(containers + records)]
            for one in workers:
                one.start()
            for one in workers:
                one.join()
            time.sleep(3)
            stop.set()
            exporter.collect(containers, time.time() - begun)
            exporter.stop()
            incidents = watch.incidents()
            lost = watch.stop()
            for one in containers:
                caught, errors, exact = judged_incidents(incidents, one)
                line('memcrest', one.hold_ms, count, caught, errors, peak_exact=exact)
                for tool in ('docker stats', 'file, 10 s', 'prometheus, 1 s', 'prometheus, 15 s'):
                    line(tool, one.hold_ms, count, *judged(one.seen.get(tool, []), one.bursts))
            for one in records:
                line('max_usage, 1 s', one.hold_ms, count, *judged_records(one.seen.get('max_usage, 1 s', []), one.bursts))
            print(json.dumps({'benchmark': 'capture', 'minutes': round((time.time() - begun) / 60, 1),
                              'memcrest_exit_code': lost, 'memcrest_says': watch.summary()}), flush=True)
    finally:
        stop.set()
        for one in containers + records:
            docker('rm', '-f', one.id, check=False)
        harness.stop_docker()


if __name__ == '__main__':
    main()
