# SPDX-License-Identifier: Apache-2.0
"""memcrest against a real Kubernetes: kubelet and containerd run the pods, the real API server tells of them and lets
memcrest do what deploy/kubernetes/base/rbac.yaml says, and no more; the DaemonSet of deploy/kubernetes catches a pod's
OOM and names it. scripts/test-kubernetes runs it."""

import contextlib
import http.client
import json
import os
import ssl
import sys
import urllib.request

import harness
import yaml
from cluster import ADMIN, PATHS, Cluster
from harness import MIB, free_port, read, run, wait_until
from pods_api import NODE
from runtimes import IMAGE, Containerd

containerd = Containerd()
cluster = None
OURS = ('ConfigMap', 'PriorityClass', 'DaemonSet')  # of the manifests; the others are there for all tests
RIGHTS = ('ClusterRole', 'ClusterRoleBinding')
LABEL = 'app.kubernetes.io/name=memcrest'
SCHEMA = os.path.join(harness.SOURCE, 'docs', 'ps.schema.json')


def setUpModule():
    global cluster  # pylint: disable=global-statement
    cluster = Cluster(containerd)
    try:
        containerd.start()
        cluster.start()
        cluster.create({'kind': 'Namespace', 'metadata': {'name': 'shop'}})
        for file in ('namespace', 'rbac'):
            cluster.apply(f'deploy/kubernetes/base/{file}.yaml')
    except BaseException:
        tearDownModule()
        raise


def tearDownModule():
    cluster.stop()
    containerd.stop()
    cluster.remove()


def workload(kind, name, *command, **more):
    """A manifest: one container of 64 MiB, on the host's network, since there is no other."""
    api = 'batch/v1' if kind == 'Job' else 'apps/v1'
    container = {'name': 'app', 'image': IMAGE, 'imagePullPolicy': 'Never', 'command': list(command),
                 'resources': {'requests': {'memory': '48Mi'}, 'limits': {'memory': '64Mi'}}}
    pod = {'hostNetwork': True, 'tolerations': [{'operator': 'Exists'}], 'automountServiceAccountToken': False,
           'terminationGracePeriodSeconds': 0, 'containers': [container], **more}
    spec = {'template': {'metadata': {'labels': {'app': name}}, 'spec': pod}}
    if kind != 'Job':
        spec['selector'] = {'matchLabels': {'app': name}}
    return {'apiVersion': api, 'kind': kind, 'metadata': {'name': name, 'namespace': 'shop'}, 'spec': spec}


def status_of(pod):
    return pod['status'].get('containerStatuses', [{}])[0]


def restarted(times):
    return lambda pod: status_of(pod).get('restartCount', 0) >= times and status_of(pod)['lastState'].get('terminated')


def running(pod):
    return 'running' in status_of(pod).get('state', {})


class RealKubernetesTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.token = cluster.service_account_token('memcrest', 'memcrest')
        self.token_file = os.path.join(self.scratch(), 'token')
        with open(self.token_file, 'w', encoding='utf-8') as file:
            file.write(self.token)

    def options(self):
        return ['--kubernetes-server', cluster.url, '--kubernetes-ca', cluster.ca.file, '--kubernetes-token',
                self.token_file, '--kubernetes-node', NODE]

    def create(self, *arguments, **more):
        manifest = workload(*arguments, **more)
        cluster.create(manifest)
        path = PATHS[manifest['kind']].format('shop') + f'/{manifest["metadata"]["name"]}?propagationPolicy=Background'
        self.addCleanup(cluster.request, 'DELETE', path)

    def assert_told(self, found, pod, owner):
        self.assertEqual(found['runtime'], 'containerd')
        self.assertEqual((found['name'], found['image']), ('app', IMAGE))
        self.assertIsNone(found['unknown_reason'])
        meta = pod['metadata']
        self.assertEqual((found['pod']['name'], found['pod']['namespace'], found['pod']['uid'], found['pod']['qos']),
                         (meta['name'], 'shop', meta['uid'], 'burstable'))
        self.assertEqual(found['pod']['owner'], owner)
        self.assertEqual(found['pod']['labels'], meta['labels'])
        self.assertEqual(found['memory_request_bytes'], 48 * MIB)
        self.assertEqual(found['memory_limit_bytes'], 64 * MIB)

    def test_the_role_is_enough_and_no_more(self):
        def status(method, path, body=None):
            return cluster.request(method, path, body, self.token)[0]
        on_node = f'/api/v1/pods?fieldSelector=spec.nodeName%3D{NODE}'
        self.assertEqual(status('GET', on_node), 200)
        self.assertEqual(status('GET', on_node + '&watch=1&timeoutSeconds=1'), 200)
        for method, path in (('GET', '/api/v1/secrets'), ('GET', '/api/v1/nodes'), ('GET', '/api/v1/configmaps'),
                             ('GET', '/api/v1/namespaces'), ('GET', '/apis/apps/v1/deployments'),
                             ('GET', '/api/v1/namespaces/shop/pods/any/log'), ('DELETE', '/api/v1/namespaces/shop/pods'),
                             ('DELETE', '/api/v1/namespaces/shop/pods/any'),
                             ('POST', '/api/v1/namespaces/shop/pods/any/exec?command=sh'),
                             ('POST', '/api/v1/namespaces/memcrest/serviceaccounts/memcrest/token')):
            self.assertEqual(status(method, path, {} if method == 'POST' else None), 403, (method, path))
        self.assertEqual(status('POST', '/api/v1/namespaces/shop/pods', {'metadata': {'name': 'any'}}), 403)
        self.assertEqual(cluster.request('GET', on_node, token='wrong')[0], 401)

    def test_a_deployment_that_is_oom_killed_again_and_again(self):
        owner = {'kind': 'Deployment', 'name': 'web'}
        with containerd.watch(*self.options()) as watch:
            self.create('Deployment', 'web', 'sh', '-c', 'sleep 8; exec hog anon 256m')
            pod = cluster.wait_for_pod('shop', 'app=web', restarted(2))
            killed = status_of(pod)['lastState']['terminated']
            self.assertEqual((killed['reason'], killed['exitCode']), ('OOMKilled', 137))
            second = watch.wait_for('oom', killed['containerID'].removeprefix('containerd://'))
            first = watch.wait_for('oom', match=lambda i: (i['container']['state'] or {}).get('restart_count') == 0)
        for restarts, incident in enumerate((first, second)):
            self.assert_told(incident['container'], pod, owner)
            self.assertEqual(incident['container']['state']['restart_count'], restarts)
            self.assertTrue(incident['victims'][0]['main_process'])
            self.assertEqual(incident['cgroup']['path'], f'{cluster.cgroup_root}/kubepods/burstable/'
                             f'pod{pod["metadata"]["uid"]}/{incident["container"]["id"]}')
        self.assertIsNone(first['container']['state']['reason'])
        self.assertEqual(second['container']['state']['reason'], 'OOMKilled')
        self.assertEqual(second['container']['state']['exit_code'], 137)

    def test_ps_and_who_owns_a_pod(self):
        pods = {}
        for kind in ('Deployment', 'DaemonSet', 'Job'):
            name = kind.lower()
            self.create(kind, name, 'sleep', '600', **({'restartPolicy': 'Never'} if kind == 'Job' else {}))
            pods[kind] = cluster.wait_for_pod('shop', f'app={name}', running)
        done = run(*containerd.memcrest(), 'ps', '--json', '--namespace', 'shop', *self.options())
        checked = run(sys.executable, harness.VALIDATOR, '--schema', SCHEMA, input=done.stdout, stdout=None)
        self.assertEqual(checked.returncode, 0)
        rows = {row['container']['id']: row for row in map(json.loads, done.stdout.splitlines())}
        for kind, pod in pods.items():
            row = rows[status_of(pod)['containerID'].removeprefix('containerd://')]
            self.assert_told(row['container'], pod, {'kind': kind, 'name': kind.lower()})
            self.assertEqual(row['container']['state']['restart_count'], 0)
            self.assertEqual(row['container']['state']['status'], 'running')
            self.assertEqual(row['limit_bytes'], 64 * MIB)


