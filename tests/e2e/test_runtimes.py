# SPDX-License-Identifier: Apache-2.0
"""Containers of LXC and machines of systemd-nspawn: each incident names its own. Neither has a daemon to ask."""

import contextlib
import json
import os
import shutil
import subprocess

import harness
from harness import HOG, MIB, Watch, cgroups, run, unique, wait_until

APPLETS = ('sh', 'sleep')
# Waits for the file /go in its root; then a child is OOM-killed, and the container lives on for a moment.
START = '#!/bin/sh\nwhile [ ! -e /go ]; do sleep 0.1; done\nhog anon 256m\nsleep 1\n'


def make_rootfs(directory):
    """A root of busybox, hog, and /bin/start."""
    for name in ('bin', 'dev', 'etc', 'proc', 'run', 'sys', 'tmp', 'usr'):
        os.makedirs(os.path.join(directory, name))
    shutil.copy(shutil.which('busybox'), f'{directory}/bin/busybox')
    for applet in APPLETS:
        os.symlink('busybox', f'{directory}/bin/{applet}')
    shutil.copy(HOG, f'{directory}/bin/hog')
    with open(f'{directory}/bin/start', 'w', encoding='utf-8') as file:
        file.write(START)
    os.chmod(f'{directory}/bin/start', 0o755)
    with open(f'{directory}/etc/os-release', 'w', encoding='utf-8'):
        pass  # nspawn takes no root without it


class RuntimeCase(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.scratch()
        self.rootfs = os.path.join(self.directory, 'rootfs')
        make_rootfs(self.rootfs)

    def go(self):
        with open(self.rootfs + '/go', 'w', encoding='utf-8'):
            pass

    def row(self, path):
        done = run(harness.MEMCREST, 'ps', '--all', '--json', '--cgroup', path, '--docker-socket', '')
        return json.loads(done.stdout)


class LxcTest(RuntimeCase):
    @contextlib.contextmanager
    def container(self):
        """A running container; its name."""
        name = unique('lxc')
        place = os.path.join(self.directory, 'lxc')
        os.makedirs(os.path.join(place, name))
        limit = cgroups.file('lxc.cgroup.memory.limit_in_bytes', 'lxc.cgroup2.memory.max')
        with open(os.path.join(place, name, 'config'), 'w', encoding='utf-8') as file:
            file.write(f'lxc.uts.name = {name}\nlxc.rootfs.path = dir:{self.rootfs}\nlxc.net.0.type = none\n'
                       f'lxc.apparmor.profile = unconfined\nlxc.init.cmd = /bin/start\nlxc.autodev = 1\n'
                       f'lxc.environment = PATH=/bin\n{limit} = 64M\n')
        pivots = [mount + '/lxc.pivot' for mount in cgroups.mounts if not os.path.isdir(mount + '/lxc.pivot')]
        try:
            run('lxc-start', '-P', place, '-n', name, '-o', f'{self.directory}/log', '-d')
            yield name
        finally:
            run('lxc-stop', '-P', place, '-n', name, '-k', check=False)
            self.assertTrue(wait_until(lambda: not os.path.isdir(cgroups.dir(f'/lxc.payload.{name}'))))
            for pivot in pivots:  # lxc-start leaves it for ever
                with contextlib.suppress(OSError):
                    os.rmdir(pivot)

    def check(self, incident, name):
        found = incident['container']
        self.assertEqual((found['runtime'], found['id'], found['name']), ('lxc', name, name))
        self.assertIsNone(found['unknown_reason'])
        self.assertEqual(incident['cgroup']['path'], f'/lxc.payload.{name}')
        self.assertEqual(incident['limit']['bytes'], 64 * MIB)
        self.assertFalse(incident['victims'][0]['main_process'])
        self.assert_nothing_lost(incident)

    def test_oom(self):
        with Watch(socket='') as watch, self.container() as name:
            self.go()
            self.check(watch.wait_for('oom', name), name)

    def test_memcrest_started_after_the_container(self):
        with self.container() as name, Watch(socket='') as watch:
            row = self.row(f'/lxc.payload.{name}')
            self.assertEqual((row['kind'], row['container']['name']), ('container', name))
            self.assertEqual(row['limit_bytes'], 64 * MIB)
            self.go()
            self.check(watch.wait_for('oom', name), name)


class NspawnTest(RuntimeCase):
    """In the cgroup of the unit that `machinectl start` makes. That needs systemd; the name comes from the cgroup."""

    @contextlib.contextmanager
    def machine(self):
        """A running machine; (its name, its cgroup)."""
        name = unique('box')
        slices = [mount + '/machine.slice' for mount in cgroups.mounts]
        path = f'/machine.slice/systemd-nspawn@{name}.service'
        for mount in cgroups.mounts:
            os.makedirs(mount + path)
        cgroups.limit(path, 64 * MIB)

        def enter():
            for mount in cgroups.mounts:
                if not os.path.exists(f'{mount}/cpuset.cpus'):
                    with open(f'{mount}{path}/cgroup.procs', 'w', encoding='utf-8') as file:
                        file.write('0')
        process = subprocess.Popen(['systemd-nspawn', '--register=no', '--keep-unit', '-M', name, '-D', self.rootfs,
                                    '--console=pipe', '--setenv=PATH=/bin', '/bin/start'], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=enter)
        try:
            yield name, path
        finally:
            process.terminate()
            process.communicate(timeout=harness.PATIENCE)
            for mount, top in zip(cgroups.mounts, slices):
                wait_until(lambda at=mount + path: cgroups.remove(at), timeout=5)
                with contextlib.suppress(OSError):
                    os.rmdir(top)

    def test_oom(self):
        with Watch(socket='') as watch, self.machine() as (name, path):
            row = self.row(path)
            self.assertEqual((row['container']['machine'], row['limit_bytes']), (name, 64 * MIB))
            self.go()
            incident = watch.wait_for('oom', match=lambda i: i['cgroup']['path'] == path)
            found = incident['container']
            self.assertEqual((found['runtime'], found['machine'], found['name']), ('systemd', name, name))
            self.assertEqual(found['unit'], path.rsplit('/', maxsplit=1)[1])
            self.assertIsNone(found['unknown_reason'])
            self.assertEqual(incident['limit']['bytes'], 64 * MIB)
            self.assertEqual(incident['victims'][0]['comm'], 'hog')


if __name__ == '__main__':
    harness.main()
