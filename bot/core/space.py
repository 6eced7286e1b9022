"""What a search may try: a distribution for each parameter, and how a config writes one.

`uniform(0, 1)`, `loguniform(1e-4, 1e-1)`, `quniform(0, 1, 0.25)`, `int(1, 8)`, `int(1, 512, log)`,
`choice([32, 64])`. The text is read by the small parser below and by nothing that evaluates. Texts that
`str()` gives are read back as the same distribution.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from math import isfinite

Scalar = str | int | float | bool

MAX_CHOICES = 256
MAX_TEXT = 4_000
"""Characters of a distribution."""
MAX_CHOICE = 500
"""Characters of one choice: it becomes a word of a command and a variable."""
MAX_WHOLE = 2**53
"""Whole numbers up to here are exact as floats, which is what samplers calculate with."""
MAX_GRID = 10_000


class SpaceError(ValueError):
    """What cannot be searched, and in `hint` what to write instead. `key` names the parameter, if it is one's."""

    def __init__(self, message: str, hint: str, key: str = "") -> None:
        super().__init__(message)
        self.hint, self.key = hint, key


@dataclass(frozen=True)
class FloatRange:
    """Real numbers between `low` and `high`, both possible; with `step` only `low`, `low + step`, … up to `high`."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def size(self) -> int | None:
        """How many values there are, None when they are not counted."""
        return None if self.step is None else _steps(self.low, self.high, self.step) + 1

    def values(self) -> tuple[Scalar, ...]:
        """Return all values, lowest first; none when they are not counted."""
        if self.step is None:
            return ()
        return tuple(_at(self.low, self.step, count) for count in range(self.size or 0))

    def __str__(self) -> str:
        if self.step is not None:
            return f"quniform({self.low!r}, {self.high!r}, {self.step!r})"
        return f"{'loguniform' if self.log else 'uniform'}({self.low!r}, {self.high!r})"


@dataclass(frozen=True)
class IntRange:
    """Whole numbers from `low` to `high`, both possible."""

    low: int
    high: int
    log: bool = False

    @property
    def size(self) -> int:
        return self.high - self.low + 1

    def values(self) -> tuple[Scalar, ...]:
        """Return all values, lowest first."""
        return tuple(range(self.low, self.high + 1))

    def __str__(self) -> str:
        return f"int({self.low}, {self.high}{', log' if self.log else ''})"


@dataclass(frozen=True)
class Choice:
    """One of some values, which have no order."""

    options: tuple[Scalar, ...]

    @property
    def size(self) -> int:
        return len(self.options)

    def values(self) -> tuple[Scalar, ...]:
        """Return all values, as they were listed."""
        return self.options

    def __str__(self) -> str:
        return f"choice({json.dumps(list(self.options), ensure_ascii=False)})"


Distribution = FloatRange | IntRange | Choice


def grid_size(space: Mapping[str, Distribution]) -> int:
    """Return how many combinations a grid over `space` has.

    Raises SpaceError for a distribution whose values are not counted, and beyond `MAX_GRID`: a grid is built whole.
    """
    total = 1
    for name, distribution in space.items():
        if distribution.size is None:
            hint = "Write `quniform(low, high, step)`, `int(low, high)` or `choice([…])`, or take another sampler."
            raise SpaceError(f"A grid cannot count the values of `{name}`", hint, name)
        total *= distribution.size
    if total > MAX_GRID:
        raise SpaceError(f"The grid has more than {MAX_GRID:,} points", "Choose fewer values, or another sampler.")
    return total


_CALL = re.compile(r"\s*([A-Za-z]+)\s*\((.*)\)\s*", re.DOTALL)
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[-+]?\d{1,300}", re.ASCII)
_ITEM = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'|([^\s,"'()\[\]{}]+))\s*(,|$)""")

_SHAPES = {
    "uniform": "uniform(low, high)",
    "loguniform": "loguniform(low, high)",
    "quniform": "quniform(low, high, step)",
    "int": "int(low, high)",
    "choice": "choice([a, b])",
}
_HINT = "Write one of " + ", ".join(f"`{shape}`" for shape in _SHAPES.values()) + "."


def parse(text: str) -> Distribution:
    """Return the distribution that `text` writes. Raises SpaceError."""
    if len(text) > MAX_TEXT:
        raise SpaceError(f"A distribution of more than {MAX_TEXT:,} characters", "Shorten it.")
    found = _CALL.fullmatch(text)
    if found is None or found[1] not in _SHAPES:
        raise SpaceError("This is not a distribution", _HINT)
    name, inside = found.groups()
    if name == "choice":
        return _choice(inside)
    parts = [part.strip() for part in inside.split(",")]
    return _whole_range(parts) if name == "int" else _float_range(name, parts)


