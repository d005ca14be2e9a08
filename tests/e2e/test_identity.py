# SPDX-License-Identifier: Apache-2.0
"""Whose container it was, when the daemon is away, the container is gone at once, its path is unusual, or it is one of
hundreds."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import sys
import time
import uuid

import harness
from harness import MIB, Watch, cgroups, docker, unique, wait_until
from runtimes import WAITS_FOR_GO, Daemon, go

dockerd = None


def setUpModule():
    global dockerd  # pylint: disable=global-statement
    harness.start_docker()
    dockerd = Daemon(docker.dir, 'dockerd')


def tearDownModule():
    harness.stop_docker()
    dockerd.collect()


class DockerConnection(http.client.HTTPConnection):
    def __init__(self):
        super().__init__('docker', timeout=120)  # eight starts at once take their time

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(docker.socket)


def post(path, body=None):
    """Docker's API by hand: the command line client takes longer than a short-lived container lives."""
    with contextlib.closing(DockerConnection()) as connection:
        connection.request('POST', path, json.dumps(body), {'Content-Type': 'application/json'})
        response = connection.getresponse()
        answer = response.read()
    if response.status >= 300:
        raise AssertionError(f'{path}: {response.status} {answer}')
    return json.loads(answer) if answer else None


def oom_by_hand(path):
    """hog, in a cgroup that a test made."""
    procs = cgroups.dir(path) + '/cgroup.procs'
    done = harness.run('sh', '-c', f'echo $$ > {procs} && exec {harness.HOG} anon 64m', check=False)
    if done.returncode != -signal.SIGKILL:
        raise AssertionError(f'hog in {path} was not killed: {done.returncode} {done.stderr}')


@contextlib.contextmanager
def made_below(top, *names, limit):
    """Nested cgroups below `top`, the innermost with a limit; yields its path."""
    with contextlib.ExitStack() as stack:
        path = top
        for index, name in enumerate(names):
            path = stack.enter_context(cgroups.made(f'{path}/{name}', limit if index == len(names) - 1 else None))
        yield path


class DaemonTest(harness.TestCase):
    """Containers live on without their daemon (live-restore)."""

    @classmethod
    def setUpClass(cls):
        with open(os.path.join(docker.dir, 'daemon.json'), 'w', encoding='utf-8') as file:
            file.write('{"live-restore": true}\n')
        os.kill(int(harness.read(f'{docker.dir}/dockerd.pid')), signal.SIGHUP)
        if not wait_until(lambda: docker('info', '-f', '{{.LiveRestoreEnabled}}').stdout.strip() == 'true'):
            raise AssertionError('dockerd did not read its configuration again')

    def start(self):
        """A container that waits; (full id, name, pid of its main process)."""
        container, name = docker.create(*WAITS_FOR_GO)
        self.remove_later(container)
        docker('start', container)
        return container, name, docker.inspect(container, '.State.Pid')

    def assert_gap(self, incident):
        """The daemon was away: what only it could have told is missing, and that is said."""
        self.assertTrue(any('the events of Docker are not followed' in gap for gap in incident['evidence']['gaps']),
                        incident['evidence'])
        self.assertFalse(incident['evidence']['complete'])

    @staticmethod
    def stop_daemon():
        dockerd.stop()

    @staticmethod
    def start_daemon():
        dockerd.start()
        if not wait_until(lambda: docker('info', check=False).returncode == 0):
            raise AssertionError('dockerd does not come back\n' + harness.read(f'{docker.dir}/dockerd.log')[-2000:])

    def test_stopped_while_memcrest_runs_and_started_again(self):
        with Watch() as watch:
            container, name, pid = self.start()
            self.stop_daemon()
            try:
                go(pid)
                incident = watch.wait_for('oom', container)
                self.assert_named(incident, container, name)
                self.assert_gap(incident)
            finally:
                self.start_daemon()
            for options in ([], ['--rm']):
                container, name, code = docker.run_to_end('hog', 'anon', '256m', options=options)
                if not options:
                    self.remove_later(container)
                self.assertEqual(code, 137)
                incident = watch.wait_for('oom', container)
                self.assert_named(incident, container, name)
                self.assertEqual([gap for gap in incident['evidence']['gaps'] if 'events of Docker' in gap], [])
        self.assertRegex(watch.summary(), 'the events of Docker were interrupted')

    def test_killed_while_memcrest_runs(self):
        with Watch() as watch:
            container, name, pid = self.start()
            dockerd.stop(signal.SIGKILL)
            try:
                go(pid)
                self.assert_named(watch.wait_for('oom', container), container, name)
            finally:
                self.start_daemon()

    def test_restarted_between_two_kills(self):
        with Watch() as watch:
            container, name, pid = self.start()
            self.stop_daemon()
            self.start_daemon()
            go(pid)
            self.assert_named(watch.wait_for('oom', container), container, name)

    def test_started_after_memcrest(self):
        container, name, pid = self.start()
        self.stop_daemon()
        try:
            with Watch() as watch:
                self.start_daemon()
                go(pid)
                self.assert_named(watch.wait_for('oom', container), container, name)
        finally:
            if docker('info', check=False).returncode != 0:
                self.start_daemon()

    def test_never_there_while_memcrest_runs(self):
        container, name, pid = self.start()
        self.stop_daemon()
        try:
            with Watch() as watch:
                go(pid)
                incident = watch.wait_for('oom', container)
                self.assert_named(incident, container, name)
                self.assert_gap(incident)
        finally:
            self.start_daemon()

    def test_stopped_at_the_end_is_told_by_the_summary(self):
        with Watch() as watch:
            wait_until(lambda: docker('events', '--since', '1s', '--until', '0s', check=False).returncode == 0)
            watch.settle()
            self.stop_daemon()
            try:
                watch.settle()
                watch.stop()
            finally:
                self.start_daemon()
        self.assertRegex(watch.summary(), 'the events of Docker are not followed: .*lost: nothing')

    def test_no_daemon_installed_is_no_news(self):
        with Watch(socket=f'{docker.dir}/no-such.sock') as watch:
            watch.settle()
        self.assertNotIn('Docker', watch.summary())


