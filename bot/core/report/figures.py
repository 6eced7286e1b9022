"""Numbers, times and sizes as people read them. All but a `parameter` is made of digits and ours to trust."""

from collections.abc import Callable, Mapping
from math import isfinite, isnan

from bot.core.gates import Gate, IfNotFound, Range, Rounding
from bot.core.space import Scalar, written
from bot.core.states import DAY, HOUR, MINUTE, SECOND


def number(value: float) -> str:
    """Return four significant digits, and no more zeros than that: `0.9123`, `12`, `1.2e-05`, `NaN`."""
    return f"{value:.4g}" if isfinite(value) else _not_finite(value)


def estimate(value: float) -> str:
    """Return what is only known roughly, in two digits or whole: `0.12`, `1.5`, `38`."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def compared(value: float, precision: int) -> str:
    """Return what a gate compared, with all of its decimals: `0.70`."""
    if not isfinite(value):
        return _not_finite(value)
    return f"{value:.{precision}f}" if abs(value) < 1e15 else f"{value:g}"


def target(wanted: Range) -> str:
    """Return a target in signs that need no manual: `> 0.9`, `< 0.5`, `0.1 to 0.2`."""
    if wanted.low is None:
        return f"< {_exact(wanted.high)}"
    return f"> {_exact(wanted.low)}" if wanted.high is None else f"{_exact(wanted.low)} to {_exact(wanted.high)}"


def details(gate: Gate) -> str:
    """Return what else belongs to a gate's rule, where it is not the usual: `, 4 decimals, rounded up`."""
    parts = [
        f"{gate.precision} decimals" * (gate.precision != 2),
        "rounded up" * (gate.round is Rounding.UP),
        "on pull requests only" * gate.only_pulls,
        "passes where it is absent" * (gate.if_not_found is IfNotFound.SUCCESS),
    ]
    return "".join(f", {part}" for part in parts if part)


def duration(microseconds: int) -> str:
    """Return the two largest units: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 03 min`, `4 d 1 h`."""
    if microseconds < 10 * SECOND:
        return f"{max(microseconds, 0) / SECOND:.1f} s"
    if microseconds < MINUTE:
        return f"{microseconds // SECOND} s"
    if microseconds < HOUR:
        return f"{microseconds // MINUTE} min {microseconds % MINUTE // SECOND:02} s"
    if microseconds < DAY:
        return f"{microseconds // HOUR} h {microseconds % HOUR // MINUTE:02} min"
    return f"{microseconds // DAY} d {microseconds % DAY // HOUR} h"


def at_most(microseconds: int) -> str:
    """Return a limit as people set it, without a second unit that is nothing: `45 s`, `30 min`, `1 h 30 min`."""
    return duration(microseconds).replace(" 00 s", "").replace(" 00 min", "").replace(".0 s", " s").replace(" 0 h", "")


def time_of_day(at: int) -> str:
    """Return the UTC time: `12:03:05`."""
    seconds = at // SECOND % 86_400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def date(at: int) -> str:
    """Return the UTC date: `2026-07-01`. (Days since 1970 to a civil date, by Howard Hinnant's algorithm.)"""
    days = at // DAY + 719_468
    era, day_of_era = divmod(days, 146_097)
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    return f"{year + era * 400 + (month >= 10):04}-{month + 3 if month < 10 else month - 9:02}-{day:02}"


def counted(count: float, noun: str) -> str:
    """Return `1 gate`, `3 gates`, `0.5 CPUs`."""
    shown = str(count) if isinstance(count, int) else f"{count:g}"
    return f"{shown} {noun}{'' if count == 1 else 's'}"


def resources(cpus: float, memory_mb: int, gpus: int) -> str:
    """Return what a machine has, or a run asks for: `2 CPUs, 4096 MB, 1 GPU`."""
    return f"{counted(cpus, 'CPU')}, {memory_mb} MB, {counted(gpus, 'GPU')}"


def memory(megabytes: int) -> str:
    """Return `412 MB` or `3.1 GB`."""
    return f"{megabytes} MB" if megabytes < 1024 else f"{megabytes / 1024:.1f} GB"


def size(count: int) -> str:
    """Return bytes as `812 B`, `4.1 KB`, `412 MB` or `3.1 GB`."""
    if count < 1024:
        return f"{max(count, 0)} B"
    if count < 1024**2:
        return f"{count / 1024:.1f} KB"
    return memory(count // 1024**2) if count >= 10 * 1024**2 else f"{count / 1024**2:.1f} MB"


def _percent(value: float) -> str:
    return f"{value:.0f} %"


PEAKS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "cpuPercentage": ("CPU", _percent),
    "memoryUsage": ("memory", lambda value: size(round(value))),
    "gpuUtilization": ("GPU", _percent),
    "gpuMemoryUsed": ("GPU memory", lambda value: size(round(value))),
    "gpuTemp": ("GPU temperature", lambda value: f"{value:.0f} °C"),
    "gpuPowerDraw": ("GPU power", lambda value: f"{value:.0f} W"),
}
"""The system's metrics whose highest value says something, by the ancestor's names: per cent, bytes, °C, watts."""


def peaks(values: Mapping[str, float]) -> str:
    """Return the highest values as `CPU 187 % · GPU 93 %`; what is unknown or not finite is left out."""
    told = ((words, form, values.get(name, float("nan"))) for name, (words, form) in PEAKS.items())
    return " · ".join(f"{words} {form(value)}" for words, form, value in told if isfinite(value))


def parameter(value: Scalar) -> str:
    """Return a parameter's value in a title: a real number in four significant digits, everything else whole."""
    return number(value) if isinstance(value, float) else written(value)


def _exact(value: float | None) -> str:
    # Shortest digits that mean this very float: a target of 0.9999999 must not be shown as 1.
    return "" if value is None else repr(float(value)).removesuffix(".0")


def _not_finite(value: float) -> str:
    return "NaN" if isnan(value) else "∞" if value > 0 else "-∞"
