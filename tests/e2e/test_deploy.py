# SPDX-License-Identifier: Apache-2.0
"""deploy/: the image runs under a real Docker with the flags that its README gives and sees a neighbour's OOM; Compose
brings up agent and Prometheus; the chart and the manifests are the same. (A real Kubernetes: scripts/test-kubernetes.)"""

import glob
import json
import os
import re
import shlex
import subprocess
import tempfile
import urllib.request

import harness
import yaml
from harness import MEMCREST, MIB, SOURCE, docker, free_port, read, run, wait_until

DEPLOY = os.path.join(SOURCE, 'deploy')
PEERS = {}  # programs of scripts/deploy-peers, and a directory of this module's own


def setUpModule():
    harness.start_docker()
    PEERS['programs'] = run(os.path.join(SOURCE, 'scripts', 'deploy-peers'), timeout=600).stdout.strip()
    PEERS['work'] = tempfile.mkdtemp(prefix='memcrest-e2e-deploy.')
    PEERS['archive'] = os.path.join(PEERS['work'], 'memcrest.tar')
    built = run(os.path.join(DEPLOY, 'image', 'build'), '--program', MEMCREST, '--output', PEERS['archive'], timeout=300)
    PEERS['image'] = built.stdout.splitlines()[0]
    docker('load', '--input', PEERS['archive'])


def tearDownModule():
    harness.stop_docker()
    run('rm', '-rf', PEERS.get('work', '/nonexistent'))


def peer(name):
    return os.path.join(PEERS['programs'], name)


def get(port, path):
    with urllib.request.urlopen(f'http://127.0.0.1:{port}{path}', timeout=20) as answer:
        return answer.read().decode()


def answers(port, path):
    try:
        return get(port, path)
    except OSError:
        return None


def knows_cap_bpf():
    """Debian 12's Docker does not."""
    made = docker('create', '--cap-add', 'BPF', '--network', 'none', harness.IMAGE, check=False)
    if made.returncode == 0:
        docker('rm', made.stdout.strip())
    return made.returncode == 0


