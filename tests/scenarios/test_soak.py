"""A long time of everything at once, in the Clock's time: people, faults, deaths; then silence, and all must be true.

The worker dies right before or after any transaction, the web process before or after it has stored a delivery, as dice
say. `kill -9` of real processes, which have no clock of ours, is told in `test_kill.py`, each single place where the
worker may die in `test_crashes.py`. A seed tells the same story again.
"""

import json
import logging
import random
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import unified_diff
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
from sqlalchemy import select, update

from bot.backends.base import Capacity
from bot.clock import SECOND, ManualClock
from bot.core.payloads import KINDS
from bot.core.states import State
from bot.devhub import DevHub, Repository
from bot.store import checks, deliveries, requests
from bot.store import schema as tables
from tests.scenarios.power import Moment, MortalDatabase, PowerCut
from tests.scenarios.road import Road
from tests.scenarios.scripted import ScriptedBackend
from tests.scenarios.story import Author, Machine, mine

pytestmark = [pytest.mark.service, pytest.mark.slow]

OWNERS = ("acme", "umbra")
MINUTE, HOUR = 60, 3_600
LONGEST_LIMIT = 1_260
LONGEST_SILENCE = 30 * HOUR
_log = logging.getLogger(__name__)


class Door:
    """The web process's own: it may die before a delivery is stored, or before it is answered."""

    def __init__(self, application: WSGIApplication, seed: int) -> None:
        self._application = application
        self._dice = random.Random(f"door {seed}")  # noqa: S311 - to be repeated, not to be secret
        self.rate, self.deaths = 0.02, 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        chance = self._dice.random()
        if chance < self.rate:
            self.deaths += 1
            if chance < self.rate / 2:
                list(self._application(environ, lambda *_: lambda _: None))
            start_response("502 Bad Gateway", [("Content-Length", "0")])
            return []
        return self._application(environ, start_response)


