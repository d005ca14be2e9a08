# SPDX-License-Identifier: Apache-2.0
"""Containers of containerd, made through CRI as a kubelet makes them, and by ctr: each incident names its own."""

import contextlib
import http.server
import json
import os
import secrets
import ssl
import threading

import harness
from harness import MIB, Watch, cgroups, unique, wait_until
from runtimes import IMAGE, PAUSE_IMAGE, WAITS_FOR_GO, Containerd, go

containerd = Containerd()


def setUpModule():
    if os.geteuid() == 0:
        containerd.start()


def tearDownModule():
    containerd.stop()


class ContainerdTest(harness.TestCase):
    def assert_names(self, incident, container, name, image=IMAGE):
        found = incident['container']
        self.assertEqual(found['runtime'], 'containerd')
        self.assertEqual(found['id'], container)
        self.assertEqual(found['name'], name)
        self.assertEqual(found['image'], image)
        self.assertIsNone(found['unknown_reason'])
        self.assert_nothing_lost(incident)

    def assert_names_in_pod(self, incident, pod, container, name, image=IMAGE):
        self.assert_names(incident, container, name, image)
        found = incident['container']
        self.assertEqual(found['runtime_namespace'], 'k8s.io')
        self.assertEqual(found['pod']['name'], pod.name)
        self.assertEqual(found['pod']['namespace'], pod.namespace)
        self.assertEqual(found['pod']['uid'], pod.uid)
        self.assertEqual(found['pod']['qos'], 'burstable')
        self.assertEqual(incident['cgroup']['path'], f'{pod.cgroup}/{container}')


class CriTest(ContainerdTest):
    def test_main_process_in_a_pod_of_two(self):
        with containerd.watch() as watch, containerd.pod() as pod:
            quiet = pod.run('sidecar', 'sleep', '600')
            container = pod.run('app', 'hog', 'anon', '256m')
            self.assertEqual(containerd.wait_for_end(container), 137)
            incident = watch.wait_for('oom', container)
            self.assert_names_in_pod(incident, pod, container, 'app')
            self.assertFalse(incident['container']['pod']['sandbox'])
            self.assertTrue(incident['victims'][0]['main_process'])
            self.assertEqual(watch.incidents('oom', quiet), [])

    def test_both_containers_of_a_pod(self):
        with containerd.watch() as watch, containerd.pod() as pod:
            made = {name: pod.create(name, 'hog', 'anon', '256m') for name in ('app', 'sidecar')}
            for container in made.values():
                containerd.cri.call('StartContainer', container_id=container)
            for name, container in made.items():
                self.assert_names_in_pod(watch.wait_for('oom', container), pod, container, name)

    def test_child(self):
        with containerd.watch() as watch, containerd.pod() as pod:
            container = pod.run('app', 'hog', 'child', 'anon', '256m')
            self.assertEqual(containerd.wait_for_end(container), 0)
            incident = watch.wait_for('oom', container)
            self.assert_names_in_pod(incident, pod, container, 'app')
            self.assertFalse(incident['victims'][0]['main_process'])

    def test_removed_at_once_with_its_pod(self):
        with containerd.watch() as watch:
            with containerd.pod() as pod:
                container = pod.run('app', 'hog', 'anon', '256m')
                containerd.wait_for_end(container)
                containerd.remove(container)
            self.assert_names_in_pod(watch.wait_for('oom', container), pod, container, 'app')

    def test_the_second_attempt(self):
        with containerd.watch() as watch, containerd.pod() as pod:
            made = []
            for attempt in range(2):
                container = pod.create('app', 'hog', 'anon', '256m', attempt=attempt)
                containerd.cri.call('StartContainer', container_id=container)
                containerd.wait_for_end(container)
                made.append(container)
            for attempt, container in enumerate(made):
                incident = watch.wait_for('oom', container)
                self.assert_names_in_pod(incident, pod, container, 'app')
                # The bundle does not tell it; who else does must not tell the other's.
                self.assertIn(incident['container']['pod']['attempt'], (attempt, None))

    def test_memcrest_started_after_the_container(self):
        with containerd.pod() as pod:
            container = pod.run('app', *WAITS_FOR_GO)
            with containerd.watch() as watch:
                go(containerd.pid(container))
                self.assert_names_in_pod(watch.wait_for('oom', container), pod, container, 'app')

    def test_containerd_gone_and_back(self):
        with containerd.pod() as pod:
            seen = pod.run('seen', *WAITS_FOR_GO)
            with containerd.watch() as watch:
                with containerd.stopped():
                    go(containerd.pid(seen))
                    self.assert_names_in_pod(watch.wait_for('oom', seen), pod, seen, 'seen')
                new = pod.run('new', 'hog', 'anon', '256m')
                self.assertEqual(containerd.wait_for_end(new), 137)
                self.assert_names_in_pod(watch.wait_for('oom', new), pod, new, 'new')

    def test_memcrest_started_while_containerd_is_gone(self):
        with containerd.pod() as pod:
            container = pod.run('app', *WAITS_FOR_GO)
            with containerd.stopped(), containerd.watch() as watch:
                go(containerd.pid(container))
                self.assert_names_in_pod(watch.wait_for('oom', container), pod, container, 'app')

    def test_the_sandbox_is_no_container_of_the_pod(self):
        """A process that gets into the sandbox's cgroup fills it: the incident says that it is the sandbox."""
        with containerd.watch() as watch, containerd.pod() as pod:
            path = f'{pod.cgroup}/{pod.id}'
            cgroups.limit(path, 16 * MIB)
            procs = cgroups.dir(path) + '/cgroup.procs'
            harness.run('sh', '-c', f'echo $$ > {procs} && exec {harness.HOG} anon 64m', check=False)
            incident = watch.wait_for('oom', pod.id)
            found = incident['container']
            self.assertEqual(found['runtime'], 'containerd')
            self.assertTrue(found['pod']['sandbox'])
            self.assertEqual(found['pod']['name'], pod.name)
            self.assertEqual(found['pod']['uid'], pod.uid)
            self.assertIn(found['image'], (PAUSE_IMAGE, None))

    def test_the_limit_of_the_pod(self):
        with containerd.watch() as watch, containerd.pod() as pod:
            cgroups.limit(pod.cgroup, 32 * MIB)
            container = pod.run('app', 'hog', 'anon', '256m', memory=512 * MIB)
            self.assertEqual(containerd.wait_for_end(container), 137)
            incident = watch.wait_for('oom', container)
            self.assert_names_in_pod(incident, pod, container, 'app')
            self.assertEqual(incident['scope'], 'ancestor')
            self.assertEqual(incident['limit']['cgroup_path'], pod.cgroup)


