"""What becomes news of a commit while GitHub is asked where it parts from its base is not overlooked."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

from bot.clock import ManualClock
from bot.forge.client import Forge
from bot.metrics.pictures import PictureStore
from bot.store import commits, comparisons, experiments
from bot.store.database import Database, Transaction
from bot.store.schema import Attempt, Commit, Demand, Experiment, PullHead, Repository, Run
from bot.worker.compare import Compare

BASE, HEAD = "a" * 40, "b" * 40


class Asked:
    """GitHub knows where commits part, and takes its time: `meanwhile` happens."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile

    def merge_base(self, *_: object) -> str:
        self._meanwhile()
        return BASE


class NoPictures:
    """Draws nothing."""

    def draw(self, *_: object) -> None:
        return None


def ran(tx: Transaction, repository: Repository, sha: str, now: int, *steps: int | None) -> tuple[Commit, list[int]]:
    """A commit whose steps have ended, with when their metrics were read; its attempts' ids."""
    commit = commits.see_commit(tx, repository.id, sha, "t", "c", [], now)
    run = Run(public_id=f"r{sha[0]}", repository_id=repository.id, commit_id=commit.id, sha=sha, workflow="train")
    run.position, run.trust, run.created_at = 0, "trusted", now
    tx.add(run)
    tx.flush()
    attempts = []
    for place, read_at in enumerate(steps):
        name = f"{sha[0]}{place}"
        x = Experiment(public_id=name, run_id=run.id, step=f"s{place}", position=place, kind="k", params={}, gates=[])
        x.notes, x.created_at = [], now
        tx.add(x)
        tx.flush()
        one = Attempt(experiment_id=x.id, number=1, backend_id=name, state="stopped", entered_at=now, created_at=now)
        one.spec, one.metrics_problems, one.metrics_read_at, one.facts = (
            {"mode": "single", "groups": []},
            [],
            read_at,
            {},
        )
        tx.add(one)
        tx.flush()
        attempts.append(one.id)
    return commit, attempts


def test_it_is_looked_at_again(tmp_path: Path, clock: ManualClock) -> None:
    database, now = Database(f"sqlite:///{tmp_path}/x.sqlite3"), clock.now()
    database.migrate(tmp_path / "lock")
    with database.write() as tx:
        repository = Repository(github_id=1, installation_id=1, owner="a", name="b", is_private=False)
        repository.default_branch = "main"
        tx.add(repository)
        tx.flush()
        ran(tx, repository, BASE, now, now, now)
        commit, attempts = ran(tx, repository, HEAD, now, now, None)
        tx.add(PullHead(repository_id=repository.id, number=1, commit_id=commit.id, base_branch="main", updated_at=""))
        tx.add(Demand(commit_id=commit.id, number=1, base_branch="main", base_sha=BASE, steps=[]))

    def metrics_are_read() -> None:
        with database.write() as tx:
            experiments.change(tx, attempts[1], metrics_read_at=now + 1)
            commits.touch(tx, commit.id)

    station = Compare(database, clock, cast(Forge, Asked(metrics_are_read)), cast(PictureStore, NoPictures()))
    found = []
    for _ in range(3):
        station.tick()
        clock.advance(5)
        with database.read() as tx:
            found += [row.basis for row in comparisons.of_commit(tx, commit.id)]
    database.close()
    assert found[0] != found[1], "the second step stands beside its base as well"
    assert found[1] == found[2]
