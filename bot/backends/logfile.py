"""A run's log: live, only ever appended to, and never larger than its limit."""

import os
from pathlib import Path

from bot.core.masking import Masker

LIMIT = 64 << 20
"""Bytes of one log. A loop that prints for ever must not fill the disk that everybody's results are on."""
_TAIL = 1 << 20


class LogFile:
    """Keeps the beginning as it comes, and of what is beyond the limit the end: that is where the traceback stands.

    Readers go on by byte offsets, so nothing that was written is ever moved; the end is added by `close`.
    """

    def __init__(self, path: Path, limit: int = LIMIT, masker: Masker | None = None) -> None:
        """`masker` knows the run's secrets: what leaves it is all that is ever written."""
        self._stream = None if masker is None else masker.stream()
        self._tail_limit = min(_TAIL, limit // 4)
        self._room = limit - self._tail_limit
        self._beyond = 0
        self._tail = bytearray()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(path, flags, 0o600)

    def write(self, data: bytes) -> None:
        """Take what the run printed."""
        self._keep(data if self._stream is None else self._stream.feed(data))

    def _keep(self, data: bytes) -> None:
        head = data[: self._room]
        self._room -= len(head)
        self._put(head)
        rest = data[len(head) :]
        self._beyond += len(rest)
        self._tail += rest
        if len(self._tail) > 2 * self._tail_limit:
            del self._tail[: -self._tail_limit]

    def close(self) -> None:
        """Add the end, if there was more than the log holds."""
        if self._stream is not None:
            self._keep(self._stream.flush())
        tail = bytes(self._tail[-self._tail_limit :])
        left_out = self._beyond - len(tail)
        if left_out:
            self._put(f"\n[{left_out} bytes of output were left out here: the log had reached its limit]\n".encode())
        self._put(tail)
        os.close(self._file)

    def _put(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._file, data) :]
