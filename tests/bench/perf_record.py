#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""perf_record.py MEMCREST HOG [ROUNDS]: one program's page faults, recorded by `memcrest record` and by `perf record` of
the tracepoint that memcrest's tracepoint tier uses, with stacks, and by neither, in turn. One line of JSON each: the
median of the program's time as a ratio to that of neither, the size of the file, what it holds and what was lost."""
import json
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

MIB = 1024 * 1024
SIZE_MIB = 512
REPEAT = 4


def timed(command):
    begun = time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.monotonic() - begun, done.stderr


def of_neither(_directory, program):
    return {'file_bytes': 0, 'records': 0, 'lost': 0}, program_time(timed(['sh', '-c', SHELL, 'sh', *program])[1])


def program_time(text):
    begun, ended = re.search(r'took from ([0-9.]+) to ([0-9.]+)', text).groups()
    return float(ended) - float(begun)


def of_memcrest(directory, program):
    path = os.path.join(directory, 'memcrest.db')
    _, told = timed([MEMCREST, 'record', '-o', path, '--', 'sh', '-c', SHELL, 'sh', *program])
    with sqlite3.connect(path) as database:
        records, = database.execute('SELECT count(*) FROM steps').fetchone()
        lost, = database.execute("SELECT coalesce(max(critical + bulk), 0) FROM loss").fetchone()
    database.close()
    return {'file_bytes': os.path.getsize(path), 'records': records, 'lost': lost}, program_time(told)


def of_perf(directory, program):
    path = os.path.join(directory, 'perf.data')
    _, told = timed(['perf', 'record', '-g', '-o', path, '-e', 'pagemap:mm_lru_insertion', '--',
                     'sh', '-c', SHELL, 'sh', *program])
    shown = subprocess.run(['perf', 'report', '--stats', '-i', path], check=True, capture_output=True, text=True).stdout

    def count(kind):
        found = re.search(rf'\b{kind} events:\s+(\d+)', shown)
        return int(found.group(1)) if found else 0
    return {'file_bytes': os.path.getsize(path), 'records': count('SAMPLE'),
            'lost': count('LOST_SAMPLES') + count('LOST')}, program_time(told)


# The program's own time, without what each recorder does before and after it.
SHELL = 'a=$(date +%s.%N); "$@"; b=$(date +%s.%N); echo "took from $a to $b" >&2'


def main():
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    program = [HOG, 'anon', f'{SIZE_MIB}m', '--no-thp', '--repeat', str(REPEAT)]
    seen = {of_neither: [], of_memcrest: [], of_perf: []}
    facts = {}
    for _ in range(rounds):
        for measure, times in seen.items():
            with tempfile.TemporaryDirectory(prefix='memcrest-bench.', dir='/var/tmp') as directory:
                facts[measure], seconds = measure(directory, program)
            times.append(seconds)
    for measure, times in seen.items():
        ratios = [a / b for a, b in zip(times, seen[of_neither])]
        print(json.dumps({'benchmark': 'perf', 'recorder': measure.__name__.removeprefix('of_'),
                          'charged_mib': SIZE_MIB * REPEAT, 'rounds': rounds,
                          'time_ratio': round(statistics.median(ratios), 3), **facts[measure]}), flush=True)


MEMCREST, HOG = sys.argv[1:3]
main()
