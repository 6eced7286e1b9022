"""The values that keys take: each type reads the text of the file and says what to write instead.

Numbers are decimal, as YAML 1.2's core schema writes them (`1e-3` is a number, `010` is ten); hexadecimal, octal,
infinite and undefined ones are refused.
"""

import math
import re
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator, WithJsonSchema

from bot.core.config.models import Port
from bot.core.config.problems import quote
from bot.core.config.section import nearest, wrong
from bot.core.gates import Range
from bot.core.patterns import PatternError, compile_pattern

MAX_NAME = 100
MAX_TIMEOUT = 7 * 24 * 3600
"""Seconds. GitHub calls a check stale after 14 days; waiting for a machine needs some of them."""

_NUMBER = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"\s*(?P<low>{_NUMBER})?\s*(?P<dots>\.\.)?\s*(?P<high>{_NUMBER})?\s*", re.ASCII)
_DURATION = re.compile(r"(?:(\d{1,3})d)?(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?", re.ASCII)
_WHOLE = re.compile(r"[-+]?\d{1,9}", re.ASCII)
_TRUTH = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def _text(value: Any) -> str:
    if value is None:
        raise wrong(
            "Text is expected here, not nothing", "Write a value; put `null` or `~` in quotes if meant as text."
        )
    if not isinstance(value, str):
        raise wrong("Text is expected here", "Write one value behind the colon, in quotes if it contains brackets.")
    if not value.strip():
        raise wrong("Text is expected here, not nothing", "Write a value, or delete the key.")
    return value


Text = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
"""Any text that is not blank."""


def _line(value: Any) -> str:
    text = _text(value)
    if "\n" in text or "\t" in text or text != text.strip():
        raise wrong("One line without blanks at its ends is expected here", "Write it on one line.")
    return text


Line = Annotated[str, BeforeValidator(_line), Field(min_length=1)]
"""Text on one line."""


def _name(value: Any) -> str:
    text = _line(value)
    if len(text) > MAX_NAME:
        raise wrong(f"The name is longer than {MAX_NAME} characters", "Names become names of checks: shorten it.")
    if " / " in text:
        # Two different workflows could otherwise have a check of one name.
        raise wrong("A name cannot contain ` / `", "Checks are named `<workflow> / <step>`: use another separator.")
    return text


Name = Annotated[str, BeforeValidator(_name), Field(min_length=1, max_length=MAX_NAME)]
"""A name that becomes part of a check's name."""


def _path(value: Any) -> str:
    text = _line(value)
    if ".." in text.split("/"):
        raise wrong("A path cannot contain `..`", "Write the path itself.")
    return text


Path = Annotated[str, BeforeValidator(_path), Field(min_length=1)]
"""A path inside the experiment."""


def _directory(value: Any) -> str:
    text = _path(value)
    if not text.startswith("/"):
        raise wrong("An absolute path is expected here", "Begin it with `/`, like `/artifacts`.")
    return text


Directory = Annotated[str, BeforeValidator(_directory), Field(pattern="^/")]
"""An absolute path inside the experiment."""


def _file(value: Any) -> str:
    text = _path(value).removeprefix("./")
    if text.startswith("/") or text.endswith("/") or "\\" in text or "//" in text or "." in text.split("/"):
        raise wrong("A file of this repository is expected here", "Write its path from the repository's root.")
    return text


File = Annotated[str, BeforeValidator(_file), Field(min_length=1)]
"""The path of a file of the same commit, from the repository's root."""


def _truth(value: Any) -> bool:
    if isinstance(value, str) and value in _TRUTH:
        return _TRUTH[value]
    raise wrong("`true` or `false` is expected here", "Write `true` or `false`; `yes`, `on` and `1` are only text.")


Truth = Annotated[bool, BeforeValidator(_truth)]


def whole(least: int, most: int) -> BeforeValidator:
    """Return the annotation of a whole number from `least` to `most`."""

    def read(value: Any) -> int:
        if isinstance(value, str) and _WHOLE.fullmatch(value) and least <= int(value) <= most:
            return int(value)
        raise wrong(f"A whole number from {least} to {most} is expected here", "Write it in decimal digits.")

    return BeforeValidator(read)


Precision = Annotated[int, Field(ge=0, le=10), whole(0, 10)]
"""Decimals to keep of a metric."""
Count = Annotated[int, Field(ge=1, le=256), whole(1, 256)]
"""How many machines of a kind."""