class ImageTest(harness.TestCase):
    def documented(self, port):
        """The command of the README, for this daemon and this port, without the client's name."""
        text = re.search(r'^docker run (.*?[^\\])\n```', read(os.path.join(DEPLOY, 'README.md')), re.S | re.M).group(1)
        words = shlex.split(text.replace('\\\n', ' '))
        if not knows_cap_bpf():
            words = ' '.join(words).replace('--cap-add BPF --cap-add PERFMON', '--cap-add SYS_ADMIN').split()
        words = [word.replace('/var/run/docker.sock:/var', f'{docker.socket}:/var') for word in words]
        self.assertIn(PEERS['image'], words)
        return [*words, '--listen', f'127.0.0.1:{port}']

    def test_catches_a_neighbours_oom_with_the_documented_flags(self):
        port = free_port()
        agent = docker('run', *self.documented(port)).stdout.strip()
        self.addCleanup(docker, 'volume', 'rm', 'memcrest', check=False)
        self.remove_later(agent)
        self.assertTrue(wait_until(lambda: answers(port, '/readyz')), docker('logs', agent, check=False).stderr)
        container, name, code = docker.run_to_end('sh', '-c', 'sleep 1; exec hog anon 128m')
        self.remove_later(container)
        self.assertEqual(code, 137)

        def oom():
            return next((one for one in json.loads(get(port, '/api/v1/incidents?kind=oom'))['incidents']
                         if one['container']['id'] == container), None)
        incident = wait_until(oom)
        self.assertTrue(incident)
        self.assert_named(incident, container, name)
        victim = incident['victims'][0]
        self.assertEqual((victim['cmdline'], victim['exe']), ('hog anon 128m', '/bin/hog'))
        self.assertIn('kmsg', incident['evidence']['oom_tier'])
        self.assert_nothing_lost(incident)
        self.assert_held(agent)
        # It goes on where it was: the volume outlives the container.
        docker('restart', agent)
        self.assertTrue(wait_until(lambda: answers(port, '/readyz')))
        self.assertIn(incident['id'], get(port, '/api/v1/incidents?kind=oom'))
        self.assertEqual(docker.inspect(agent, '.State.OOMKilled'), 'false')

    def assert_held(self, agent):
        """Few capabilities, nothing to be gained, nothing to be written, room below its limit."""
        pid = docker.inspect(agent, '.State.Pid')
        status = read(f'/proc/{pid}/status')
        held = int(re.search(r'^CapEff:\s*(\w+)', status, re.M).group(1), 16)
        bound = int(re.search(r'^CapBnd:\s*(\w+)', status, re.M).group(1), 16)
        allowed = {19, 2, 34} | ({39, 38} if knows_cap_bpf() else {21})  # ptrace, read and search, syslog, and BPF's
        for caps in (held, bound):
            self.assertLessEqual({bit for bit in range(64) if caps >> bit & 1}, allowed)
        self.assertIn('NoNewPrivs:\t1', status)
        self.assertIn('Seccomp:\t2', status)
        self.assertTrue(re.search(r'^\d+ \d+ \S+ \S+ / ro[, ]', read(f'/proc/{pid}/mountinfo'), re.M))
        self.assertLess(harness.cgroups.peak(harness.shared_cgroup(agent)), 192 * MIB)

    def test_holds_little(self):
        listed = run('tar', '-xOf', PEERS['archive'], 'manifest.json').stdout
        layers = json.loads(listed)[0]['Layers']
        self.assertEqual(len(layers), 1)
        layer = subprocess.run(['tar', '-xOf', PEERS['archive'], layers[0]], capture_output=True, check=True).stdout
        names = subprocess.run(['tar', '-t'], input=layer, capture_output=True, check=True).stdout.decode().split()
        programs = {name for name in names if re.search(r'bin/.', name)}
        self.assertEqual(programs, {'usr/bin/memcrest'})
        self.assertIn('usr/share/doc/memcrest/LICENSE', names)
        self.assertLess(len(layer), 40 * MIB)  # a debug build


class NodeWithCgroup2Test(harness.TestCase):
    """What the DaemonSet may do is enough for the best hooks, under a kernel that has them all."""

    def test_the_daemonsets_capabilities_in_a_cgroup_namespace(self):
        daemonset = yaml.safe_load(read(os.path.join(DEPLOY, 'kubernetes', 'base', 'daemonset.yaml')))
        added = daemonset['spec']['template']['spec']['containers'][0]['securityContext']['capabilities']['add']
        script = os.path.join(SOURCE, 'tests', 'vm', 'pod.sh')
        agent, hog = os.path.abspath(MEMCREST), os.path.abspath(harness.HOG)
        programs = (agent, hog, '/usr/bin/unshare', '/usr/bin/setpriv', '/bin/busybox')
        out = run(os.path.join(SOURCE, 'scripts', 'vm'), '--kernel', '6.1', '--cgroup', '2', '--build', harness.BUILD,
                  '--env', f'AGENT={agent}', '--env', f'HOG={hog}', '--env',
                  'CAPABILITIES=' + ','.join('+' + one.lower() for one in added),
                  *[word for program in programs for word in ('--add', program)], '--', script, timeout=600).stdout
        found = re.search(r'^INCIDENTS (.*)$', out, re.M)
        self.assertTrue(found, out)
        incidents = json.loads(found.group(1))['incidents']
        self.assertEqual([one['cgroup']['path'] for one in incidents], ['/kubepods/victim'], out)
        self.assertEqual(incidents[0]['limit']['cgroup_path'], '/kubepods/victim')
        self.assertTrue(incidents[0]['victims'][0]['cmdline'].endswith('hog anon 128m'))
        self.assertEqual(incidents[0]['oom']['order'], 0)  # what the kernel log tells elsewhere
        self.assertIn('charge_tier="page_counter",oom_tier="oom_kill_process"', out)
        self.assertRegex(out, r'CapEff:\s*000000c400080004')  # bpf, perfmon, syslog, sys_ptrace, dac_read_search


