# SPDX-License-Identifier: Apache-2.0
"""Container runtimes beside Docker: a containerd with CRI and a Podman, each private to a test module."""

import contextlib
import os
import signal
import subprocess
import uuid

from cri import Cri
from harness import MEMCREST, MIB, PATIENCE, PrivateRuntime, Watch, cgroups, read, run, unique, wait_until

IMAGE = 'localhost/memcrest-test:latest'
PAUSE_IMAGE = 'localhost/memcrest-pause:latest'
# Ends its container some time after the file /go was made in it; the OOM in between is a child's.
WAITS_FOR_GO = ('sh', '-c', 'while [ ! -e /go ]; do sleep 0.05; done; hog anon 256m; sleep 0.5')


def go(pid):
    """Lets a container that waits for it go on (WAITS_FOR_GO), with no help of its runtime."""
    with open(f'/proc/{pid}/root/go', 'w', encoding='utf-8'):
        pass


def seeing(view, shown):
    """memcrest as a command that sees a private runtime's directories where the system's own would be.

    `shown` maps their places below /run and /var/lib to what is shown there. A mount namespace of its own, in which
    directories below `view` take the place of /run and /var/lib: nothing of the system's is touched.
    """
    script = []
    for top in ('/run', '/var/lib'):
        os.makedirs(view + top, exist_ok=True)
        script.append(f'mount --bind {view}{top} {top}')
    for place, directory in shown.items():
        os.makedirs(view + place, exist_ok=True)
        script.append(f'mount --bind {directory} {place}')
    return ['unshare', '--mount', 'sh', '-euc', '; '.join([*script, 'exec "$@"']), '-', MEMCREST]


class Daemon:
    """A daemon that a script started: it can be stopped, and started again with the same command line."""

    def __init__(self, directory, name):
        self._directory = directory
        self._name = name
        self._process = None  # of start()
        pid = self._pid()
        self._command = read(f'/proc/{pid}/cmdline').split('\0')[:-1]
        self._environment = dict(entry.split('=', 1) for entry in read(f'/proc/{pid}/environ').split('\0') if '=' in entry)

    def _pid(self):
        return int(read(os.path.join(self._directory, f'{self._name}.pid')))

    def stop(self, number=signal.SIGTERM):
        pid = self._pid()
        os.kill(pid, number)
        if self._process:
            self._process.wait(PATIENCE)
            self._process = None
        elif not wait_until(lambda: _is_gone(pid)):
            raise AssertionError(f'{self._name} does not end')

    def start(self):
        # One that was killed left it: dockerd does not start while any process has the pid in it.
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(self._directory, 'docker.pid'))
        with open(os.path.join(self._directory, f'{self._name}.log'), 'ab') as log:
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                             env=self._environment, start_new_session=True)
        with open(os.path.join(self._directory, f'{self._name}.pid'), 'w', encoding='utf-8') as file:
            file.write(f'{self._process.pid}\n')

    def collect(self):
        """After the script has ended the daemon: no zombie stays."""
        if self._process:
            self._process.wait(PATIENCE)
            self._process = None


def _is_gone(pid):
    try:
        return '\nState:\tZ' in read(f'/proc/{pid}/status')
    except OSError:
        return True


# --- containerd


class Pod:
    """A pod sandbox in the cgroup that the kubelet would have made for it."""

    def __init__(self, containerd, name, namespace):
        self._containerd = containerd
        self.name = name
        self.namespace = namespace
        self.uid = str(uuid.uuid4())
        self.cgroup = f'/kubepods/burstable/pod{self.uid}'
        messages = containerd.cri.messages
        self.config = messages.PodSandboxConfig(
            metadata={'name': name, 'uid': self.uid, 'namespace': namespace},
            linux={'cgroup_parent': self.cgroup,
                   'security_context': {'namespace_options': {'network': messages.NODE, 'pid': messages.CONTAINER}}},
            labels={'io.kubernetes.pod.name': name, 'io.kubernetes.pod.namespace': namespace,
                    'io.kubernetes.pod.uid': self.uid})
        self.id = containerd.cri.call('RunPodSandbox', config=self.config).pod_sandbox_id

    def create(self, name, *command, memory=64 * MIB, attempt=0):
        """Creates a container in the pod; returns its full id."""
        messages = self._containerd.cri.messages
        config = messages.ContainerConfig(
            metadata={'name': name, 'attempt': attempt}, image={'image': IMAGE}, command=[str(c) for c in command],
            labels={**self.config.labels, 'io.kubernetes.container.name': name},
            linux={'resources': {'memory_limit_in_bytes': memory, 'memory_swap_limit_in_bytes': memory},
                   'security_context': {'namespace_options': {'network': messages.NODE, 'pid': messages.CONTAINER}}})
        return self._containerd.cri.call('CreateContainer', pod_sandbox_id=self.id, config=config,
                                         sandbox_config=self.config).container_id

    def run(self, name, *command, **options):
        container = self.create(name, *command, **options)
        self._containerd.cri.call('StartContainer', container_id=container)
        return container

    def remove(self):
        self._containerd.cri.call('StopPodSandbox', pod_sandbox_id=self.id)
        self._containerd.cri.call('RemovePodSandbox', pod_sandbox_id=self.id)
        for mount in cgroups.mounts:  # as the kubelet would
            with contextlib.suppress(OSError):
                os.rmdir(mount + self.cgroup)


