"""A task's log as a page shows it: whole lines that stay, and the unfinished line that may still change."""

from dataclasses import dataclass

from bot.backends.base import Backend, BackendError, LogChunk
from bot.core.text import clean

CHUNK = 65_536
"""Bytes of log that one answer carries at most."""


@dataclass(frozen=True)
class LogPart:
    """A stretch of a log, cleaned of escape sequences. `end` is the byte to ask from next.

    `partial` is the line being written (a progress bar, say): it is shown, and comes again with the next part.
    """

    lines: str
    partial: str
    end: int
    is_complete: bool
    is_cut: bool = False


def read_log(backend: Backend, attempt_id: str, task: str, from_byte: int) -> LogPart | None:
    """Return the log from a byte on, a negative one counted from its end; None when there is none to be had."""
    try:
        chunk = backend.logs(attempt_id, task, from_byte, CHUNK)
    except (BackendError, OSError):
        return None
    return part_of(chunk, is_tail=from_byte < 0)


def part_of(chunk: LogChunk, is_tail: bool = False) -> LogPart:
    """Return `chunk` as lines. A tail that begins inside the log begins with its first whole line.

    Cut at line breaks, so that no character and no escape sequence is torn apart between two answers.
    """
    data, is_cut = chunk.data, is_tail and chunk.start > 0
    if is_cut:
        data = data[data.find(b"\n") + 1 :]
    whole = len(data) if chunk.is_complete else data.rfind(b"\n") + 1
    if whole == 0 and len(chunk.data) >= CHUNK:
        whole = len(data)  # one line longer than an answer: waiting for its end would stop the log for ever
    lines, partial = data[:whole], data[whole:]
    return LogPart(_text(lines), _text(partial), chunk.end - len(partial), chunk.is_complete, is_cut)


def _text(data: bytes) -> str:
    return clean(data.decode(errors="replace"))
