# SPDX-License-Identifier: Apache-2.0
"""A client of the Container Runtime Interface: what the kubelet does with a container, a test can do too."""

import os
import subprocess
import sys
import tempfile

import grpc

from harness import SOURCE


def _messages():
    """tests/support/cri.proto, compiled on the spot."""
    support = os.path.join(SOURCE, 'tests', 'support')
    with tempfile.TemporaryDirectory(prefix='memcrest-cri.') as directory:
        subprocess.run(['protoc', f'--proto_path={support}', f'--python_out={directory}', 'cri.proto'], check=True)
        sys.path.insert(0, directory)
        try:
            import cri_pb2  # pylint: disable=import-error,import-outside-toplevel
        finally:
            sys.path.remove(directory)
    return cri_pb2


class Cri:
    """Calls the runtime service at a unix socket. Errors of the runtime are grpc.RpcError."""

    def __init__(self, socket):
        self.messages = _messages()
        self._methods = self.messages.DESCRIPTOR.services_by_name['RuntimeService'].methods_by_name
        self._channel = grpc.insecure_channel(f'unix:{socket}')

    def ready(self):
        """Does the runtime answer? While its daemon comes back, connections break for a moment."""
        try:
            return bool(self.call('Version', timeout=5).runtime_name)
        except grpc.RpcError:
            return False

    def close(self):
        self._channel.close()

    def call(self, method, timeout=60, **fields):
        """cri.call('StartContainer', container_id=...): the answer's message."""
        described = self._methods[method]
        request = getattr(self.messages, described.input_type.name)(**fields)
        answer = getattr(self.messages, described.output_type.name)
        # wait_for_ready: the daemon may just be coming back.
        return self._channel.unary_unary(f'/{described.containing_service.full_name}/{method}',
                                         request_serializer=lambda message: message.SerializeToString(),
                                         response_deserializer=answer.FromString)(request, timeout=timeout,
                                                                                  wait_for_ready=True)
