# SPDX-License-Identifier: Apache-2.0
"""What the agent sends: OTLP decoded by OTLP's own classes, webhooks by their signature, over failures and restarts."""

import contextlib
import gzip
import hashlib
import hmac
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading

import harness
from harness import wait_until
from peers import peers
from pods_api import Ca
from test_agent import Agent, oom_of

SECRET = 'the-secret-of-this-test'


def setUpModule():
    harness.start_docker()
    peers.fetch()


tearDownModule = harness.stop_docker


class Receiver:
    """An HTTP server that keeps what it is sent, and answers as it is told."""

    def __init__(self, answers=(), port=0, certificate=None, client_ca=None):
        self.requests = []
        answers = list(answers)
        requests = self.requests

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers['Content-Length']))
                code = answers.pop(0) if answers else 200
                requests.append((self.path, dict(self.headers), body, code))
                self.send_response(code)
                self.send_header('Content-Length', '0')
                self.end_headers()

            def log_message(self, *_):
                pass
        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
        self.port = self.server.server_port
        self.url = f'http://127.0.0.1:{self.port}'
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
            self.url = f'https://127.0.0.1:{self.port}'

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def bodies(self, path, code=200):
        return [gzip.decompress(body) if headers.get('Content-Encoding') == 'gzip' else body
                for at, headers, body, answer in list(self.requests) if at == path and answer == code]


def attributes(of):
    return {one.key: one.value.string_value or one.value.int_value for one in of}


