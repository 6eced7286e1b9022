"""What is removed when its time is over, and what never is."""

import fcntl
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.backends import orders
from bot.clock import DAY, ManualClock
from bot.core.states import State
from bot.store import experiments
from bot.store.database import Database
from bot.store.schema import Attempt
from bot.worker.sweep import Sweep
from tests.worker.yard import Yard, write

pytestmark = pytest.mark.service  # each play has a database of its own


@pytest.fixture
def yard(database: Database, clock: ManualClock, tmp_path: Path) -> Yard:
    return Yard(database, clock, tmp_path)


@pytest.fixture
def sweep(yard: Yard, tmp_path: Path) -> Sweep:
    """The station of a bot that keeps everything for 90 days, workspaces for 3."""
    (tmp_path / "tmp").mkdir()
    return Sweep(yard.database, yard.clock, yard.data_dir, 90, 3, tmp_path / "tmp")


def after(yard: Yard, sweep: Sweep, days: float) -> None:
    """Let time pass, and one round be made."""
    yard.clock.advance(days * DAY / 1_000_000)
    while sweep.tick():
        pass


def kept(yard: Yard, attempt: Attempt) -> Attempt:
    with yard.database.write() as tx:
        experiments.change(tx, attempt.id, kept_at=yard.clock.now())
    return attempt


def test_what_an_attempt_left_goes_when_its_time_is_over(yard: Yard, sweep: Sweep) -> None:
    attempt = kept(yard, yard.attempt({"deep/er/weights": b"1"}))
    other = kept(yard, yard.attempt({"weights": b"2"}))
    with yard.database.write() as tx:
        experiments.change(tx, attempt.id, log_tail="the last words\n")

    after(yard, sweep, 89)
    assert yard.row(attempt).removed_at is None
    after(yard, sweep, 2)

    assert yard.row(attempt).removed_at == yard.row(other).removed_at == yard.clock.now()
    assert list((yard.data_dir / "runs").iterdir()) == []
    page = yard.stage.get(f"/experiments/{attempt.backend_id[:-2]}?token={yard.view_token(attempt)}").text
    assert "were removed from this machine" in page
    assert "the last words" in page


def test_nothing_goes_before_it_was_kept_nor_while_it_is_unfinished(yard: Yard, sweep: Sweep) -> None:
    unkept = yard.attempt({"weights": b"1"})
    running = kept(yard, yard.attempt({"weights": b"1"}))
    with yard.database.write() as tx:
        experiments.change(tx, running.id, state=State.RUNNING)

    after(yard, sweep, 1000)

    assert yard.directory(unkept).exists()
    assert yard.directory(running).exists()


def test_an_attempt_whose_supervisor_still_lives_is_left_alone(
    yard: Yard, sweep: Sweep, caplog: pytest.LogCaptureFixture
) -> None:
    attempt = kept(yard, yard.attempt({"weights": b"1"}))
    lock = os.open(yard.directory(attempt) / orders.LOCK, os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)

    after(yard, sweep, 91)

    assert yard.directory(attempt).exists()
    assert "its supervisor is not" in caplog.text
    os.close(lock)
    after(yard, sweep, 1)
    assert not yard.directory(attempt).exists()


def test_a_kept_workspace_goes_before_the_rest(yard: Yard, sweep: Sweep) -> None:
    attempt = yard.attempt({"weights": b"1"}, end=State.FAILED, keeps_workspace=True)
    write(yard.directory(attempt) / "workspace" / "worker-0", {"train.py": b"print()"})

    after(yard, sweep, 2)
    assert (yard.directory(attempt) / "workspace").exists()
    after(yard, sweep, 2)

    assert not (yard.directory(attempt) / "workspace").exists()
    assert (yard.directory(attempt) / "artifacts" / "weights").exists()


def test_what_no_row_explains_is_told_of_once_and_left_alone(
    yard: Yard, sweep: Sweep, caplog: pytest.LogCaptureFixture
) -> None:
    strange = yard.data_dir / "runs" / "0someone" / "1"
    write(strange, {"artifacts/weights": b"1"})
    (yard.data_dir / "runs" / "notes.txt").write_text("mine")

    after(yard, sweep, 1000)
    after(yard, sweep, 1)

    assert (strange / "artifacts" / "weights").exists()
    assert (yard.data_dir / "runs" / "notes.txt").exists()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_links_are_not_followed(yard: Yard, sweep: Sweep, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    write(precious, {"file": b"1"})
    attempt = kept(yard, yard.attempt({"weights": b"1"}))
    (yard.directory(attempt) / "artifacts" / "link").symlink_to(precious)
    (yard.data_dir / "runs" / "0link").symlink_to(precious)

    after(yard, sweep, 91)

    assert not yard.directory(attempt).exists()
    assert (precious / "file").exists()


def test_without_a_retention_everything_stays(yard: Yard) -> None:
    attempt = kept(yard, yard.attempt({"weights": b"1"}))
    write(yard.directory(attempt) / "workspace", {"train.py": b""})

    after(yard, Sweep(yard.database, yard.clock, yard.data_dir, 0, 0, yard.data_dir), 10_000)

    assert (yard.directory(attempt) / "workspace" / "train.py").exists()


def test_a_look_once_an_hour(yard: Yard, sweep: Sweep) -> None:
    after(yard, sweep, 0)
    attempt = kept(yard, yard.attempt({"weights": b"1"}, end=State.FAILED))
    write(yard.directory(attempt) / "workspace", {"train.py": b""})
    with yard.database.write() as tx:
        experiments.change(tx, attempt.id, entered_at=yard.clock.now() - 4 * DAY)

    after(yard, sweep, 0.5 / 24)
    assert (yard.directory(attempt) / "workspace").exists()
    after(yard, sweep, 0.6 / 24)
    assert not (yard.directory(attempt) / "workspace").exists()


def test_an_unused_git_cache_goes_unless_its_repository_is_at_work(yard: Yard, sweep: Sweep) -> None:
    attempt = yard.attempt()  # of the repository 1296269
    now = yard.clock.now() / 1_000_000
    for number in ("1296269", "7", "8"):
        write(yard.data_dir / "git" / f"{number}.git", {"refs/commits/0123": b"", "objects/pack/p": b"x" * 10})
        for path in (yard.data_dir / "git").rglob("*"):
            os.utime(path, (now, now))
    with yard.database.write() as tx:
        experiments.change(tx, attempt.id, state=State.PENDING)

    yard.clock.advance(80 * DAY / 1_000_000)
    later = yard.clock.now() / 1_000_000
    os.utime(yard.data_dir / "git" / "8.git" / "refs" / "commits", (later, later))
    after(yard, sweep, 20)

    assert sorted(path.name for path in (yard.data_dir / "git").glob("*.git")) == ["1296269.git", "8.git"]


def test_scratch_of_dead_workers_goes(yard: Yard, sweep: Sweep, tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = [f"experiment-ci-{dead.pid}-abc", f"experiment-ci-{os.getpid()}-abc", "experiment-ci-abc", "other-1-abc"]
    now = yard.clock.now() / 1_000_000
    for name in names:
        write(tmp_path / "tmp" / name, {"fonts.json": b"{}"})
        os.utime(tmp_path / "tmp" / name, (now, now))

    after(yard, sweep, 0.5)
    assert len(list((tmp_path / "tmp").iterdir())) == 4
    after(yard, sweep, 1)

    assert sorted(path.name for path in (tmp_path / "tmp").iterdir()) == sorted(names[1:])
