"""A road on a bad day: GitHub errs, answers get lost, webhooks come three times, late, and in another order."""

from collections import Counter
from typing import Any

from sqlalchemy import select

from bot.store import checks, deliveries, requests
from bot.store.schema import Attempt, Check, Comment, Commit, Pull
from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend

_STEP, _MOST_STEPS = 5, 200


class StormyRoad(Road):
    """A road that settles when all has come and all has been told, however often it had to be tried."""

    def storm(self, seed: int) -> None:
        """Let five of a hundred requests fail, some after they were taken; nearly half of the webhooks come wrong."""
        self.hub.faults.at_random(0.05, seed)
        kinds = ("duplicate", "delay", "shuffle")
        self.hub.courier.at_random(0.45, seed, kinds=kinds, clock_seconds=40, copies=3)

    def silence(self) -> None:
        """The weather clears up, and there is time."""
        self.hub.faults.clear()
        self.hub.courier.at_random(0, 0)
        for _ in range(3):
            self.wait(60)

    def settle(self, rounds: int = 2) -> None:
        """Let everything be done that is under way. The clock goes on meanwhile, by five seconds at a time."""
        for _ in range(_MOST_STEPS):
            super().settle(rounds)
            if not self._is_busy():
                return
            self.clock.advance(_STEP)
        raise AssertionError("it never came to rest")

    def _is_busy(self) -> bool:
        if self.hub.courier.is_late:
            return True
        with self.database.read() as tx:
            return any(count(tx) for count in (deliveries.count_waiting, requests.count_waiting, checks.count_pending))


def all_is_true(road: Road, backend: ScriptedBackend) -> None:
    """What GitHub shows is what the rows say, once; and nothing was launched twice or asked for too fast."""
    with road.database.read() as tx:
        rows = tx.execute(select(Check, Commit).join(Commit, Check.commit_id == Commit.id)).all()
        comments = {(row.repository_id, row.number): row for row in tx.scalars(select(Comment))}
        pulls = tx.scalars(select(Pull)).all()
        attempts = Counter((one.experiment_id, one.number) for one in tx.scalars(select(Attempt)))
        assert not any(commit.has_news for _, commit in rows)
        assert all(one.state in ("done", "ignored") for one in road.deliveries())
    shown = {run.id: run for one in road.hub.world.repositories.values() for run in one.runs()}
    told = {check.github_id: check for check, _ in rows}
    assert shown.keys() == told.keys(), "one check of GitHub's for each of ours"
    assert {key: _seen(run) for key, run in shown.items()} == {key: _meant(check) for key, check in told.items()}
    assert len(pulls) == sum(len(one.pulls) for one in road.hub.world.repositories.values())
    for repository in road.hub.world.repositories.values():
        for pull in repository.pulls.values():
            mine = [comment.body for comment in pull.comments if comment.author.kind == "Bot"]
            assert mine == [row.desired for (_, number), row in comments.items() if number == pull.number]
    assert max(attempts.values(), default=1) == 1
    assert len(backend.submissions) == len(set(backend.submissions))
    assert (road.hub.trespasses, road.hub.crowding) == ([], [])


def _seen(run: Any) -> tuple[str, str, str | None, str, int]:
    return run.name, run.status, run.conclusion, run.output.title or "", len(run.annotations)


def _meant(check: Check) -> tuple[str, str, str | None, str, int]:
    view = check.desired
    return check.name, view["status"], view["conclusion"], view["title"], len(view["annotations"])
