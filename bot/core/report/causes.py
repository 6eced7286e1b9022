"""Why an experiment failed, in a few words: from what ended it, its exit code, and the end of its log.

Three tables say what is known by name; every other exception speaks for itself. Words in backticks are quoted from
elsewhere (see `renderer.sentence`). All of it is untrusted.
"""

from typing import Any

import re2

from bot.core.text import clean
from bot.core.text import name as one_line
from bot.core.traceback import exception_name, is_signal, last_traceback, why

LINES = 24
"""How much of a traceback is shown. Its beginning and its end tell most."""

LAST_LINES = 8
LONGEST, LONGEST_ROW = 160, 1_000
"""Characters of a cause (a title has 250, and says where it was, too), and of a row that is looked at."""

_EXITS = {
    126: "the command could not be executed (is the file executable?)",
    127: "a command was not found",
    130: "interrupted (SIGINT)",
    132: "illegal instruction (SIGILL): a library was built for another processor",
    134: "aborted (SIGABRT)",
    135: "bus error (SIGBUS): often too little shared memory",
    137: "killed (SIGKILL): most often because memory ran out",
    139: "segmentation fault (SIGSEGV)",
    143: "asked to stop (SIGTERM)",
}

_Table = tuple[tuple[str, str], ...]
"""Patterns, and the words for what they find: `{name}` is the pattern's group of that name. The first that fits counts.
RE2 runs them: its time is linear in what a stranger printed."""

_LIMITS: _Table = (
    # What a supervisor says when it ends a task, or finds that the kernel did: `bot.backends.limits`.
    (r"^out of memory: killed by the kernel.* the (?P<mb>\d[\d,]*) MB of `.*`$", "memory limit {mb}"),
    (r"^[\d,]+ MB of memory used, more than the (?P<mb>\d[\d,]*) MB of `.*`$", "memory limit {mb}"),
    (r"^[\d,]+ MB written, more than the (?P<mb>\d[\d,]*) MB of `.*`$", "disk limit {mb}"),
    (r"^more than the (?P<count>\d[\d,]*) processes and threads of `.*`$", "limit of {count} processes and threads"),
    (r"^the disk of this machine is full$", "the disk of the machine is full"),
)

_EXCEPTIONS: _Table = (
    # The row of a traceback that names the exception.
    (r"CUDA out of memory|CUDA error: out of memory|CUDA_ERROR_OUT_OF_MEMORY", "CUDA out of memory"),
    (r"\[Errno 28\]|No space left on device", "no space left on device"),
    (
        r"(?:ResourceExhaustedError|RESOURCE_EXHAUSTED)\b.*(?:OOM|[Oo]ut of memory|allocat)",
        "out of memory (TensorFlow)",
    ),
    (r"^(?:[\w.]+\.)?(?:_Array)?MemoryError\b", "out of memory (Python)"),
    (r"DefaultCPUAllocator: (?:can't|not enough)|std::bad_alloc", "out of memory (C++)"),
    (r"^(?:ModuleNotFound|Import)Error: No module named '?(?P<name>[^']+)", "no module named `{name}`"),
    (r"killed by signal: Bus error", "too little shared memory (bus error)"),
    (r"DataLoader worker .* is killed by signal: (?P<name>[\w ]+)", "a DataLoader worker was killed ({name})"),
    (r"NCCL error|\bnccl\w+Error\b", "NCCL error"),
    (r"Found no NVIDIA driver|no CUDA-capable device|not compiled with CUDA enabled", "no GPU that CUDA can use"),
    (r"(?i)\bloss\b(?: value)? (?:is|was|became|=) ?nan\b", "the loss is NaN"),
    (r"^FileNotFoundError: .*: '(?P<name>[^']+)'$", "no such file: `{name}`"),
    (r"^PermissionError: .*: '(?P<name>[^']+)'$", "permission denied: `{name}`"),
    (r"Read-only file system: '(?P<name>[^']+)'$", "read-only file system: `{name}`"),
    (r"^KeyboardInterrupt\b", "interrupted (KeyboardInterrupt)"),
    (r"^AssertionError$", "an assertion failed"),
    (r"^AssertionError: (?P<words>.+)$", "an assertion failed: `{words}`"),
    (r"^(?:[\w.]+\.)?JSONDecodeError: (?P<words>.+)$", "malformed JSON: {words}"),
    (r"^yaml\.(?:[\w.]+\.)?\w+Error: (?P<words>.+)$", "malformed YAML: {words}"),
    (r"^Fatal Python error: Segmentation fault$", "segmentation fault"),
    (r"^Fatal Python error: (?P<words>.+)$", "fatal Python error: {words}"),
)

