"""Users' regular expressions: what `only:` and `ignore:` of a config mean.

RE2 runs them: its time is linear in the text, so no pattern can hold up the bot (`(a+)+$` takes Python's own
`re` seconds on 26 letters, twice as long for each letter more).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import re2

MAX_PATTERN_BYTES = 256
MAX_PATTERNS = 50
MAX_SUBJECT_BYTES = 1024


class PatternError(ValueError):
    """A pattern that cannot be used. The text says what is wrong, for the person who wrote it."""


def _options() -> Any:
    options = re2.Options()
    options.max_mem = 1 << 20
    options.never_capture = True
    # A file name may contain a newline: `.*` must still mean "everything", or `ignore: docs/.*` has a hole.
    options.dot_nl = True
    options.log_errors = False
    return options


def compile_pattern(pattern: str) -> Any:
    """Return the compiled pattern. Raises PatternError. RE2 keeps the last 128, so that asking again is cheap."""
    if len(pattern.encode("utf-8", "replace")) > MAX_PATTERN_BYTES:
        raise PatternError(f"longer than {MAX_PATTERN_BYTES} bytes")
    try:
        return re2.compile(pattern, _options())
    except (re2.error, UnicodeEncodeError) as error:
        raise PatternError(_reason(error)) from None


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "not valid text"
    reason = error.args[0] if error.args else "not a regular expression"
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


@dataclass(frozen=True)
class Filter:
    """`only` (at least one must match) or `ignore` (none may match); neither selects everything.

    A pattern must match the **whole** name: `main` is not `maintenance`, and `v.*` is not `dev`. Raises PatternError
    when made with something that could not be evaluated, so that a filter that exists always gives an answer.
    """

    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.only and self.ignore:
            raise PatternError("`only` and `ignore` exclude each other")
        if len(self.only) + len(self.ignore) > MAX_PATTERNS:
            raise PatternError(f"more than {MAX_PATTERNS} patterns")
        for pattern in self.only + self.ignore:
            compile_pattern(pattern)

    def selects(self, text: str) -> bool:
        """Tell whether a branch, tag or path is selected. Only its first 1,024 bytes are looked at."""
        # Cut at a character: RE2's `.` would not match half of one.
        cut = text.encode("utf-8", "replace")[:MAX_SUBJECT_BYTES].decode("utf-8", "ignore")
        if self.only:
            return _matches_any(self.only, cut)
        return not _matches_any(self.ignore, cut)

    def selects_any(self, texts: Iterable[str]) -> bool:
        """Tell whether at least one of the texts is selected: what `paths` asks of a change's files."""
        return any(self.selects(text) for text in texts)


def _matches_any(patterns: Iterable[str], text: str) -> bool:
    return any(compile_pattern(pattern).fullmatch(text) is not None for pattern in patterns)