class ComposeTest(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.prometheus_port = free_port()

    def compose(self, *arguments, **options):
        return run(peer('docker-compose'), *arguments, timeout=300, **options,
                   env={**os.environ, 'DOCKER_HOST': f'unix://{docker.socket}', 'DOCKER_CONTEXT': '',
                        'DOCKER_SOCKET': docker.socket, 'PROMETHEUS_TAG': 'test'})

    def prometheus_image(self):
        """Of Debian's Prometheus: there is no registry to ask."""
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(f'{root}/prometheus')
            program = '/usr/bin/prometheus'
            libraries = re.findall(r'(/\S+) \(0x', run('ldd', program, check=False).stdout)
            for path in [program, *libraries]:
                os.makedirs(os.path.dirname(root + path), exist_ok=True)
                run('cp', '-L', path, root + path)
            packed = subprocess.run(['tar', '-C', root, '-c', '.'], capture_output=True, check=True).stdout
        subprocess.run(docker.command('import', '--change', f'ENTRYPOINT ["{program}"]', '--change', 'WORKDIR /etc/prometheus',
                                      '-', 'prom/prometheus:test'),
                       input=packed, check=True, capture_output=True)
        self.addCleanup(docker, 'rmi', 'prom/prometheus:test', check=False)

    def for_this_machine(self):
        """The files once more, with ports and a project of this test's own."""
        directory = self.scratch()
        run('cp', '-r', os.path.join(DEPLOY, 'compose'), os.path.join(DEPLOY, 'prometheus'), directory)
        for name in ('compose.yml', 'prometheus.yml'):
            path = os.path.join(directory, 'compose', name)
            text = read(path).replace('127.0.0.1:9464', f'127.0.0.1:{self.port}').replace(
                '127.0.0.1:9090', f'127.0.0.1:{self.prometheus_port}').replace('interval: 15s', 'interval: 1s')
            text = text.replace('[agent, --no-user-podman]',
                                f"[agent, --no-user-podman, --listen, '127.0.0.1:{self.port}']")
            if not knows_cap_bpf():
                text = text.replace('[BPF, PERFMON,', '[SYS_ADMIN,')
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)
        return os.path.join(directory, 'compose', 'compose.yml')

    def test_compose_takes_it_and_nothing_leaves_the_host(self):
        file = os.path.join(DEPLOY, 'compose', 'compose.yml')
        told = json.loads(self.compose('-f', file, 'config', '--format', 'json').stdout)
        self.assertEqual(set(told['services']), {'memcrest', 'prometheus'})
        for name, service in told['services'].items():
            self.assertNotIn('ports', service, name)
            self.assertIn('mem_limit', service, name)
        self.assertIn('--web.listen-address=127.0.0.1:9090', told['services']['prometheus']['command'])
        self.assertEqual(told['services']['memcrest']['image'], PEERS['image'])
        run('promtool', 'check', 'config', '--syntax-only', os.path.join(DEPLOY, 'compose', 'prometheus.yml'))

    def test_up_and_an_oom_is_in_prometheus(self):
        self.prometheus_image()
        file = self.for_this_machine()
        self.addCleanup(self.compose, '-f', file, 'down', '--volumes', '--timeout', '5', check=False)
        self.compose('-f', file, 'up', '--detach', '--pull', 'never')
        self.assertTrue(wait_until(lambda: answers(self.port, '/readyz')), self.compose('-f', file, 'logs').stdout)
        container, name, _ = docker.run_to_end('sh', '-c', 'sleep 1; exec hog anon 128m')
        self.remove_later(container)

        def counted():
            query = f'memcrest_oom_kills_total%7Bcontainer%3D%22{name}%22%7D'
            text = answers(self.prometheus_port, f'/api/v1/query?query={query}')
            return text and json.loads(text)['data']['result']
        result = wait_until(counted)
        self.assertTrue(result, self.compose('-f', file, 'logs').stdout)
        self.assertEqual(result[0]['value'][1], '1')
        rules = json.loads(get(self.prometheus_port, '/api/v1/rules'))['data']['groups']
        self.assertEqual({group['name'] for group in rules}, {'memcrest-containers', 'memcrest-agents'})
        self.assertIn(f'"{name}"', get(self.port, '/api/v1/incidents?kind=oom'))
        # Compose's own names are labels of theirs.
        info = next(line for line in get(self.port, '/metrics').splitlines()
                    if line.startswith('memcrest_container_info') and 'compose_service="prometheus"' in line)
        self.assertIn('compose_project="memcrest"', info)


