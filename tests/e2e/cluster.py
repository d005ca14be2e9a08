# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes of one node on loopback: etcd, API server, controller manager, scheduler, kubelet, a private containerd.

RBAC decides what a token may do. No pod network: pods use the host's. All of it ends with stop().
"""

import contextlib
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile

import yaml

from harness import PATIENCE, SOURCE, cgroups, free_port, read, run, wait_until
from pods_api import NODE, Ca

BIN = os.environ.get('MEMCREST_KUBERNETES', '')
ADMIN = 'admin-token'
ISSUER = 'https://kubernetes.default.svc'
POD_LOGS = ('/var/log/pods', '/var/log/containers')  # the kubelet's, whatever its settings say
PATHS = {'Namespace': '/api/v1/namespaces', 'ServiceAccount': '/api/v1/namespaces/{}/serviceaccounts',
         'ClusterRole': '/apis/rbac.authorization.k8s.io/v1/clusterroles',
         'ClusterRoleBinding': '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
         'Deployment': '/apis/apps/v1/namespaces/{}/deployments', 'DaemonSet': '/apis/apps/v1/namespaces/{}/daemonsets',
         'Job': '/apis/batch/v1/namespaces/{}/jobs', 'ConfigMap': '/api/v1/namespaces/{}/configmaps',
         'Secret': '/api/v1/namespaces/{}/secrets',
         'PriorityClass': '/apis/scheduling.k8s.io/v1/priorityclasses'}


def left_out(sent, kept, at=''):
    """What an API server did not take over of an object: it drops fields that it does not know without a word."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        return [one for key, value in sent.items() for one in left_out(value, kept.get(key), f'{at}.{key}')]
    if isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        return [one for i, (a, b) in enumerate(zip(sent, kept)) for one in left_out(a, b, f'{at}[{i}]')]
    return [] if sent == kept else [f'{at}: {sent!r} became {kept!r}']


