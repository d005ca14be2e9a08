# SPDX-License-Identifier: Apache-2.0
"""Containers of a pod, made through CRI, whose pod a Kubernetes API tells: owner, labels, resources, restarts.

The API is one of ours (pods_api.py); scripts/test-kubernetes asks the real one.
"""

import json
import os
import time

import harness
from harness import MIB, run, wait_until
from pods_api import NODE, Ca, PodsApi
from runtimes import IMAGE, WAITS_FOR_GO, Containerd, go

containerd = Containerd()
LABELS = {'app': 'web', 'pod-template-hash': '6d4b75cb6d', 'tier': 'front'}
OWNER = {'kind': 'Deployment', 'name': 'web'}
# memcrest reads a container's facts when it appears, and again 1, 5 and 30 seconds after its name was found.
SECOND_LOOK = 2


def setUpModule():
    if os.geteuid() == 0:
        containerd.start()


def tearDownModule():
    containerd.stop()


def told(pod, container=None, restarts=0, previous=None, labels=None):
    """The pod as the API tells it: `container` runs (None: not reported yet), `previous` was OOMKilled."""
    status = {'name': 'app', 'image': IMAGE, 'restartCount': restarts, 'state': {}, 'lastState': {}}
    if container:
        status['containerID'] = f'containerd://{container}'
        status['state'] = {'running': {'startedAt': '2026-11-20T08:00:00Z'}}
    if previous:
        status['lastState'] = {'terminated': {'containerID': f'containerd://{previous}', 'exitCode': 137,
                                              'reason': 'OOMKilled'}}
    owner = {'apiVersion': 'apps/v1', 'kind': 'ReplicaSet', 'name': 'web-6d4b75cb6d', 'uid': 'r', 'controller': True}
    resources = {'requests': {'memory': '48Mi'}, 'limits': {'memory': '64Mi'}}
    return {'kind': 'Pod', 'apiVersion': 'v1',
            'metadata': {'name': pod.name, 'namespace': pod.namespace, 'uid': pod.uid, 'labels': labels or LABELS,
                         'ownerReferences': [owner]},
            'spec': {'nodeName': NODE, 'containers': [{'name': 'app', 'image': IMAGE, 'resources': resources}]},
            'status': {'phase': 'Running', 'qosClass': 'Burstable',
                       'containerStatuses': [status] if container or previous else []}}


class KubernetesTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.scratch()
        self.ca = Ca(self.directory)
        self.token_file = os.path.join(self.directory, 'token')
        self.write_token('first')
        self.api = self.serve(self.ca.certificate('127.0.0.1'))

    def serve(self, certificate):
        api = PodsApi(certificate, 'first')
        self.addCleanup(api.stop)
        return api

    def write_token(self, token):
        """As the kubelet does: another file takes the place."""
        with open(self.token_file + '.new', 'w', encoding='utf-8') as file:
            file.write(token + '\n')
        os.rename(self.token_file + '.new', self.token_file)

    def options(self, **other):
        given = {'server': self.api.url, 'ca': self.ca.file, 'token': self.token_file, 'node': NODE, **other}
        return [part for name, value in given.items() for part in (f'--kubernetes-{name}', value)]

    def watch(self, **other):
        return containerd.watch(*self.options(**other))

    def wait_for_watches(self, count=1):
        self.assertTrue(wait_until(lambda: self.api.watching() == count), self.api.asked)

    def assert_named(self, incident, pod, container):  # pylint: disable=arguments-differ
        """What needs no API."""
        found = incident['container']
        self.assertEqual((found['id'], found['name'], found['image']), (container, 'app', IMAGE))
        self.assertEqual(found['runtime'], 'containerd')
        self.assertEqual((found['pod']['uid'], found['pod']['name']), (pod.uid, pod.name))
        self.assertEqual(found['pod']['namespace'], pod.namespace)
        self.assertIsNone(found['unknown_reason'])
        self.assert_nothing_lost(incident)

    def killed(self, watch, pod, container):
        """The container's incident, once it has ended for containerd too, and its pod may be removed."""
        incident = watch.wait_for('oom', container)
        containerd.wait_for_end(container)
        self.assert_named(incident, pod, container)
        return incident

    def assert_told(self, found, restarts=0, labels=None):
        self.assertEqual(found['pod']['owner'], OWNER)
        self.assertEqual(found['pod']['labels'], labels or LABELS)
        self.assertEqual(found['memory_request_bytes'], 48 * MIB)
        self.assertEqual(found['memory_limit_bytes'], 64 * MIB)
        self.assertEqual(found['state']['restart_count'], restarts)

    def assert_not_told(self, found):
        self.assertIsNone(found['pod']['owner'])
        self.assertEqual(found['pod']['labels'], {})
        self.assertIsNone(found['memory_request_bytes'])
        self.assertIsNone(found['state'])

    def start(self, container):
        containerd.cri.call('StartContainer', container_id=container)


class IncidentTest(KubernetesTest):
    def test_a_container_that_dies_at_once_and_the_one_after_it(self):
        with self.watch() as watch, containerd.pod() as pod:
            self.wait_for_watches()
            first = pod.create('app', 'hog', 'anon', '256m')
            self.api.put(told(pod, first))
            self.start(first)
            incident = self.killed(watch, pod, first)
            self.assert_told(incident['container'])
            self.assertIsNone(incident['container']['state']['reason'])

            second = pod.create('app', 'hog', 'anon', '256m', attempt=1)
            self.api.put(told(pod, second, restarts=1, previous=first))
            self.start(second)
            incident = self.killed(watch, pod, second)
            self.assert_told(incident['container'], restarts=1)
            self.assertEqual(incident['container']['state']['reason'], 'OOMKilled')
            self.assertEqual(incident['container']['state']['exit_code'], 137)

    def test_reported_after_the_container_began(self):
        """As the kubelet does: the pod is known from the start, its containers some seconds after theirs."""
        with self.watch() as watch, containerd.pod() as pod:
            self.api.put(told(pod))
            self.wait_for_watches()
            container = pod.run('app', *WAITS_FOR_GO)
            self.api.put(told(pod, container))
            time.sleep(SECOND_LOOK)
            go(containerd.pid(container))
            incident = self.killed(watch, pod, container)
            self.assert_told(incident['container'])

    def test_memcrest_started_after_the_container(self):
        with containerd.pod() as pod:
            container = pod.run('app', *WAITS_FOR_GO)
            self.api.put(told(pod, container, restarts=7))
            with self.watch() as watch:
                time.sleep(SECOND_LOOK)
                go(containerd.pid(container))
                incident = self.killed(watch, pod, container)
            self.assert_told(incident['container'], restarts=7)

    def test_a_filter_by_a_label_that_only_the_api_knows(self):
        with containerd.watch(*self.options(), '--label', 'tier=front') as watch, containerd.pod() as pod:
            self.wait_for_watches()
            front = pod.create('app', 'hog', 'anon', '256m')
            self.api.put(told(pod, front))
            with containerd.pod() as other:
                back = other.create('app', 'hog', 'anon', '256m')
                self.api.put(told(other, back, labels={'tier': 'back'}))
                self.start(back)
                self.assertEqual(containerd.wait_for_end(back), 137)
            self.start(front)
            self.killed(watch, pod, front)
            self.assertEqual(watch.incidents(container=back), [])