class BreakpointsTest(harness.TestCase):
    """What gives the agent CAP_KILL says the same everywhere, and the agent takes it."""

    def variables(self):
        path = os.path.join(DEPLOY, 'kubernetes', 'components', 'breakpoints', 'env.yaml')
        container = yaml.safe_load(read(path))['spec']['template']['spec']['containers'][0]
        return {one['name']: one['value'] for one in container['env']}

    def test_the_agent_takes_them(self):
        done = harness.memcrest('agent', '--check-config', env={**os.environ, **self.variables()})
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_compose_adds_them(self):
        files = [word for name in ('compose', 'breakpoints') for word in ('-f', os.path.join(DEPLOY, 'compose', f'{name}.yml'))]
        told = json.loads(run(peer('docker-compose'), *files, 'config', '--format', 'json').stdout)['services']['memcrest']
        self.assertEqual(told['environment'], self.variables())
        self.assertIn('KILL', told['cap_add'])
        self.assertIn('SYS_PTRACE', told['cap_add'])

    def test_the_drop_in_adds_them(self):
        root = self.scratch()
        units = os.path.join(root, 'etc', 'systemd', 'system')
        os.makedirs(os.path.join(units, 'memcrest.service.d'))
        run('cp', os.path.join(DEPLOY, 'systemd', 'memcrest.service'), units)

        def may_kill():
            told = run('systemd-analyze', 'security', '--offline=true', f'--root={root}', '--json=short', 'memcrest.service',
                       check=False).stdout
            found = [one for one in json.loads(told) if one['json_field'] == 'CapabilityBoundingSet_CAP_KILL']
            self.assertEqual(len(found), 1, told)
            return not found[0]['set']
        self.assertFalse(may_kill())
        drop_in = os.path.join(DEPLOY, 'systemd', 'breakpoints.conf')
        run('cp', drop_in, os.path.join(units, 'memcrest.service.d'))
        self.assertTrue(may_kill())
        said = dict(re.findall(r'^Environment=(\w+)=(.*)$', read(drop_in), re.M))
        self.assertEqual({name: value.replace('%%', '%') for name, value in said.items()}, self.variables())


