# SPDX-License-Identifier: Apache-2.0
"""The agent: a real OOM in metrics, API and stream; what it keeps over a kill; clients that hang; reloads; two of them."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

import harness
from harness import MEMCREST, MIB, docker, memcrest, wait_until

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker


class Agent:
    """`memcrest agent` for the life of a with statement."""

    def __init__(self, directory, *options, env=None, before=()):
        self.before = before
        self.options = ['--directory', directory, '--listen', '127.0.0.1:0', '--docker-socket', docker.socket,
                        *map(str, options)]
        self.env = env
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen([*self.before, MEMCREST, 'agent', *self.options], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self.env)
        self.err = harness.Lines(self.process.stderr)
        wait_until(lambda: self.says('(port ') or self.process.poll() is not None)
        line = self.says('(port ')
        if not line:
            self.__exit__()
            raise AssertionError(f'no banner: {self.err.text()}')
        self.port = int(line.split('(port ')[1].split(')')[0])
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.err.finish()

    def says(self, text):
        return next((line.decode() for _, line in list(self.err.items) if text in line.decode()), None)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(harness.PATIENCE)
        self.err.finish()
        return code

    def get(self, path, headers=None, timeout=20):
        with contextlib.closing(http.client.HTTPConnection('127.0.0.1', self.port, timeout=timeout)) as connection:
            connection.request('GET', path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers

    def incidents(self):
        return json.loads(self.get('/api/v1/incidents?limit=1000')[1])['incidents']

    def sample(self, name, *labels):
        """The value of the only sample with all of these in its line."""
        lines = [line for line in self.get('/metrics')[1].splitlines()
                 if line.startswith((name + '{', name + ' ')) and all(label in line for label in labels)]
        return float(lines[0].rsplit(' ', 1)[1]) if len(lines) == 1 else None


def oom_of(test):
    container, name, code = docker.run_to_end('sh', '-c', 'sleep 1; exec hog anon 128m')
    test.remove_later(container)
    test.assertEqual(code, 137)
    return container, name


class AgentTest(harness.TestCase):
    def oom(self):
        return oom_of(self)

    def test_an_oom_is_in_metrics_api_stream_and_after_a_kill(self):
        directory = self.scratch()
        with Agent(directory) as agent:
            self.assertEqual(agent.get('/readyz')[0], 200)
            events = []

            def listen():
                connection = http.client.HTTPConnection('127.0.0.1', agent.port, timeout=60)
                connection.request('GET', '/api/v1/events')
                with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                    for line in connection.getresponse():
                        events.append(line.decode())

            threading.Thread(target=listen, daemon=True).start()
            self.assertTrue(wait_until(lambda: events))
            container, name = self.oom()
            label = f'container_id="{container}"'
            self.assertTrue(wait_until(lambda: agent.sample('memcrest_oom_kills_total', label, 'scope="memcg"')))
            self.assertTrue(wait_until(lambda: any(i['container']['id'] == container for i in agent.incidents())))
            oom = next(i for i in agent.incidents() if i['container']['id'] == container and i['kind'] == 'oom')
            self.assertEqual(agent.sample('memcrest_oom_kills_total', label, f'container="{name}"'), 1)
            # gone since, and its peak still there, to the page
            peak = agent.sample('memcrest_container_memory_peak_bytes', label)
            self.assertGreater(peak, 63 * MIB)
            self.assertLessEqual(peak, 64 * MIB)
            self.assertTrue(wait_until(lambda: any(e.startswith('data: ') and container in e for e in events)))
            _, text, headers = agent.get('/metrics', {'Accept': 'application/openmetrics-text'})
            self.assertIn('application/openmetrics-text', headers['Content-Type'])
            self.assertIn(f'# {{incident_id="{oom["id"]}"}} 1', text)
            harness.validate(agent.get(f'/api/v1/incidents/{oom["id"]}')[1])
            for form, mark in (('html', '<html'), ('markdown', name)):
                status, body, _ = agent.get(f'/api/v1/incidents/{oom["id"]}?format={form}')
                self.assertEqual(status, 200)
                self.assertIn(mark, body)
            self.assertEqual(agent.get('/api/v1/incidents/none')[0], 404)
            agent.process.kill()
            agent.process.wait()
        with Agent(directory) as agent:
            self.assertIn(oom['id'], [i['id'] for i in agent.incidents()])
            self.assertEqual(agent.stop(), 0, agent.err.text())

    def test_past_its_budget_the_flight_recorder_keeps_less(self):
        with Agent(self.scratch(), '--memory-budget', '1m', '--flight-memory', '512k', '--step', '64k') as agent:
            self.assertEqual(agent.sample('memcrest_memory_budget_bytes'), MIB)
            self.assertGreater(agent.sample('memcrest_own_memory_bytes'), MIB)
            self.assertTrue(wait_until(lambda: agent.sample('memcrest_flight_memory_bytes') == MIB // 4, timeout=60))
            self.assertTrue(wait_until(lambda: agent.says('nothing that could give way'), timeout=60))
            self.assertTrue(agent.says('the flight recorder keeps 256 KiB from now on'))
            container, _ = self.oom()
            mine = lambda: [i for i in agent.incidents() if i['container']['id'] == container and i['kind'] == 'oom']
            self.assertTrue(wait_until(mine))
            incident = mine()[0]
            self.assertFalse(incident['evidence']['complete'])
            self.assertIn('its flight recorder kept 256 KiB instead of 512 KiB', incident['evidence']['gaps'][-1])

    def test_answers_before_it_is_ready(self):
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        agent = Agent(self.scratch(), '--listen', f'127.0.0.1:{port}')
        agent.port = port
        seen, wrong = [], []

        def ask():
            while 200 not in seen and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    status, text, _ = agent.get('/readyz')
                    seen.append(status)
                    if status == 503:
                        if 'hooks' not in text:
                            wrong.append(text)
                        alive, metrics = agent.get('/healthz')[0], agent.get('/metrics')[1]
                        # It may have become ready meanwhile.
                        if agent.get('/readyz')[0] == 503 and (alive != 200 or 'memcrest_ready 0' not in metrics):
                            wrong.append((alive, metrics))
                time.sleep(0.002)

        deadline = time.monotonic() + 30
        asker = threading.Thread(target=ask)
        asker.start()
        with agent:
            asker.join()
            self.assertEqual(({503, 200}, []), (set(seen), wrong))
            self.assertIn('memcrest_ready 1', agent.get('/metrics')[1])

    def test_other_peoples_parsers(self):
        try:
            from prometheus_client.openmetrics import parser  # pylint: disable=import-outside-toplevel
        except ImportError:
            self.skipTest('no python3-prometheus-client')
        with Agent(self.scratch()) as agent:
            self.oom()
            self.assertTrue(wait_until(lambda: 'memcrest_oom_kills_total{' in agent.get('/metrics')[1]))
            text = agent.get('/metrics', {'Accept': 'application/openmetrics-text'})[1]
            families = {family.name: family for family in parser.text_string_to_metric_families(text)}
            self.assertTrue(any(sample.exemplar for sample in families['memcrest_oom_kills'].samples))
            try:
                checked = subprocess.run(['promtool', 'check', 'metrics'], input=agent.get('/metrics')[1], text=True,
                                         capture_output=True, timeout=60, check=False)
            except FileNotFoundError:
                self.skipTest('no promtool')
            self.assertEqual((checked.returncode, checked.stderr), (0, ''), checked.stdout)

    def test_clients_that_hang_and_a_thousand_of_them(self):
        with Agent(self.scratch()) as agent, contextlib.ExitStack() as stack:
            for _ in range(1000):
                client = stack.enter_context(socket.create_connection(('127.0.0.1', agent.port), timeout=5))
                client.sendall(b'GET /met')
            begin = time.monotonic()
            self.assertEqual(agent.get('/healthz')[0], 200)
            self.assertLess(time.monotonic() - begin, 20)
            self.assertEqual(agent.stop(), 0)

    def test_reload_tells_what_it_can(self):
        directory = self.scratch()
        config = os.path.join(directory, 'agent.toml')
        token = os.path.join(directory, 'token')

        def write(path, text):
            with open(path, 'w', encoding='utf-8') as file:
                file.write(text)

        write(token, 'a-token-of-some-length\n')
        write(config, f'token-file = "{token}"\n')
        with Agent(directory, '--config', config) as agent:
            self.assertEqual(agent.get('/metrics')[0], 401)
            self.assertEqual(agent.get('/healthz')[0], 200)
            self.assertEqual(agent.get('/metrics', {'Authorization': 'Bearer a-token-of-some-length'})[0], 200)
            write(token, 'another-token-of-some-length\n')
            write(config, f'token-file = "{token}"\nkeep-series = "2h"\nburst-window = "2s"\n')
            agent.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_until(lambda: agent.says('reloaded')), agent.err.text())
            self.assertTrue(agent.says('reload: keep-series has changed'))
            self.assertTrue(agent.says('reload: burst-window takes effect at the next start only'))
            self.assertEqual(agent.get('/metrics', {'Authorization': 'Bearer a-token-of-some-length'})[0], 401)
            self.assertEqual(agent.get('/metrics', {'Authorization': 'Bearer another-token-of-some-length'})[0], 200)
            write(config, 'keep-serie = "2h"\n')
            agent.process.send_signal(signal.SIGHUP)
            self.assertTrue(wait_until(lambda: agent.says('is keep-series meant?')), agent.err.text())
            for _ in range(100):
                agent.process.send_signal(signal.SIGHUP)
            self.assertEqual(agent.get('/healthz')[0], 200)
            self.assertEqual(agent.stop(), 0)

    def test_two_agents_on_one_host(self):
        with Agent(self.scratch()) as one, Agent(self.scratch()) as two:
            container, _ = self.oom()
            for agent in (one, two):
                self.assertTrue(wait_until(lambda a=agent: any(i['container']['id'] == container
                                                               for i in a.incidents())))
        directory = self.scratch()
        with Agent(directory):
            second = memcrest('agent', '--directory', directory, '--listen', '127.0.0.1:0', timeout=60)
            self.assertEqual(second.returncode, 1)
            self.assertIn('another', second.stderr)

    def test_keeps_few_capabilities(self):
        with Agent(self.scratch(), '--no-user-podman') as agent:
            for task in os.listdir(f'/proc/{agent.process.pid}/task'):
                try:
                    status = harness.read(f'/proc/{agent.process.pid}/task/{task}/status')
                except (FileNotFoundError, ProcessLookupError):
                    continue  # a thread that has ended since
                held = int(next(line for line in status.splitlines() if line.startswith('CapEff')).split()[1], 16)
                self.assertEqual(held & (1 << 21 | 1 << 1 | 1 << 7 | 1 << 12), 0, status)  # admin, override, setuid, net
                self.assertIn('NoNewPrivs:\t1', status)


    def seccomp(self, agent):
        """(mode, number of filters) of each of its threads."""
        out = set()
        for task in os.listdir(f'/proc/{agent.process.pid}/task'):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                status = dict(line.split(':\t', 1)
                              for line in harness.read(f'/proc/{agent.process.pid}/task/{task}/status').splitlines())
                out.add((int(status['Seccomp']), int(status.get('Seccomp_filters', 0))))
        return out

    def test_every_thread_is_filtered_and_nothing_it_does_is_refused(self):
        with Agent(self.scratch(), '--no-seccomp') as agent:
            (mode, filters), = self.seccomp(agent)
        log = os.path.join(self.scratch(), 'calls')
        # -D: the agent itself is our child. Calls that fail with EPERM, by threads that have a filter.
        traced = ['strace', '-D', '-f', '-qq', '-o', log, '-e', 'trace=!read,pread64,openat,futex,poll']
        with Agent(self.scratch(), before=traced if shutil.which('strace') else ()) as agent:
            self.assertTrue(wait_until(lambda: self.seccomp(agent) == {(2, filters + 2)}), (mode, self.seccomp(agent)))
            container, _ = self.oom()
            self.assertTrue(wait_until(lambda: any(i['container']['id'] == container for i in agent.incidents())))
            agent.get('/metrics')
            self.assertEqual(agent.stop(), 0, agent.err.text())
            if agent.before:
                lines = harness.read(log).splitlines()
                filtered = max(i for i, line in enumerate(lines) if 'SECCOMP_SET_MODE_FILTER' in line)
                # openat is in the list; /proc/PID/map_files is refused for want of a capability
                refused = [line for line in lines[filtered:] if ' EPERM ' in line and 'openat' not in line]
                self.assertEqual([], refused)


class ConfigTest(unittest.TestCase):
    def check(self, *options, env=None, config=None):
        path = '/nonexistent'
        if config is not None:
            path = os.path.join(self.directory.name, 'agent.toml')
            with open(path, 'w', encoding='utf-8') as file:
                file.write(config)
            options = ('--config', path, *options)
        return memcrest('agent', '--check-config', *options, env={**os.environ, **(env or {})})

    def setUp(self):
        import tempfile  # pylint: disable=import-outside-toplevel
        self.directory = tempfile.TemporaryDirectory(prefix='memcrest-e2e-scratch.')
        self.addCleanup(self.directory.cleanup)

    def test_says_what_is_wrong(self):
        self.assertEqual(self.check(config='listen = "127.0.0.1:1"\n').returncode, 0)
        for config, words in (('lissen = "x"\n', 'is listen meant?'), ('listen = "0.0.0.0:1"\n', 'TLS'),
                              ('keep-series = "soon"\n', 'keep-series'), ('[http]\nlisten = "127.0.0.1:1"\n', '')):
            done = self.check(config=config)
            self.assertEqual(done.returncode, 2, config)
            self.assertIn(words, done.stderr)

    def test_flags_before_environment_before_file(self):
        bad = '0.0.0.0:1'  # is refused, so that the one that counts is seen
        self.assertEqual(self.check('--listen', '127.0.0.1:1', env={'MEMCREST_LISTEN': bad}).returncode, 0)
        self.assertEqual(self.check(env={'MEMCREST_LISTEN': '127.0.0.1:1'}, config=f'listen = "{bad}"\n').returncode, 0)
        self.assertEqual(self.check(env={'MEMCREST_LISTEN': bad}, config='listen = "127.0.0.1:1"\n').returncode, 2)
        self.assertEqual(self.check(env={'MEMCREST_DOCKER_SOCKET': ''}).returncode, 0)


if __name__ == '__main__':
    harness.main()
