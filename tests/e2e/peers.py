# SPDX-License-Identifier: Apache-2.0
"""Other people's programs that read what memcrest exports: Perfetto's trace processor, pprof, flamegraph.pl, sqlite3,
OTLP's own protobuf classes. Each fails loudly on what it cannot read."""

import glob
import importlib
import json
import os
import subprocess
import sys
import tempfile

from harness import SOURCE, run

FLAMEGRAPH = '/usr/share/perl5/Devel/NYTProf/flamegraph.pl'


class Peers:
    def __init__(self):
        self.directory = None
        self._otlp = None

    def fetch(self):
        """For setUpModule."""
        self.directory = run(os.path.join(SOURCE, 'scripts', 'peers'), timeout=600).stdout.strip()

    def trace(self, path, *queries):
        """Rows of each query, from Perfetto's trace processor."""
        script = os.path.join(SOURCE, 'tests', 'peers', 'trace_processor.mjs')
        done = run('node', script, self.directory, path, input=json.dumps(queries), timeout=300)
        return json.loads(done.stdout)

    @staticmethod
    def pprof(path, *options):
        go = next(iter(sorted(glob.glob('/usr/lib/go-1.*/bin/go'))), 'go')
        with tempfile.TemporaryDirectory() as home:
            return run(go, 'tool', 'pprof', *options, path,
                       env={**os.environ, 'HOME': home, 'PPROF_TMPDIR': home}).stdout

    @staticmethod
    def flamegraph(path):
        """The SVG; a line that it cannot read is an error."""
        done = run('perl', FLAMEGRAPH, '--countname', 'bytes', path)
        if 'Ignored' in done.stderr:
            raise AssertionError(done.stderr)
        return done.stdout

    @staticmethod
    def imported(path, query):
        """Rows of a query over a CSV file that sqlite3's own importer read."""
        done = run('sqlite3', ':memory:', '-cmd', '.bail on', '-cmd', '.mode csv', '-cmd', f'.import {path} t',
                   '-cmd', '.mode json', query)
        if done.stderr:
            raise AssertionError(done.stderr)
        return json.loads(done.stdout or '[]')

    def otlp(self, line):
        """One line as the protobuf message that it is; strict, so an unknown or ill-typed field is an error."""
        from google.protobuf import json_format  # pylint: disable=import-outside-toplevel
        logs, metrics, _ = self._otlp_classes()
        message = logs() if line.startswith('{"resourceLogs"') else metrics()
        return json_format.Parse(line, message)

    def otlp_request(self, path, body):
        """The request that a receiver got; unknown fields are an error."""
        from google.protobuf.unknown_fields import UnknownFieldSet  # pylint: disable=import-outside-toplevel

        def check(message):
            if len(UnknownFieldSet(message)):
                raise AssertionError(f'unknown fields in {message.DESCRIPTOR.full_name}')
            for field, value in message.ListFields():
                if field.message_type:
                    for one in value if field.label == field.LABEL_REPEATED else [value]:
                        check(one)
        logs, metrics, traces = self._otlp_classes()
        message = {'/v1/logs': logs, '/v1/metrics': metrics, '/v1/traces': traces}[path]()
        message.ParseFromString(body)
        check(message)
        return message

    def _otlp_classes(self):
        if self._otlp is None:
            protos = os.path.join(self.directory, 'node_modules', '@elastic', 'mockotlpserver')
            out = tempfile.mkdtemp(prefix='memcrest-e2e-otlp.')
            files = glob.glob(os.path.join(protos, 'opentelemetry', 'proto', '**', '*.proto'), recursive=True)
            run('protoc', f'--proto_path={protos}', f'--python_out={out}', *files)
            sys.path.insert(0, out)
            service = 'opentelemetry.proto.collector.{0}.v1.{0}_service_pb2'
            self._otlp = (importlib.import_module(service.format('logs')).ExportLogsServiceRequest,
                          importlib.import_module(service.format('metrics')).ExportMetricsServiceRequest,
                          importlib.import_module(service.format('trace')).ExportTraceServiceRequest)
            subprocess.run(['rm', '-rf', out], check=True)
        return self._otlp


peers = Peers()
