"""Telling GitHub while others go on writing: what was right when it was read may have changed when it leaves."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from bot.clock import ManualClock
from bot.core import events
from bot.core.report import CheckView, Conclusion, Status
from bot.forge.checks import CheckWrite
from bot.forge.client import Forge
from bot.store import checks, commits
from bot.store.checks import Desired
from bot.store.database import Database, Transaction
from bot.worker.tell import Teller
from tests.scenarios.road import AtOnce

SHA = "a" * 40


class Interrupted(Database):
    """Lets somebody else write, once, right after the next transaction when `meanwhile` is set."""

    meanwhile: Callable[[], None] | None = None

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with super().read() as tx:
            yield tx
        self._let_in()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with super().write() as tx:
            yield tx
        self._let_in()

    def _let_in(self) -> None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()


class Listener:
    """GitHub, as far as it is written to. `at_turn` is called when a request is about to be made ready."""

    def __init__(self, at_turn: Callable[[], None]) -> None:
        self.statuses: dict[int, list[str]] = {}
        self.pacer, self._at_turn = self, at_turn

    def may_write(self, _installation: int, *, is_progress: bool = False) -> float:
        if not self.statuses and not is_progress:
            self._at_turn()
        return 0.0

    def create_check(self, _repo: object, _sha: str, check: CheckWrite, _external_id: str) -> int:
        number = len(self.statuses) + 1
        self.statuses[number] = [check.status]
        return number

    def update_check(self, _repo: object, number: int, check: CheckWrite, **_more: Any) -> None:
        self.statuses[number].append(check.status)


def wanted(status: Status, conclusion: Conclusion | None) -> Desired:
    view = CheckView("fit", "experiment", None, status, conclusion, "title", "summary", None, "headline")
    return Desired("experiment", "fit", None, view.to_json(), view.digest(), status, view.is_final)


def test_a_check_that_is_run_again_while_its_end_is_told_gets_a_new_one(tmp_path: Path, clock: ManualClock) -> None:
    database = Interrupted(f"sqlite:///{tmp_path}/x.sqlite3")
    database.migrate(tmp_path / "lock")
    seen = events.Repository(1, "acme", "digits", False, "main", 7)
    with database.write() as tx:
        repository = commits.see_repository(tx, seen, clock.now())
        commit = commits.see_commit(tx, repository.id, SHA, "First", "config.yaml", [], clock.now())
        checks.desire(tx, commit.id, [wanted(Status.COMPLETED, Conclusion.FAILURE)])

    def run_again() -> None:
        with Database.write(database) as tx:
            checks.desire(tx, commit.id, [wanted(Status.QUEUED, None)])

    def arm() -> None:
        database.meanwhile = run_again

    hub = Listener(arm)
    teller = Teller(database, clock, cast(Forge, hub), AtOnce())
    for _ in range(3):
        teller.tell()
        clock.advance(90)
    database.close()
    assert hub.statuses == {1: ["completed"], 2: ["queued"]}
