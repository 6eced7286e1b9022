"""The page of an experiment, its logs and its artifacts: for whoever has its view token, or logged in."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from typing import NamedTuple

from flask import Blueprint, Response, abort, jsonify, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from bot.backends.base import Artifact, Backend, BackendError
from bot.clock import Clock
from bot.core.series import Series, Source
from bot.core.states import State
from bot.core.text import clean
from bot.store import pages as queries
from bot.store.database import Database
from bot.store.pages import AttemptPage, ExperimentPage, Launched, TaskLine
from bot.web.access import Logins, is_logged_in, is_same
from bot.web.curves import Curve, curves
from bot.web.files import as_attachment
from bot.web.links import Links
from bot.web.logs import CHUNK, LogPart, read_log
from bot.web.shelf import Shelf

_CURVES = 40
_BYTES, _MB = frozenset({"memoryUsage", "gpuMemoryFree", "gpuMemoryUsed"}), 1e6
_ARTIFACTS = 500
_TRIALS = 200
"""The most curves, artifacts and trials that one page shows; it says when there are more."""
_PARAMETERS = 8
"""The most parameters of trials that have a column of their own."""
_FURTHEST = 2**53
"""The largest number that a page's script can name exactly."""


class Listing(NamedTuple):
    """The artifacts of an attempt, whether there are more than are listed, and whether they are on this machine."""

    files: list[Artifact]
    is_cut: bool
    is_here: bool = True


class ExperimentPages:
    """`/experiments/<public id>` and what lies below it. `base` is the path that PUBLIC_URL adds before ours."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        backend: Backend,
        shelf: Shelf,
        logins: Logins,
        base: str,
        web_url: str,
    ) -> None:
        self._database, self._clock, self._backend, self._shelf = database, clock, backend, shelf
        self._logins, self._base, self._web_url = logins, base, web_url

    def blueprint(self) -> Blueprint:
        """Return the pages under their addresses."""
        pages = Blueprint("experiments", __name__)
        pages.get("/experiments/<public_id>")(self.page)
        pages.get("/experiments/<public_id>/log")(self.log)
        pages.get("/experiments/<public_id>/log.txt")(self.whole_log)
        pages.get("/experiments/<public_id>/artifacts.zip")(self.artifacts)
        pages.get("/experiments/<public_id>/artifacts/<path:path>")(self.artifact)
        return pages

    def page(self, public_id: str) -> str:
        """Show all about an experiment and one of its attempts."""
        experiment_id = self._opened(public_id)
        with self._database.read() as tx:
            page = queries.experiment_page(tx, experiment_id, _number("attempt", None, 1))
        if page is None:
            abort(404)
        attempt, place = page.attempt, page.place
        task = _task_shown(attempt)
        return render_template(
            "experiment.html",
            page=page,
            attempt=attempt,
            now=self._clock.now(),
            capabilities=self._backend.capabilities,
            logged=_curves(attempt, is_of_system=False),
            used=_curves(attempt, is_of_system=True),
            curve_limit=_CURVES,
            task=task,
            log=_first_log(self._backend, attempt, task),
            columns=_columns(attempt),
            trial_limit=_TRIALS,
            artifacts=_listing(self._backend, attempt),
            commit_url=f"{self._web_url}/{place.full_name}/commit/{place.sha}",
            parameters=_parameters(page),
            link=Links(self._base, page, task),
        )

    def log(self, public_id: str) -> Response:
        """Answer the page's script with the next part of the log."""
        attempt = self._launched(public_id)
        part = read_log(self._backend, attempt.backend_id, _task_asked(attempt), _number("from", 0, -CHUNK) or 0)
        if part is None:
            abort(404)
        return jsonify(lines=part.lines, partial=part.partial, end=part.end, is_complete=part.is_complete)

    def whole_log(self, public_id: str) -> Response:
        """Hand out the log as it was written."""
        attempt = self._launched(public_id)
        blocks = _whole(self._backend, attempt.backend_id, _task_asked(attempt))
        try:
            first = next(blocks, b"")
        except (BackendError, OSError):
            abort(404)
        return as_attachment(chain([first], blocks))

    def artifact(self, public_id: str, path: str) -> AnyResponse:
        """Hand out a file that the experiment left."""
        return self._shelf.artifact(self._launched(public_id), path)

    def artifacts(self, public_id: str) -> AnyResponse:
        """Hand out all files that the experiment left, as an archive."""
        return self._shelf.artifacts(self._launched(public_id))

    def _opened(self, public_id: str) -> int:
        """Return the experiment's id, or answer 404: whether it exists is nobody's business without its token."""
        with self._database.read() as tx:
            key = queries.key(tx, public_id)
        has_token = is_same(request.args.get("token", ""), key.view_token if key else None)
        if key is None or not (has_token or is_logged_in(self._logins)):
            abort(404)
        return key.experiment_id

    def _launched(self, public_id: str) -> Launched:
        """Return the attempt that the request names, as its backend knows it."""
        experiment_id = self._opened(public_id)
        with self._database.read() as tx:
            found = queries.launched(tx, experiment_id, _number("attempt", 1, 1) or 1)
        return found or abort(404)