class DaemonSetTest(harness.TestCase):
    """deploy/kubernetes, with the image of deploy/image."""

    @classmethod
    def setUpClass(cls):
        cls.kubectl = run(os.path.join(harness.SOURCE, 'scripts', 'deploy-peers'), timeout=600).stdout.strip() + '/kubectl'
        archive = os.path.join(cluster.dir, 'memcrest.tar')
        built = run(os.path.join(harness.SOURCE, 'deploy', 'image', 'build'), '--program', harness.MEMCREST, '--output',
                    archive)
        cls.image = built.stdout.splitlines()[0]
        containerd.ctr('--namespace', 'k8s.io', 'images', 'import', '--snapshotter', 'native', archive)

    def setUp(self):
        super().setUp()
        self.data = self.scratch()
        self.port = free_port()

    def manifests(self, overlay):
        """As kustomize gives them, with a port and a directory of this test's own."""
        text = run(self.kubectl, 'kustomize', os.path.join(harness.SOURCE, 'deploy', 'kubernetes', overlay)).stdout
        text = text.replace('9464', str(self.port)).replace('path: /var/lib/memcrest', f'path: {self.data}')
        values = yaml.safe_load_all(text.replace('0.0.0.0', '127.0.0.1'))  # where the probes and this test ask
        return [value for value in values if value['kind'] != 'PodMonitor']  # its operator's, which is not here

    def with_component(self, name):
        """An overlay of one's own, as deploy/kubernetes/README.md says."""
        out = self.scratch()
        manifests = os.path.relpath(os.path.join(harness.SOURCE, 'deploy', 'kubernetes'), os.path.realpath(out))
        with open(os.path.join(out, 'kustomization.yaml'), 'w', encoding='utf-8') as file:
            yaml.safe_dump({'resources': [f'{manifests}/base'], 'components': [f'{manifests}/components/{name}']}, file)
        return out

    def with_api(self, values):
        """The API's address and its account's token: no admission puts them into pods here, no proxy leads to the API."""
        secret = {'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'name': 'api', 'namespace': 'memcrest'},
                  'stringData': {'ca.crt': read(cluster.ca.file), 'token': cluster.service_account_token('memcrest', 'memcrest')}}
        pod = next(value for value in values if value['kind'] == 'DaemonSet')['spec']['template']['spec']
        pod['volumes'].append({'name': 'api', 'secret': {'secretName': 'api'}})
        memcrest = pod['containers'][0]
        memcrest['volumeMounts'].append({'name': 'api', 'mountPath': '/run/api', 'readOnly': True})
        memcrest['env'] += [{'name': 'MEMCREST_KUBERNETES_SERVER', 'value': cluster.url},
                            {'name': 'MEMCREST_KUBERNETES_CA', 'value': '/run/api/ca.crt'},
                            {'name': 'MEMCREST_KUBERNETES_TOKEN', 'value': '/run/api/token'}]
        cluster.create(secret)
        self.addCleanup(cluster.delete, secret)

    def start(self, overlay, rights=()):
        values = [value for value in self.manifests(overlay)
                  if value['kind'] in OURS or value['kind'] in RIGHTS and value['metadata']['name'] in rights]
        if rights:
            self.with_api(values)
        self.addCleanup(self.remove, values)
        for value in values:
            cluster.create_strictly(value)
        pod = cluster.wait_for_pod('memcrest', LABEL, lambda one: status_of(one).get('ready'))
        self.assertEqual(pod['spec']['containers'][0]['image'], self.image)
        return pod

    def remove(self, values):
        for value in values:
            cluster.delete(value)
        cluster.delete_pods('memcrest', LABEL)

    def ask(self, path):
        with urllib.request.urlopen(f'http://127.0.0.1:{self.port}{path}', timeout=20) as answer:
            return answer.read().decode()

    def ask_with_tls(self, path, **headers):
        connection = http.client.HTTPSConnection('127.0.0.1', self.port, timeout=20,
                                                 context=ssl.create_default_context(cafile=cluster.ca.file))
        with contextlib.closing(connection):
            connection.request('GET', path, headers=headers)
            return connection.getresponse().status

    def catches(self, overlay, rights=()):
        pod = self.start(overlay, rights)
        shop = workload('Deployment', 'victim', 'sh', '-c', 'sleep 5; exec hog anon 256m')
        cluster.create(shop)
        self.addCleanup(cluster.delete_pods, 'shop', 'app=victim')
        self.addCleanup(cluster.delete, shop)
        killed = cluster.wait_for_pod('shop', 'app=victim', restarted(1))

        def oom():
            return next((one for one in json.loads(self.ask('/api/v1/incidents?kind=oom'))['incidents']
                         if (one['container']['pod'] or {}).get('name') ==
                         killed['metadata']['name']), None)
        incident = wait_until(oom)
        self.assertTrue(incident, self.ask('/api/v1/incidents?kind=oom'))
        self.assertEqual(incident['container']['pod']['namespace'], 'shop')
        self.assertEqual((incident['container']['name'], incident['container']['image']), ('app', IMAGE))
        self.assertEqual(incident['victims'][0]['cmdline'], 'hog anon 256m')
        # The pod's limit is full first, since its sandbox counts too: it is its container's all the same.
        self.assertEqual(incident['verdict']['causes'][0]['cause'], 'limit-too-small-for-burst', incident['verdict'])
        self.assertTrue([line for line in incident['advice']['lines'] if line['tool'] == 'kubernetes'])
        self.assertIn('namespace="shop"', self.ask('/metrics'))
        again = cluster.pods('memcrest', LABEL)[0]
        self.assertEqual((again['metadata']['name'], status_of(again)['restartCount']), (pod['metadata']['name'], 0))
        return incident

    def test_every_field_is_understood(self):
        for overlay in ('base', 'overlays/breakpoints', 'overlays/privileged', 'overlays/podmonitor', self.with_component('events')):
            for value in self.manifests(overlay):
                if value['kind'] in OURS:
                    cluster.create_strictly(value, '?dryRun=All')

    def test_base_catches_a_pods_oom_and_names_it(self):
        self.catches('base')

    def test_an_event_on_the_pod_that_kubectl_shows(self):
        incident = self.catches(self.with_component('events'), ('memcrest-events',))
        pod = incident['container']['pod']
        path = f'/api/v1/namespaces/shop/events?fieldSelector=involvedObject.uid%3D{pod["uid"]}'

        def ours():
            return [one for one in cluster.get(path)['items'] if one['source'].get('component') == 'memcrest']
        name = f'memcrest.{incident["id"].lower()}'
        self.assertTrue(wait_until(lambda: [one for one in ours() if one['metadata']['name'] == name], timeout=60),
                        self.ask('/metrics'))
        events = ours()  # it may be killed again at any time
        told = {one['id'].lower() for one in
                json.loads(self.ask('/api/v1/incidents?kind=oom'))['incidents'] if (one['container']['pod'] or {}).get('uid') == pod['uid']}
        event = next(one for one in events if one['metadata']['name'] == name)
        self.assertLessEqual({one['metadata']['name'] for one in events if one['reason'] == 'OOMKill'},
                             {f'memcrest.{one}' for one in told})
        self.assertEqual((event['reason'], event['type'], event['count']), ('OOMKill', 'Warning', 1))
        self.assertEqual(event['involvedObject']['fieldPath'], 'spec.containers{app}')
        self.assertEqual(event['source']['host'], NODE)
        self.assertIn('limit 64.0 MiB', event['message'])
        self.assertIn('The limit of 64.0 MiB is too small for this burst', event['message'])
        shown = run(self.kubectl, '--server', cluster.url, '--certificate-authority', cluster.ca.file, '--token', ADMIN,
                    '--namespace', 'shop', 'describe', 'pod', pod['name']).stdout
        self.assertRegex(shown, r'Warning\s+OOMKill\s.*memcrest')
        self.assertIn(event['message'][:40], shown)
        # To create is all that the agent may.
        token = cluster.service_account_token('memcrest', 'memcrest')
        one = f'/api/v1/namespaces/shop/events/{event["metadata"]["name"]}'
        for method, what in (('GET', one), ('DELETE', one), ('GET', '/api/v1/events')):
            self.assertEqual(cluster.request(method, what, None, token)[0], 403, (method, what))

    def test_beyond_the_node_only_with_tls_and_the_token(self):
        pair = read(cluster.ca.certificate('127.0.0.1'))
        token = 'a-token-of-some-length'
        secret = {'apiVersion': 'v1', 'kind': 'Secret', 'metadata': {'name': 'memcrest-http', 'namespace': 'memcrest'},
                  'stringData': {'tls.crt': pair, 'tls.key': pair, 'token': token}}
        cluster.create(secret)
        self.addCleanup(cluster.delete, secret)
        self.start('overlays/podmonitor')  # its probes speak TLS, or the pod would not be ready
        self.assertEqual(self.ask_with_tls('/metrics'), 401)
        self.assertEqual(self.ask_with_tls('/metrics', Authorization=f'Bearer {token}'), 200)
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.ask('/metrics')

    def test_privileged_has_the_kernel_log_too(self):
        self.assertIn('kmsg', self.catches('overlays/privileged')['evidence']['oom_tier'])


if __name__ == '__main__':
    harness.main()
