"""What attempts left, handed out: from this machine while it is here, then from the bucket that it was put into."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from flask import Response, abort, redirect
from werkzeug.wrappers import Response as AnyResponse

from bot.backends import artifacts
from bot.backends.base import Artifact, Backend, BackendError
from bot.storage.errors import Refused, Unavailable
from bot.storage.kept import ARTIFACTS, MODEL, KeptFiles
from bot.store.models import ModelPage, joined
from bot.store.pages import Launched
from bot.web.files import as_attachment, download
from bot.web.turns import Turns
from bot.web.zips import zipped

TURNS = 3
"""Archives that are made at a time: each keeps a thread and a good part of a processor busy."""
_MOST_FILES = artifacts.MOST_FILES
_log = logging.getLogger(__name__)


class Shelf:
    """The files of attempts. All methods answer 404 for what is nowhere. `kept` is None without a bucket."""

    def __init__(self, backend: Backend, kept: KeptFiles | None) -> None:
        self._backend, self._kept = backend, kept
        self._turns = Turns(TURNS)

    def artifact(self, attempt: Launched, path: str) -> AnyResponse:
        """Hand out one artifact."""
        with contextlib.suppress(BackendError, OSError, ValueError):
            return download(self._backend.open_artifact(attempt.backend_id, path))
        return self._elsewhere(attempt.archive, f"{ARTIFACTS}/{path}")

    def artifacts(self, attempt: Launched) -> AnyResponse:
        """Hand out all artifacts as an archive."""
        try:
            found: list[Artifact] = list(islice(self._backend.artifacts(attempt.backend_id), _MOST_FILES))
        except (BackendError, OSError):
            found = []
        open_one = self._opener(lambda path: self._backend.open_artifact(attempt.backend_id, path))
        return self._archive(f"{attempt.backend_id}-artifacts", [one.path for one in found], open_one)

    def model_file(self, model: ModelPage, path: str) -> AnyResponse:
        """Hand out one file of a model; one that has another size by now is not the one that was recorded."""
        known = next((file for file in model.files if file.path == path), None)
        if known is None:
            abort(404)
        with contextlib.suppress(BackendError, OSError, ValueError):
            response = download(self._open(model, path))
            if response.content_length == known.size:
                return response
            response.close()
        is_artifact = model.root == ARTIFACTS
        name = f"{ARTIFACTS}/{joined(model.below, path)}" if is_artifact else f"{MODEL}/{path}"
        return self._elsewhere(model.archive, name)

    def model(self, model: ModelPage) -> AnyResponse:
        """Hand out all files of a model as an archive."""
        open_one = self._opener(lambda path: self._open(model, path))
        paths = [file.path for file in model.files]
        is_there = any(_opens(open_one, path) for path in paths)
        return self._archive(f"{model.backend_id}-model", paths if is_there else [], open_one)

    def _open(self, model: ModelPage, path: str) -> BinaryIO:
        if model.root == ARTIFACTS:
            return self._backend.open_artifact(model.backend_id, joined(model.below, path))
        return artifacts.open_one(Path(model.storage_dir), joined(model.below, path))

    def _opener(self, open_one: Callable[[str], BinaryIO]) -> Callable[[str], BinaryIO]:
        def opened(path: str) -> BinaryIO:
            try:
                return open_one(path)
            except BackendError as error:
                raise FileNotFoundError(path) from error

        return opened

    def _elsewhere(self, archive: str | None, name: str) -> AnyResponse:
        """Lead to the bucket, if the file is there."""
        link = None
        if self._kept is not None and archive is not None:
            try:
                link = self._kept.link(archive, name)
            except (Refused, Unavailable) as error:
                _log.warning("an archived file cannot be had: %s", error)
        return abort(404) if link is None else redirect(link, 302)

    def _archive(self, name: str, paths: list[str], open_one: Callable[[str], BinaryIO]) -> Response:
        if not paths:
            abort(404)
        self._turns.take()
        response = as_attachment(_quietly(zipped(paths, open_one)))
        response.call_on_close(self._turns.give_back)
        response.headers["Content-Disposition"] = f"attachment; filename={name}.zip"
        response.mimetype = "application/zip"
        return response


def _opens(open_one: Callable[[str], BinaryIO], path: str) -> bool:
    try:
        open_one(path).close()
    except OSError:
        return False
    return True


def _quietly(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """A file that cannot be read to its end cuts the archive off, which everybody can see."""
    try:
        yield from blocks
    except OSError as error:
        raise BrokenPipeError(str(error)) from error
