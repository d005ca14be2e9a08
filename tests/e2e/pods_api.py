# SPDX-License-Identifier: Apache-2.0
"""The pods of one node, listed and watched over TLS as a Kubernetes API server tells them.

It answers what memcrest may ask, and refuses all else: a wrong path, method, selector or token is a failed look-up.
"""

import contextlib
import http.server
import json
import os
import queue
import ssl
import threading
import urllib.parse

from harness import run

NODE = 'node-a'


class Ca:
    """A certificate authority in a directory: ca.crt, and certificates for one address each."""

    def __init__(self, directory):
        self.directory = directory
        self.file = os.path.join(directory, 'ca.crt')
        self._openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
                      '-subj', '/CN=memcrest test', '-keyout', 'ca.key', '-out', 'ca.crt')

    def certificate(self, address):
        """A file with key and certificate of a server at this address."""
        name = f'server-{address}'
        with open(os.path.join(self.directory, 'san'), 'w', encoding='utf-8') as file:
            file.write(f'subjectAltName=IP:{address}\n')
        self._openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj',
                      '/CN=kube-apiserver', '-keyout', f'{name}.key', '-out', f'{name}.csr')
        self._openssl('x509', '-req', '-in', f'{name}.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial',
                      '-days', '2', '-extfile', 'san', '-out', f'{name}.crt')
        both = os.path.join(self.directory, f'{name}.pem')
        with open(both, 'w', encoding='utf-8') as out:
            for part in ('key', 'crt'):
                with open(os.path.join(self.directory, f'{name}.{part}'), encoding='utf-8') as file:
                    out.write(file.read())
        return both

    def _openssl(self, *arguments):
        run('openssl', *arguments, cwd=self.directory)


class PodsApi:
    """The server, with its pods and the one token that it takes. Thread per connection."""

    def __init__(self, certificate, token):
        self.token = token
        self.forbidden = False  # everything is refused, as RBAC does
        self.asked = []  # (path with query, Authorization) of each request, in order
        self._certificate = certificate
        self._lock = threading.Lock()
        self._pods = {}
        self._version = 100
        self._watches = []
        self._server = None
        self._port = 0
        self.start()

    @property
    def url(self):
        return f'https://127.0.0.1:{self._port}'

    def start(self):
        self._server = _Server(('127.0.0.1', self._port), self)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate)
        self._server.tls = context
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={'poll_interval': 0.05}, daemon=True).start()

    def stop(self):
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            self.end_watches()

    @contextlib.contextmanager
    def stopped(self):
        """The server is away for the life of a with statement, and comes back at the same port."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def put(self, pod):
        """The pod is there from now on, or has changed."""
        with self._lock:
            kind = 'MODIFIED' if pod['metadata']['uid'] in self._pods else 'ADDED'
            self._version += 1
            pod['metadata']['resourceVersion'] = str(self._version)
            self._pods[pod['metadata']['uid']] = pod
            for watch in self._watches:
                watch.put({'type': kind, 'object': pod})

    def end_watches(self):
        """As when their time is over: memcrest asks anew."""
        with self._lock:
            for watch in self._watches:
                watch.put(None)

    def watching(self):
        with self._lock:
            return len(self._watches)

    def count(self, authorization=None):
        """How many requests there were, with this Authorization."""
        return sum(authorization in (None, one) for _, one in self.asked)

    def list(self):
        with self._lock:
            return {'kind': 'PodList', 'apiVersion': 'v1', 'metadata': {'resourceVersion': str(self._version)},
                    'items': list(self._pods.values())}

    @contextlib.contextmanager
    def watch_from(self, version):
        """A queue of the events after `version`; None is its end."""
        events = queue.Queue()
        with self._lock:
            for pod in self._pods.values():
                if int(pod['metadata']['resourceVersion']) > version:
                    events.put({'type': 'MODIFIED', 'object': pod})
            self._watches.append(events)
        try:
            yield events
        finally:
            with self._lock:
                self._watches.remove(events)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    tls = None

    def __init__(self, address, api):
        self.api = api
        super().__init__(address, _Handler)

    def finish_request(self, request, client_address):
        # Here, in the connection's own thread: one that does not shake hands holds nobody else up.
        request.settimeout(10)
        with self.tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request, client_address):
        pass  # a peer that does not trust us, or has gone, is part of the tests


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # pylint: disable=invalid-name
        api = self.server.api
        authorization = self.headers.get('Authorization')
        api.asked.append((self.path, authorization))
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if authorization != f'Bearer {api.token}':
            self._refuse(401, 'Unauthorized')
        elif api.forbidden:
            self._refuse(403, 'pods is forbidden: User "system:serviceaccount:memcrest:memcrest" cannot list resource '
                              '"pods" in API group "" at the cluster scope')
        elif url.path != '/api/v1/pods' or query.get('fieldSelector') != f'spec.nodeName={NODE}':
            self._refuse(404, f'not what a node may ask for: {self.path}')
        elif 'watch' in query:
            self._watch(int(query['resourceVersion']))
        else:
            self._answer(200, api.list())

    def _watch(self, version):
        with self.server.api.watch_from(version) as events:
            self.send_response(200)
            self.send_header('Content-Type', 'application/json')
            self.end_headers()
            while (event := events.get()) is not None:
                self.wfile.write(json.dumps(event).encode() + b'\n')

    def _refuse(self, code, message):
        self._answer(code, {'kind': 'Status', 'apiVersion': 'v1', 'status': 'Failure', 'message': message, 'code': code})

    def _answer(self, code, value):
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass
