# SPDX-License-Identifier: Apache-2.0
"""Each line of docs/security.md's table of threats, played against a running agent; and the faults it must survive."""

import contextlib
import glob
import html.parser
import http.client
import http.server
import json
import os
import pathlib
import random
import re
import resource
import signal
import socket
import stat
import subprocess
import threading
import time

import harness
from harness import HOG, MEMCREST, MIB, cgroups, docker, memcrest, run, unique, wait_until
from test_agent import Agent, oom_of
from test_hostile import ARGUMENT, NAME
from test_receivers import Receiver

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker

PATHS = ('/metrics', '/api/v1/incidents', '/api/v1/incidents/x', '/api/v1/containers', '/api/v1/events',
         '/api/v1/events?usage=1', '/api/v1/usage', '/api/v1/usage/1',
         '/api/v1/openapi.json', '/', '/nothing')
TOKEN = 'a-token-of-some-length'
RSS_BUDGET = 64 * MIB  # 32 MiB of the design, and what a debug build adds


def resident(pid):
    return int(next(line.split()[1] for line in harness.read(f'/proc/{pid}/status').splitlines()
                    if line.startswith('VmRSS'))) * 1024


def sockets(pid):
    """Of its descriptors: others come and go with cgroups."""
    out = 0
    for one in glob.glob(f'/proc/{pid}/fd/*'):
        with contextlib.suppress(OSError):
            out += os.readlink(one).startswith('socket:')
    return out


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.names = []

    def handle_starttag(self, tag, attrs):
        self.names.append((tag, dict(attrs)))


class ThreatTest(harness.TestCase):
    def still_sees(self, agent):
        container, name = oom_of(self)
        found = wait_until(lambda: [i for i in agent.incidents() if i['container']['id'] == container])
        self.assertTrue(found, agent.err.text())
        return found[0], name