class ShortLivedTest(harness.TestCase):
    COUNT = 200
    AT_ONCE = 8

    def test_two_hundred_as_fast_as_the_machine_can(self):
        """Each lives for about 100 ms; every third is killed; every other one is removed the moment it ends."""
        expected, killed = {}, set()
        for index in range(self.COUNT):
            kill = index % 3 == 0
            name = unique(f'short-{index}')
            host = {'Memory': 16 * MIB, 'MemorySwap': 16 * MIB, 'NetworkMode': 'none', 'AutoRemove': index % 2 == 0}
            command = ['hog', 'sleep', '100', 'anon', '64m'] if kill else ['hog', 'anon', '4m', '--hold', '100']
            made = post(f'/containers/create?name={name}',
                        {'Image': harness.IMAGE, 'Cmd': command, 'HostConfig': host})
            expected[made['Id']] = name
            if kill:
                killed.add(made['Id'])
        self.addCleanup(docker, 'rm', '-f', *expected, check=False, timeout=120)

        with Watch() as watch:
            begin = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(self.AT_ONCE) as pool:
                list(pool.map(lambda container: post(f'/containers/{container}/start'), expected))
            seconds = time.monotonic() - begin
            wait_until(lambda: killed <= {i['container']['id'] for i in watch.incidents('oom')})
            watch.settle()
            # Ours by the cgroup, which tells even if the name does not; and those of which not even that is known.
            ours = {harness.shared_cgroup(container) for container in expected} | {None}
            incidents = [i for i in watch.incidents('oom') if i['cgroup']['path'] in ours]
        named = {i['container']['id'] for i in incidents
                 if i['container']['name'] and i['container']['name'] == expected.get(i['container']['id'])}
        unnamed = len([i for i in incidents if i['container']['id'] not in named])
        sys.stderr.write(f'{self.COUNT} containers started in {seconds:.1f} s, {len(killed)} killed, '
                         f'{len(incidents)} incidents, {unnamed} unnamed\n')
        self.assertEqual(unnamed, 0)
        self.assertEqual(len(incidents), len(killed))
        self.assertEqual(named, killed)
        for incident in incidents:
            container = incident['container']['id']
            self.assert_named(incident, container, expected[container])
            self.assert_nothing_lost(incident)