class CtrTest(ContainerdTest):
    """Ids are whatever the user says, and in no path is a runtime's name."""

    def assert_names_ctr(self, incident, container, cgroup=None):
        """The image stands in containerd's own database only, so that it may be unknown."""
        image = incident['container']['image']
        if image is None:
            self.assertTrue(incident['container']['unknown_reason'])
            incident['container']['unknown_reason'] = None
        self.assert_names(incident, container, container, image and IMAGE)
        self.assertEqual(incident['container']['runtime_namespace'], 'default')
        self.assertIsNone(incident['container']['pod'])
        self.assertEqual(incident['cgroup']['path'], cgroup or f'/default/{container}')

    def test_main_process_and_removed_at_once(self):
        with containerd.watch() as watch:
            container = unique('ctr')
            self.assertEqual(containerd.ctr_run(container, 'hog', 'anon', '256m', options=['--rm']), 137)
            self.assert_names_ctr(watch.wait_for('oom', container), container)

    def test_child(self):
        with containerd.watch() as watch:
            container = unique('ctr')
            self.assertEqual(containerd.ctr_run(container, 'hog', 'child', 'anon', '256m', options=['--rm']), 0)
            incident = watch.wait_for('oom', container)
            self.assert_names_ctr(incident, container)
            self.assertFalse(incident['victims'][0]['main_process'])

    def check_cgroup(self, cgroup, container):
        """A cgroup that the container's maker chose, as nerdctl and the systemd driver would."""
        with containerd.watch() as watch:
            code = containerd.ctr_run(container, 'hog', 'anon', '256m', options=['--rm', '--cgroup', cgroup])
            self.assertEqual(code, 137)
            incident = watch.wait_for('oom', container)
            self.assert_names_ctr(incident, container, cgroup)
            self.assertEqual(incident['limit']['bytes'], 64 * MIB)

    def test_in_a_cgroup_of_nerdctl(self):
        container = secrets.token_hex(32)
        self.check_cgroup(f'/nerdctl/{container}', container)

    def test_in_a_scope_as_of_systemd(self):
        container = secrets.token_hex(32)
        with cgroups.made(f'/{unique()}.slice') as at:
            self.check_cgroup(f'{at}/nerdctl-{container}.scope', container)

    def test_memcrest_started_after_the_container(self):
        self.check_running(containerd.watch())

    def test_state_in_an_unusual_place(self):
        self.check_running(Watch(socket=''))

    def check_running(self, watching):
        container = unique('ctr')
        self.assertEqual(containerd.ctr_run(container, *WAITS_FOR_GO, options=['--detach']), 0)
        try:
            with watching as watch:
                go(containerd.pid(container, 'default'))
                self.assert_names_ctr(watch.wait_for('oom', match=lambda i: i['cgroup']['path'] == f'/default/{container}'),
                                      container)
        finally:
            self.remove(container)

    def remove(self, container):
        wait_until(lambda: containerd.ctr('tasks', 'rm', '--force', container, check=False).returncode == 0)
        containerd.ctr('containers', 'rm', container)


