# SPDX-License-Identifier: Apache-2.0
"""`memcrest break` with programs in Java, Node, Go and Python: what they write when they are stopped at a line holds what
grew.

Not part of the tests: scripts/test-languages installs what it needs and runs it.
"""

import glob
import json
import os
import shutil
import unittest

import harness
from harness import docker, read, wait_until
from languages import HOST, go
from test_break import Break
from test_symbols import LANGUAGES

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker

# 520 bytes each; 100 MiB of them, then it waits.
JAVA = '''
import java.util.ArrayList;
public class Orders {
  static class Order { ''' + ' '.join(f'long f{i};' for i in range(64)) + ''' }
  static final ArrayList<Order> kept = new ArrayList<>();
  public static void main(String[] none) throws Exception {
    while (true) {
      for (int i = 0; i < 2000 && kept.size() < 200_000; ++i) { kept.add(new Order()); }
      Thread.sleep(10);
    }
  }
}
'''
NODE = '''
class PendingOrder { constructor(i) { this.lines = Array.from({length: 64}, (_, n) => i * n + 0.5); } }
globalThis.kept = [];
setInterval(() => { for (let i = 0; i < 1000 && kept.length < 250000; ++i) kept.push(new PendingOrder(i)); }, 10);
'''
NUMPY = '''
import time
import numpy
kept, names = [], ['one', 'two']
def load_batch():
    while True:
        if len(kept) < 1000:
            kept.append(numpy.ones(25_000))
        time.sleep(0.001)
load_batch()
'''
PYTHON = '''
import faulthandler, signal, time
faulthandler.register(signal.SIGUSR1)
kept = []
def load_batch():
    while True:
        if len(kept) < 1000:
            kept.append(bytearray(200_000))
        time.sleep(0.001)
load_batch()
'''


class DumpTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.scratch()
        os.makedirs(self.directory + '/tmp')

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)
        return path

    def outcome(self, line, action, command, files=(), options=(), meanwhile=None):
        """What a container's hit came to: (the container, the last word on it)."""
        name = harness.unique()
        with Break('--at', line, '--container', name, '--output', self.directory + '/out', *action) as watch:
            container, _ = docker.create(*command, name=name, memory='512m', options=(
                *HOST, f'--volume={self.directory}/tmp:/tmp', *[f'--volume={f}:/{os.path.basename(f)}:ro' for f in files],
                *options))
            self.remove_later(container)
            docker('start', container)
            first = watch.hit(container, timeout=60)
            over = first if first['breakpoint']['outcome'] else watch.hit(container, update='breakpoint', timeout=90)
            self.assertFalse(over['breakpoint']['failed'], over['breakpoint'])
            if meanwhile:
                meanwhile(container)
        return container, over

    def test_java(self):
        if not shutil.which('javac') or not shutil.which('jcmd'):
            self.skipTest('no JDK')
        harness.run('javac', '-d', self.directory, self.write('Orders.java', JAVA))
        classes = sorted(glob.glob(self.directory + '/*.class'))
        container, over = self.outcome('120m', ('--dump', 'jvm'), (
            'java', '-Xms64m', '-Xmx300m', '-XX:+UseSerialGC', '-cp', '/', 'Orders'), classes)
        hit = over['breakpoint']
        self.assertEqual(hit['outcome'], 'classes by size and the heap written')
        rows = [line.split() for line in read(hit['output'] + '/output.txt').splitlines() if line.strip()[:2] == '1:']
        self.assertEqual(rows[0][3], 'Orders$Order', rows)
        with open(hit['output'] + '/heap.hprof', 'rb') as file:
            heap = file.read()
        self.assertTrue(heap.startswith(b'JAVA PROFILE 1.0.2'))
        self.assertIn(b'Orders$Order', heap)
        self.assertGreater(len(heap), 20 << 20)
        self.assertEqual(glob.glob(self.directory + '/tmp/*.hprof'), [], 'nothing is left in the container')
        self.assertEqual(docker.inspect(container, '.State.Running'), 'true')

    def test_a_heap_that_may_not_be_so_large_stays_where_it_is(self):
        if not shutil.which('javac') or not shutil.which('jcmd'):
            self.skipTest('no JDK')
        harness.run('javac', '-d', self.directory, self.write('Orders.java', JAVA))
        name = harness.unique()
        with Break('--at', '120m', '--container', name, '--hold', '60s', '--dump', 'jvm', '--max-output', '4m', '--output',
                   self.directory + '/out') as watch:
            container, _ = docker.create(
                'java', '-Xms64m', '-Xmx300m', '-XX:+UseSerialGC', '-cp', '/', 'Orders', name=name, memory='512m',
                options=(*HOST, f'--volume={self.directory}/tmp:/tmp', *[
                    f'--volume={f}:/{os.path.basename(f)}:ro' for f in glob.glob(self.directory + '/*.class')]))
            self.remove_later(container)
            docker('start', container)
            hit = watch.hit(container, update='breakpoint', timeout=90)['breakpoint']
        self.assertTrue(hit['failed'])
        self.assertIn('the heap stays in the container', hit['outcome'])
        self.assertEqual(len(glob.glob(self.directory + '/tmp/*.hprof')), 1)

    def test_node(self):
        if not os.path.exists('/usr/bin/node'):
            self.skipTest('no Node')

        def snapshot():
            for path in glob.glob(self.directory + '/tmp/*.heapsnapshot'):
                try:
                    return json.loads(read(path))
                except ValueError:
                    pass  # it is being written
            return None
        self.outcome('100m', ('--dump', 'node'), ('node', '--heapsnapshot-signal=SIGUSR2', '/orders.js'),
                     [self.write('orders.js', NODE)], options=('--workdir=/tmp',),
                     meanwhile=lambda _: self.assertTrue(wait_until(snapshot, timeout=60)))
        self.assertIn('PendingOrder', snapshot()['strings'])

    def test_go(self):
        if not go():
            self.skipTest('no Go')
        path = os.path.join(self.directory, 'grow')
        harness.run(go(), 'build', '-o', path, os.path.join(LANGUAGES, 'grow.go'),
                    env={**os.environ, 'CGO_ENABLED': '0', 'GO111MODULE': 'off', 'GOCACHE': self.scratch()})
        container, _ = self.outcome('120m', ('--dump', 'go'), ('/grow', '400'), [path],
                                    options=('--env=GOTRACEBACK=crash',))
        self.assertTrue(wait_until(lambda: docker.inspect(container, '.State.Running') == 'false'))
        log = docker('logs', container).stderr
        self.assertIn('SIGQUIT', log)
        self.assertIn('main.loadBatch', log)

    def test_python_by_a_signal_that_it_waits_for(self):
        container, _ = self.outcome(
            '60m', ('--signal', 'USR1'), ('/usr/bin/python3', '-u', '/orders.py'), [self.write('orders.py', PYTHON)],
            meanwhile=lambda one: self.assertTrue(wait_until(lambda: 'load_batch' in docker('logs', one).stderr)))
        self.assertIn('orders.py", line', docker('logs', container).stderr)

    @unittest.skipIf(shutil.which('py-spy'), 'py-spy is there, and is asked instead')
    def test_python_names_the_list_that_grew(self):
        """By gdb, which reads the process from outside."""
        if harness.run('/usr/bin/python3', '-c', 'import numpy', check=False).returncode != 0:
            self.skipTest('no numpy')
        _, over = self.outcome('70m', ('--dump', 'python'), ('/usr/bin/python3', '-u', '/orders.py'),
                               [self.write('orders.py', NUMPY)])
        text = read(over['breakpoint']['output'] + '/output.txt')
        self.assertIn('load_batch', text)
        largest = text.split('The largest of what these frames see')[1].splitlines()[1]
        self.assertRegex(largest, r' list +kept$')

    def test_a_tool_that_is_missing_is_told_before_any_line(self):
        done = harness.memcrest('break', '--at', '1m', '--all-containers', '--dump', 'python',
                                env={**os.environ, 'PATH': self.scratch()})
        self.assertEqual(done.returncode, 3)
        self.assertIn('py-spy, or gdb with python3-dbg, is not installed', done.stderr)


if __name__ == '__main__':
    unittest.main(verbosity=2)
