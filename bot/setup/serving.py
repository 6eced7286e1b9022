"""The pages' server: a port of 127.0.0.1, as long as they are wanted. It writes no log: their addresses are secret."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

HERE = "127.0.0.1"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass

    def version_string(self) -> str:
        return "experiment-ci"


def listen(port: int) -> socket.socket:
    """Return a socket that listens on a port of this machine alone; 0 takes a free one. Raises OSError."""
    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HERE, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


@contextmanager
def serving(web: Flask, listener: socket.socket) -> Iterator[None]:
    """Answer what comes to `listener`; what is being answered at the end is answered still."""
    port = listener.getsockname()[1]
    server = ThreadedWSGIServer(HERE, port, web, handler=_Quiet, fd=listener.fileno())
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="setup-pages", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
