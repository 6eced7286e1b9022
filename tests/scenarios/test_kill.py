"""`kill -9` of web and worker at random moments, with real processes: nothing lost, nothing twice, training goes on.

A seed decides who is killed and when; what was done is logged, so that pytest shows it with a failure.
"""

import logging
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot.core.states import WAY
from bot.devhub import DevHub, Pull, Repository
from bot.store import checks, deliveries, journal
from tests.scenarios.processes import CLOCK, Bot, eventually, kill_the_web, kill_the_worker

pytestmark = [pytest.mark.service, pytest.mark.slow]

TRAINER = """\
import json, os, secrets, time
token, artifacts = secrets.token_hex(8), os.environ["ARTIFACTS_DIR"]
with open(f"{artifacts}/started", "a") as file:
    file.write(os.environ["PAPERSPACE_EXPERIMENT_ID"] + "\\n")
for moment in range(30):
    print(token, moment, flush=True)
    time.sleep(0.1)
with open(f"{artifacts}/gradient-model-metadata.json", "w") as file:
    json.dump({"loss": 0.25}, file)
"""
LINES = 30
CONFIG = """\
version: 2
workflows:
  train:
    steps:
      - name: fit
        command: experiment.run_single_node
        params: {command: python3 train.py}
        checks:
          custom:loss: {target: ..0.5, aggregate: /loss}
"""
FILES = {".ps_project/config.yaml": CONFIG, "train.py": TRAINER}
NAMES = ["experiments", "train / fit", "train / fit / custom:loss"]
CREATION = r"/check-runs$|/comments$"
PATIENCE = 40.0
_log = logging.getLogger(__name__)


@dataclass
class World:
    """GitHub, a bot of real processes, and the people: every act is on a repository of an owner of its own."""

    hub: DevHub
    bot: Bot
    commits: list[tuple[Repository, str]] = field(default_factory=list)
    pulls: list[Pull] = field(default_factory=list)

    def push(self, owner: str) -> None:
        repository = self.hub.create_repository(owner, "digits")
        self.commits.append((repository, self.hub.commit_files(repository, FILES, message="Train")))

    def propose(self, owner: str) -> None:
        repository = self.hub.create_repository(owner, "digits")
        self.hub.commit_files(repository, {"README.md": "Digits\n"}, message="First")
        sha = self.hub.commit_files(repository, FILES, branch="change", message="Train")
        self.commits.append((repository, sha))
        self.pulls.append(self.hub.open_pull(repository, head="change"))

    def tend(self) -> None:
        """Start again what died, and deliver again what nobody answered, as GitHub's users do by hand."""
        self.bot.tend()
        self.hub.wait_delivered()
        answered = {delivery.guid for delivery in self.hub.deliveries if delivery.is_ok}
        newest = {delivery.guid: delivery for delivery in self.hub.deliveries}
        for guid, delivery in newest.items():
            if guid not in answered and CLOCK.now() - delivery.delivered_at > 500_000:
                self.hub.courier.redeliver(delivery)

    def is_over(self) -> bool:
        """Tell whether GitHub was told everything. A comment may be edited later, every 30 seconds."""
        answered = {delivery.guid for delivery in self.hub.deliveries if delivery.is_ok}
        if any(delivery.guid not in answered for delivery in self.hub.deliveries):
            return False
        with self.bot.reading() as tx:
            is_quiet = not checks.due(tx) and deliveries.count_waiting(tx) == 0
        shown = [run for repository, sha in self.commits for run in self.hub.checks(repository, sha)]
        is_shown = len(shown) == len(NAMES) * len(self.commits) and all(run.status == "completed" for run in shown)
        return is_quiet and is_shown and all(pull.comments for pull in self.pulls)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with DevHub(tmp_path / "hub", CLOCK) as hub:
        bot = Bot(tmp_path, hub)
        bot.start()
        try:
            assert eventually(bot.is_ready, PATIENCE, bot.tend)
            yield World(hub, bot)
        finally:
            bot.close()