class ContainerTest(ThreatTest):
    def test_names_of_any_bytes(self):
        """Command name, command line, image label: as text in each format, and no line or tag of their own."""
        script = '<script>alert(1)</script><img src=x onerror=alert(1)>"]}\n# EOF\nforged_metric 1\n'
        with Agent(self.scratch()) as agent:
            container, _, code = docker.run_to_end('hog', 'exec', ARGUMENT + script.replace('\n', '\\n'), 'name', NAME,
                                                   'anon', '256m', options=('--label', f'evil={script}'))
            self.remove_later(container)
            self.assertEqual(code, 137)
            found = wait_until(lambda: [i for i in agent.incidents() if i['container']['id'] == container])
            self.assertTrue(found, agent.err.text())
            for kind in ('', 'application/openmetrics-text'):
                lines = agent.get('/metrics', {'Accept': kind})[1].splitlines()
                self.assertFalse([line for line in lines if line.startswith('forged')])
                self.assertEqual([], [line for line in lines if not line.startswith(('#', 'memcrest_', 'process_'))])
            _, page, headers = agent.get(f'/api/v1/incidents/{found[0]["id"]}?format=html')
            tags = Tags()
            tags.feed(page)
            self.assertFalse([tag for tag in tags.names if 'onerror' in tag[1]])
            self.assertNotIn('<script>alert(1)', page)
            self.assertIn("default-src 'none'", headers['Content-Security-Policy'])
            markdown = agent.get(f'/api/v1/incidents/{found[0]["id"]}?format=markdown')[1]
            # but in code, where it is text
            prose = re.sub(r'(`+)(.+?)\1', '', re.sub(r'(?ms)^(```+).*?^\1$', '', markdown))
            self.assertNotIn('<script>', prose)
            self.assertNotIn('\x1b', agent.err.text())

    def test_floods_of_cgroups(self):
        """More containers than get series: the rest is counted, and an OOM among them is told."""
        parent = os.path.dirname(harness.shared_cgroup('x'))
        made = []
        try:
            with Agent(self.scratch(), '--max-containers', '50') as agent:
                for _ in range(2000):
                    path = f'{parent}/{os.urandom(32).hex()}'
                    os.mkdir(cgroups.dir(path))
                    made.append(path)
                text = agent.get('/metrics', timeout=60)[1]
                usage = [line for line in text.splitlines() if line.startswith('memcrest_container_memory_usage_bytes{')]
                self.assertLessEqual(len(usage), 50)
                self.still_sees(agent)
                self.assertLess(resident(agent.process.pid), RSS_BUDGET)
                while made:
                    os.rmdir(cgroups.dir(made.pop()))
                self.still_sees(agent)
                self.assertEqual(agent.stop(), 0, agent.err.text())
        finally:
            for path in made:
                os.rmdir(cgroups.dir(path))

    def test_churn_of_processes_and_races_in_proc(self):
        """Programs that are gone before anybody can look at them; what dies is named all the same."""
        with Agent(self.scratch()) as agent, cgroups.made(f'/{unique()}', 64 * MIB) as path:
            churn = subprocess.Popen(['sh', '-c', f'echo $$ > {cgroups.dir(path)}/cgroup.procs; '
                                      'while :; do /bin/true; /bin/true & wait; done'])
            try:
                time.sleep(1)
                incident, name = self.still_sees(agent)
                self.assertEqual(incident['container']['name'], name)
                self.assertEqual(incident['evidence']['lost_critical'], 0)
            finally:
                churn.kill()
                churn.wait()
            self.assertLess(resident(agent.process.pid), RSS_BUDGET)

    def test_huge_environments(self):
        """2 MiB of environment and arguments: bounded, and no secret of them is shown."""
        secret = 'hunter2-' + os.urandom(8).hex()
        with Agent(self.scratch()) as agent, cgroups.made(f'/{unique()}', 32 * MIB) as path:
            # Names that are read, of which only what is a setting of memory; the rest is more than is read at all.
            env = {'JAVA_TOOL_OPTIONS': f'-Dpassword={secret} -Xmx1g', 'GOMEMLIMIT': secret, 'GOGC': '50',
                   'NODE_OPTIONS': f'--require=/{secret} --max-old-space-size={secret}', 'PATH': os.environ['PATH']}
            env |= {f'V{i}_PASSWORD': secret + 'x' * 100_000 for i in range(10)}
            words = [f'--password={secret}'] + ['y' * 100_000] * 8
            into = f'echo $$ > {cgroups.dir(path)}/cgroup.procs && exec "$0" exec "$@"'
            with subprocess.Popen(['sh', '-c', into, HOG, 'x', 'anon', '64m', *words], env=env,
                                  stderr=subprocess.DEVNULL) as process:
                process.wait(60)

            def environments():
                """Of the victims; of one that dies at once it may be missing."""
                with subprocess.Popen(['sh', '-c', f'echo $$ > {cgroups.dir(path)}/cgroup.procs && exec {HOG} anon 64m'],
                                      env=env) as process:
                    self.assertEqual(process.wait(60), -signal.SIGKILL)
                self.assertTrue(wait_until(lambda: [v for i in agent.incidents() if i['cgroup']['path'] == path
                                                    for v in i['victims'] if v['pid'] == process.pid]))
                return [v['environment'] for i in agent.incidents() if i['cgroup']['path'] == path for v in i['victims']]
            self.assertTrue(wait_until(lambda: [one for one in environments() if one and 'JAVA_TOOL_OPTIONS=-Xmx1g' in one]))
            for shown in ('/api/v1/incidents', '/api/v1/containers', '/metrics'):
                self.assertNotIn(secret, agent.get(shown)[1])
            self.assertLess(resident(agent.process.pid), RSS_BUDGET)


