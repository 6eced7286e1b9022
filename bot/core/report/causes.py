"""Why a command failed, read from the end of its log and from its exit code."""

import re

from bot.core.text import clean

LINES = 24
"""How much of a traceback is shown. Its beginning and its end tell most."""

LAST_LINES = 8

_HEADER = re.compile(r"^(?P<prefix>.*?)Traceback \(most recent call last\):\s*$")

_EXITS = {
    126: "the command could not be executed (is the file executable?)",
    127: "a command was not found",
    130: "interrupted (SIGINT)",
    132: "an illegal instruction (SIGILL): a library was built for another processor",
    134: "it aborted (SIGABRT)",
    135: "a bus error (SIGBUS): often too little shared memory",
    137: "it was killed (SIGKILL): most often because memory ran out",
    139: "a segmentation fault (SIGSEGV)",
    143: "it was asked to stop (SIGTERM)",
}


def exit_meaning(exit_code: int | None) -> str:
    """Return what an exit code usually means, empty where it says nothing. `128 + n` stands for signal n."""
    return "" if exit_code is None else _EXITS.get(exit_code, "")


def last_words(log_tail: str) -> str:
    """Return the last traceback in the log, else its last lines, else nothing.

    A launcher's prefix before every line (`[rank0]: `) is taken off.
    """
    rows = clean(log_tail).rstrip().split("\n")
    for index in range(len(rows) - 1, -1, -1):
        if header := _HEADER.match(rows[index]):
            return "\n".join(_shortened(_traceback(rows[index:], header["prefix"])))
    return "\n".join([row for row in rows if row.strip()][-LAST_LINES:])


def _traceback(rows: list[str], prefix: str) -> list[str]:
    """Return the rows of the traceback that begins at the first: up to the exception and what is indented below it."""
    taken = [rows[0].removeprefix(prefix)]
    has_ended = False
    for row in rows[1:]:
        bare = row.removeprefix(prefix)
        is_indented = bare[:1].isspace()
        if has_ended and not is_indented:
            break
        has_ended = has_ended or not is_indented
        taken.append(bare)
    return taken


def _shortened(rows: list[str]) -> list[str]:
    if len(rows) <= LINES:
        return rows
    half = LINES // 2
    return [*rows[: half - 1], "  …", *rows[-half:]]


def exception_line(log_tail: str) -> str:
    """Return the line that names the exception of the last traceback, empty when there is none."""
    rows = last_words(log_tail).split("\n")
    if not _HEADER.match(rows[0]):
        return ""
    return next((row for row in rows[1:] if row and not row[0].isspace()), "")
