"""The ancestor's form of a search: a study that the run's own processes share, in a file of SQLite.

`python -P -m bot.search.study RUN_DIR prepare` makes the tables before the processes start: two that make them at the
same time trip over each other. `… read` prints JSON lines: first `{"study", "goal", "trials", "left_out"}`, then its
trials as in the file `trials`; or one line `{"problem": …}`, with the status 1.

The file belongs to code that nobody trusts. It is copied without following links, and opened by a process that has
given up root and whose memory and time are limited.
"""

import fcntl
import json
import os
import resource
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

from bot.clock import Clock, SystemClock
from bot.core.search import Goal
from bot.core.space import MAX_CHOICE, Scalar
from bot.core.trials import Trial, TrialState
from bot.metrics.tree import Refused, folder, regular_file

FOLDER, FILE = "generated/study", "study.db"

TRIALS, ROOM = 10_000, 8 << 20
"""Trials that are shown, and bytes of their lines: they become rows, and a run can make each as long as it likes."""

LARGEST = 256 << 20
"""Bytes of the file."""

_BESIDE = ("-journal", "-wal")
"""Files that SQLite keeps beside one that is being written: https://www.sqlite.org/tempfiles.html."""
_PARAMETERS, _NAME = 100, 200
_MEMORY, _SECONDS = 1 << 30, 30
_NOBODY = 65534
_LOCK_START, _LOCK_LENGTH = 0x40000002, 510
"""The bytes that readers of a SQLite file lock: https://www.sqlite.org/lockingv3.html, SHARED_FIRST and SHARED_SIZE."""
_LOCK_PATIENCE = 2.0


class Unreadable(Exception):
    """The study cannot be read (now); the message is a sentence for people."""


def prepare(run_dir: Path) -> None:
    """Make an empty study file for the owner of `generated`. One that is there already stays as it is."""
    from optuna.storages import RDBStorage  # noqa: PLC0415 - it is an extra

    place = run_dir / FOLDER
    owner = place.parent.stat()
    if os.path.lexists(place / FILE):
        return
    place.mkdir(exist_ok=True)
    RDBStorage(f"sqlite:///{place / FILE}").engine.dispose()
    for path in (place / FILE, place):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def read(run_dir: Path) -> list[dict[str, Any]]:
    """Return the lines that this module tells of. A run may keep several studies: the first that has trials is read.

    Raises Unreadable.
    """
    with tempfile.TemporaryDirectory(prefix="experiment-ci-") as scratch:
        copy = Path(scratch) / FILE
        _copy(run_dir, copy, SystemClock())
        return _asked_of_nobody(copy)


def _asked_of_nobody(copy: Path) -> list[dict[str, Any]]:
    """Return what a child says that is nobody, and that may be killed by its limits."""
    # Before it gives up root: the installation may be unreadable to nobody, and much is only imported when used.
    _first_study("sqlite://")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _answer(copy, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        lines = pipe.read().splitlines()
    if os.waitpid(child, 0)[1] != 0 or not lines:
        raise Unreadable("the study took too much memory or time to read")
    answer = [json.loads(line) for line in lines]
    if "problem" in answer[0]:
        raise Unreadable(answer[0]["problem"])
    return answer


def _answer(copy: Path, pipe: int) -> NoReturn:
    status = 1
    try:
        _give_up_root(copy)
        try:
            lines = [*_lines(f"sqlite:///{copy}")]
        except Exception:  # SQLite and Optuna raise many for a file that is none of theirs
            lines = [{"problem": f"{FILE} is no study that can be read"}]
        with os.fdopen(pipe, "w") as file:
            file.writelines(json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n" for line in lines)
        status = 0
    finally:
        os._exit(status)


def _give_up_root(copy: Path) -> None:
    if os.geteuid() == 0:
        for path in (copy.parent, *copy.parent.iterdir()):
            os.chown(path, _NOBODY, _NOBODY)
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    for kind, limit in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_FSIZE, LARGEST),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def _copy(run_dir: Path, copy: Path, clock: Clock) -> None:
    """Copy the file with what belongs to it, while nobody writes."""
    root = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with folder(root, FOLDER) as place, regular_file(place, FILE, LARGEST) as file:
            _lock(file, clock)
            _write(file, copy)
            for suffix in _BESIDE:
                with suppress(FileNotFoundError), regular_file(place, f"{FILE}{suffix}", LARGEST) as beside:
                    _write(beside, copy.with_name(f"{FILE}{suffix}"))
    except FileNotFoundError:
        raise Unreadable("there is no study") from None
    except Refused as error:
        raise Unreadable(f"{FILE} {error}") from error
    except OSError as error:
        raise Unreadable(f"{FILE} could not be read: {error.strerror}") from error
    finally:
        os.close(root)


def _lock(file: int, clock: Clock) -> None:
    """Keep writers out, as a reader does. One that never lets go is read all the same: that may fail, or be old."""
    end = clock.monotonic() + _LOCK_PATIENCE
    while clock.monotonic() < end:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, _LOCK_LENGTH, _LOCK_START)
        except BlockingIOError:
            clock.sleep(0.05)
        else:
            return