class ReceiversTest(harness.TestCase):
    def logs(self, receiver):
        """(attributes of the resource, log record) of each record that was taken."""
        out = []
        for body in receiver.bodies('/v1/logs'):
            for resource in peers.otlp_request('/v1/logs', body).resource_logs:
                out += [(attributes(resource.resource.attributes), record)
                        for scope in resource.scope_logs for record in scope.log_records]
        return out

    def test_otlp_over_failures_and_with_its_own_classes(self):
        headers = os.path.join(self.scratch(), 'headers')
        with open(headers, 'w', encoding='utf-8') as file:
            file.write('X-Tenant: night\n')
        with Receiver(answers=[503, 500]) as receiver, \
                Agent(self.scratch(), '--otlp-endpoint', receiver.url, '--otlp-headers-file', headers,
                      '--otlp-metrics-interval', '2s') as agent:
            container, name = oom_of(self)
            mine = wait_until(lambda: [(r, log) for r, log in self.logs(receiver) if r.get('container.id') == container])
            self.assertTrue(mine, agent.err.text())
            resource, record = mine[0]
            self.assertEqual(resource['container.name'], name)
            self.assertIn('host.name', resource)
            self.assertTrue(record.time_unix_nano)
            self.assertTrue(record.body.WhichOneof('value'))
            taken = [dict(h) for _, h, _, _ in receiver.requests]
            self.assertTrue(all(h.get('X-Tenant') == 'night' for h in taken), taken)
            self.assertTrue(all(h.get('Content-Type') == 'application/x-protobuf' for h in taken), taken)

            def measured():
                names = set()
                for body in receiver.bodies('/v1/metrics'):
                    for one in peers.otlp_request('/v1/metrics', body).resource_metrics:
                        names |= {metric.name for scope in one.scope_metrics for metric in scope.metrics}
                return names
            self.assertTrue(wait_until(measured), agent.err.text())
            self.assertEqual(agent.stop(), 0, agent.err.text())

    def test_spans_to_a_receiver_that_asks_for_a_certificate(self):
        ca = Ca(self.scratch())
        own = ca.certificate('127.0.0.2')  # key and certificate in one file
        tls = ('--otlp-ca', ca.file, '--otlp-cert', own, '--otlp-key', own)
        with Receiver(certificate=ca.certificate('127.0.0.1'), client_ca=ca.file) as receiver:
            with Agent(self.scratch(), '--otlp-endpoint', receiver.url, '--otlp-ca', ca.file, '--no-otlp-metrics') as agent:
                oom_of(self)
                self.assertTrue(wait_until(lambda: agent.sample('memcrest_export_failures_total', 'target="otlp"')), agent.err.text())
            self.assertEqual(receiver.requests, [], 'nobody without a certificate is heard')
            with Agent(self.scratch(), '--otlp-endpoint', receiver.url, *tls, '--otlp-spans', '--no-otlp-metrics') as agent:
                container, name = oom_of(self)

                def spans():
                    return [(attributes(resource.resource.attributes), span) for body in receiver.bodies('/v1/traces')
                            for resource in peers.otlp_request('/v1/traces', body).resource_spans
                            for scope in resource.scope_spans for span in scope.spans]
                mine = wait_until(lambda: [(r, s) for r, s in spans() if r.get('container.id') == container])
                self.assertTrue(mine, agent.err.text())
                (resource, span), = mine
                incident = next(i for i in agent.incidents() if i['container']['id'] == container)
                self.assertEqual((resource['container.name'], span.name), (name, 'memory OOM'))
                self.assertEqual((len(span.trace_id), len(span.span_id), span.parent_span_id), (16, 8, b''))
                self.assertTrue(any(span.trace_id) and any(span.span_id), 'all zeros are no id')
                self.assertEqual(span.status.code, span.status.STATUS_CODE_ERROR)
                if incident['burst']:
                    milliseconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
                    self.assertGreaterEqual(milliseconds, incident['burst']['duration_ms'] - 1)
                logs = wait_until(lambda: [log for r, log in self.logs(receiver) if r.get('container.id') == container and
                                           log.span_id])
                self.assertTrue(logs, 'its log record names the span')
                self.assertEqual((logs[0].trace_id, logs[0].span_id), (span.trace_id, span.span_id))
                self.assertEqual(agent.stop(), 0, agent.err.text())

    def test_what_a_receiver_missed_is_sent_after_a_restart(self):
        directory = self.scratch()
        with Receiver() as gone:
            port = gone.port
        with Agent(directory, '--otlp-endpoint', f'http://127.0.0.1:{port}', '--no-otlp-metrics',
                   '--no-otlp-compression') as agent:
            container, _ = oom_of(self)
            self.assertTrue(wait_until(lambda: any(i['container']['id'] == container for i in agent.incidents())))
            self.assertEqual(agent.stop(), 0, agent.err.text())
        with Receiver(port=port) as receiver, \
                Agent(directory, '--otlp-endpoint', receiver.url, '--no-otlp-metrics', '--no-otlp-compression') as agent:
            self.assertTrue(wait_until(lambda: any(r.get('container.id') == container for r, _ in self.logs(receiver))),
                            agent.err.text())

    def test_webhooks(self):
        """One agent for each form, and one kill."""
        def alerts(told, name):
            return any(name in one['labels'].values() and one['labels']['alertname'] and one['startsAt'] for one in told)
        forms = {'json': lambda told, name: name in json.dumps(told), 'slack': lambda told, name: name in told['text'],
                 'alertmanager': alerts}
        secret = os.path.join(self.scratch(), 'secret')
        with open(secret, 'w', encoding='utf-8') as file:
            file.write(SECRET + '\n')
        with contextlib.ExitStack() as stack:
            receivers = {}
            for form in forms:
                receivers[form] = stack.enter_context(Receiver(answers=[500]))
                stack.enter_context(Agent(self.scratch(), '--webhook-url', receivers[form].url + '/hook?room=1',
                                          '--webhook-format', form, '--webhook-secret-file', secret))
            _, name = oom_of(self)
            for form, is_told in forms.items():
                with self.subTest(form=form):
                    requests = receivers[form].requests
                    self.assertTrue(wait_until(lambda: any(is_told(json.loads(body), name)
                                                           for body in receivers[form].bodies('/hook?room=1'))), requests)
                    for _, headers, body, _ in requests:
                        signed = headers['X-Memcrest-Timestamp'].encode() + b'.' + body
                        self.assertEqual(headers['X-Memcrest-Signature'],
                                         'v1=' + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest())

    def test_host_log(self):
        # A listener in the place of the daemon, for this agent alone: its mount namespace is its own.
        listener = os.path.join(self.scratch(), 'log')
        received = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.bind(listener)
            log.settimeout(60)
            mounted = ['unshare', '--mount', 'sh', '-c',
                       'touch /dev/log 2>/dev/null; mount --bind "$0" /dev/log && exec "$@"', listener]
            there = os.path.lexists('/dev/log')
            try:
                with Agent(self.scratch(), '--host-log', 'syslog', before=mounted) as agent:
                    _, name = oom_of(self)
                    while not any(name in line for line in received):
                        received.append(log.recv(65536).decode())
                    self.assertEqual(agent.stop(), 0, agent.err.text())
            finally:
                if not there and os.path.exists('/dev/log'):
                    os.unlink('/dev/log')
        line = next(line for line in received if name in line)
        self.assertRegex(line, r'^<\d+>')
        self.assertNotIn('\n', line.rstrip('\n'))

    def test_the_journal_itself(self):
        """systemd's own journald, in a mount namespace of its own, and read back by journalctl."""
        journald = '/lib/systemd/systemd-journald'
        setup = ('for d in systemd log; do mkdir -p /run/$d && mount -t tmpfs none /run/$d; done; '
                 'mkdir -p /run/systemd/journal /run/log/journal; exec ' + journald)
        process = subprocess.Popen(['unshare', '--mount', 'sh', '-ec', setup], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        inside = ['nsenter', '--mount', '--target', str(process.pid)]

        def entries(name):
            done = subprocess.run([*inside, 'journalctl', '--directory', '/run/log/journal', '--output', 'json', '--all',
                                   'SYSLOG_IDENTIFIER=memcrest'], capture_output=True, text=True, check=False, timeout=60)
            return [entry for entry in map(json.loads, done.stdout.splitlines()) if name in entry['MESSAGE']]
        try:
            socket_there = ['test', '-S', '/run/systemd/journal/socket']
            self.assertTrue(wait_until(lambda: subprocess.run([*inside, *socket_there], check=False).returncode == 0))
            with Agent(self.scratch(), '--host-log', 'journald', before=inside) as agent:
                container, name = oom_of(self)
                found = wait_until(lambda: entries(name))
                self.assertTrue(found, agent.err.text())
                self.assertEqual(agent.stop(), 0, agent.err.text())
        finally:
            process.terminate()
            process.communicate(timeout=harness.PATIENCE)
        entry = found[0]
        self.assertEqual((entry['MEMCREST_CONTAINER_ID'], entry['MEMCREST_CONTAINER'], entry['MEMCREST_KIND'], entry['PRIORITY']),
                         (container, name, 'oom', '3'))
        harness.validate(entry['MEMCREST_JSON'] + '\n')
        self.assertEqual(json.loads(entry['MEMCREST_JSON'])['id'], entry['MEMCREST_INCIDENT_ID'])
