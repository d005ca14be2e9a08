# SPDX-License-Identifier: Apache-2.0
"""Other languages than C++, in containers: the function that takes the memory, or what to switch on to see it.

Not part of the tests: scripts/test-languages installs what it needs and runs it.
"""

import os
import shutil
import unittest

import harness
from harness import Watch, docker
from test_symbols import LANGUAGES, MIB, SymbolsCase, share_of, told

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker

# The interpreters of this machine and what they need, in a root file system of the container's own.
HOST = [f'--volume={d}:{d}:ro' for d in ('/lib', '/lib64', '/usr', '/etc/alternatives', '/etc/java-17-openjdk')
        if os.path.isdir(d)]


def go():
    return shutil.which('go') or next((p for p in ('/usr/lib/go-1.19/bin/go',) if os.path.exists(p)), None)


class LanguagesTest(SymbolsCase):
    def burst_with(self, script, files, options=(), memory='1g'):
        with Watch('--containers-only', '--step', '1m') as watch:
            return self.burst_of(watch, script, files, options, memory)

    def source(self, name):
        return os.path.join(LANGUAGES, name)

    def test_rust(self):
        rustc = '/usr/bin/rustc' if os.path.exists('/usr/bin/rustc') else shutil.which('rustc')
        if not rustc:
            self.skipTest('no rustc')
        path = os.path.join(self.scratch(), 'grow')
        harness.run(rustc, '-O', '-C', 'force-frame-pointers=yes', '-C', 'target-feature=+crt-static',
                    self.source('grow.rs'), '-o', path)
        incident = self.burst_with(f'/grow {MIB}', [path])
        self.assertGreaterEqual(share_of(incident, 'grow::load_batch'), 0.85, told(incident))

    def test_go(self):
        if not go():
            self.skipTest('no Go')
        path = os.path.join(self.scratch(), 'grow')
        harness.run(go(), 'build', '-o', path, self.source('grow.go'),
                    env={**os.environ, 'CGO_ENABLED': '0', 'GO111MODULE': 'off', 'GOCACHE': self.scratch()})
        incident = self.burst_with(f'/grow {MIB}', [path])
        self.assertGreaterEqual(share_of(incident, 'main.loadBatch'), 0.85, told(incident))

    def test_python_with_numpy(self):
        if harness.run('/usr/bin/python3', '-c', 'import numpy', check=False).returncode != 0:
            self.skipTest('no numpy')
        incident = self.burst_with(f'/usr/bin/python3 /grow.py {MIB}', [self.source('grow.py')], HOST)
        by_numpy = sum(s['share'] for s in incident['burst']['stacks']
                       if any('numpy' in (f['module'] or '') for f in s['frames']))
        self.assertGreaterEqual(by_numpy, 0.7, told(incident))
        self.assertTrue(any('-X perf' in hint for hint in incident['burst']['hints']), incident['burst']['hints'])

    def test_node(self):
        if not os.path.exists('/usr/bin/node'):
            self.skipTest('no Node')
        script = f'mkdir -p /tmp; cd /tmp; node --perf-basic-prof --interpreted-frames-native-stack /grow.js {MIB}'
        incident = self.burst_with(script, [self.source('grow.js')], HOST)
        named = sum(s['share'] for s in incident['burst']['stacks']
                    if any('loadBatch' in (f['name'] or '') for f in s['frames']))
        self.assertGreaterEqual(named, 0.6, told(incident))
        plain = self.burst_with(f'node /grow.js {MIB}', [self.source('grow.js')], HOST)
        self.assertTrue(any('--perf-basic-prof' in hint for hint in plain['burst']['hints']), plain['burst']['hints'])

    def test_java(self):
        if not shutil.which('javac'):
            self.skipTest('no JDK')
        classes = self.scratch()
        harness.run('javac', '-d', classes, self.source('Grow.java'))
        incident = self.burst_with(f'java -Xms{4 * MIB}m -XX:+UseSerialGC -cp / Grow {2 * MIB}',
                                   [os.path.join(classes, 'Grow.class')], HOST)
        self.assertTrue(any('PreserveFramePointer' in hint for hint in incident['burst']['hints']), told(incident))


if __name__ == '__main__':
    unittest.main(verbosity=2)
