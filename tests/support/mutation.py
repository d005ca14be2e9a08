# SPDX-License-Identifier: Apache-2.0
"""What the unit tests would not notice: breaks one line of a room's sources after the other, and expects a failing test.

    mutation.py ROOM... [--most N] [--seed N] [--least PERCENT] [--jobs N]

ROOM is a folder of userspace/ (incident, sizing, ...). Works in a copy of the tree below build/mutation. Prints each change
that no test noticed, and the score; exit code 1 where that is below --least.
"""

import argparse
import collections
import glob
import os
import random
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORK = os.path.join(ROOT, 'build', 'mutation')
SOURCE, BUILD = os.path.join(WORK, 'source'), os.path.join(WORK, 'build')

# What is looked for, and what comes instead: each occurrence is a change of its own.
CHANGES = [(re.compile(pattern), instead) for pattern, instead in (
    (r' < ', ' <= '), (r' <= ', ' < '), (r' > ', ' >= '), (r' >= ', ' > '), (r' == ', ' != '), (r' != ', ' == '),
    (r' && ', ' || '), (r' \|\| ', ' && '), (r' \+ ', ' - '), (r' - ', ' + '), (r' \* ', ' / '), (r' / ', ' * '),
    (r'\bstd::min\b', 'std::max'), (r'\bstd::max\b', 'std::min'), (r'\btrue\b', 'false'), (r'\bfalse\b', 'true'),
    (r'(?<=[( ])!(?=[a-z_(*])', ''), (r'(?<![\w.\'])[1-9]\d*(?![\w.\'])', None), (r'\bcontinue;', ';'), (r'\bbreak;', ';'),
    (r' \+= ', ' -= '), (r'\+\+(?=[a-z_])', '--'))]
NOT_CODE = re.compile(r'^\s*(//|#|\*|template|using|case |default:|static_assert|namespace)')

Mutant = collections.namedtuple('Mutant', 'path line column old new')


def quoted(line, column):
    return line[:column].count('"') % 2 == 1 or '//' in line[:column]


def mutants_of(path):
    with open(os.path.join(SOURCE, path), encoding='utf-8') as file:
        lines = file.read().split('\n')
    for number, line in enumerate(lines):
        if NOT_CODE.match(line):
            continue
        for pattern, instead in CHANGES:
            for found in pattern.finditer(line):
                if not quoted(line, found.start()):
                    new = instead if instead is not None else str(int(found.group()) + 1)
                    yield Mutant(path, number, found.start(), found.group(), new)


def sh(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', **options)


def prepare(rooms, jobs):
    """A copy of what git knows, built; the tests of each room."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    os.makedirs(SOURCE)
    files = subprocess.run(['git', '-c', 'safe.directory=*', 'ls-files', '-z'], cwd=ROOT, check=True, capture_output=True,
                           text=True).stdout.split('\0')
    for name in filter(None, files):
        os.makedirs(os.path.dirname(os.path.join(SOURCE, name)), exist_ok=True)
        shutil.copy2(os.path.join(ROOT, name), os.path.join(SOURCE, name), follow_symlinks=False)
    launcher = 'ccache' if shutil.which('ccache') else ''
    done = sh('cmake', '--preset', 'dev', '-S', SOURCE, '-B', BUILD, '-DMEMCREST_WERROR=OFF', '-DMEMCREST_UNITY=OFF',
              f'-DCMAKE_CXX_COMPILER_LAUNCHER={launcher}', cwd=SOURCE)
    if done.returncode != 0:
        raise SystemExit(done.stdout)
    tests = {room: re.findall(r'^add_test\(\[=\[(\w+)\]=\]', read_all(f'{BUILD}/tests/unit/{room}/CTestTestfile.cmake'), re.M)
             for room in rooms}
    targets = {room: [t for t in tests[room] if f'/{t} ' in read_all(f'{BUILD}/build.ninja')] for room in rooms}
    for room in rooms:
        done = sh('cmake', '--build', BUILD, '-j', jobs, '--target', *targets[room])
        if done.returncode != 0:
            raise SystemExit(done.stdout)
        if not passes(room):
            raise SystemExit(f'the tests of {room} fail as they are')
    return targets


def read_all(path):
    with open(path, encoding='utf-8') as file:
        return file.read()


def passes(room):
    return sh('ctest', '--test-dir', f'{BUILD}/tests/unit/{room}', '--no-tests=error', '--stop-on-failure', '--timeout', '60',
              '-j', '2').returncode == 0


def outcome(mutant, room, targets, jobs):
    path = os.path.join(SOURCE, mutant.path)
    text = read_all(path)
    lines = text.split('\n')
    line = lines[mutant.line]
    lines[mutant.line] = line[:mutant.column] + mutant.new + line[mutant.column + len(mutant.old):]
    try:
        with open(path, 'w', encoding='utf-8') as file:
            file.write('\n'.join(lines))
        if sh('cmake', '--build', BUILD, '-j', jobs, '--target', *targets).returncode != 0:
            return 'no program'
        return 'unnoticed' if passes(room) else 'noticed'
    finally:
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('rooms', nargs='+', metavar='ROOM')
    parser.add_argument('--most', type=int, default=100, help='changes, drawn by lot')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--least', type=float, default=0, help='percent that must be noticed')
    parser.add_argument('--jobs', default=str(os.cpu_count()))
    options = parser.parse_args()
    for room in options.rooms:
        if not os.path.isdir(os.path.join(ROOT, 'tests', 'unit', room)):
            raise SystemExit(f'no room with unit tests: {room}')
    targets = prepare(options.rooms, options.jobs)
    found = [(room, one) for room in options.rooms
             for path in sorted(glob.glob(f'userspace/{room}/*.cpp', root_dir=SOURCE)) for one in mutants_of(path)]
    drawn = random.Random(options.seed).sample(found, min(options.most, len(found)))
    print(f'{len(drawn)} of {len(found)} changes, seed {options.seed}', flush=True)
    counts = collections.Counter()
    for room, one in drawn:
        result = outcome(one, room, targets[room], options.jobs)
        counts[result] += 1
        if result == 'unnoticed':
            line = read_all(os.path.join(SOURCE, one.path)).split('\n')[one.line].strip()
            print(f'unnoticed: {one.path}:{one.line + 1}: "{one.old.strip()}" became "{one.new.strip()}" in: {line}', flush=True)
    judged = counts['noticed'] + counts['unnoticed']
    score = 100 * counts['noticed'] / judged if judged else 0
    print(f'{counts["noticed"]} of {judged} noticed: {score:.0f} %; {counts["no program"]} more did not compile')
    return 1 if score < options.least else 0


if __name__ == '__main__':
    sys.exit(main())
