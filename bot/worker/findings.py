"""What a look at an attempt's files brings: its series, those of its trials, its documents, all without secrets."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bot.backends.base import AttemptSpec
from bot.core.masking import Masker
from bot.core.series import Series
from bot.metrics import measurements
from bot.metrics.reader import MetricsReader, Reading
from bot.worker.workload import metric_roots

_TRIAL = re.compile(r"trials/(\d+)(?:/(.*))?")
_MEASURED = "measurements"
"""Where a cursor holds how far the sidecar's file was read, beside how far the files of events were."""


@dataclass(frozen=True)
class Findings:
    """What was new since `cursor`, which is where to go on. `series` come with the trial that they belong to."""

    series: tuple[tuple[int | None, Series], ...] = ()
    documents: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    cursor: dict[str, Any] | None = None
    is_complete: bool = True


def look(
    reader: MetricsReader,
    spec: AttemptSpec,
    cursor: dict[str, Any] | None,
    masker: Masker,
    best_trial: int | None = None,
) -> Findings:
    """Read on in all that the run wrote and all that was measured of it."""
    known = dict(cursor or {})
    offset = int(known.pop(_MEASURED, 0))
    reading = reader.read(metric_roots(spec, best_trial), known or None)
    measured = _measured(spec, offset)
    series = [*_of_events(reading), *((one.trial, one.series) for one in measured.series)]
    return Findings(
        series=tuple((trial, _masked(one, masker)) for trial, one in series),
        documents={masker.mask(name): masker.mask_json(text) for name, text in reading.documents.items()},
        problems=tuple(masker.mask(problem) for problem in (*reading.problems, *measured.problems)),
        cursor={**(reading.cursor or {}), _MEASURED: measured.cursor},
        is_complete=reading.is_complete and measured.is_complete,
    )


def _measured(spec: AttemptSpec, offset: int) -> measurements.Measurements:
    tasks = [name for group in spec.groups for name in group.tasks]
    try:
        return measurements.read(Path(spec.run_dir) / measurements.FILE, offset, tasks=tasks)
    except OSError as error:
        return measurements.Measurements(cursor=offset, problems=(f"measurements cannot be read: {error.strerror}",))


def _of_events(reading: Reading) -> Iterator[tuple[int | None, Series]]:
    """Yield each series with its trial: what lies below `trials/<number>` is that trial's."""
    for one in reading.series:
        found = _TRIAL.fullmatch(one.run)
        yield (None, one) if found is None else (int(found[1]), replace(one, run=found[2] or ""))


def _masked(series: Series, masker: Masker) -> Series:
    return replace(series, run=masker.mask(series.run), tag=masker.mask(series.tag))