class PathTest(harness.TestCase):
    """Paths as other drivers, kubelets and nested daemons make them, by hand."""

    def test_slice_of_the_systemd_driver(self):
        container, name = docker.create(*WAITS_FOR_GO, memory='256m')  # never started: it has no other cgroup
        self.remove_later(container)
        with Watch() as watch, made_below('', unique('mc') + '.slice', f'docker-{container}.scope',
                                          limit=16 * MIB) as path:
            oom_by_hand(path)
            incident = watch.wait_for('oom', container)
            self.assert_named_at(incident, container, name, path)

    def test_a_second_cgroup_of_the_same_id_gets_no_name(self):
        """Whoever was given a cgroup can make one below it that is named like another's container."""
        container, _ = docker.create(*WAITS_FOR_GO, memory='256m')
        self.remove_later(container)
        docker('start', container)
        with Watch() as watch, made_below('', unique('mc') + '.slice', f'docker-{container}.scope',
                                          limit=16 * MIB) as path:
            oom_by_hand(path)
            incident = watch.wait_for('oom', match=lambda i: i['cgroup']['path'] == path)
            self.assertIsNone(incident['container']['name'])
            self.assertIn('same container id', incident['container']['unknown_reason'])
        docker('rm', '-f', container)

    def test_a_container_that_has_ended_lends_its_name_to_no_other_cgroup(self):
        container, _ = docker.create('true')
        self.remove_later(container)
        docker.start_and_wait(container)
        with Watch() as watch, made_below('', unique('mc') + '.slice', f'docker-{container}.scope',
                                          limit=16 * MIB) as path:
            oom_by_hand(path)
            incident = watch.wait_for('oom', match=lambda i: i['cgroup']['path'] == path)
            self.assertIsNone(incident['container']['name'])
            self.assertIn('does not run', incident['container']['unknown_reason'])

    def assert_named_at(self, incident, container, name, path):
        self.assertEqual(incident['container']['runtime'], 'docker')
        self.assertEqual(incident['container']['id'], container)
        self.assertEqual(incident['container']['name'], name)
        self.assertEqual(incident['container']['image'], harness.IMAGE)
        self.assertIsNone(incident['container']['unknown_reason'])
        self.assertEqual(incident['cgroup']['path'], path)

    def test_service_of_systemd(self):
        service = unique('mc') + '.service'
        with Watch() as watch, made_below('', unique('mc') + '.slice', service, limit=16 * MIB) as path:
            oom_by_hand(path)
            incident = watch.wait_for('oom', match=lambda i: i['cgroup']['path'] == path)
            self.assertEqual(incident['container']['runtime'], 'systemd')
            self.assertIsNone(incident['container']['id'])
            self.assertEqual(incident['container']['name'], service)

    def outer_container(self):
        container, name = docker.create('sleep', '600')
        self.remove_later(container)
        docker('start', container)
        return container, name

    def test_docker_in_docker(self):
        """The inner daemon is out of reach: the id is the inner container's, the name not the outer one's."""
        outer, outer_name = self.outer_container()
        inner = secrets.token_hex(32)
        with Watch() as watch, made_below(harness.shared_cgroup(outer), 'docker', inner, limit=16 * MIB) as path:
            oom_by_hand(path)
            incident = watch.wait_for('oom', inner)
            found = incident['container']
            self.assertEqual(found['runtime'], 'docker')
            self.assertIsNone(found['name'])
            self.assertTrue(found['unknown_reason'])
            self.assertEqual([(o['id'], o['name']) for o in found['outer']], [(outer, outer_name)])
            self.assertEqual(incident['cgroup']['path'], path)

    def test_pod_in_a_node_that_is_a_container(self):
        """As kind makes them: kubelet and containerd run in a Docker container, with the systemd driver."""
        node, node_name = self.outer_container()
        inner, uid = secrets.token_hex(32), str(uuid.uuid4())
        below = 'kubelet-kubepods-burstable'
        names = ['kubelet.slice', 'kubelet-kubepods.slice', f'{below}.slice',
                 f'{below}-pod{uid.replace("-", "_")}.slice', f'cri-containerd-{inner}.scope']
        with Watch() as watch, made_below(harness.shared_cgroup(node), *names, limit=16 * MIB) as path:
            oom_by_hand(path)
            found = watch.wait_for('oom', inner)['container']
            self.assertEqual(found['runtime'], 'containerd')
            self.assertIsNone(found['name'])
            self.assertTrue(found['unknown_reason'])
            self.assertEqual(found['pod']['uid'], uid)
            self.assertEqual(found['pod']['qos'], 'burstable')
            self.assertEqual([(o['id'], o['name']) for o in found['outer']], [(node, node_name)])


if __name__ == '__main__':
    harness.main()