class HostTest(ThreatTest):
    def test_a_page_in_a_browser(self):
        with Agent(self.scratch()) as agent:
            for path in PATHS:
                status, _, headers = agent.get(path, {'Host': 'attacker.example', 'Origin': 'http://attacker.example'})
                self.assertEqual(status, 403, path)
                self.assertNotIn('Access-Control-Allow-Origin', headers)

    def test_a_user_of_the_host_and_a_unix_socket(self):
        directory = self.scratch()
        os.chmod(directory, 0o755)  # so that only the socket's own mode keeps others out
        path = os.path.join(directory, 'agent.sock')
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)  # left behind by an agent that was killed
        agent = subprocess.Popen([MEMCREST, 'agent', '--directory', self.scratch(), '--listen', f'unix:{path}'],
                                 stderr=subprocess.PIPE)
        lines = harness.Lines(agent.stderr)
        try:
            self.assertTrue(wait_until(lambda: 'HTTP on unix:' in lines.text()), lines.text())
            about = os.stat(path)
            self.assertEqual((stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid), (0o660, 0, 0))
            ask = ['curl', '--silent', '--max-time', '5', '--unix-socket', path, 'http://localhost/healthz']
            self.assertEqual(run(*ask).stdout, 'ok\n')
            refused = run('setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', *ask, check=False)
            self.assertEqual((refused.returncode, refused.stdout), (7, ''))
            # who is there already keeps it, and so does a file that is no socket
            second = memcrest('agent', '--directory', self.scratch(), '--listen', f'unix:{path}', timeout=60)
            self.assertEqual(second.returncode, 1)
            self.assertEqual(run(*ask).stdout, 'ok\n')
            agent.terminate()
            self.assertEqual(agent.wait(30), 0)
            self.assertFalse(os.path.exists(path))
            with open(path, 'w', encoding='utf-8') as file:
                file.write('mine')
            third = memcrest('agent', '--directory', self.scratch(), '--listen', f'unix:{path}', timeout=60)
            self.assertEqual((third.returncode, harness.read(path)), (1, 'mine'))
        finally:
            agent.kill()
            agent.wait()
            lines.finish()

    def test_a_directory_made_up_by_others(self):
        """A spool that is no database, one that was cut, one with bytes turned over; and a link."""
        directory = self.scratch()
        spool = os.path.join(directory, 'incidents.spool')
        with Agent(directory) as agent:
            incident, _ = self.still_sees(agent)
            self.assertEqual(agent.stop(), 0)
        with open(spool, 'rb') as file:
            whole = file.read()
        changed = bytearray(whole)
        for _ in range(200):
            changed[random.Random(7).randrange(100, len(changed))] ^= 0xff
        changed[100:4096] = os.urandom(3996)
        for damaged in (b'no database at all' * 1000, whole[:5000], bytes(changed)):
            with open(spool, 'wb') as file:
                file.write(damaged)
            with Agent(directory) as agent:
                self.assertNotIn(incident['id'], [i['id'] for i in agent.incidents()])
                self.assertTrue(agent.says('the spool was damaged'), agent.err.text())
                kept = glob.glob(f'{spool}.damaged-*')
                self.assertIn(damaged, [pathlib.Path(one).read_bytes() for one in kept])
                self.still_sees(agent)
                self.assertEqual(agent.stop(), 0)
            for one in glob.glob(f'{spool}.damaged-*'):
                os.unlink(one)
        target = os.path.join(self.scratch(), 'target')
        for part in glob.glob(f'{spool}*'):
            os.unlink(part)
        os.symlink(target, spool)
        refused = memcrest('agent', '--directory', directory, '--listen', '127.0.0.1:0', timeout=60)
        self.assertEqual(refused.returncode, 1)
        self.assertFalse(os.path.exists(target))


OUTSIDER = '''
import http.client, json, ssl, sys
host, port, token, tls = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] == 'tls'
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
out = {}
for path in sys.argv[5:]:
    try:
        one = (http.client.HTTPSConnection(host, port, timeout=5, context=context) if tls
               else http.client.HTTPConnection(host, port, timeout=5))
        one.request('GET', path, headers={'Authorization': 'Bearer ' + token} if token else {})
        answer = one.getresponse()
        out[path] = [answer.status, answer.read(300).decode() if not path.startswith('/api/v1/events') or answer.status != 200 else '']
    except OSError as error:
        out[path] = [0, type(error).__name__]
print(json.dumps(out))
'''


