"""Ports of the machine that lead to a run: listened at by its supervisor, before it moves into a network of its own.

A socket stays in the network that it was made in; the sidecar, which lives in the run's, takes its connections there.
"""

import socket
from collections.abc import Iterator, Sequence

from bot.backends.base import Opening

_LOCAL = "127.0.0.1"
_FIRST_FREE = 1024
_QUEUE = 128


def listen_at(openings: Sequence[Opening]) -> Iterator[tuple[int, socket.socket]]:
    """Yield for each the run's port, with a socket at the machine's. Raises OSError when no port is free."""
    for opening in openings:
        yield opening.container, listen(opening.host)


def listen(wanted: int) -> socket.socket:
    """Listen on a port of the loopback: the wanted one, or a free one where that cannot be had. Raises OSError.

    Ports of the system cannot be had even as root: a config must not stand in for one of the machine's services.
    """
    for port in (wanted, 0) if wanted >= _FIRST_FREE else (0,):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_LOCAL, port))
            listener.listen(_QUEUE)
        except OSError:
            listener.close()
            if port == 0:
                raise
        else:
            return listener
    raise AssertionError("unreachable: the free port was returned or its error raised")
