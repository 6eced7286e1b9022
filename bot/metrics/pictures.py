"""Pictures on disk, named by what is in them."""

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from bot.core.gates import Gate
from bot.core.search import Distribution, Goal
from bot.core.series import Series
from bot.core.trials import Trial
from bot.metrics.process import NoAnswer
from bot.metrics.reader import MetricsReader

_log = logging.getLogger(__name__)


class PictureStore:
    """A folder of PNG files. A name is the SHA-256 of its file: nobody guesses it, it never means another."""

    def __init__(self, folder: Path, reader: MetricsReader) -> None:
        self._folder = folder
        self._reader = reader

    def draw(self, title: str, series: Sequence[Series], gates: Sequence[Gate]) -> str | None:
        """Draw and keep a picture; return its name (64 hexadecimal digits), None when there is none.

        A picture is an ornament: that it could not be drawn is logged, and the report goes on with letters.
        """
        return self._kept(lambda: self._reader.draw(title, series, gates))

    def draw_search(
        self,
        title: str,
        trials: Sequence[Trial],
        goal: Goal,
        metric: str,
        space: Mapping[str, Distribution] | None = None,
    ) -> str | None:
        """Draw and keep the picture of a search, like `draw`; the arguments are those of the reader."""
        return self._kept(lambda: self._reader.draw_search(title, trials, goal, metric, space))

    def _kept(self, draw: Callable[[], bytes | None]) -> str | None:
        try:
            picture = draw()
        except NoAnswer as error:
            _log.warning("No picture could be drawn: %s", error)
            return None
        if picture is None:
            return None
        name = sha256(picture).hexdigest()
        self._keep(name, picture)
        return name

    def _keep(self, name: str, picture: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # Written aside and renamed, so that nobody is ever served half a picture.
        aside = self._folder / f"{name}.{os.getpid()}.tmp"
        aside.write_bytes(picture)
        aside.replace(self._folder / f"{name}.png")
