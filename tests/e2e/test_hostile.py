# SPDX-License-Identifier: Apache-2.0
"""What others control: names of processes and containers, and what a Docker socket answers."""

import os
import socket
import threading
import time

import harness
from harness import Watch, docker, unique

setUpModule = harness.start_docker
tearDownModule = harness.stop_docker

NAME = r'a\e[2Jb\nc\xffd'
ARGUMENT = r'\e]0;owned\x07 line\nforged: incident\n\xc3\x28\xe2\x80\xae'


class HostileSocket:
    """A unix socket that answers every connection with `serve(connection)`; None: there is no socket."""

    def __init__(self, directory, serve):
        self.path = os.path.join(directory, 'docker.sock')
        self.connections = 0
        self._serve = serve
        self._open = []
        self._stopping = False

    def __enter__(self):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._stopping = True
        self._listener.close()
        for connection in self._open:
            connection.close()

    def _accept(self):
        while not self._stopping:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        try:
            self._serve(connection)
        except OSError:
            pass


def silent(connection):
    connection.recv(65536)
    time.sleep(120)


def slow(connection):
    connection.recv(65536)
    for byte in b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n' + b' ' * 100000:
        connection.send(bytes([byte]))
        time.sleep(0.2)


def garbage(connection):
    connection.recv(65536)
    connection.sendall(os.urandom(4096))
    connection.close()


def hangs_up(connection):
    connection.close()


def huge(connection):
    connection.recv(65536)
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n')
    chunk = b'100000\r\n' + b'[' * 0x100000 + b'\r\n'
    while True:
        connection.sendall(chunk)


def huge_header(connection):
    connection.recv(65536)
    connection.sendall(b'HTTP/1.1 200 OK\r\nX: ')
    while True:
        connection.sendall(b'x' * 65536)


def answers(body, status='200 OK'):
    def serve(connection):
        connection.recv(65536)
        connection.sendall(f'HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n'
                           'Connection: close\r\n\r\n'.encode() + body)
        connection.close()
    return serve


class DockerSocketTest(harness.TestCase):
    """However the socket behaves, the incident comes, in time, with the full id and the reason for the missing name."""

    def check(self, path, expect_name=None):
        started = time.monotonic()
        with Watch('--no-bundles', socket=path) as watch:
            self.assertLess(time.monotonic() - started, 10)
            container, _, code = docker.run_to_end('hog', 'anon', '256m')
            self.remove_later(container)
            self.assertEqual(code, 137)
            ended = time.monotonic()
            incident = watch.wait_for('oom', container)
            self.assertLess(incident['read_at'] - ended, 15)
            self.assertEqual(incident['container']['runtime'], 'docker')
            self.assertEqual(incident['container']['id'], container)
            self.assertEqual(incident['container']['name'], expect_name)
            if expect_name is None:
                self.assertTrue(incident['container']['unknown_reason'])
            stopped = time.monotonic()
            watch.stop()
            self.assertLess(time.monotonic() - stopped, 10)

    def check_server(self, serve, expect_name=None):
        with HostileSocket(self.scratch(), serve) as server:
            self.check(server.path, expect_name)
            self.assertGreater(server.connections, 0)

    def test_absent(self):
        self.check(os.path.join(self.scratch(), 'none.sock'))

    def test_no_socket_but_a_file(self):
        path = os.path.join(self.scratch(), 'file.sock')
        with open(path, 'w', encoding='utf-8'):
            pass
        self.check(path)

    def test_nobody_listens(self):
        path = os.path.join(self.scratch(), 'dead.sock')
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        self.check(path)

    def test_path_that_is_too_long_for_a_socket(self):
        self.check('/tmp/' + 'x' * 300)

    def test_asked_not_to_look(self):
        self.check('')

    def test_silent(self):
        self.check_server(silent)

    def test_slow(self):
        self.check_server(slow)

    def test_garbage(self):
        self.check_server(garbage)

    def test_hangs_up(self):
        self.check_server(hangs_up)

    def test_huge(self):
        self.check_server(huge)

    def test_huge_header(self):
        self.check_server(huge_header)

    def test_deep_json(self):
        self.check_server(answers(b'[' * 200000))

    def test_wrong_types(self):
        self.check_server(answers(b'{"Id": 5, "Name": ["x"], "Config": "no", "State": null}'))

    def test_another_containers_answer(self):
        self.check_server(answers(b'{"Id": "' + b'0' * 64 + b'", "Name": "/other", "Config": {"Image": "i"}}'))

    def test_server_error(self):
        self.check_server(answers(b'{"message": "no"}', '500 Internal Server Error'))

    def test_stays_small(self):
        """A server that never ends its answer must not fill our memory."""
        with HostileSocket(self.scratch(), huge) as server, Watch('--no-bundles', socket=server.path) as watch:
            for _ in range(3):
                container, _, _ = docker.run_to_end('hog', 'anon', '256m')
                self.remove_later(container)
                watch.wait_for('oom', container)
            with open(f'/proc/{watch.process.pid}/status', encoding='utf-8') as status:
                peak = next(int(line.split()[1]) for line in status if line.startswith('VmHWM'))
            self.assertLess(peak, 128 * 1024)


class NamesTest(harness.TestCase):
    def test_json_carries_the_bytes_as_valid_text(self):
        with Watch() as watch:
            container, name, code = docker.run_to_end('hog', 'exec', ARGUMENT, 'name', NAME, 'anon', '256m')
            self.remove_later(container)
            self.assertEqual(code, 137)
            incident = watch.wait_for('oom', container)
            self.assert_named(incident, container, name)
            # The decoder reads strictly as UTF-8 (harness.Lines), and one line is one incident.
            self.assertEqual(incident['victims'][0]['comm'], 'a\x1b[2Jb\nc\ufffdd')
            self.assertIn('owned', incident['victims'][0]['cmdline'])

    def test_text_cannot_be_forged(self):
        with Watch(json_lines=False) as watch:
            container, _, _ = docker.run_to_end('hog', 'exec', ARGUMENT, 'name', NAME, 'anon', '256m')
            self.remove_later(container)
            harness.wait_until(lambda: 'OOM' in watch.out.text())
            watch.settle()
            for text in (watch.out.text(), watch.err.text()):
                self.assertNotIn('\x1b', text)
                self.assertNotIn('\x07', text)
                self.assertNotIn('\u202e', text)
                self.assertFalse([line for line in text.splitlines() if line.startswith('forged')], text)
            self.assertIn(container[:12], watch.out.text())

    def test_labels_that_no_one_should_trust(self):
        labels = ['--label', 'evil=\x1b[2J\nforged: line', '--label', '\u202ereversed=1']
        with Watch() as watch, Watch(json_lines=False) as text:
            container, name, _ = docker.run_to_end('hog', 'anon', '256m', options=labels)
            self.remove_later(container)
            incident = watch.wait_for('oom', container)
            self.assert_named(incident, container, name)
            self.assertEqual(incident['container']['labels']['evil'], '\x1b[2J\nforged: line')
            harness.wait_until(lambda: 'OOM' in text.out.text())
            self.assertNotIn('\x1b', text.out.text())

    def test_a_process_that_calls_itself_like_a_container_path(self):
        with Watch() as watch:
            container, name, _ = docker.run_to_end('hog', 'name', '/docker/' + 'f' * 7, 'anon', '256m',
                                                   name=unique('docker-' + 'f' * 64))
            self.remove_later(container)
            self.assert_named(watch.wait_for('oom', container), container, name)


if __name__ == '__main__':
    harness.main()
