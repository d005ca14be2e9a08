# SPDX-License-Identifier: Apache-2.0
"""The private Docker daemon of tests and demo: it ends all that is its own, and nothing else."""

import glob
import os
import signal
import subprocess

import harness
from harness import SOURCE, run

UP = os.path.join(SOURCE, 'scripts', 'docker-up')
DOWN = os.path.join(SOURCE, 'scripts', 'docker-down')


def processes_of(word):
    found = []
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        try:
            if word in harness.read(path):
                found.append(path)
        except (OSError, UnicodeDecodeError):
            pass
    return found


class DockerScriptsTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.dir = f'/tmp/memcrest-e2e-scripts-{os.getpid()}'
        self.addCleanup(run, DOWN, self.dir, check=False)
        # Something of somebody else's: it must live on, whatever docker-down does.
        self.bystander = subprocess.Popen(['sleep', '300'])
        self.addCleanup(self.bystander.wait)
        self.addCleanup(self.bystander.kill)

    def docker(self, *arguments):
        return run('docker', '-H', f'unix://{self.dir}/docker.sock', *arguments).stdout.strip()

    def assert_all_gone(self):
        self.assertFalse(os.path.exists(self.dir))
        self.assertEqual(processes_of(self.dir), [])
        self.assertNotIn(self.dir, harness.read('/proc/self/mountinfo'))
        self.assertIsNone(self.bystander.poll())

    def test_up_twice_down_twice(self):
        self.assertEqual(run(UP, self.dir, harness.HOG).stdout, f'{self.dir}/docker.sock\n')
        self.assertEqual(run(UP, self.dir, harness.HOG).stdout, f'{self.dir}/docker.sock\n')
        self.docker('run', '--rm', '--network', 'none', harness.IMAGE, 'hog', 'anon', '1m')
        self.docker('run', '-d', '--network', 'none', harness.IMAGE, 'sleep', '300')
        run(DOWN, self.dir)
        self.assert_all_gone()
        run(DOWN, self.dir)
        self.assertIsNone(self.bystander.poll())

    def test_containers_that_outlived_their_daemon(self):
        run(UP, self.dir, harness.HOG)
        container = self.docker('run', '-d', '--network', 'none', harness.IMAGE, 'sleep', '300')
        pid = self.docker('inspect', '-f', '{{.State.Pid}}', container)
        for name in ('dockerd', 'containerd'):
            os.kill(int(harness.read(f'{self.dir}/{name}.pid')), signal.SIGKILL)
        self.assertEqual(harness.read(f'/proc/{pid}/comm'), 'sleep\n')
        run(DOWN, self.dir)
        self.assert_all_gone()
        self.assertFalse(os.path.exists(f'/proc/{pid}') and
                         'State:\tZ' not in harness.read(f'/proc/{pid}/status'))

    def test_a_directory_without_a_daemon(self):
        os.mkdir(self.dir)
        with open(os.path.join(self.dir, 'lock'), 'w', encoding='utf-8'):
            pass
        run(DOWN, self.dir)
        self.assert_all_gone()

    def test_a_directory_that_is_somebody_elses(self):
        directory = self.scratch()
        with open(os.path.join(directory, 'precious'), 'w', encoding='utf-8'):
            pass
        self.assertNotEqual(run(DOWN, directory, check=False).returncode, 0)
        self.assertTrue(os.path.exists(os.path.join(directory, 'precious')))
        self.assertNotEqual(run(DOWN, '/', check=False).returncode, 0)


if __name__ == '__main__':
    harness.main()