HANGING = '''
import select, socket, sys
def one():
    out = socket.socket()
    out.setblocking(False)
    out.bind(('192.0.2.2', 0))
    out.connect_ex((sys.argv[1], int(sys.argv[2])))
    return out
poll, clients = select.poll(), {}
def add():
    client = one()
    clients[client.fileno()] = client
    poll.register(client, select.POLLIN)
for _ in range(400):
    add()
import time
time.sleep(1)
print('hanging', flush=True)
while True:
    for fd, _ in poll.poll():
        poll.unregister(fd)
        clients.pop(fd).close()
        add()
    time.sleep(0.01)
'''


class NetworkTest(ThreatTest):
    """The agent and an outsider, each in a network namespace of its own, with a cable between them."""

    def setUp(self):
        super().setUp()
        self.names = [unique('mca'), unique('mcb')]
        for name in self.names:
            run('ip', 'netns', 'add', name)
            self.addCleanup(run, 'ip', 'netns', 'del', name, check=False)
        run('ip', 'link', 'add', 'cable', 'netns', self.names[0], 'type', 'veth', 'peer', 'name', 'cable', 'netns',
            self.names[1])
        for index, name in enumerate(self.names, 1):
            run('ip', '-n', name, 'addr', 'add', f'192.0.2.{index}/24', 'dev', 'cable')
            run('ip', '-n', name, 'link', 'set', 'cable', 'up')
            run('ip', '-n', name, 'link', 'set', 'lo', 'up')
        self.inside = [['nsenter', f'--net=/run/netns/{name}'] for name in self.names]

    def ask(self, who, host, port, token='', tls='tls', paths=PATHS):
        return json.loads(run(*self.inside[who], '/usr/bin/python3', '-c', OUTSIDER, host, port, token, tls,
                              *paths).stdout)

    def test_the_loopback_is_nobody_elses(self):
        with Agent(self.scratch(), before=self.inside[0]) as agent:
            self.assertEqual(self.ask(0, '127.0.0.1', agent.port, tls='', paths=['/healthz'])['/healthz'], [200, 'ok\n'])
            self.assertEqual({tuple(one) for one in self.ask(1, '192.0.2.1', agent.port, tls='').values()},
                             {(0, 'ConnectionRefusedError')})

    def test_beyond_the_host_without_the_token(self):
        directory = self.scratch()
        files = {name: os.path.join(directory, name) for name in ('cert', 'key', 'token')}
        run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1',
            '-subj', '/CN=agent', '-keyout', files['key'], '-out', files['cert'])
        with open(files['token'], 'w', encoding='utf-8') as file:
            file.write(TOKEN + '\n')
        tls = ['--tls-certificate', files['cert'], '--tls-key', files['key']]
        listen = ['--listen', '192.0.2.1:0']
        for less in ([], tls, ['--token-file', files['token']]):
            refused = memcrest('agent', '--check-config', *listen, *less)
            self.assertEqual(refused.returncode, 2, less)
        with Agent(self.scratch(), *listen, *tls, '--token-file', files['token'], before=self.inside[0]) as agent:
            for token in ('', TOKEN[:-1], TOKEN + 'x', 'x' * 10000):
                # The page itself holds nothing, and asks for the token.
                for page in ('/', '/live.js', '/live.css'):
                    self.assertIn(self.ask(1, '192.0.2.1', agent.port, token, paths=[page])[page][0], (200, 431))
                answers = self.ask(1, '192.0.2.1', agent.port, token, paths=[path for path in PATHS if path != '/'])
                self.assertEqual({status for status, _ in answers.values()} - {431}, {401}, answers)
                self.assertFalse([text for _, text in answers.values() if 'memcrest_' in text or 'incidents' in text])
            self.assertEqual(self.ask(1, '192.0.2.1', agent.port, TOKEN)['/metrics'][0], 200)
            self.assertEqual(self.ask(1, '192.0.2.1', agent.port, TOKEN)['/api/v1/events'][0], 200)
            # what probes may ask tells nothing; without TLS nobody is answered
            self.assertEqual(self.ask(1, '192.0.2.1', agent.port, paths=['/healthz', '/readyz']),
                             {'/healthz': [200, 'ok\n'], '/readyz': [200, 'ready\n']})
            self.assertEqual({status for status, _ in self.ask(1, '192.0.2.1', agent.port, TOKEN, tls='').values()}, {0})
            old = run(*self.inside[1], 'openssl', 's_client', '-connect', f'192.0.2.1:{agent.port}', '-tls1_1',
                      '-cipher', 'DEFAULT@SECLEVEL=0', stdin=subprocess.DEVNULL, check=False)
            self.assertNotEqual(old.returncode, 0, old.stdout)

    def test_an_outsider_that_hangs_keeps_no_other_out(self):
        """As many connections as one address may have, opened again as they are ended: another one is answered."""
        directory = self.scratch()
        files = {name: os.path.join(directory, name) for name in ('cert', 'key', 'token')}
        run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1',
            '-subj', '/CN=agent', '-keyout', files['key'], '-out', files['cert'])
        with open(files['token'], 'w', encoding='utf-8') as file:
            file.write(TOKEN + '\n')
        run('ip', '-n', self.names[1], 'addr', 'add', '192.0.2.3/24', 'dev', 'cable')
        with Agent(self.scratch(), '--listen', '192.0.2.1:0', '--tls-certificate', files['cert'], '--tls-key',
                   files['key'], '--token-file', files['token'], before=self.inside[0]) as agent:
            with subprocess.Popen([*self.inside[1], '/usr/bin/python3', '-c', HANGING, '192.0.2.1', str(agent.port)],
                                  stdout=subprocess.PIPE) as hanging:
                try:
                    self.assertEqual(hanging.stdout.readline(), b'hanging\n')
                    ask = [*self.inside[1], 'curl', '--silent', '--insecure', '--interface', '192.0.2.3', '--max-time', '10',
                           f'https://192.0.2.1:{agent.port}/healthz']
                    for _ in range(5):
                        self.assertEqual(run(*ask, check=False).stdout, 'ok\n')
                finally:
                    hanging.kill()

    def test_hanging_handshakes_lock_nobody_out_for_long(self):
        directory = self.scratch()
        files = {name: os.path.join(directory, name) for name in ('cert', 'key')}
        run('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1',
            '-subj', '/CN=agent', '-keyout', files['key'], '-out', files['cert'])
        with Agent(self.scratch(), '--tls-certificate', files['cert'], '--tls-key', files['key']) as agent, \
                contextlib.ExitStack() as stack:
            for _ in range(300):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(('127.0.0.1', agent.port))
            ask = ['curl', '--silent', '--insecure', '--max-time', '10', f'https://127.0.0.1:{agent.port}/healthz']
            self.assertTrue(wait_until(lambda: run(*ask, check=False).stdout == 'ok\n', timeout=60))