class Containerd(PrivateRuntime):
    name = 'containerd'

    def __init__(self):
        super().__init__()
        self.cri = None
        self.daemon = None

    def start(self):
        super().start()
        self.cri = Cri(self.socket)
        self.daemon = Daemon(self.dir, 'containerd')

    def stop(self):
        if self.cri:
            self.cri.close()
            self.cri = None
        super().stop()
        if self.daemon:
            self.daemon.collect()

    def memcrest(self):
        """memcrest as a command that finds the bundles in /run/containerd."""
        return seeing(f'{self.dir}/view', {'/run/containerd': f'{self.dir}/state'})

    def watch(self, *options):
        return Watch(*options, socket='', command=self.memcrest())

    @contextlib.contextmanager
    def stopped(self):
        """The daemon is gone for the life of a with statement; its containers live on."""
        self.daemon.stop()
        try:
            yield
        finally:
            self.daemon.start()
            if not wait_until(self.cri.ready):
                raise AssertionError('containerd does not come back')

    @contextlib.contextmanager
    def pod(self, namespace='shop'):
        pod = Pod(self, unique('pod'), namespace)
        try:
            yield pod
        finally:
            pod.remove()

    def wait_for_end(self, container, timeout=60):
        """The exit code of a CRI container, when it has ended."""
        status = wait_until(lambda: self._ended(container), timeout)
        if not status:
            raise AssertionError(f'container {container} did not end')
        return status.exit_code

    def _ended(self, container):
        status = self.cri.call('ContainerStatus', container_id=container).status
        return status if status.state == self.cri.messages.CONTAINER_EXITED else None

    def remove(self, container):
        self.cri.call('RemoveContainer', container_id=container)

    def pid(self, container, namespace='k8s.io'):
        """Of its main process."""
        return read(f'{self.dir}/state/io.containerd.runtime.v2.task/{namespace}/{container}/init.pid')

    def ctr(self, *arguments, **options):
        return run('ctr', '--address', self.socket, *arguments, **options)

    def ctr_run(self, container, *command, memory=64 * MIB, options=()):
        """A container without Kubernetes, to its end; returns its exit code."""
        return self.ctr('run', '--snapshotter', 'native', '--runc-root', os.path.join(self.dir, 'runc'),
                        '--fifo-dir', os.path.join(self.dir, 'fifo'), '--null-io', '--memory-limit', memory, *options,
                        IMAGE, container, *command, check=False).returncode


# --- Podman


class Podman(PrivateRuntime):
    name = 'podman'

    def __init__(self):
        super().__init__()
        self.service = None

    def start(self):
        super().start()
        self.service = Daemon(self.dir, 'podman')

    def stop(self):
        super().stop()
        if self.service:
            self.service.collect()

    def watch(self, with_socket=True):
        """`memcrest watch` that finds the storage, and perhaps the socket, where Podman has them by default."""
        shown = {'/var/lib/containers/storage': f'{self.dir}/root'}
        if with_socket:
            shown['/run/podman'] = f'{self.dir}/api'
        return Watch(socket='', command=seeing(f'{self.dir}/view-{with_socket}', shown))

    @contextlib.contextmanager
    def stopped(self):
        """The API service is gone for the life of a with statement."""
        self.service.stop()
        try:
            yield
        finally:
            self.service.start()
            if not wait_until(self._answers):
                raise AssertionError("Podman's service does not come back")

    def _answers(self):
        return run('curl', '-sf', '--unix-socket', self.socket, 'http://d/_ping', check=False).returncode == 0

    def __call__(self, *arguments, **options):
        return run(os.path.join(self.dir, 'podman'), *arguments, **options)

    def pid(self, container):
        """Of its main process."""
        return self('inspect', '--format', '{{.State.Pid}}', container).stdout.strip()

    def create(self, *command, memory='64m', options=(), pod=None):
        """Creates a container; returns (full id, name)."""
        name = unique()
        where = ['--pod', pod] if pod else ['--network', 'none']
        made = self('create', *where, '--memory', memory, '--memory-swap', memory, '--name', name, *options, IMAGE,
                    *command)
        return made.stdout.strip(), name

    def start_and_wait(self, container):
        """Starts a created container, waits for its end, returns its exit code."""
        return self('start', '--attach', container, check=False).returncode

    def run_to_end(self, *command, **options):
        """Creates, runs and keeps a container; returns (full id, name, exit code)."""
        container, name = self.create(*command, **options)
        return container, name, self.start_and_wait(container)

    @contextlib.contextmanager
    def pod(self):
        """A pod; (full id, name)."""
        name = unique('pod')
        pod = self('pod', 'create', '--network', 'none', '--name', name).stdout.strip()
        try:
            yield pod, name
        finally:
            self('pod', 'rm', '--force', '--time', '0', pod)