class World:
    """GitHub, the people, the bot and its machine, and what goes wrong among them."""

    def __init__(self, root: Path, hub: DevHub, clock: ManualClock, seed: int, deaths: float) -> None:
        self.hub, self.clock = hub, clock
        self.backend = ScriptedBackend(clock, Capacity(cpus=64, memory_mb=512_000, gpus=0))
        self.doors: list[Door] = []
        self.road = Road(root, hub, clock, self.backend, self._door(seed))
        self.author, self.machine = Author(hub, seed), Machine(self.backend, clock, seed)
        self._dice = random.Random(f"weather {seed}")  # noqa: S311
        self._fate, self._rate = random.Random(f"fate {seed}"), deaths  # noqa: S311
        self.deaths: list[tuple[int, str]] = []
        self.limits: list[tuple[int, str]] = []
        self._ends_of_trouble: list[tuple[int, str]] = []
        hub.faults.at_random(0.05, seed, r"^/(api/v3/)?(repos|app|installation)\b|\.git/")
        # No "shuffle", which waits for others in real seconds: what is late by the clock is out of order as well.
        hub.courier.at_random(0.15, seed, kinds=["duplicate", "delay", "drop"], clock_seconds=600)
        self._live()

    def _door(self, seed: int):  # type: ignore[no-untyped-def]
        def build(application: WSGIApplication) -> Door:
            self.doors.append(Door(application, seed))
            return self.doors[-1]

        return build

    # The worker's lives

    def _live(self) -> None:
        self.road.restart_worker(MortalDatabase(self.road.settings.database_url, self._dies))

    def _dies(self, moment: Moment) -> bool:
        if self._fate.random() < self._rate:
            self.deaths.append((self.clock.now(), str(moment)))
            return True
        return False

    def tick(self) -> None:
        for station in list(self.road.stations.values()):
            self.hub.wait_delivered()  # else a delivery would come now or later, as threads go
            try:
                station.tick()
            except PowerCut:
                self._advance(2)  # so long it takes to start
                self._live()
                return

    def _advance(self, seconds: float) -> None:
        """Move the clock, and let what was late until now arrive before anything else happens."""
        self.clock.advance(seconds)
        self.hub.wait_delivered()

    def pass_time(self, seconds: float, step: float = 10.0) -> None:
        while seconds > 0:
            self._advance(min(step, seconds))
            seconds -= step
            self.machine.work()
            self.tick()

    # The story

    def tell(self, pushes: int, pulls: int) -> None:
        author = self.author
        while author.pushes < pushes or len(author.pulls) < pulls:
            _log.info("%s", author.act(pushes, pulls))
            self._advance(2)
            self._weather()
            self.pass_time(min(600.0, self._dice.expovariate(1 / 50)))

    def _weather(self) -> None:
        for end, what in list(self._ends_of_trouble):
            if self.clock.now() >= end:
                self._end(what)
        if self._dice.random() > 0.08:
            return
        what = self._dice.choice(["outage", "hold", "limit", "revoke", "suspend", "part"])
        owner = self._dice.choice(OWNERS)
        _log.info("trouble: %s (%s)", what, owner)
        self.author.count[what] += 1
        if what == "limit":
            self.limits.append((self.clock.now(), owner))
            self.hub.limit(owner, retry_after=self._dice.choice([None, 60, 300, 1_200]))
        elif what == "revoke":
            self.hub.site.tokens.revoke_all(self.hub.installation(owner))
        elif not self._ends_of_trouble:
            begin = {"outage": self.hub.courier.outage, "hold": self.hub.courier.hold}
            begin.get(what, lambda: self._shut(what, owner))()
            end = self.clock.now() + self._dice.randint(60, 2_400) * SECOND
            self._ends_of_trouble.append((end, f"{what} {owner}"))

    def _shut(self, how: str, owner: str) -> None:
        """Take the App off all that somebody has, or off one repository."""
        if how == "suspend":
            self.hub.suspend(owner)
        else:
            self.hub.remove_repositories(owner, [self._parted(owner)])

    def _parted(self, owner: str) -> Repository:
        return next(one for one in self.author.repositories if one.owner.login == owner)

    def _end(self, what: str) -> None:
        self._ends_of_trouble = [one for one in self._ends_of_trouble if one[1] != what]
        kind, owner = what.split()
        if kind == "outage":
            self.hub.courier.restore()
        elif kind == "hold":
            self.hub.courier.release(seed=1)
        elif kind == "suspend":
            self.hub.unsuspend(owner)
        else:
            self.hub.add_repositories(owner, [self._parted(owner)])

    def fall_silent(self) -> None:
        """Nothing goes wrong any more, nobody does anything: wait until nothing is left to do."""
        for _, what in list(self._ends_of_trouble):
            self._end(what)
        self.hub.faults.clear()
        self.hub.courier.at_random(0, 0)
        self._rate = self.doors[0].rate = 0.0
        waited = 0.0
        while not self.is_over() or waited < HOUR:
            assert waited < LONGEST_SILENCE, "it does not come to rest"
            self.pass_time(300, 100 if self.is_over() else 15)
            waited += 300
        _log.info("silence for %.1f h", waited / HOUR)

    def is_over(self) -> bool:
        with self.road.database.read() as tx:
            is_quiet = checks.count_pending(tx) + deliveries.count_waiting(tx) + requests.count_waiting(tx) == 0
        return is_quiet and all(State(one.state).is_final and one.retry_at is None for one in self.road.attempts())

    # What is looked at in the end

    def rows(self, table: type) -> list:  # type: ignore[type-arg]
        with self.road.database.read() as tx:
            return list(tx.scalars(select(table).order_by(table.id)))

    def digest(self) -> list[str]:
        """All that GitHub shows in the end, without what is random in it: addresses, with our ids and keys."""
        lines = []
        for repository in self.author.repositories:
            for sha, suite in repository.suites.items():
                for run in suite.latest():
                    lines.append(f"{repository.full_name} {sha[:7]} {run.name}: {run.conclusion}, {run.output.title}")
            for pull in repository.pulls.values():
                lines += [f"{pull.number}: {comment.author.login}: {comment.body}" for comment in pull.comments]
        return [re.sub(r"http://(bot\.example|127\.0\.0\.1:\d+)/[^\s)]+", "<address>", line) for line in lines]


@contextmanager
def soaked(root: Path, seed: int, pushes: int, pulls: int, deaths: float) -> Iterator[World]:
    """A world whose story was told to its end."""
    root.mkdir()
    clock = ManualClock()
    with DevHub(root / "hub", clock) as hub:
        world = World(root, hub, clock, seed, deaths)
        try:
            world.tell(pushes, pulls)
            world.fall_silent()
            yield world
        finally:
            world.road.close()


def everything_is_true(world: World) -> None:
    every_delivery_was_taken_in_once(world)
    every_attempt_has_ended_and_was_launched_once(world)
    every_check_is_concluded_as_the_store_says(world)
    every_comment_is_single_and_true(world)
    every_head_has_a_verdict(world)
    every_verdict_is_what_the_machine_did(world)
    the_limits_were_kept(world)
    a_fresh_look_changes_nothing(world)


