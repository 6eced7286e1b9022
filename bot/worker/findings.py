"""What a look at an attempt's files brings: its series, those of its trials, its documents, all without secrets."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bot.backends.base import AttemptSpec, Mode
from bot.core.masking import Masker
from bot.core.series import Series
from bot.metrics import measurements
from bot.metrics.reader import MetricsReader, Reading, Root
from bot.worker.workload import metric_roots

_TRIAL = re.compile(r"trials/(\d+)(?:/(.*))?")
_MEASURED, _REFUSED = "measurements", "refused"
"""Where a cursor holds how far the sidecar's file was read, and what it said was refused, beside how far the files of
events were: a sentence is said once, and the verdict needs it at the end."""
_MOST = 20


@dataclass(frozen=True)
class Findings:
    """What was new since `cursor`, which is where to go on. `series` come with the trial that they belong to.

    `problems` are of all readings so far: no verdict is given on what may be incomplete. `remarks` are about a search's
    trials together; the best of them is read by itself, so no verdict depends on these.
    """

    series: tuple[tuple[int | None, Series], ...] = ()
    documents: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    cursor: dict[str, Any] | None = None
    is_complete: bool = True


def look(reader: MetricsReader, spec: AttemptSpec, cursor: dict[str, Any] | None, masker: Masker) -> Findings:
    """Read on in all that the run wrote and all that was measured of it."""
    known = dict(cursor or {})
    offset, refused = int(known.pop(_MEASURED, 0)), list(known.pop(_REFUSED, ()))
    reading = reader.read(metric_roots(spec), known or None)
    measured = _measured(spec, offset)
    series = [*_of_events(spec, reading), *((one.trial, one.series) for one in measured.series)]
    said = [masker.mask(problem) for problem in measured.problems]
    if measured.cursor != offset:
        refused = said = list(dict.fromkeys([*refused, *said]))[:_MOST]
    unread = tuple(masker.mask(problem) for problem in reading.problems)
    is_search = spec.mode is Mode.SEARCH
    return Findings(
        series=tuple((trial, _masked(one, masker)) for trial, one in series),
        documents=_without_secrets(reading, masker),
        problems=(*(() if is_search else unread), *dict.fromkeys([*refused, *said])),
        remarks=tuple(f"curves of trials: {problem}" for problem in unread) if is_search else (),
        cursor={**(reading.cursor or {}), _MEASURED: measured.cursor, **({_REFUSED: refused} if refused else {})},
        is_complete=reading.is_complete and measured.is_complete,
    )


def look_at_trial(reader: MetricsReader, spec: AttemptSpec, number: int, masker: Masker) -> Findings:
    """Read all that the last try of a trial left, from its beginning, whatever was read of it before."""
    root, cursor = Root(Path(spec.run_dir) / "artifacts", f"trials/{number}"), None
    found: list[tuple[int | None, Series]] = []
    for _ in range(_TRIES):
        reading = reader.read([root], cursor)
        found += [(number, _masked(one, masker)) for one in reading.series]
        cursor = reading.cursor
        if reading.is_complete:
            break
    problems = tuple(masker.mask(problem) for problem in reading.problems)
    return Findings(tuple(found), _without_secrets(reading, masker), problems, is_complete=reading.is_complete)


_TRIES = 3
"""Readings of a trial, each as long as the reader allows."""


def _measured(spec: AttemptSpec, offset: int) -> measurements.Measurements:
    tasks = [name for group in spec.groups for name in group.tasks]
    try:
        return measurements.read(Path(spec.run_dir) / measurements.FILE, offset, tasks=tasks)
    except OSError as error:
        return measurements.Measurements(cursor=offset, problems=(f"measurements cannot be read: {error.strerror}",))


def _of_events(spec: AttemptSpec, reading: Reading) -> Iterator[tuple[int | None, Series]]:
    """Yield each series with its trial: what lies below `trials/<number>` of a search's artifacts is that trial's."""
    for one in reading.series:
        found = _TRIAL.fullmatch(one.run) if spec.mode is Mode.SEARCH else None
        yield (None, one) if found is None else (int(found[1]), replace(one, run=found[2] or ""))


def _without_secrets(reading: Reading, masker: Masker) -> dict[str, str]:
    return {masker.mask(name): masker.mask_json(text) for name, text in reading.documents.items()}


def _masked(series: Series, masker: Masker) -> Series:
    return replace(series, run=masker.mask(series.run), tag=masker.mask(series.tag))