def choice(kind: type[StrEnum]) -> BeforeValidator:
    """Return the annotation of one of `kind`'s values, in their exact spelling."""

    def read(value: Any) -> StrEnum:
        text = _text(value)
        if text in list(kind):
            return kind(text)
        near = nearest(text, kind)
        raise wrong(
            "One of " + ", ".join(f"`{member}`" for member in kind) + " is expected here",
            f"Did you mean `{near}`?" if near else "Write one of them, in this spelling.",
        )

    return BeforeValidator(read)


class KeepWorkspace(StrEnum):
    """When the workspace outlives its run, for a while."""

    NEVER = "never"
    ON_FAILURE = "on-failure"


def _target(value: Any) -> Range:
    """Read a range: `N` and `N..` mean greater, `..N` less, `A..B` between (both included, in either order)."""
    if not isinstance(value, str):
        raise wrong("A range is expected here", _RANGE_HINT)
    found = _RANGE.fullmatch(value) if len(value) <= _MAX_RANGE else None
    if found is None or not (found["low"] or found["high"]) or (found["high"] and not found["dots"]):
        raise wrong(f"{quote(value)} is not a range", _RANGE_HINT)
    ends = [None if found[end] is None else float(found[end]) for end in ("low", "high")]
    if any(end is not None and not math.isfinite(end) for end in ends):
        raise wrong(f"{quote(value)} is not a range of finite numbers", _RANGE_HINT)
    low, high = ends
    if low is not None and high is not None and low > high:
        low, high = high, low
    return Range(low, high)


_MAX_RANGE = 100
_RANGE_HINT = "Write `0.9..` (greater than), `..0.5` (less than) or `0.1..0.2` (between, both included)."

Target = Annotated[
    Range,
    PlainValidator(_target),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "string", "pattern": rf"^\s*({_NUMBER})?\s*(\.\.)?\s*({_NUMBER})?\s*$"},
            ]
        }
    ),
    Field(description="`N..` greater than N, `..N` less than N, `A..B` between, both included", examples=["0.9.."]),
]


def _seconds(value: Any) -> float:
    found = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if found is None:
        raise wrong("A duration is expected here", "Write `90s`, `10m`, `9h` or `1h30m`: a number needs its unit.")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if not 1 <= total <= MAX_TIMEOUT:
        raise wrong("The duration is not between 1 second and 7 days", "Write for example `10m` or `9h`.")
    return float(total)


Duration = Annotated[
    float,
    PlainValidator(_seconds),
    WithJsonSchema({"type": "string", "pattern": "^(\\d+d)?(\\d+h)?(\\d+m)?(\\d+s)?$", "minLength": 2}),
    Field(description="How long the command may run: `90s`, `10m`, `9h`, `1h30m`; at most 7 days", examples=["10m"]),
]


def _ports(value: Any) -> tuple[Port, ...]:
    ports = tuple(_port(part.strip()) for part in _text(value).split(","))
    if len(ports) > MAX_PORTS:
        raise wrong(f"More than {MAX_PORTS} ports", "Open fewer.")
    if len({port.container for port in ports}) < len(ports):
        raise wrong("A port of the experiment stands here twice", "Keep one of them.")
    return ports


def _port(text: str) -> Port:
    found = re.fullmatch(r"(?:(\d{1,5}):)?(\d{1,5})", text, re.ASCII)
    numbers = [int(part) for part in found.groups() if part] if found else []
    if not numbers or not all(1 <= number <= 65_535 for number in numbers):
        raise wrong(
            f"{quote(text)} is not a port", "Write `5000` or `8888:8888` (host:container), separated by commas."
        )
    return Port(host=numbers[0], container=numbers[-1])


MAX_PORTS = 20

Ports = Annotated[
    tuple[Port, ...],
    PlainValidator(_ports),
    WithJsonSchema({"type": ["string", "integer"]}),
    Field(description="Like Docker's: `5000` or `8888:8888` (host:container), several separated by commas"),
]


def _pattern(value: Any) -> str:
    text = _line(value)
    try:
        compile_pattern(text)
    except PatternError as error:
        looks_like_glob = text.startswith("*") or "no argument for repetition" in str(error)
        raise wrong(
            f"{quote(text)} is not a regular expression: {error}",
            "Patterns are regular expressions, not wildcards: write `.*` for anything, `\\.` for a dot."
            if looks_like_glob
            else "RE2's syntax: https://github.com/google/re2/wiki/Syntax",
        ) from None
    return text


Pattern = Annotated[str, BeforeValidator(_pattern), Field(min_length=1)]
"""A regular expression of RE2's."""
