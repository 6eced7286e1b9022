"""Connections to a listening socket: so many at a time, the others wait in the kernel's queue."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

QUEUE = 128
"""Connections that the kernel holds for us; the next ones are refused by it."""

_PAUSE = 0.1


class Connections:
    """What comes to one socket. A connection is cut when `handle` returns or raises OSError, TimeoutError, EOFError."""

    def __init__(self, listener: socket.socket, most: int, buffer: int, handle: Handler) -> None:
        """`most` connections at a time, each with at most about twice `buffer` bytes unread."""
        listener.setblocking(False)
        self._listener = listener
        self._slots = asyncio.Semaphore(most)
        self._buffer = buffer
        self._handle = handle
        self._open: set[asyncio.Task[None]] = set()

    async def accept(self) -> None:
        """Take connections until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._slots.acquire()
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError:  # gone again, or no descriptors left
                self._slots.release()
                await asyncio.sleep(_PAUSE)
                continue
            except asyncio.CancelledError:
                self._slots.release()
                raise
            task = asyncio.create_task(self._serve(connection))
            self._open.add(task)
            task.add_done_callback(self._ended)

    async def finish(self, seconds: float) -> None:
        """Let open connections come to their end, that long at most; then end them."""
        if self._open:
            await asyncio.wait(self._open, timeout=seconds)
        for task in self._open:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        self._slots.release()

    async def _serve(self, connection: socket.socket) -> None:
        writer = None
        try:
            reader, writer = await asyncio.open_connection(sock=connection, limit=self._buffer)
            await self._handle(reader, writer)
        except (OSError, TimeoutError, EOFError):
            pass
        finally:
            connection.close() if writer is None else writer.transport.abort()


async def close(writer: asyncio.StreamWriter) -> None:
    """Close, and wait until what was written has gone."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