def _number(name: str, default: int | None, least: int) -> int | None:
    """Return a number of the query; a malformed one is nothing that we have."""
    given = request.args.get(name)
    if given is None:
        return default
    digits = given.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 16 or not least <= int(given) <= _FURTHEST:
        abort(404)
    return int(given)


def _task_asked(attempt: Launched) -> str:
    """Return the task that the request names, the first when it names none."""
    name = request.args.get("task", next(iter(attempt.tasks), ""))
    return name if name in attempt.tasks else abort(404)


def _task_shown(attempt: AttemptPage | None) -> TaskLine | None:
    """Return the task whose log is shown: the one asked for, else the one that failed first, else the first."""
    tasks = attempt.tasks if attempt else ()
    if "task" in request.args:
        return next((task for task in tasks if task.name == request.args["task"]), None) or abort(404)
    return min(tasks, key=lambda task: task.state is not State.FAILED, default=None)


def _parameters(page: ExperimentPage) -> list[tuple[str, str]]:
    """Return what the config sets, defaults that say nothing left out."""
    given = ((key, value) for key, value in page.params.items() if value not in (None, [], {}, ""))
    return [(key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) for key, value in given]


def _first_log(backend: Backend, attempt: AttemptPage | None, task: TaskLine | None) -> LogPart | None:
    """Return the end of a task's log: from the backend, or as it was kept when the attempt ended."""
    if attempt is None or task is None or not attempt.is_launched:
        return None
    tail = task.log_tail or (attempt.log_tail if task is attempt.tasks[0] else "")
    kept = LogPart(clean(tail), "", 0, is_complete=True) if tail else None
    if attempt.removed_at is not None:
        return kept
    return read_log(backend, attempt.backend_id, task.name, -CHUNK) or kept


def _whole(backend: Backend, attempt: str, task: str) -> Iterator[bytes]:
    """Yield a log from its beginning to where it ends now. Raises at the first step when there is none."""
    at = 0
    while chunk := backend.logs(attempt, task, at, CHUNK):
        if not chunk.data:
            return
        yield chunk.data
        at = chunk.end


def _listing(backend: Backend, attempt: AttemptPage | None) -> Listing:
    if attempt is None or not attempt.is_launched:
        return Listing([], is_cut=False)
    if attempt.removed_at is not None:
        known = [Artifact(path, size) for path, size in attempt.facts.get("archived", ())]
        return Listing(known, is_cut=len(known) == _ARTIFACTS, is_here=False)
    try:
        found = list(islice(backend.artifacts(attempt.backend_id), _ARTIFACTS + 1))
    except (BackendError, OSError):
        return Listing([], is_cut=False)
    return Listing(sorted(found[:_ARTIFACTS], key=lambda one: one.path), len(found) > _ARTIFACTS)


def _curves(attempt: AttemptPage | None, is_of_system: bool) -> list[Curve]:
    """Return the curves of what the run logged, or of what it used of the machine."""
    if attempt is None:
        return []
    chosen = [_readable(one) for one in attempt.series if (one.source is Source.SYSTEM) == is_of_system]
    return curves(chosen, [one.gate for one in attempt.gates], _CURVES)


def _readable(series: Series) -> Series:
    """Return a series of bytes in megabytes: nobody reads 3.42467e+07."""
    if series.source is not Source.SYSTEM or series.tag not in _BYTES:
        return series
    points = tuple(replace(point, value=None if point.value is None else point.value / _MB) for point in series.points)
    return replace(series, tag=f"{series.tag} (MB)", points=points)


def _columns(attempt: AttemptPage | None) -> list[str]:
    """Return the parameters of a search's trials that get columns, in the order of the first trial that has them."""
    trials = attempt.search.trials if attempt and attempt.search else ()
    return list(dict.fromkeys(name for trial in trials for name in trial.params))[:_PARAMETERS]
