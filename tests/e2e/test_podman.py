# SPDX-License-Identifier: Apache-2.0
"""Containers of Podman, alone and in pods, with its API socket and without: each incident names its own."""

import os

import harness
from harness import Watch
from runtimes import IMAGE, WAITS_FOR_GO, Podman, go

podman = Podman()


def setUpModule():
    if os.geteuid() == 0:
        podman.start()


def tearDownModule():
    podman.stop()


class PodmanCases:
    """Every case with the socket and without it: Podman has no daemon, its files must do."""

    with_socket = True

    def watching(self):
        return podman.watch(self.with_socket)

    def assert_names(self, incident, container, name, pod=None):
        found = incident['container']
        self.assertEqual(found['runtime'], 'podman')
        self.assertEqual(found['id'], container)
        self.assertEqual(found['name'], name)
        self.assertEqual(found['image'], IMAGE)
        self.assertIsNone(found['unknown_reason'])
        self.assert_nothing_lost(incident)
        parent = '/libpod_parent'
        if pod is None:
            self.assertIsNone(found['pod'])
        else:
            pod_id, pod_name = pod
            self.assertEqual(found['pod']['uid'], pod_id)
            # The files do not tell the pod's name, only its id. Unknown is right, another name is not.
            self.assertIn(found['pod']['name'], (pod_name,) if self.with_socket else (pod_name, None))
            self.assertFalse(found['pod']['sandbox'])
            parent += f'/{pod_id}'
        self.assertEqual(incident['cgroup']['path'], f'{parent}/libpod-{container}')

    def remove_later(self, *containers):
        self.addCleanup(podman, 'rm', '--force', '--ignore', '--time', '0', *containers, check=False)

    def test_main_process(self):
        with self.watching() as watch:
            container, name, code = podman.run_to_end('hog', 'anon', '256m')
            self.remove_later(container)
            self.assertEqual(code, 137)
            incident = watch.wait_for('oom', container)
            self.assert_names(incident, container, name)
            self.assertTrue(incident['victims'][0]['main_process'])

    def test_child(self):
        with self.watching() as watch:
            container, name, code = podman.run_to_end('hog', 'child', 'anon', '256m')
            self.remove_later(container)
            self.assertEqual(code, 0)
            incident = watch.wait_for('oom', container)
            self.assert_names(incident, container, name)
            self.assertFalse(incident['victims'][0]['main_process'])

    def test_removed_at_once(self):
        with self.watching() as watch:
            container, name, code = podman.run_to_end('hog', 'anon', '256m', options=['--rm'])
            self.assertEqual(code, 137)
            self.assert_names(watch.wait_for('oom', container), container, name)

    def test_memcrest_started_after_the_container(self):
        container, name = podman.create(*WAITS_FOR_GO)
        self.remove_later(container)
        podman('start', container)
        with self.watching() as watch:
            go(podman.pid(container))
            self.assert_names(watch.wait_for('oom', container), container, name)

    def test_two_containers_in_a_pod(self):
        with self.watching() as watch, podman.pod() as pod:
            made = [podman.run_to_end('hog', *mode, 'anon', '256m', pod=pod[1]) for mode in ((), ('child',))]
            self.assertEqual([code for _, _, code in made], [137, 0])
            for container, name, _ in made:
                self.assert_names(watch.wait_for('oom', container), container, name, pod)

    def test_removed_at_once_in_a_pod(self):
        with self.watching() as watch:
            with podman.pod() as pod:
                container, name, _ = podman.run_to_end('hog', 'anon', '256m', pod=pod[1], options=['--rm'])
            self.assert_names(watch.wait_for('oom', container), container, name, pod)


class WithSocketTest(PodmanCases, harness.TestCase):
    def podman_says(self, container):
        code, killed = podman('inspect', '--format', '{{.State.ExitCode}} {{.State.OOMKilled}}', container).stdout.split()
        return {'exit_code': int(code), 'oom_killed': killed == 'true'}

    def test_what_podman_says_of_the_end(self):
        for mode, expected in ((('hog',), 137), (('hog', 'child'), 0)):
            with self.watching() as watch, self.subTest(mode):
                container, name, code = podman.run_to_end(*mode, 'anon', '256m')
                self.remove_later(container)
                self.assertEqual(code, expected)
                incident = watch.wait_for('oom', container)
                self.assert_names(incident, container, name)
                # Podman says "stopped" until it has cleaned up.
                self.assert_told_again(watch, incident, ('stopped', 'exited'), **self.podman_says(container))
                self.assertEqual(incident['victims'][0]['main_process'], expected == 137)

    def test_service_gone_and_back(self):
        container, name = podman.create(*WAITS_FOR_GO)
        self.remove_later(container)
        podman('start', container)
        with self.watching() as watch:
            with podman.stopped():
                go(podman.pid(container))
                self.assert_names(watch.wait_for('oom', container), container, name)
                while_gone, its_name, _ = podman.run_to_end('hog', 'anon', '256m')
                self.remove_later(while_gone)
                incident = watch.wait_for('oom', while_gone)
                self.assert_names(incident, while_gone, its_name)
                self.assertTrue(any('events of Podman' in gap for gap in incident['evidence']['gaps']), incident)
            after, its_name, _ = podman.run_to_end('hog', 'anon', '256m', options=['--rm'])
            self.assert_names(watch.wait_for('oom', after), after, its_name)


class WithoutSocketTest(PodmanCases, harness.TestCase):
    with_socket = False

    def test_storage_in_an_unusual_place(self):
        container, name = podman.create(*WAITS_FOR_GO)
        self.remove_later(container)
        podman('start', container)
        with Watch(socket='') as watch:
            go(podman.pid(container))
            self.assert_names(watch.wait_for('oom', container), container, name)


if __name__ == '__main__':
    harness.main()