def choice(options: Sequence[Scalar]) -> Choice:
    """Return the choice among `options`. Raises SpaceError when there is none, too many, or one stands twice."""
    if not options:
        raise SpaceError("There is nothing to choose from", "Write for example `choice([32, 64])`.")
    if len(options) > MAX_CHOICES:
        raise SpaceError(f"More than {MAX_CHOICES} values to choose from", "Choose fewer, or write a range.")
    for position, option in enumerate(options):
        # In Python 1, 1.0 and True are the same; so they are for samplers.
        if option in options[:position]:
            raise SpaceError(f"`{written(option)}` stands twice in the choice", "Keep one of them.")
        if isinstance(option, str) and (len(option) > MAX_CHOICE or not option.isprintable()):
            hint = f"A value is at most {MAX_CHOICE} printable characters on one line."
            raise SpaceError("One of the values cannot be passed to a command", hint)
    made = Choice(tuple(options))
    if len(str(made)) > MAX_TEXT:
        raise SpaceError(f"The values take more than {MAX_TEXT:,} characters", "Choose from shorter ones.")
    return made


def scalar(text: str) -> Scalar:
    """Return what an unquoted `text` is: a number, `true` or `false`, or text. Raises SpaceError for 1e999."""
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return _number(text)
    return {"true": True, "false": False}.get(text, text)


def written(value: Scalar) -> str:
    """Return `value` as commands and variables get it: numbers so that reading them gives the same number."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def _choice(inside: str) -> Choice:
    listed = inside.strip()
    if not (listed.startswith("[") and listed.endswith("]") and len(listed) > 1):
        raise SpaceError("A choice needs a list", "Write `choice([a, b])`, with brackets.")
    return choice(_items(listed[1:-1]))


def _items(listed: str) -> list[Scalar]:
    items: list[Scalar] = []
    if not listed.strip():
        return items
    position, separator = 0, ","
    while separator:
        found = _ITEM.match(listed, position)
        if found is None:
            hint = "Separate values by commas; put text with blanks, brackets or quotes into quotes."
            raise SpaceError("The values of the choice cannot be read", hint)
        items.append(_item(found))
        position, separator = found.end(), found[4]
    return items


def _item(found: re.Match[str]) -> Scalar:
    double, single, word, _ = found.groups()
    if single is not None:
        return str(single.replace("''", "'"))
    if word is not None:
        if word == "null":
            raise SpaceError("`null` is no value that a command can get", 'Write `"null"` if meant as text.')
        return scalar(word)
    try:
        return str(json.loads(f'"{double}"'))
    except ValueError:
        raise SpaceError("A text in double quotes is not valid", "Write it like JSON, or in single quotes.") from None


def _float_range(name: str, parts: Sequence[str]) -> FloatRange:
    if len(parts) != (3 if name == "quniform" else 2):
        raise SpaceError(f"`{name}` takes other values", f"Write `{_SHAPES[name]}`.")
    low, high, *rest = (_number(part) for part in parts)
    _check_order(low, high)
    if name == "loguniform" and low <= 0:
        raise SpaceError("A logarithmic range begins above 0", "Write for example `loguniform(1e-4, 1e-1)`.")
    if not rest:
        # Samplers take the difference of the ends.
        if not isfinite(high - low):
            raise SpaceError("The range is too wide to be calculated with", "Choose ends that are nearer.")
        return FloatRange(low, high, log=name == "loguniform")
    return _stepped(low, high, rest[0])


def _stepped(low: float, high: float, step: float) -> FloatRange:
    """The last value is the last whole step: `quniform(0, 1, 0.3)` ends at 0.9."""
    if not 0 < step <= high - low or not isfinite(high - low):
        raise SpaceError("The step does not fit between the ends", "Write for example `quniform(0, 1, 0.25)`.")
    count = _steps(low, high, step)
    if count >= MAX_WHOLE:
        raise SpaceError("The step is too small for the range", "Write `uniform(low, high)`.")
    return FloatRange(low, _at(low, step, count), step=step)


def _whole_range(parts: Sequence[str]) -> IntRange:
    if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] != "log"):
        raise SpaceError("`int` takes other values", "Write `int(low, high)` or `int(low, high, log)`.")
    if not all(_WHOLE.fullmatch(part) and abs(int(part)) <= MAX_WHOLE for part in parts[:2]):
        raise SpaceError("The ends of `int` are whole numbers", "Write for example `int(1, 8)`.")
    low, high, log = int(parts[0]), int(parts[1]), len(parts) == 3
    _check_order(low, high)
    if log and low < 1:
        raise SpaceError("A logarithmic range begins above 0", "Write for example `int(1, 512, log)`.")
    return IntRange(low, high, log)


def _number(text: str) -> float:
    number = float(text) if _NUMBER.fullmatch(text) else float("nan")
    if not isfinite(number):
        raise SpaceError("A finite number is expected", "Write it in decimal, like `0.1` or `1e-3`.")
    return number


def _check_order(low: float, high: float) -> None:
    if low >= high:
        raise SpaceError("The range is empty: its low end is not below its high end", "Write the lower number first.")


def _steps(low: float, high: float, step: float) -> int:
    """How often `step` fits, in decimals as they are printed: 0.3 fits three times between 0 and 0.9."""
    count = (Decimal(repr(high)) - Decimal(repr(low))) / Decimal(repr(step))
    return int(count.to_integral_value(ROUND_FLOOR))


def _at(low: float, step: float, count: int) -> float:
    return float(Decimal(repr(low)) + Decimal(repr(step)) * count)