class ChartTest(harness.TestCase):
    """The chart, with values that say the same, is what kustomize makes of the manifests."""

    @classmethod
    def setUpClass(cls):
        go = sorted(glob.glob('/usr/lib/go-1.*/bin/go'))
        cls.renderer = os.path.join(PEERS['work'], 'helm_template')
        run(go[0], 'build', '-o', cls.renderer, os.path.join(SOURCE, 'tests', 'peers', 'helm_template.go'), timeout=600,
            env={'PATH': os.environ['PATH'], 'HOME': PEERS['work'], 'GO111MODULE': 'off', 'GOPROXY': 'off',
                 'GOPATH': '/usr/share/gocode', 'GOCACHE': os.path.join(PEERS['work'], 'gocache')})

    def helm(self, namespace='memcrest', check=True, **values):
        done = run(self.renderer, os.path.join(DEPLOY, 'helm', 'memcrest'), namespace, json.dumps(values), check=check)
        return list(yaml.safe_load_all(done.stdout)) if check else done

    def plain(self, values):
        """By kind; without what only one of the two has: the namespace, and how a new configuration restarts pods."""
        out = {}
        for value in values:
            if value['kind'] == 'Namespace':
                continue
            if value['kind'] == 'ConfigMap':
                value['metadata']['name'] = 'memcrest-agent'
                value['data'] = {key: text.strip() for key, text in value['data'].items()}
            if value['kind'] == 'DaemonSet':
                template = value['spec']['template']
                template['metadata']['annotations'].pop('checksum/config', None)
                for volume in template['spec']['volumes']:
                    if volume['name'] == 'config':
                        volume['configMap']['name'] = 'memcrest-agent'
                container = template['spec']['containers'][0]
                for key in ('env', 'volumeMounts'):
                    container[key].sort(key=lambda one: one['name'])
                template['spec']['volumes'].sort(key=lambda one: one['name'])
            self.assertNotIn(value['kind'], out)
            out[value['kind']] = value
        return out

    def kustomize(self, path):
        return list(yaml.safe_load_all(run(peer('kubectl'), 'kustomize', path).stdout))

    def test_chart_and_manifests_are_the_same(self):
        kubernetes = os.path.join(DEPLOY, 'kubernetes')
        for overlay, values in (('base', {}), ('overlays/privileged', {'privileged': True}),
                                ('overlays/breakpoints', {'breakpoints': {'enabled': True}}),
                                ('overlays/podmonitor', {'network': {'enabled': True}, 'podMonitor': {'enabled': True}})):
            with self.subTest(overlay):
                self.assertEqual(self.plain(self.helm(**values)), self.plain(self.kustomize(f'{kubernetes}/{overlay}')))

    def test_the_image_is_the_one_that_is_built(self):
        pod = self.plain(self.helm())['DaemonSet']['spec']['template']['spec']
        self.assertEqual(pod['containers'][0]['image'], PEERS['image'])

    def test_values_arrive(self):
        rendered = self.plain(self.helm(namespace='other', image={'tag': 'x'}, config='listen = "127.0.0.1:1"\n',
                                        env=[{'name': 'A', 'value': 'b'}], priorityClass={'create': False, 'name': 'own'}))
        self.assertNotIn('PriorityClass', rendered)
        pod = rendered['DaemonSet']['spec']['template']['spec']
        self.assertEqual((pod['priorityClassName'], pod['containers'][0]['image']), ('own', 'memcrest:x'))
        self.assertIn({'name': 'A', 'value': 'b'}, pod['containers'][0]['env'])
        self.assertEqual(rendered['ConfigMap']['data']['agent.toml'], 'listen = "127.0.0.1:1"')
        self.assertEqual(rendered['ClusterRoleBinding']['subjects'][0]['namespace'], 'other')
        refused = self.helm(check=False, podMonitor={'enabled': True})
        self.assertIn('needs network.enabled', refused.stderr)

    def test_breakpoints_are_a_capability_and_two_options(self):
        plain = self.plain(self.helm())['DaemonSet']['spec']['template']['spec']['containers'][0]
        asked = self.plain(self.helm(breakpoints={'enabled': True, 'at': '1Gi', 'allow': ['smaps', 'signal:USR2']}))
        asked = asked['DaemonSet']['spec']['template']['spec']['containers'][0]

        def caps(container):
            return container['securityContext']['capabilities']['add']
        self.assertEqual(caps(asked), [*caps(plain), 'KILL'])
        self.assertEqual([one for one in asked['env'] if one not in plain['env']],
                         [{'name': 'MEMCREST_BREAK_ALLOW', 'value': 'smaps,signal:USR2'},
                          {'name': 'MEMCREST_BREAK_AT', 'value': '1Gi'}])

    def test_the_configuration_is_right(self):
        path = os.path.join(DEPLOY, 'kubernetes', 'base', 'agent.toml')
        self.assertEqual(harness.memcrest('agent', '--check-config', '--config', path).returncode, 0)


if __name__ == '__main__':
    harness.main()