class Refuses(http.server.BaseHTTPRequestHandler):
    """A Kubernetes API that says no to everything, with the status of its server."""

    def do_GET(self):
        body = json.dumps({'kind': 'Status', 'message': 'pods is forbidden: not for you'}).encode()
        self.send_response(self.server.status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class KubernetesApiTest(ContainerdTest):
    """Pod, namespace and names come from the disk; what only the API tells is missing, and why."""

    @contextlib.contextmanager
    def api(self, status, tls=None):
        """Its URL."""
        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Refuses)
        server.status = status
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f'{"https" if tls else "http"}://127.0.0.1:{server.server_port}'
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def certificate(self, directory, name):
        """A self-signed one; the path of both the key and the certificate."""
        path = os.path.join(directory, f'{name}.pem')
        harness.run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                    '-days', '2', '-subj', f'/CN={name}', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', path,
                    '-out', f'{path}.crt')
        with open(path, 'a', encoding='utf-8') as file:
            file.write(harness.read(f'{path}.crt'))
        return path

    def assert_reason(self, reason, *options):
        options = (*options, '--kubernetes-node', 'node-a')
        with containerd.watch(*options) as watch, containerd.pod() as pod:
            watch.settle(0.5)
            container = pod.run('app', 'hog', 'anon', '256m')
            self.assertEqual(containerd.wait_for_end(container), 137)
            incident = watch.wait_for('oom', container)
            self.assert_names_in_pod(incident, pod, container, 'app')
            found = incident['container']['pod']
            self.assertIsNone(found['owner'])
            self.assertRegex(found['unknown_reason'], reason)
            self.assertTrue(any(found['unknown_reason'] in gap for gap in incident['evidence']['gaps']), incident)
            self.assertFalse(incident['evidence']['complete'])
            running = pod.run('web', 'sleep', '600')
            command = [*containerd.memcrest(), 'ps', '--docker-socket', '', *options]
            rows = [json.loads(line) for line in harness.run(*command, '--json').stdout.splitlines()]
            row = next(row for row in rows if row['container']['id'] == running)
            self.assertRegex(row['container']['pod']['unknown_reason'], reason)
            self.assertEqual(row['container']['pod']['name'], pod.name)
            done = harness.run(*command)
            self.assertRegex(done.stderr, f'note: labels, owners or memory requests of pods not known: .*{reason}')
            self.assertIn('web', done.stdout)
        self.assertRegex(watch.summary(), f'the pods of Kubernetes are not followed: .*{reason}')

    def test_nobody_listens(self):
        self.assert_reason('127.0.0.1:1.*refused', '--kubernetes-server', 'http://127.0.0.1:1')

    def test_unauthorized(self):
        with self.api(401) as url:
            self.assert_reason('answered 401', '--kubernetes-server', url)

    def test_forbidden(self):
        with self.api(403) as url:
            self.assert_reason('answered 403: pods is forbidden', '--kubernetes-server', url)

    def test_a_certificate_of_somebody_else(self):
        directory = self.scratch()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.certificate(directory, 'server'))
        with self.api(200, tls) as url:
            self.assert_reason('certificate', '--kubernetes-server', url, '--kubernetes-ca',
                               self.certificate(directory, 'other') + '.crt')

    def test_not_asked_is_no_reason(self):
        with containerd.watch() as watch, containerd.pod() as pod:
            container = pod.run('app', 'hog', 'anon', '256m')
            containerd.wait_for_end(container)
            incident = watch.wait_for('oom', container)
            self.assertIsNone(incident['container']['pod']['unknown_reason'])
        self.assertNotIn('Kubernetes', watch.summary())


if __name__ == '__main__':
    harness.main()
