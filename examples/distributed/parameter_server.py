"""A parameter server and its client, over gRPC. A message is a vector of 32-bit floats, byte for byte.

gRPC's generic handlers take bytes as they are: no .proto file, no generated code.
"""

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np

_SERVICE = "ParameterServer"
_PATIENCE = 60.0
"""Seconds that a call may take: tasks start at the same time, and a server may be the last to be ready."""


class ParameterServer:
    """Holds one slice of the parameters and applies gradients in the order in which they come."""

    def __init__(self, parameters: np.ndarray, learning_rate: float) -> None:
        self._parameters, self._learning_rate = parameters, learning_rate
        self._updates: Counter[str] = Counter()
        self._lock = threading.Lock()

    def serve(self, address: str) -> None:
        """Serve until the process is ended."""
        methods = {"Pull": self._pull, "Push": self._push, "Updates": self._count}
        handlers = {name: grpc.unary_unary_rpc_method_handler(method) for name, method in methods.items()}
        server = grpc.server(ThreadPoolExecutor(8))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
        server.add_insecure_port(address)
        server.start()
        print(f"serving {self._parameters.size} parameters at {address}")
        server.wait_for_termination()

    def _pull(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        with self._lock:
            return self._parameters.tobytes()

    def _push(self, gradient: bytes, context: grpc.ServicerContext) -> bytes:
        worker = dict(context.invocation_metadata())["worker"]
        with self._lock:
            self._parameters -= self._learning_rate * np.frombuffer(gradient, np.float32)
            self._updates[worker] += 1
        return b""

    def _count(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        with self._lock:
            return json.dumps(self._updates).encode()


class Parameters:
    """All parameters, wherever they lie: each server holds one slice of the vector."""

    def __init__(self, addresses: list[str], worker: str) -> None:
        self._channels = [grpc.insecure_channel(address) for address in addresses]
        self._worker = worker

    def pull(self) -> np.ndarray:
        """Return the parameters as they are now."""
        slices = [self._call(channel, "Pull") for channel in self._channels]
        return np.concatenate([np.frombuffer(part, np.float32) for part in slices])

    def push(self, gradient: np.ndarray) -> None:
        """Let the servers take a step along a gradient."""
        for channel, part in zip(self._channels, np.array_split(gradient, len(self._channels)), strict=True):
            self._call(channel, "Push", part.astype(np.float32).tobytes())

    def updates(self) -> dict[str, int]:
        """Return how many gradients each worker has sent."""
        return json.loads(self._call(self._channels[-1], "Updates"))

    def _call(self, channel: grpc.Channel, method: str, request: bytes = b"") -> bytes:
        call = channel.unary_unary(f"/{_SERVICE}/{method}")
        return call(request, timeout=_PATIENCE, wait_for_ready=True, metadata=(("worker", self._worker),))