def every_delivery_was_taken_in_once(world: World) -> None:
    sent = {one.guid for one in world.hub.deliveries if one.event in KINDS}
    rows = world.rows(tables.Delivery)
    here = [row.guid for row in rows if row.origin != "scan"]
    assert sent == set(here) & sent, "lost"
    assert len(here) == len(set(here))
    assert [(row.event, row.state, row.reason) for row in rows if row.state not in ("done", "ignored")] == []
    asked = world.rows(tables.Request)
    assert [(one.verb, one.state) for one in asked if one.state == "waiting"] == []
    assert [one.id for one in asked if one.reaction is not None and one.reacted_at is None] == []


def every_attempt_has_ended_and_was_launched_once(world: World) -> None:
    attempts = world.rows(tables.Attempt)
    assert [(one.backend_id, one.state) for one in attempts if not State(one.state).is_final] == []
    ours = {one.backend_id for one in attempts}
    assert set(world.backend.submissions) <= ours
    # Handed over again are only those whose life ended in between, and those that were interrupted.
    again = [one for one, count in Counter(world.backend.submissions).items() if count > 1]
    interrupted = {one for one in again if world.machine.was_interrupted(one)}
    assert len(set(again) - interrupted) <= len(world.deaths)
    # No two of one experiment at a time.
    ends = {row.attempt_id: row.at for row in world.rows(tables.TransitionRow) if State(row.target).is_final}
    last: dict[int, tables.Attempt] = {}
    for one in sorted(attempts, key=lambda one: (one.experiment_id, one.number)):
        before = last.get(one.experiment_id)
        last[one.experiment_id] = one
        assert before is None or ends[before.id] <= one.created_at, "two at a time"
    still = [one for one in world.backend.specs if one not in world.machine.ends]
    assert still == [], "something runs of which nobody knows"


def every_check_is_concluded_as_the_store_says(world: World) -> None:
    commits = {row.id: row for row in world.rows(tables.Commit)}
    rows: dict[tuple[int, str, str], tables.Check] = {}
    for row in sorted(world.rows(tables.Check), key=lambda row: row.generation):
        rows[commits[row.commit_id].repository_id, commits[row.commit_id].sha, row.name] = row
    ids = {row.github_id: row.id for row in world.rows(tables.Repository)}
    shown = {
        (ids[repository.id], sha, run.name): run
        for repository in world.author.repositories
        for sha, suite in repository.suites.items()
        for run in suite.latest()
    }
    assert shown.keys() == rows.keys()
    for key, run in shown.items():
        row = rows[key]
        assert (run.status, row.refused) == ("completed", None), key
        told = (run.conclusion, run.output.title, run.output.summary, run.external_id)
        desired = row.desired
        assert told == (desired["conclusion"], desired["title"], desired["summary"], str(row.id)), key
    # All that were ever made, not the newest of a name alone: none stayed open, none was made twice.
    made = Counter(run.external_id for repository in world.author.repositories for run in repository.runs())
    assert [one for one, count in made.items() if count > 1] == []
    assert {run.status for repository in world.author.repositories for run in repository.runs()} == {"completed"}


def every_comment_is_single_and_true(world: World) -> None:
    ids = {row.github_id: row.id for row in world.rows(tables.Repository)}
    desired = {(row.repository_id, row.number): row for row in world.rows(tables.Comment)}
    for pull in world.author.pulls:
        bodies = [comment.body for comment in mine(pull)]
        row = desired.get((ids[pull.repository.id], pull.number))
        assert bodies == ([] if row is None else [row.desired]), f"#{pull.number}"


def every_head_has_a_verdict(world: World) -> None:
    for pull in world.author.pulls:
        if pull.is_open:
            assert "experiments" in world.road.shown(pull.repository, pull.head_sha), f"#{pull.number}"
    for repository in world.author.repositories:
        head = world.hub.site.git(repository).tip("main")
        assert head is not None
        assert "experiments" in world.road.shown(repository, head)