@pytest.mark.parametrize(("seed", "kills"), [(1, 10), pytest.param(2, 10, marks=pytest.mark.long)])
def test_kills_at_random_moments_cost_nothing(world: World, seed: int, kills: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - a play that can be repeated
    # A creation that takes its time is easily hit while it is on its way.
    world.hub.faults.delay_next("POST", CREATION, seconds=0.3, times=1000)
    acts = {0: world.push, 3: world.propose, 6: world.propose}
    for number in range(kills):
        if number in acts:
            acts[number](f"owner-{number}")
        if dice.random() < 0.6:
            eventually(world.bot.is_ready, PATIENCE, world.tend)  # or else it dies while it starts
        eventually(lambda: False, dice.uniform(0.0, 1.5), world.tend)
        kill = dice.choice([kill_the_worker, kill_the_worker, kill_the_web])
        _log.warning("seed %s, kill %s: %s (%s)", seed, number, kill.__name__, kill(world.bot, dice))
    is_over = eventually(world.is_over, PATIENCE, world.tend)
    eventually(lambda: False, 1.0, world.tend)  # time for whoever would do something twice

    nothing_is_shown_twice(world)
    assert is_over
    assert [len(pull.comments) for pull in world.pulls] == [1, 1]
    every_delivery_was_processed_once(world)
    every_experiment_ran_once_without_a_gap(world)
    world.bot.close()
    assert eventually(lambda: world.bot.left() == [], 5.0), world.bot.left()


def test_a_creation_that_outlives_its_worker_is_waited_for(world: World) -> None:
    world.hub.faults.delay_next("POST", CREATION, seconds=6.0)
    world.push("acme")
    assert eventually(lambda: is_being_created(world), PATIENCE)
    eventually(lambda: False, 0.3)  # it has left
    kill_the_worker(world.bot)
    eventually(lambda: False, 6.5, world.tend)  # it has arrived

    assert eventually(world.is_over, PATIENCE, world.tend)
    nothing_is_shown_twice(world)


def is_being_created(world: World) -> bool:
    with world.bot.reading() as tx:
        return any(one.sending_at is not None for one in checks.due(tx))


def nothing_is_shown_twice(world: World) -> None:
    for repository, sha in world.commits:
        # All that were ever created, not the newest of each name.
        runs = repository.suites[sha].runs
        assert sorted((run.name, run.status, run.conclusion) for run in runs) == [
            (name, "completed", "success") for name in NAMES
        ]


def every_delivery_was_processed_once(world: World) -> None:
    with world.bot.reading() as tx:
        found = journal.deliveries(tx)
    assert Counter(row["guid"] for row in found) == Counter({delivery.guid for delivery in world.hub.deliveries})
    assert {row["state"] for row in found} <= {"done", "ignored"}
    assert sum(row["reason"] == "1 of 1 workflows run" for row in found) == 3


def every_experiment_ran_once_without_a_gap(world: World) -> None:
    with world.bot.reading() as tx:
        found = journal.experiments(tx)
    assert [[step["state"] for step in one["transitions"]] for one in found] == [list(WAY)] * 3
    started = [line for file in world.bot.data.glob("runs/*/*/artifacts/started") for line in file.read_text().split()]
    assert sorted(f"{experiment}-1" for experiment in started) == sorted(one["id"] for one in found)
    for log in world.bot.data.glob("runs/*/1/worker-0/log"):
        words = re.findall(r"([0-9a-f]{16}) (\d+)\n", log.read_text())
        assert [int(number) for _, number in words] == list(range(LINES))
        assert len({token for token, _ in words}) == 1
    # Of each of the seven states that a supervisor sees, one line: it was alive from the first to the last.
    for lines in world.bot.data.glob("runs/*/1/journal"):
        assert len(re.findall(r'"supervisor"', lines.read_text())) == 1
        assert len(re.findall(r'"state"', lines.read_text())) == len(WAY) - 2 + 1  # and the task's own end
