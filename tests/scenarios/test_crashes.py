"""Every place where the bot may die, and GitHub's own accidents: nothing lost, launched twice or posted twice."""

import re
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
from tensorboardX import SummaryWriter

from bot.backends.base import AttemptSpec
from bot.clock import ManualClock
from bot.core.states import WAY
from bot.devhub import DevHub, Pull
from bot.store import checks, deliveries, metrics
from bot.store.database import Database
from tests.scenarios.power import Moment, MortalDatabase, PowerCut
from tests.scenarios.road import CONFIG, Road
from tests.scenarios.scripted import ScriptedBackend

pytestmark = pytest.mark.service

# What a crash may cost: docs/design.md has the table. The moment is before or after the transaction with this SQL.
FAULT_POINTS = {
    "inside intake's transaction": (False, r"INSERT INTO attempts"),
    "after intake's rows, before the delivery is concluded": (False, r"UPDATE deliveries SET state"),
    "after the launch's intent": (True, r"UPDATE attempts SET .*launching_at"),
    "after the submission, before its handle": (False, r"UPDATE attempts SET handle"),
    "before a transition": (False, r"INSERT INTO transitions .*UPDATE attempts SET exit_code"),
    "after a transition": (True, r"INSERT INTO transitions .*UPDATE attempts SET exit_code"),
    "after points, before they are known to be all": (True, r"INSERT INTO points"),
    "before a finished attempt's metrics count as read": (False, r"UPDATE attempts SET .*metrics_read_at"),
    "before the desired checks": (False, r"INSERT INTO checks"),
    "after the desired checks": (True, r"INSERT INTO checks"),
    "before a check's creation leaves": (True, r"UPDATE checks SET sending_at"),
    "after a check's creation, before its answer is kept": (False, r"UPDATE checks SET .*told_hash"),
    "before a comment's creation leaves": (True, r"UPDATE comments SET sending_at"),
    "after a comment's creation, before its answer is kept": (False, r"UPDATE comments SET .*told_hash"),
}


class Story:
    """A pull request whose run logs some losses and passes, told to its end over as many lives as it takes."""

    def __init__(
        self, road: Road, backend: ScriptedBackend, is_fatal: Callable[[Moment], bool], losses: Sequence[float]
    ) -> None:
        self.road, self._backend, self._is_fatal, self.losses = road, backend, is_fatal, losses
        self.deaths: list[Moment] = []
        self._ended: set[str] = set()
        self.repository = road.hub.create_repository("acme", "digits")
        road.hub.commit_files(self.repository, {"README.md": "Digits\n"}, message="First")
        files = {".ps_project/config.yaml": CONFIG + "            if-not-found: success\n", "train.py": "print()"}
        self.sha = road.hub.commit_files(self.repository, files, branch="change", message="Train")
        self.pull: Pull = road.hub.open_pull(self.repository, head="change", base="main", title="Train", body="")

    def tell(self) -> None:
        """Work, die and be started again until nothing is left to do."""
        self._restart()
        for _ in range(400):
            try:
                self.road.tick()
            except PowerCut:
                self._restart()
                continue
            self._train()
            if self._is_over():
                return
            self.road.clock.advance(15)
        raise AssertionError(f"it does not end; the worker died {len(self.deaths)} times")

    def _restart(self) -> None:
        self.road.restart_worker(MortalDatabase(self.road.settings.database_url, self._dies))

    def _dies(self, moment: Moment) -> bool:
        if self._is_fatal(moment):
            self.deaths.append(moment)
            return True
        return False

    def _train(self) -> None:
        """What the runs do by themselves, whoever lives or dies."""
        for attempt, spec in self._backend.specs.items():
            if attempt not in self._ended:
                self._ended.add(attempt)
                if self.losses:
                    with SummaryWriter(str(Path(spec.run_dir) / "artifacts")) as writer:
                        for step, loss in enumerate(self.losses):
                            writer.add_scalar("loss", loss, step)
                self._backend.succeed(attempt)

    def _is_over(self) -> bool:
        self.road.hub.wait_delivered()
        runs = self.road.hub.checks(self.repository, self.sha)
        with self.road.database.read() as tx:
            is_quiet = checks.count_pending(tx) + deliveries.count_waiting(tx) == 0
        return is_quiet and len(runs) == 3 and all(run.status == "completed" for run in runs)


