"""Where what comes of a checkout is kept: a directory of its own, outside of it, in which one run works at a time."""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bot.clock import Clock
from bot.logs import LineFormatter
from bot.run.checkout import Checkout
from bot.run.errors import CannotRun
from bot.worker_sign import WorkerSign

_LOG = "stations.log"


def home_of(checkout: Checkout, environ: Mapping[str, str]) -> Path:
    """Return where a checkout's runs are kept by default: below the user's state, by the checkout's name and place."""
    state = environ.get("XDG_STATE_HOME", "")
    # https://specifications.freedesktop.org/basedir-spec: a relative path counts as none.
    below = Path(state) if state.startswith("/") else Path(environ.get("HOME") or "/nonexistent", ".local", "state")
    place = hashlib.sha256(os.fsencode(checkout.root)).hexdigest()[:8]
    return below / "experiment-ci" / f"{checkout.name}-{place}"


@contextmanager
def held(home: Path, clock: Clock) -> Iterator[WorkerSign]:
    """Make the directory and hold it. Raises CannotRun where another run does."""
    sign = WorkerSign(home, clock)
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        is_free = sign.hold()
    except OSError as error:
        raise CannotRun(f"{home} cannot be written ({error.strerror}); --dir names another place") from None
    if not is_free:
        raise CannotRun(f"another run works in {home}; wait for it, or give this one a directory of its own: --dir")
    try:
        yield sign
    finally:
        sign.release()


@contextmanager
def logged(home: Path) -> Iterator[Path]:
    """Let the stations' complaints go to a file: on the terminal they would stand amidst what is drawn there."""
    path, root = home / _LOG, logging.getLogger()
    path.unlink(missing_ok=True)
    before = root.handlers
    handler = logging.FileHandler(path, delay=True)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(LineFormatter())
    root.handlers = [handler]
    try:
        yield path
    finally:
        root.handlers = before
        handler.close()
