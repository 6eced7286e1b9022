"""The page of an experiment, its log and its artifacts: for whoever has its view token, or logged in."""

import json
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple
from urllib.parse import quote

from flask import Blueprint, Response, abort, jsonify, render_template, request

from bot.backends.base import Artifact, Backend, BackendError
from bot.clock import Clock
from bot.core.text import clean
from bot.store import pages as queries
from bot.store.database import Database
from bot.store.pages import AttemptPage, ExperimentPage
from bot.web.access import Logins, is_logged_in, is_same
from bot.web.curves import curves
from bot.web.files import as_attachment, download
from bot.web.logs import CHUNK, LogPart, read_log

_CURVES = 40
_ARTIFACTS = 500
"""The most curves and artifacts that one page shows; it says when there are more."""
_TASK = "worker-0"
_FURTHEST = 2**53
"""The largest number that a page's script can name exactly."""


class Listing(NamedTuple):
    """The artifacts of an attempt, and whether there are more than are listed."""

    files: list[Artifact]
    is_cut: bool


class ExperimentPages:
    """`/experiments/<public id>` and what lies below it. `base` is the path that PUBLIC_URL adds before ours."""

    def __init__(
        self, database: Database, clock: Clock, backend: Backend, logins: Logins, base: str, web_url: str
    ) -> None:
        self._database, self._clock, self._backend = database, clock, backend
        self._logins, self._base, self._web_url = logins, base, web_url

    def blueprint(self) -> Blueprint:
        """Return the pages under their addresses."""
        pages = Blueprint("experiments", __name__)
        pages.get("/experiments/<public_id>")(self.page)
        pages.get("/experiments/<public_id>/log")(self.log)
        pages.get("/experiments/<public_id>/log.txt")(self.whole_log)
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
        return render_template(
            "experiment.html",
            page=page,
            attempt=attempt,
            now=self._clock.now(),
            capabilities=self._backend.capabilities,
            curves=curves(attempt.series, [one.gate for one in attempt.gates], _CURVES) if attempt else [],
            curve_limit=_CURVES,
            log=_first_log(self._backend, attempt),
            artifacts=_listing(self._backend, attempt),
            commit_url=f"{self._web_url}/{place.full_name}/commit/{place.sha}",
            parameters=_parameters(page),
            link=_Links(self._base, page),
        )

    def log(self, public_id: str) -> Response:
        """Answer the page's script with the next part of the log."""
        name = self._attempt_name(public_id)
        part = read_log(self._backend, name, _TASK, _number("from", 0, -CHUNK) or 0)
        if part is None:
            abort(404)
        return jsonify(lines=part.lines, partial=part.partial, end=part.end, is_complete=part.is_complete)

    def whole_log(self, public_id: str) -> Response:
        """Hand out the log as it was written."""
        blocks = _whole(self._backend, self._attempt_name(public_id))
        try:
            first = next(blocks, b"")
        except (BackendError, OSError):
            abort(404)
        return as_attachment(chain([first], blocks))

    def artifact(self, public_id: str, path: str) -> Response:
        """Hand out a file that the experiment left."""
        name = self._attempt_name(public_id)
        try:
            file = self._backend.open_artifact(name, path)
        except (BackendError, OSError, ValueError):
            abort(404)
        return download(file)

    def _opened(self, public_id: str) -> int:
        """Return the experiment's id, or answer 404: whether it exists is nobody's business without its token."""
        with self._database.read() as tx:
            key = queries.key(tx, public_id)
        has_token = is_same(request.args.get("token", ""), key.view_token if key else None)
        if key is None or not (has_token or is_logged_in(self._logins)):
            abort(404)
        return key.experiment_id

    def _attempt_name(self, public_id: str) -> str:
        """Return what the backend calls the attempt that the request names."""
        experiment_id = self._opened(public_id)
        with self._database.read() as tx:
            name = queries.attempt_name(tx, experiment_id, _number("attempt", 1, 1) or 1)
        return name or abort(404)


def _number(name: str, default: int | None, least: int) -> int | None:
    """Return a number of the query; a malformed one is nothing that we have."""
    given = request.args.get(name)
    if given is None:
        return default
    digits = given.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 16 or not least <= int(given) <= _FURTHEST:
        abort(404)
    return int(given)


class _Links:
    """The addresses that a page points at. A token that opened the page opens them too."""

    def __init__(self, base: str, page: ExperimentPage) -> None:
        self._base = f"{base}/experiments/{page.place.public_id}"
        token = request.args.get("token")
        self._token = f"&token={quote(token, safe='')}" if token else ""
        self._number = page.attempt.number if page.attempt else 1

    def attempt(self, number: int) -> str:
        return f"{self._base}?attempt={number}{self._token}"

    def log(self) -> str:
        return f"{self._base}/log?attempt={self._number}{self._token}"

    def whole_log(self) -> str:
        return f"{self._base}/log.txt?attempt={self._number}{self._token}"

    def artifact(self, path: str) -> str | None:
        """Return where a file is to be had, None when its name is not text and so has no address."""
        try:
            return f"{self._base}/artifacts/{quote(path)}?attempt={self._number}{self._token}"
        except UnicodeEncodeError:
            return None


def _parameters(page: ExperimentPage) -> list[tuple[str, str]]:
    """Return what the config sets, defaults that say nothing left out."""
    given = ((key, value) for key, value in page.params.items() if value not in (None, [], {}, ""))
    return [(key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)) for key, value in given]


def _first_log(backend: Backend, attempt: AttemptPage | None) -> LogPart | None:
    """Return the end of the log: from the backend, or as it was kept when the attempt ended."""
    if attempt is None or not attempt.is_launched:
        return None
    kept = LogPart(clean(attempt.log_tail), "", 0, is_complete=True) if attempt.log_tail else None
    return read_log(backend, attempt.backend_id, _TASK, -CHUNK) or kept


def _whole(backend: Backend, name: str) -> Iterator[bytes]:
    """Yield the log from its beginning to where it ends now. Raises at the first step when there is none."""
    at = 0
    while chunk := backend.logs(name, _TASK, at, CHUNK):
        if not chunk.data:
            return
        yield chunk.data
        at = chunk.end


def _listing(backend: Backend, attempt: AttemptPage | None) -> Listing:
    if attempt is None or not attempt.is_launched:
        return Listing([], is_cut=False)
    try:
        found = list(islice(backend.artifacts(attempt.backend_id), _ARTIFACTS + 1))
    except (BackendError, OSError):
        return Listing([], is_cut=False)
    return Listing(sorted(found[:_ARTIFACTS], key=lambda one: one.path), len(found) > _ARTIFACTS)
