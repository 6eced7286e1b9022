"""How times, durations, sizes and numbers look on a page."""

from datetime import UTC, datetime
from math import isfinite

from markupsafe import Markup

from bot.clock import SECOND
from bot.core import text


def moment(at: int) -> str:
    """Return a time (microseconds since 1970) as `2026-01-31 12:00:05 UTC`."""
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(microseconds: int) -> str:
    """Return a duration as people say it, in two units at most: `340 ms`, `2.5 s`, `1 min 5 s`, `3 d 4 h`."""
    seconds = max(microseconds, 0) / SECOND
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, name, small, less in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {name} {rest} {less}" if rest else f"{whole // size} {name}"
    return f"{whole} s"


def size(count: int) -> str:
    """Return a number of bytes as `512 B`, `1.5 KiB`, `20.0 MiB`."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def parameter(value: str | int | float | bool) -> str:
    """Return a parameter of a trial: a number with five significant digits, anything else as it is, cut at 40."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return text.name(str(value))[:40]
    return number(value, 5) if isinstance(value, float) else str(value)[:40]


def number(value: float, digits: int = 6) -> str:
    """Return a metric's value with that many significant digits; what is not finite by its name."""
    if isfinite(value):
        return f"{value:.{digits}g}"
    return "NaN" if value != value else "+Inf" if value > 0 else "−Inf"  # noqa: PLR0124 - NaN alone differs from itself


def sentence(words: str) -> Markup:
    """Return a reason as HTML: what stands in backticks is code, as in the checks."""
    parts = text.name(words).split("`")
    shown = (
        Markup("<code>{}</code>").format(part) if index % 2 == 1 and index < len(parts) - 1 else Markup.escape(part)
        for index, part in enumerate(parts)
    )
    return Markup().join(shown)


def branch(ref: str) -> str:
    """Return a ref by the name that people have for it: `main`, `v1.2`."""
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
