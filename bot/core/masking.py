"""Nothing that leaves may carry a secret: logs, reports, names, reasons.

Most positions of a text are passed by one search for the first three bytes that any form can begin with (`_HEAD`);
only where those stand, the forms themselves are matched. A form's expression takes the end of the data for whatever
would have to follow: so the same match says whether a secret stands here, or may only have begun.

The standard library alone: supervisors import this.
"""

import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import product
from typing import Any

from bot.core.spelling import SHORTEST, Element, Form, Spelling, forms

MASK = b"***"
_HEAD = 3


class Masker:
    """Replaces every form of some secrets by `***`; what overlaps becomes one."""

    def __init__(self, values: Iterable[str]) -> None:
        """Raises ValueError for a value of less than four characters, which nobody could mask sensibly."""
        values = set(values)
        if any(len(value.strip()) < SHORTEST for value in values):
            raise ValueError(f"a secret of less than {SHORTEST} characters cannot be masked")
        self._by_head: dict[bytes, list[_Pattern]] = {}
        self._longest = 0
        for form in {form for value in values for form in forms(value)}:
            self._add(_Pattern(form))
        self._heads = _search_for(self._by_head)
        self._beginnings = {head[:size] for head in self._by_head for size in range(1, _HEAD)}

    def _add(self, pattern: "_Pattern") -> None:
        self._longest = max(self._longest, pattern.longest)
        for head in pattern.heads:
            self._by_head.setdefault(head, []).append(pattern)

    @property
    def longest(self) -> int:
        """The bytes of the longest form of any of the secrets; 0 without secrets."""
        return self._longest

    def mask(self, text: str) -> str:
        """Return the text without the secrets."""
        return self.mask_bytes(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def mask_bytes(self, data: bytes) -> bytes:
        """Return the data without the secrets."""
        stream = self.stream()
        return stream.feed(data) + stream.flush()

    def mask_json(self, text: str) -> str:
        """Return a JSON text without the secrets, still JSON: a number that is a secret becomes a string.

        Raises ValueError when it is no JSON and holds a secret.
        """
        if self.mask(text) == text:
            return text
        return json.dumps(self._masked(json.loads(text)), separators=(",", ":"))

    def _masked(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.mask(key): self._masked(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._masked(item) for item in value]
        written = value if isinstance(value, str) else json.dumps(value)
        masked = self.mask(written)
        return value if masked == written else masked

    def stream(self) -> "Stream":
        """Return a masker for data that come in chunks."""
        return Stream(self)

    def find(self, data: bytes, start: int) -> int:
        """Return where from `start` on a secret might stand or begin, -1 for nowhere."""
        if not self._by_head:
            return -1
        found = self._heads.search(data, start)
        if found is not None:
            return found.start()
        for at in range(max(start, len(data) - _HEAD + 1), len(data)):
            if data[at:] in self._beginnings:
                return at
        return -1

    def reach(self, data: bytes, at: int) -> tuple[int, bool]:
        """Return where the secret that stands at `at` ends (`at` for none), and whether more data may bring one."""
        end, is_open = at, len(data) - at < _HEAD
        for pattern in self._by_head.get(data[at : at + _HEAD], ()):
            found = pattern.expression.match(data, at)
            if found is not None:
                is_whole = found.lastindex is not None
                end = max(end, found.end()) if is_whole else end
                is_open = is_open or not is_whole
        return end, is_open


class Stream:
    """Masks data that come in chunks, cut anywhere. It holds back only what may be the beginning of a secret.

    That is less than the masker's `longest`.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = b""
        self._covered = 0  # bytes at the beginning of what is held that a mask already stands for

    def feed(self, chunk: bytes) -> bytes:
        """Take a chunk; return what can be told by now."""
        return self._pass(self._held + chunk, is_last=False)

    def flush(self) -> bytes:
        """Return what was held back: no more data come."""
        return self._pass(self._held, is_last=True)

    def _pass(self, data: bytes, *, is_last: bool) -> bytes:
        told, done = [], self._covered
        at = self._masker.find(data, 0)
        while at >= 0:
            end, is_open = self._masker.reach(data, at)
            if is_open and not is_last:
                break
            if end > max(done, at):
                told += [data[done:at], MASK] if at >= done else []
                done = end
            at = self._masker.find(data, at + 1)
        kept = len(data) if at < 0 else at
        self._held, self._covered = data[kept:], max(0, done - kept)
        return b"".join([*told, data[done:kept]])


class _Pattern:
    """A form, ready to be found. Its expression is made when its head first turns up: most never do."""

    def __init__(self, form: Form) -> None:
        self._form = form

    @property
    def longest(self) -> int:
        return sum(max(len(spelling) for spelling in element) for element in self._form)

    @property
    def heads(self) -> set[bytes]:
        return set(_heads(self._form, b""))

    @cached_property
    def expression(self) -> re.Pattern[bytes]:
        """Matches the form, or a beginning of it that the data's end cuts off; a group is set for the whole form."""
        *others, last = self._form
        whole = b"|".join(_spelling(spelling, end=b"()") for spelling in last)
        return re.compile(b"".join(rb"(?:%b|\Z)" % _element(other) for other in others) + rb"(?:%b|\Z)" % whole)


def _heads(form: Form, so_far: bytes) -> Iterator[bytes]:
    if len(so_far) == _HEAD:
        yield so_far
        return
    for spelling in form[0]:
        for choice in product(*spelling[: _HEAD - len(so_far)]):
            yield from _heads(form[1:], so_far + bytes(choice))


def _search_for(heads: Iterable[bytes]) -> re.Pattern[bytes]:
    """Return an expression for any of the heads, as a tree: the search looks at a byte once for all that share it."""
    tree: dict[int, dict[int, bytes]] = {}
    for first, second, third in sorted(heads):
        branch = tree.setdefault(first, {})
        branch[second] = branch.get(second, b"") + bytes([third])
    branches = [
        _one_of(bytes([first]))
        + b"(?:%b)" % b"|".join(_one_of(bytes([second])) + _one_of(thirds) for second, thirds in branch.items())
        for first, branch in tree.items()
    ]
    return re.compile(b"|".join(branches) or rb"(?!)")


def _element(element: Element) -> bytes:
    return b"|".join(map(_spelling, element))


def _spelling(spelling: Spelling, end: bytes = b"") -> bytes:
    if not spelling:
        return b""
    expression = end
    for possible in reversed(spelling[1:]):
        expression = rb"(?:%b%b|\Z)" % (_one_of(possible), expression)
    return _one_of(spelling[0]) + expression


def _one_of(possible: bytes) -> bytes:
    return re.escape(possible) if len(possible) == 1 else b"[%b]" % re.escape(possible)