def nothing_lost_nothing_twice(story: Story, backend: ScriptedBackend) -> None:
    road = story.road
    assert {delivery.state for delivery in road.deliveries()} <= {"done", "ignored"}
    [attempt] = road.attempts()
    assert road.transitions(attempt) == list(WAY)
    assert list(backend.specs) == [attempt.backend_id]
    runs = story.repository.suites[story.sha].runs  # all that were ever created, not the newest of each name
    assert {run.conclusion for run in runs} == {"success"}
    assert len({run.name for run in runs}) == len(runs) == 3
    assert len(story.pull.comments) == 1
    with road.database.read() as tx:
        series = metrics.load(tx, attempt.id)
    assert [point.value for one in series for point in one.points] == list(story.losses)


@pytest.mark.parametrize("point", FAULT_POINTS)
def test_the_worker_may_die(road: Road, backend: ScriptedBackend, point: str) -> None:
    is_after, sql = FAULT_POINTS[point]

    def is_fatal(moment: Moment) -> bool:
        return not story.deaths and moment.is_after is is_after and re.search(sql, moment.sql) is not None

    story = Story(road, backend, is_fatal, losses=[0.75, 0.25] if "points" in point or "metrics" in point else [])
    story.tell()

    assert len(story.deaths) == 1, "nothing of that kind was written"
    nothing_lost_nothing_twice(story, backend)


@pytest.mark.slow
@pytest.mark.parametrize("is_after", [False, True], ids=["before it is durable", "after it is durable"])
def test_the_worker_may_die_twice_at_every_transaction_there_is(
    road: Road, backend: ScriptedBackend, is_after: bool
) -> None:
    seen: Counter[Moment] = Counter()

    def is_fatal(moment: Moment) -> bool:
        seen[moment] += 1
        return moment.is_after is is_after and seen[moment] <= 2

    story = Story(road, backend, is_fatal, losses=[0.75, 0.25])
    story.tell()

    named = [sql for after, sql in FAULT_POINTS.values() if after is is_after]
    assert all(any(re.search(sql, death.sql) for death in story.deaths) for sql in named)
    nothing_lost_nothing_twice(story, backend)


def test_what_was_submitted_before_a_death_can_be_cancelled_after_it(road: Road, backend: ScriptedBackend) -> None:
    repository, _ = road.repository()
    road.settle()
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="change", message="Change it")
    pull = road.hub.open_pull(repository, head="change", base="main", title="Change", body="")
    url = road.settings.database_url
    road.restart_worker(MortalDatabase(url, lambda moment: not moment.is_after and "SET handle" in moment.sql))
    with pytest.raises(PowerCut):
        road.settle()

    road.clock.advance(1)
    road.hub.close_pull(pull)
    road.restart_worker(Database(url))
    road.wait(30)
    assert list(backend.cancelled) == [backend.submissions[-1]]
    assert road.transitions(road.attempts()[-1])[-1] == "cancelled"
    assert {conclusion for _, conclusion in road.shown(repository, sha).values()} == {"cancelled"}


