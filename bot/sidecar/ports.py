"""A run's ports, seen from outside its network: for each a unix socket for the bot, and perhaps a port of the host.

The connection is a pair of pipes with a fixed buffer: when one side does not read, the other is not read from.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bot.backends.openings import listen
from bot.sidecar.connections import QUEUE, Connections, Handler, close

FOLDER = "ports"

CONNECTIONS = 64
"""Connections to one port at a time; a browser keeps six."""

IDLE = 600.0
"""Seconds of silence in both directions after which a connection is closed."""

_CHUNK = 1 << 16
_CONNECT = 5.0
_LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class Door:
    """A listening socket, and the run's port behind it."""

    listener: socket.socket
    port: int


def open_doors(
    pairs: Sequence[tuple[int, int]], with_host_ports: bool, listeners: Sequence[tuple[int, int]] = ()
) -> tuple[list[Door], dict[int, int]]:
    """Listen for every pair of (host, container) ports below the working directory. Raises OSError.

    The second value says at which port of the host each of the run's is reached. With `with_host_ports` the run shares
    the host's network: where both ports are the same one, the run itself will listen there. Where it does not, the
    `listeners` (container port, descriptor) are in the host's network already.
    """
    Path(FOLDER).mkdir(mode=0o700, exist_ok=True)
    doors = [Door(_unix(port), port) for port in dict.fromkeys(port for _, port in pairs)]
    opened = {}
    for port, descriptor in listeners:
        listener = socket.socket(fileno=descriptor)
        opened[port] = listener.getsockname()[1]
        doors.append(Door(listener, port))
    for host, port in pairs if with_host_ports else ():
        opened[port] = host
        if host != port:
            listener = listen(host)
            opened[port] = listener.getsockname()[1]
            doors.append(Door(listener, port))
    return doors, opened


def serve(door: Door, idle: float = IDLE) -> Connections:
    """Return the connections of a door, each to be forwarded."""
    return Connections(door.listener, CONNECTIONS, _CHUNK, _forwarding(door.port, idle))


def bind_unix(path: str, kind: socket.SocketKind) -> socket.socket:
    """Return a socket at a path of its own, for its owner alone. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()
    made = socket.socket(socket.AF_UNIX, kind)
    before = os.umask(0o177)
    try:
        made.bind(path)
    finally:
        os.umask(before)
    return made


def _unix(port: int) -> socket.socket:
    # By a relative path: absolute ones may be longer than the 107 bytes that an address holds.
    listener = bind_unix(f"{FOLDER}/{port}.sock", socket.SOCK_STREAM)
    listener.listen(QUEUE)
    return listener


def _forwarding(port: int, idle: float) -> Handler:
    return partial(_forward, port=port, idle=idle)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, idle: float) -> None:
    async with asyncio.timeout(_CONNECT):
        their_reader, their_writer = await asyncio.open_connection(_LOCAL, port, limit=_CHUNK)
    try:
        async with asyncio.timeout(idle) as silence:
            await asyncio.gather(
                _pass_on(reader, their_writer, silence, idle), _pass_on(their_reader, writer, silence, idle)
            )
            await close(their_writer)
            await close(writer)
    finally:
        their_writer.transport.abort()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silence: asyncio.Timeout, idle: float
) -> None:
    """Pass on all that comes, then the end; the other direction may go on."""
    loop = asyncio.get_running_loop()
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
        silence.reschedule(loop.time() + idle)
    writer.write_eof()