class TroubleTest(KubernetesTest):
    def test_the_token_is_replaced(self):
        with self.watch() as watch, containerd.pod() as pod:
            self.wait_for_watches()
            self.api.token = 'second'
            self.api.end_watches()
            self.assertTrue(wait_until(lambda: self.api.count('Bearer first') > 2))  # list, watch, and refused
            self.write_token('second')
            self.wait_for_watches()
            container = pod.create('app', 'hog', 'anon', '256m')
            self.api.put(told(pod, container))
            self.start(container)
            incident = self.killed(watch, pod, container)
            self.assert_told(incident['container'])
            self.assertNotIn('second', watch.err.text() + watch.out.text())

    def test_the_server_is_away_and_comes_back(self):
        with self.watch() as watch, containerd.pod() as pod:
            self.wait_for_watches()
            known = pod.run('app', *WAITS_FOR_GO)
            self.api.put(told(pod, known))
            time.sleep(SECOND_LOOK)
            with self.api.stopped():
                go(containerd.pid(known))
                incident = self.killed(watch, pod, known)
                self.assert_told(incident['container'])
                new = pod.run('app', 'hog', 'anon', '256m', attempt=1)
                self.killed(watch, pod, new)
                third = pod.create('app', 'hog', 'anon', '256m', attempt=2)
                self.api.put(told(pod, third, restarts=2, previous=new))
            self.wait_for_watches()
            time.sleep(SECOND_LOOK)  # what changed meanwhile is on its way
            self.start(third)
            incident = self.killed(watch, pod, third)
            self.assert_told(incident['container'], restarts=2)

    def check_without(self, watch):
        with containerd.pod() as pod:
            container = pod.create('app', 'hog', 'anon', '256m')
            self.api.put(told(pod, container))
            self.start(container)
            incident = self.killed(watch, pod, container)
            self.assert_not_told(incident['container'])

    def test_forbidden(self):
        self.api.forbidden = True
        with self.watch() as watch:
            self.assertTrue(wait_until(self.api.count))
            self.check_without(watch)
            self.api.forbidden = False
            self.wait_for_watches()

    def test_a_server_of_another_ca(self):
        os.mkdir(self.directory + '/other')
        other = Ca(self.directory + '/other')
        with self.watch(ca=other.file) as watch:
            self.check_without(watch)
        self.assertEqual(self.api.asked, [])  # no token goes to who is not known

    def test_a_certificate_of_another_host(self):
        self.api = self.serve(self.ca.certificate('127.0.0.2'))
        with self.watch() as watch:
            self.check_without(watch)
        self.assertEqual(self.api.asked, [])


class PsTest(KubernetesTest):
    def ps(self, *options, **other):
        """(rows as objects, stderr)."""
        done = run(*containerd.memcrest(), 'ps', '--json', '--cgroup', '/kubepods/**', *self.options(**other), *options)
        return [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    def row(self, container, *options, **other):
        rows, said = self.ps(*options, **other)
        found = [row for row in rows if row['container']['id'] == container]
        self.assertEqual(len(found), 1, rows)
        return found[0], said

    def test_a_row(self):
        with containerd.pod() as pod:
            before, container = (pod.run('app', 'sleep', '600', attempt=n) for n in range(2))
            self.api.put(told(pod, container, restarts=1, previous=before))
            row, said = self.row(container)
            self.assertNotIn('Kubernetes', said)
            self.assertEqual(row['limit_bytes'], 64 * MIB)
            self.assert_named_row(row, pod, container)
            self.assert_told(row['container'], restarts=1)
            self.assertEqual(row['container']['state']['status'], 'running')
            self.assertEqual(row['container']['state']['reason'], 'OOMKilled')
            self.assertEqual(row['container']['state']['exit_code'], 137)

    def assert_named_row(self, row, pod, container):
        found = row['container']
        self.assertEqual((found['id'], found['name'], found['pod']['name']), (container, 'app', pod.name))

    def test_choosing_by_a_label_of_the_pod(self):
        with containerd.pod() as pod:
            container = pod.run('app', 'sleep', '600')
            self.api.put(told(pod, container))
            self.assertEqual([row['container']['id'] for row in self.ps('--label', 'tier=front')[0]], [container])
            self.assertEqual(self.ps('--label', 'tier=back')[0], [])

    def test_forbidden(self):
        self.api.forbidden = True
        with containerd.pod() as pod:
            container = pod.run('app', 'sleep', '600')
            row = self.row(container)[0]
            self.assert_named_row(row, pod, container)
            self.assert_not_told(row['container'])

    def test_another_ca(self):
        os.mkdir(self.directory + '/other')
        with containerd.pod() as pod:
            container = pod.run('app', 'sleep', '600')
            row = self.row(container, ca=Ca(self.directory + '/other').file)[0]
            self.assert_named_row(row, pod, container)
            self.assert_not_told(row['container'])
        self.assertEqual(self.api.asked, [])


if __name__ == '__main__':
    harness.main()