def test_the_web_process_may_die_between_the_row_and_its_answer(tmp_path: Path, clock: ManualClock) -> None:
    deaths: list[str] = []

    def door(application: WSGIApplication) -> WSGIApplication:
        def dying(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            answer = application(environ, start_response)
            if environ.get("HTTP_X_GITHUB_EVENT") == "push" and not deaths:
                deaths.append("after the row")
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return answer

        return dying

    backend = ScriptedBackend(clock)
    with DevHub(tmp_path / "hub", clock) as hub:
        road = Road(tmp_path, hub, clock, backend, door)
        repository, sha = road.repository()
        road.settle()
        [lost] = [delivery for delivery in hub.deliveries if delivery.event == "push"]
        assert not lost.is_ok
        assert len(backend.submissions) == 1  # GitHub heard nothing, but the row was there

        hub.courier.redeliver(lost)
        road.settle()

        assert [delivery.is_ok for delivery in hub.deliveries if delivery.event == "push"] == [False, True]
        assert [delivery.event for delivery in road.deliveries()].count("push") == 1
        assert len(backend.submissions) == 1
        assert len(repository.suites[sha].runs) == 3
        road.close()


class DyingBackend(ScriptedBackend):
    """Dies with the bot: before the backend has taken the attempt, or after."""

    def __init__(self, clock: ManualClock, *, after: bool) -> None:
        super().__init__(clock)
        self._is_armed, self._after = True, after

    def submit(self, spec: AttemptSpec, secrets: Mapping[str, str] | None = None) -> str:
        if self._is_armed:
            self._is_armed = False
            if self._after:
                super().submit(spec, secrets)
            raise PowerCut
        return super().submit(spec, secrets)


@pytest.mark.parametrize("after", [False, True], ids=["before it was taken", "after it was taken"])
def test_a_death_around_the_launch_gives_one_run(tmp_path: Path, clock: ManualClock, after: bool) -> None:
    backend = DyingBackend(clock, after=after)
    with DevHub(tmp_path / "hub", clock) as hub:
        first = Road(tmp_path, hub, clock, backend)
        repository, sha = first.repository()
        with pytest.raises(PowerCut):
            first.settle()
        first.close()

        second = Road(tmp_path, hub, clock, backend)
        second.settle()
        assert len(backend.specs) == 1
        [attempt] = backend.specs
        backend.succeed(attempt)
        second.wait(1)
        assert second.shown(repository, sha)["train / fit"] == ("completed", "success")
        assert len(second.attempts()) == 1
        second.close()


CREATE_CHECK = ("POST", r"/check-runs$")
UPDATE_CHECK = ("PATCH", r"/check-runs/\d+$")
COMMENT = ("POST", r"/issues/\d+/comments$")


def broken(road: Road, method: str, path: str) -> list[Callable[[], object]]:
    faults = road.hub.faults
    return [
        lambda: faults.fail_next(method, path, status=502, after_write=True),
        lambda: faults.fail_next(method, path, status=503, after_write=False),
        lambda: faults.cut_next(method, path, after_write=True),
    ]


@pytest.mark.parametrize("accident", [0, 1, 2], ids=["502 after the write", "503 before it", "cut after the write"])
@pytest.mark.parametrize("call", [CREATE_CHECK, UPDATE_CHECK, COMMENT], ids=["create", "update", "comment"])
def test_whatever_github_does_to_a_write_it_ends_up_there_once(
    road: Road, backend: ScriptedBackend, call: tuple[str, str], accident: int
) -> None:
    broken(road, *call)[accident]()
    repository, _ = road.repository()
    sha = road.hub.commit_files(repository, {"train.py": "print(2)"}, branch="change", message="Change it")
    pull = road.hub.open_pull(repository, head="change", base="main", title="Change", body="")
    road.settle()
    for attempt in list(backend.submissions):
        backend.fail(attempt)
    for _ in range(8):
        road.wait(30)

    names = [check.name for check in road.hub.checks(repository, sha)]
    assert len(names) == len(set(names)) == 3
    assert all(status == "completed" for status, _ in road.shown(repository, sha).values())
    assert len(pull.comments) == 1
    assert road.hub.requests.count(call[0]) > 0


def test_a_backend_that_loses_an_attempt_gives_an_error_not_a_silence(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    backend.lose(backend.submissions[0])
    road.wait(5)
    assert road.shown(repository, sha)["train / fit"] == ("queued", None)  # it may just be blind for a moment

    road.wait(60)
    check = road.hub.check(repository, sha, "train / fit")
    assert "the backend lost this attempt" in (check.output.title or "")


def test_nothing_stays_unfinished_for_ever(road: Road, backend: ScriptedBackend) -> None:
    repository, sha = road.repository()
    road.settle()
    backend.begin(backend.submissions[0])
    road.wait(1)

    road.wait(25 * 3600)

    assert road.shown(repository, sha)["train / fit"] == ("completed", "failure")
    assert list(backend.cancelled) == backend.submissions
    assert len(backend.submissions) == 1, "what was too slow would be so again"