class LoadTest(ThreatTest):
    def test_ten_thousand_connections(self):
        """They wait at the door or are in and hang: incidents go on, and when they leave all is as before."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 12000:
            self.skipTest('not enough descriptors for the clients')
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        directory = self.scratch()
        with Agent(directory, '--webhook-url', 'http://127.0.0.1:9/') as agent:
            before = sockets(agent.process.pid)
            clients = []
            try:
                for _ in range(10000):
                    client = socket.socket()
                    client.setblocking(False)
                    client.connect_ex(('127.0.0.1', agent.port))
                    clients.append(client)
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.send(b'GET /api/v1/inc')
                container, _ = oom_of(self)
                self.assertLess(sockets(agent.process.pid), before + 1024 + 16)
                self.assertLess(resident(agent.process.pid), RSS_BUDGET)
            finally:
                for client in clients:
                    client.close()
            self.assertTrue(wait_until(lambda: self.answers(agent), timeout=60))
            self.assertTrue(wait_until(lambda: any(i['container']['id'] == container for i in agent.incidents())))
            self.assertTrue(wait_until(lambda: sockets(agent.process.pid) <= before + 2, timeout=60))
            self.assertEqual(agent.stop(), 0, agent.err.text())

    @staticmethod
    def answers(agent):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return agent.get('/healthz', timeout=5)[0] == 200
        return False

    def test_a_receiver_that_hangs_or_never_ends(self):
        def endless(connection):
            connection.recv(65536)
            connection.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
            while True:
                connection.sendall(b'10000\r\n' + b'x' * 0x10000 + b'\r\n')

        def silent(connection):
            connection.recv(65536)
            time.sleep(60)

        for serve in (endless, silent):
            with self.subTest(serve=serve.__name__), socket.create_server(('127.0.0.1', 0)) as listener:
                def accept(to=listener, how=serve):
                    with contextlib.suppress(OSError):
                        while True:
                            one = to.accept()[0]
                            threading.Thread(target=contextlib.suppress(OSError)(how), args=(one,), daemon=True).start()
                threading.Thread(target=accept, daemon=True).start()
                directory = self.scratch()
                with Agent(directory, '--webhook-url', f'http://127.0.0.1:{listener.getsockname()[1]}/') as agent:
                    incident, name = self.still_sees(agent)
                    self.still_sees(agent)
                    self.assertLess(resident(agent.process.pid), RSS_BUDGET)
                    begin = time.monotonic()
                    self.assertEqual(agent.stop(), 0, agent.err.text())
                    self.assertLess(time.monotonic() - begin, 25)
                with Receiver() as receiver, Agent(directory, '--webhook-url', receiver.url) as agent:
                    self.assertTrue(wait_until(lambda: any(name in body.decode() for body in receiver.bodies('/'))),
                                    (incident['id'], receiver.requests))

    def test_a_storm_of_sighup(self):
        with Agent(self.scratch()) as agent:
            stop = threading.Event()

            def storm():
                while not stop.is_set():
                    agent.process.send_signal(signal.SIGHUP)
                    time.sleep(0.001)
            thread = threading.Thread(target=storm)
            thread.start()
            try:
                incident, name = self.still_sees(agent)
                self.assertEqual(incident['container']['name'], name)
                self.assertEqual(incident['evidence']['lost_critical'], 0)
                begin = time.monotonic()
                self.assertEqual(agent.get('/metrics')[0], 200)
                self.assertLess(time.monotonic() - begin, 5)
            finally:
                stop.set()
                thread.join()
            self.assertLess(resident(agent.process.pid), RSS_BUDGET)
            self.assertEqual(agent.stop(), 0, agent.err.text())

    def test_killed_at_any_moment(self):
        """kill -9 while OOMs come: the next one starts, its spool is whole, and what was seen over HTTP is there."""
        directory = self.scratch()
        dice = random.Random(int(os.environ.get('MEMCREST_SEED', '1')))
        told = set()
        for _ in range(int(os.environ.get('MEMCREST_KILLS', '5'))):
            with Agent(directory) as agent, cgroups.made(f'/{unique()}', 16 * MIB) as path:
                self.assertLessEqual(told, {i['id'] for i in agent.incidents()})
                self.assertIsNone(agent.says('damaged'))
                with subprocess.Popen(['sh', '-c', f'while :; do (echo $(exec sh -c \'echo $PPID\') > '
                                       f'{cgroups.dir(path)}/cgroup.procs; exec {HOG} anon 32m); done'],
                                      stderr=subprocess.DEVNULL, start_new_session=True) as ooms:
                    try:
                        end = time.monotonic() + 0.3 + dice.random() * 2
                        while time.monotonic() < end:
                            told |= {i['id'] for i in agent.incidents()}
                            time.sleep(0.01)
                        agent.process.kill()
                        agent.process.wait()
                    finally:
                        os.killpg(ooms.pid, signal.SIGKILL)
        self.assertGreater(len(told), 3)
        with Agent(directory) as agent:
            listed = {i['id'] for i in json.loads(agent.get('/api/v1/incidents?limit=1000')[1])['incidents']}
            self.assertLessEqual(told, listed)


if __name__ == '__main__':
    harness.main()