class Cluster:
    def __init__(self, containerd):
        self._containerd = containerd
        self._processes = []
        self._logs = {path: set(os.listdir(path)) if os.path.isdir(path) else None for path in POD_LOGS}
        self.dir = tempfile.mkdtemp(prefix='memcrest-kubernetes.')
        self.ca = Ca(self.dir)
        self.cgroup_root = f'/memcrest-kubernetes-{os.getpid()}'
        self.port = free_port()

    # --- Start and end

    def start(self):
        certificate = self.ca.certificate('127.0.0.1')
        run('openssl', 'genrsa', '-out', self._file('account.key'), '2048')
        with open(self._file('tokens'), 'w', encoding='utf-8') as file:
            file.write(f'{ADMIN},admin,admin,system:masters\n')
        etcd = f'http://127.0.0.1:{free_port()}'
        peer = f'http://127.0.0.1:{free_port()}'
        self._run('/usr/bin/etcd', '--data-dir', self._file('etcd'), '--listen-client-urls', etcd,
                  '--advertise-client-urls', etcd, '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer,
                  '--initial-cluster', f'default={peer}')
        self._run('kube-apiserver', '--etcd-servers', etcd, '--bind-address', '127.0.0.1', '--secure-port', self.port,
                  '--insecure-port', '0', '--tls-cert-file', certificate, '--tls-private-key-file', certificate,
                  '--cert-dir', self._file('certificates'), '--token-auth-file', self._file('tokens'),
                  '--authorization-mode', 'RBAC', '--service-account-issuer', ISSUER,
                  '--service-account-signing-key-file', self._file('account.key'), '--service-account-key-file',
                  self._file('account.key'), '--service-cluster-ip-range', '10.96.0.0/24',
                  '--endpoint-reconciler-type', 'none', '--allow-privileged', '--disable-admission-plugins', 'ServiceAccount')
        self._wait('the API server', lambda: self.request('GET', '/readyz')[0] == 200)
        config = self._kubeconfig()
        self._run('kube-controller-manager', '--kubeconfig', config, '--port', '0', '--secure-port', '0',
                  '--leader-elect=false', '--controllers', 'deployment,replicaset,daemonset,job')
        self._run('kube-scheduler', '--kubeconfig', config, '--port', '0', '--secure-port', '0', '--leader-elect=false')
        self._make_cgroup_root()
        self._run('kubelet', '--kubeconfig', config, '--config', self._kubelet_config(), '--root-dir',
                  self._file('kubelet'), '--cert-dir', self._file('certificates'), '--volume-plugin-dir',
                  self._file('plugins'), '--hostname-override', NODE, '--container-runtime', 'remote',
                  '--container-runtime-endpoint', f'unix://{self._containerd.socket}')
        self._wait('the node', lambda: self.request('GET', f'/api/v1/nodes/{NODE}')[0] == 200)

    def stop(self):
        """Pods first, while there is somebody to end them."""
        with contextlib.suppress(OSError, AssertionError):
            for kind in ('Deployment', 'DaemonSet', 'Job'):
                self.request('DELETE', PATHS[kind].format('shop') + '?propagationPolicy=Background&gracePeriodSeconds=0')
            self.request('DELETE', '/api/v1/namespaces/shop/pods?gracePeriodSeconds=0')
            wait_until(lambda: not self.get('/api/v1/namespaces/shop/pods')['items'])
        for name, process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                print(f'{name} does not end', flush=True)
                process.kill()
                process.wait()
        self._processes = []

    def remove(self):
        """After the containers are gone: cgroups, mounts, files."""
        for mount in cgroups.mounts:
            wait_until(lambda at=mount + self.cgroup_root: cgroups.remove(at), timeout=5)
        for line in reversed(read('/proc/self/mountinfo').splitlines()):
            if line.split()[4].startswith(self.dir + '/'):
                run('umount', line.split()[4], check=False)
        for path, before in self._logs.items():
            for name in set(os.listdir(path)) - (before or set()) if os.path.isdir(path) else ():
                at = os.path.join(path, name)
                os.unlink(at) if os.path.islink(at) else shutil.rmtree(at)
            if before is None and os.path.isdir(path):
                os.rmdir(path)
        shutil.rmtree(self.dir)

    def _file(self, name):
        return os.path.join(self.dir, name)

    def _run(self, program, *arguments):
        path = os.path.join(BIN, program)
        name = os.path.basename(program)
        with open(self._file(f'{name}.log'), 'wb') as log:
            process = subprocess.Popen([path, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True, cwd=self.dir)
        self._processes.append((name, process))

    def _wait(self, what, condition):
        def there():
            ended = [name for name, process in self._processes if process.poll() is not None]
            if ended:
                raise AssertionError(f'{ended[0]} ended:\n{self.log(ended[0])}')
            with contextlib.suppress(OSError):
                return condition()
        if not wait_until(there, timeout=180, pause=0.5):
            name = self._processes[-1][0]
            raise AssertionError(f'{what} does not come up:\n{self.log(name)}')

    def log(self, name):
        return '\n'.join(read(self._file(f'{name}.log')).splitlines()[-30:])

    def _kubeconfig(self):
        value = {'apiVersion': 'v1', 'kind': 'Config', 'current-context': 'it',
                 'clusters': [{'name': 'it', 'cluster': {'server': self.url, 'certificate-authority': self.ca.file}}],
                 'users': [{'name': 'it', 'user': {'token': ADMIN}}],
                 'contexts': [{'name': 'it', 'context': {'cluster': 'it', 'user': 'it'}}]}
        return self._write('kubeconfig', value)

    def _kubelet_config(self):
        # oomScoreAdj: a root without CAP_SYS_RESOURCE cannot lower it. No evictions: the disk may be anything. No device
        # plugins: their socket would lie in the system's /var/lib/kubelet.
        value = {'apiVersion': 'kubelet.config.k8s.io/v1beta1', 'kind': 'KubeletConfiguration', 'address': '127.0.0.1',
                 'port': free_port(), 'readOnlyPort': 0, 'healthzPort': 0, 'oomScoreAdj': 0,
                 'featureGates': {'DevicePlugins': False}, 'cgroupDriver': 'cgroupfs', 'cgroupRoot': self.cgroup_root, 'enforceNodeAllocatable': [],
                 'failSwapOn': False, 'makeIPTablesUtilChains': False, 'hairpinMode': 'none', 'resolvConf': '',
                 'evictionHard': {'memory.available': '0%', 'nodefs.available': '0%', 'imagefs.available': '0%'},
                 'imageGCHighThresholdPercent': 100, 'imageGCLowThresholdPercent': 99,
                 'authentication': {'anonymous': {'enabled': True}, 'webhook': {'enabled': False}},
                 'authorization': {'mode': 'AlwaysAllow'}}
        return self._write('kubelet.json', value)

    def _write(self, name, value):
        with open(self._file(name), 'w', encoding='utf-8') as file:
            json.dump(value, file)
        return file.name

    def _make_cgroup_root(self):
        for mount in cgroups.mounts:
            os.mkdir(mount + self.cgroup_root)
            for name in ('cpuset.cpus', 'cpuset.mems'):  # empty in a new cgroup of v1, and then nothing may run in it
                if os.path.exists(f'{mount}/{name}') and not os.path.exists(f'{mount}/cgroup.controllers'):
                    with open(f'{mount}{self.cgroup_root}/{name}', 'w', encoding='utf-8') as file:
                        file.write(read(f'{mount}/{name}'))

    # --- The API

    @property
    def url(self):
        return f'https://127.0.0.1:{self.port}'

    def request(self, method, path, body=None, token=ADMIN):
        """(status, answer)."""
        connection = http.client.HTTPSConnection('127.0.0.1', self.port, timeout=30,
                                                 context=ssl.create_default_context(cafile=self.ca.file))
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body is not None else None,
                               {'Authorization': f'Bearer {token}', 'Content-Type': 'application/json'})
            answer = connection.getresponse()
            text = answer.read()
            with contextlib.suppress(ValueError):
                return answer.status, json.loads(text)
            return answer.status, text

    def get(self, path):
        status, answer = self.request('GET', path)
        if status != 200:
            raise AssertionError(f'{path}: {status} {answer}')
        return answer

    def create(self, value, query=''):
        path = PATHS[value['kind']].format(value['metadata'].get('namespace')) + query
        status, answer = self.request('POST', path, value)
        if status != 201:
            raise AssertionError(f'{path}: {status} {answer}')
        return answer

    def create_strictly(self, value, query=''):
        """The same, and an error where a field was not understood."""
        lost = left_out(value, self.create(value, query))
        if lost:
            raise AssertionError(f'{value["kind"]} {value["metadata"]["name"]}: {lost}')

    def delete(self, value):
        path = PATHS[value['kind']].format(value['metadata'].get('namespace')) + f'/{value["metadata"]["name"]}'
        self.request('DELETE', path + '?propagationPolicy=Background')

    def apply(self, file):
        """A manifest of the project."""
        with open(os.path.join(SOURCE, file), encoding='utf-8') as text:
            for value in yaml.safe_load_all(text):
                self.create(value)

    def delete_pods(self, namespace, label):
        """And replica sets: no garbage collector runs here."""
        self.request('DELETE', f'/apis/apps/v1/namespaces/{namespace}/replicasets?labelSelector={label}')

        def gone():
            self.request('DELETE', f'/api/v1/namespaces/{namespace}/pods?labelSelector={label}')
            return not self.pods(namespace, label)
        if not wait_until(gone, timeout=120, pause=1):
            raise AssertionError(f'pods of {label} do not go')

    def service_account_token(self, namespace, name):
        """As the kubelet gets it for a pod: bound and of limited life."""
        status, answer = self.request('POST', PATHS['ServiceAccount'].format(namespace) + f'/{name}/token',
                                      {'apiVersion': 'authentication.k8s.io/v1', 'kind': 'TokenRequest',
                                       'spec': {'audiences': [ISSUER], 'expirationSeconds': 3600}})
        if status != 201:
            raise AssertionError(f'no token: {status} {answer}')
        return answer['status']['token']

    def pods(self, namespace, label):
        return self.get(f'/api/v1/namespaces/{namespace}/pods?labelSelector={label}')['items']

    def wait_for_pod(self, namespace, label, condition):
        """The pod of this label, once the condition holds for it."""
        def found():
            return next((pod for pod in self.pods(namespace, label) if condition(pod)), None)
        pod = wait_until(found, timeout=120, pause=0.5)
        if not pod:
            raise AssertionError(f'{self.pods(namespace, label)}\n{self.log("kubelet")}')
        return pod