def every_verdict_is_what_the_machine_did(world: World) -> None:
    """Of each experiment the last attempt decides; a matrix has one check for all of its cells."""
    runs, commits = ({row.id: row for row in world.rows(table)} for table in (tables.Run, tables.Commit))
    by_id = {row.id: row.github_id for row in world.rows(tables.Repository)}
    newest = {one.experiment_id: one for one in world.rows(tables.Attempt)}
    compared = 0
    for experiment in world.rows(tables.Experiment):
        attempt, run = newest.get(experiment.id), runs[experiment.run_id]
        how = None if attempt is None else world.machine.ends.get(attempt.backend_id)
        if experiment.variant or how is None:
            continue
        repository = world.hub.world.repositories[by_id[run.repository_id]]
        shown = world.road.shown(repository, commits[run.commit_id].sha)
        name = f"{run.workflow} / {experiment.step}"
        compared += 1
        assert shown[name][1] in CONCLUSIONS[how], (name, how)
        if (gate := shown.get(f"{name} / custom:loss")) and how in ("good", "bad"):
            assert gate[1] == ("success" if how == "good" else "failure"), (name, how)
    assert compared > 10


CONCLUSIONS = {
    "good": {"success"},
    "bad": {"success"},
    "silent": {"success"},
    "exit": {"failure"},
    "lost": {"failure"},
    "platform": {"failure"},
    "cancelled": {"cancelled", "timed_out", "failure"},
}


def the_limits_were_kept(world: World) -> None:
    """Only who dies before what GitHub said is written down leaves the next one to ask once more."""
    hub = world.hub
    assert hub.crowding == []
    lives = [at for at, moment in world.deaths if moment.startswith("before") and " marks " in moment]
    too_early = Counter((one.actor, bisect_left(lives, one.at)) for one in hub.trespasses)
    assert [(actor, life, count) for (actor, life), count in too_early.items() if life == 0 or count > 1] == []
    # Nobody was limited but by our order.
    refused = [one for one in hub.requests if one.status in (403, 429) and b"rate limit" in one.answer]
    windows = [(f"installation {hub.installation(owner).id}", at) for at, owner in world.limits]
    assert [
        one
        for one in refused
        if not any(one.actor == actor and at <= one.at <= at + LONGEST_LIMIT * SECOND for actor, at in windows)
    ] == []


def a_fresh_look_changes_nothing(world: World) -> None:
    """All is worked out once more, out of the rows as they are now: nothing differs from what was told."""
    told = wanted(world)
    with world.road.database.write() as tx:
        tx.execute(update(tables.Commit).values(has_news=True, revision=tables.Commit.revision + 1))
        tx.execute(update(tables.Pull).values(news=tables.Pull.news + 1))
    for _ in range(len(world.rows(tables.Commit)) // 20 + 5):
        world.road.tick("report")
    fresh = wanted(world)
    assert {key: (told.get(key), fresh[key]) for key in fresh if fresh[key] != told.get(key)} == {}


def wanted(world: World) -> dict[str, str]:
    """What GitHub should show, by the rows. The links of a repository that was renamed meanwhile lead there as well."""
    found = {f"check {row.id} {row.name}": json.dumps(row.desired) for row in world.rows(tables.Check)}
    found |= {f"comment {row.id} on #{row.number}": row.desired for row in world.rows(tables.Comment)}
    return {key: re.sub(r"\b(digits|words|letters)-\d+", r"\1", text) for key, text in found.items()}


def nobody_stumbled(caplog: pytest.LogCaptureFixture) -> None:
    """A station that raises goes on from its rows, and says so. It should not have raised."""
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


@pytest.mark.timeout(600)
def test_after_much_trouble_all_is_true(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with soaked(tmp_path / "world", seed=1, pushes=12, pulls=5, deaths=0.006) as world:
        everything_is_true(world)
        assert world.deaths, "nobody died"
    nobody_stumbled(caplog)


@pytest.mark.timeout(600)
def test_the_same_seed_tells_the_same_story(tmp_path: Path) -> None:
    told, shown = [], []
    for life in ("once", "again"):
        with soaked(tmp_path / life, seed=2, pushes=6, pulls=3, deaths=0.006) as world:
            told.append([*world.author.told, *(f"{at}: {moment}" for at, moment in world.deaths)])
            shown.append(world.digest())
    assert told[0] == told[1]
    assert [*unified_diff(*shown, lineterm="", n=0)] == []


@pytest.mark.long(seconds=HOUR)
@pytest.mark.timeout(3 * HOUR)
@pytest.mark.parametrize("seed", [3])
def test_five_hundred_pushes_and_a_hundred_pull_requests(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    with soaked(tmp_path / "world", seed, pushes=500, pulls=100, deaths=0.002) as world:
        everything_is_true(world)
    nobody_stumbled(caplog)