def _write(file: int, copy: Path) -> None:
    with copy.open("wb") as target:
        place = 0
        # It may grow meanwhile; what is more than was looked at is not wanted.
        while place < LARGEST and (block := os.pread(file, 1 << 20, place)):
            place += target.write(block)


def _first_study(url: str) -> tuple[Any, Any]:
    """Return the storage, and the study that is read; None when there is none."""
    from optuna.storages import RDBStorage  # noqa: PLC0415 - it is an extra

    # A copy is as it is: its version is not held against it, and nothing is added.
    storage = RDBStorage(url, skip_compatibility_check=True, skip_table_creation=url != "sqlite://")
    studies = sorted(storage.get_all_studies(), key=lambda study: study._study_id)
    with_trials = (study for study in studies if storage.get_n_trials(study._study_id) > 0)
    return storage, next(with_trials, studies[0] if studies else None)


def _lines(url: str) -> Iterator[dict[str, Any]]:
    storage, study = _first_study(url)
    if study is None:
        yield {"study": "", "goal": None, "trials": 0, "left_out": 0}
        return
    begun = [one for one in storage.get_all_trials(study._study_id, deepcopy=False) if one.state.name in _STATES]
    directions = [direction.name.lower() for direction in study.directions]
    goal = directions[0] if len(directions) == 1 and directions[0] in [*map(str, Goal)] else None
    shown = [*_fitting(begun, has_value=goal is not None)]
    left_out = len(begun) - len(shown)
    yield {"study": _plain(study.study_name, _NAME), "goal": goal, "trials": len(begun), "left_out": left_out}
    yield from shown


def _fitting(begun: list[Any], has_value: bool) -> Iterator[dict[str, Any]]:
    room = ROOM
    for one in begun[:TRIALS]:
        line = _trial(one, has_value).to_json()
        room -= len(json.dumps(line))
        if room < 0:
            return
        yield line


_STATES = {
    "RUNNING": TrialState.RUNNING,
    "COMPLETE": TrialState.COMPLETE,
    "PRUNED": TrialState.PRUNED,
    "FAIL": TrialState.FAILED,
}


def _trial(one: Any, has_value: bool) -> Trial:
    state = _STATES[one.state.name]
    value = one.value if has_value else None
    pruned = "pruned" if one.last_step is None else f"pruned at step {one.last_step}"
    reason = {TrialState.FAILED: "it failed", TrialState.PRUNED: pruned}.get(state, "")
    return Trial(
        number=int(one.number),
        params=_params(one.params),
        state=state,
        value=float(value) if value is not None and isfinite(value) else None,
        began_at=_at(one.datetime_start),
        ended_at=_at(one.datetime_complete),
        reason=reason,
        steps=one.last_step,
    )


def _params(params: Mapping[str, Any]) -> dict[str, Scalar]:
    shown = list(params.items())[:_PARAMETERS]
    return {_plain(name, _NAME): _scalar(value) for name, value in shown}


def _scalar(value: Any) -> Scalar:
    if isinstance(value, bool) or (isinstance(value, int | float) and isfinite(value)):
        return value
    return _plain(str(value), MAX_CHOICE)


def _plain(text: str, room: int) -> str:
    return "".join(letter if letter.isprintable() else "·" for letter in text[:room])


def _at(moment: datetime | None) -> int | None:
    # Optuna stores the local time of the process that wrote it, without saying which that was.
    return None if moment is None else round(moment.timestamp() * 1_000_000)


def main() -> int:
    """Do what the command line says; a sentence of what went wrong is a line, too."""
    run_dir, what = Path(sys.argv[1]), sys.argv[2]
    try:
        if what == "prepare":
            prepare(run_dir)
        else:
            for line in read(run_dir):
                print(json.dumps(line, separators=(",", ":")))  # noqa: T201
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        print(json.dumps({"problem": "searches need Optuna: pip install 'experiment-ci[search]'"}))  # noqa: T201
        return 1
    except Unreadable as error:
        print(json.dumps({"problem": str(error)}))  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