_LAST_ROWS: _Table = (
    # The last row of a log that has no traceback: what a shell, or Python itself, says.
    (r"can't open file '(?P<name>[^']+)': \[Errno 2\]", "no such file: `{name}`"),
    (r"^/\S*python[\d.]*: No module named (?P<name>\S+)$", "no module named `{name}`"),
    (r"^\S+: (?:line )?\d+: (?P<name>.+): (?:command )?not found$", "command not found: `{name}`"),
    (r"^\S+: (?:line )?\d+: (?P<name>.+): Permission denied$", "permission denied: `{name}`"),
)


def _compiled(table: _Table) -> tuple[tuple[Any, str], ...]:
    return tuple((re2.compile(pattern), words) for pattern, words in table)


_OF_LIMITS, _OF_EXCEPTIONS, _OF_LAST_ROWS = map(_compiled, (_LIMITS, _EXCEPTIONS, _LAST_ROWS))


def limit(reason: str) -> str:
    """Return the limit for which a task was ended, given its supervisor's sentence; empty where it was not."""
    return _look_up(_OF_LIMITS, reason)


def known(exception: str) -> str:
    """Return what a row that names an exception means, in words of ours; empty where it speaks for itself."""
    return _look_up(_OF_EXCEPTIONS, exception)


def cause(exit_code: int | None, log_tail: str, exception: str = "") -> str:
    """Return why a command failed, in a few words; empty where nobody can tell.

    `exception` is the row that names it, where somebody has found it already.
    """
    exception = exception or next((one.exception for one in why(exit_code, log_tail)), "")
    if exception:
        return known(exception) or _quoted(exception)
    words = "" if is_signal(exit_code) else _look_up(_OF_LAST_ROWS, _last_row(log_tail))
    return words or exit_meaning(exit_code)


def exit_meaning(exit_code: int | None) -> str:
    """Return what an exit code usually means, empty where it says nothing. `128 + n` stands for signal n."""
    return "" if exit_code is None else _EXITS.get(exit_code, "")


def annotation_title(exception: str) -> str:
    """Return what an annotation is called: what is known of the exception, else the exception's own name."""
    words = known(exception).replace("`", "")
    return words[:1].upper() + words[1:] or exception_name(exception) or "It failed here"


def last_words(log_tail: str) -> str:
    """Return the traceback at the end of the log, else its last lines, else nothing.

    A launcher's prefix before every line (`[rank0]: `) is taken off.
    """
    found = last_traceback(log_tail)
    if found is not None:
        return "\n".join(_shortened([*found.rows]))
    rows = clean(log_tail).rstrip().split("\n")
    return "\n".join([row for row in rows if row.strip()][-LAST_LINES:])


def _look_up(table: tuple[tuple[Any, str], ...], row: str) -> str:
    row = one_line(row[:LONGEST_ROW])
    for pattern, words in table:
        if (found := pattern.search(row)) is not None:
            return _cut(words.format(**{name: _shown(name, text) for name, text in found.groupdict().items()}))
    return ""


def _shown(name: str, text: str) -> str:
    if name == "mb":
        return _memory(int(text.replace(",", "")))
    return text.strip().replace("`", "'")


def _memory(megabytes: int) -> str:
    """Return `512 MB`, `4 GB`, `1.5 GB`: a limit as people set it."""
    return f"{megabytes} MB" if megabytes < 1024 else f"{megabytes / 1024:.1f}".removesuffix(".0") + " GB"


def _quoted(row: str) -> str:
    bare = one_line(row[:LONGEST_ROW]).replace("`", "'")
    return _cut(f"`{bare}`")


def _cut(words: str) -> str:
    """Return words cut to a title's measure; what was quoted stays so."""
    if len(words) <= LONGEST:
        return words
    cut = words[: LONGEST - 2].rstrip() + "…"
    return f"{cut}`" if cut.count("`") % 2 else cut


def _last_row(log_tail: str) -> str:
    return next((row for row in reversed(clean(log_tail).split("\n")) if row.strip()), "").strip()


def _shortened(rows: list[str]) -> list[str]:
    if len(rows) <= LINES:
        return rows
    half = LINES // 2
    return [*rows[: half - 1], "  …", *rows[-half:]]
