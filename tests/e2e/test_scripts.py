# SPDX-License-Identifier: Apache-2.0
"""The private runtimes of tests and demo: each ends all that is its own, and nothing else."""

import glob
import os
import signal
import subprocess

import harness
from harness import SOURCE, run
from runtimes import IMAGE


def script(name):
    return os.path.join(SOURCE, 'scripts', name)


def processes_of(word):
    found = []
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        try:
            if word in harness.read(path):
                found.append(path)
        except (OSError, UnicodeDecodeError):
            pass
    return found


class Cases:
    """The same for each runtime; `run_sleep` starts a container that lives on and returns the pid of its process."""

    runtime = ''
    daemons = ()
    socket = ''

    def setUp(self):
        super().setUp()
        self.up = script(f'{self.runtime}-up')
        self.down = script(f'{self.runtime}-down')
        self.dir = f'/tmp/memcrest-e2e-{self.runtime}-scripts-{os.getpid()}'
        self.addCleanup(run, self.down, self.dir, check=False)
        # Something of somebody else's: it must live on, whatever the script does.
        self.bystander = subprocess.Popen(['sleep', '300'])
        self.addCleanup(self.bystander.wait)
        self.addCleanup(self.bystander.kill)

    def run_sleep(self):
        raise NotImplementedError

    def assert_all_gone(self):
        self.assertFalse(os.path.exists(self.dir))
        self.assertEqual(processes_of(self.dir), [])
        self.assertNotIn(self.dir, harness.read('/proc/self/mountinfo'))
        self.assertIsNone(self.bystander.poll())

    def assert_ended(self, pid):
        self.assertFalse(os.path.exists(f'/proc/{pid}') and
                         'State:\tZ' not in harness.read(f'/proc/{pid}/status'))

    def shim_sockets(self):
        """Of containerd's shims in our directory: they lie in a place that all containerds of the machine share."""
        found = []
        for path in glob.glob(f'{self.dir}/**/address', recursive=True):
            found.append(harness.read(path).removeprefix('unix://'))
        return found

    def test_up_twice_down_twice(self):
        socket = f'{self.dir}/{self.socket}\n'
        self.assertEqual(run(self.up, self.dir, harness.HOG).stdout, socket)
        self.assertEqual(run(self.up, self.dir, harness.HOG).stdout, socket)
        pid = self.run_sleep()
        sockets = self.shim_sockets()
        run(self.down, self.dir)
        self.assert_all_gone()
        self.assert_ended(pid)
        self.assertEqual([path for path in sockets if os.path.exists(path)], [])
        run(self.down, self.dir)
        self.assertIsNone(self.bystander.poll())

    def test_containers_that_outlived_their_daemon(self):
        run(self.up, self.dir, harness.HOG)
        pid = self.run_sleep()
        for name in self.daemons:
            os.kill(int(harness.read(f'{self.dir}/{name}.pid')), signal.SIGKILL)
        self.assertTrue(harness.wait_until(lambda: harness.read(f'/proc/{pid}/comm') == 'sleep\n'))
        run(self.down, self.dir)
        self.assert_all_gone()
        self.assert_ended(pid)

    def test_a_directory_without_a_daemon(self):
        os.mkdir(self.dir)
        with open(os.path.join(self.dir, 'lock'), 'w', encoding='utf-8'):
            pass
        run(self.down, self.dir)
        self.assert_all_gone()

    def test_a_directory_that_is_somebody_elses(self):
        directory = self.scratch()
        with open(os.path.join(directory, 'precious'), 'w', encoding='utf-8'):
            pass
        self.assertNotEqual(run(self.down, directory, check=False).returncode, 0)
        self.assertTrue(os.path.exists(os.path.join(directory, 'precious')))
        self.assertNotEqual(run(self.down, '/', check=False).returncode, 0)


class DockerScriptsTest(Cases, harness.TestCase):
    runtime = 'docker'
    daemons = ('dockerd', 'containerd')
    socket = 'docker.sock'

    def run_sleep(self):
        client = ['docker', '-H', f'unix://{self.dir}/docker.sock']
        container = run(*client, 'run', '-d', '--network', 'none', harness.IMAGE, 'sleep', '300').stdout.strip()
        return run(*client, 'inspect', '-f', '{{.State.Pid}}', container).stdout.strip()


class ContainerdScriptsTest(Cases, harness.TestCase):
    runtime = 'containerd'
    daemons = ('containerd',)
    socket = 'containerd.sock'

    def run_sleep(self):
        client = ['ctr', '--address', f'{self.dir}/containerd.sock']
        run(*client, 'run', '--detach', '--null-io', '--snapshotter', 'native', '--runc-root', f'{self.dir}/runc',
            '--fifo-dir', f'{self.dir}/fifo', IMAGE, 'sleeper', 'sleep', '300')
        return run(*client, 'tasks', 'ls').stdout.splitlines()[1].split()[1]


class PodmanScriptsTest(Cases, harness.TestCase):
    runtime = 'podman'
    daemons = ('podman',)
    socket = 'api/podman.sock'

    def run_sleep(self):
        client = f'{self.dir}/podman'
        container = run(client, 'run', '--detach', '--network', 'none', IMAGE, 'sleep', '300').stdout.strip()
        return run(client, 'inspect', '--format', '{{.State.Pid}}', container).stdout.strip()


if __name__ == '__main__':
    harness.main()
