"""The composition root of a run without GitHub: the bot's own stations, with a checkout where they had a repository."""

import os
import shlex
from pathlib import Path

from bot.backends.base import Backend
from bot.backends.machines import Machines
from bot.backends.orders import ARTIFACTS
from bot.backends.processes import Process
from bot.clock import Clock
from bot.core import events
from bot.core.report import ExperimentFacts
from bot.core.series import Source
from bot.core.states import Observation, State
from bot.forge.git import GitCache
from bot.metrics.pictures import PictureStore
from bot.parts import make_backend, make_reader
from bot.run.checkout import Checkout
from bot.run.snapshot import Snapshot
from bot.run.sources import AtHand, GivenSecrets, Owner, Snapshots
from bot.settings import Running
from bot.store import commits, experiments, targets
from bot.store.database import Database
from bot.store.surroundings import Surroundings
from bot.worker.build import Builder
from bot.worker.collect import Collect
from bot.worker.keep import Keep
from bot.worker.launch import Launch
from bot.worker.loop import Station, Worker
from bot.worker.sweep import Sweep
from bot.worker.watch import Watch
from bot.worker.workload import Workload
from bot.worker_sign import WorkerSign

_TENSORBOARD = "tensorboard"
REPOSITORY = 1
"""The number of the one repository that a bench has."""


class Bench:
    """Everything that a checkout is run with, in the directory that `running` names. What it starts ends with us."""

    def __init__(
        self, running: Running, machines: Machines, clock: Clock, checkout: Checkout, secrets: GivenSecrets
    ) -> None:
        """Raises BackendUnavailable when no isolation is to be had, and what opening a database raises."""
        self._running, self._clock, self._checkout, self._secrets = running, clock, checkout, secrets
        self.database = Database(f"sqlite:///{running.data_dir / 'experiment-ci.sqlite3'}")
        self.database.migrate(running.data_dir / "migrate.lock")
        self.backend: Backend = make_backend(running, machines, clock, Process.of(os.getpid()))
        self.reader = make_reader()
        self.reader.start()  # it is ready in a second, beside all that follows
        self._git = GitCache(running.data_dir / "git", checkout.web_url)
        workload = Workload(
            running.data_dir,
            checkout.web_url,
            self._git,
            machines,
            self.backend.capabilities,
            refuses_unused_images=running.unused_images == "refuse",
            builds_images=running.builds_images,
        )
        self.builder = Builder(self.database, clock, Snapshots(self._git), Owner(), workload)

    @property
    def around(self) -> Surroundings:
        """What reports must know of this place: pictures lie on its disk."""
        found = self.backend.capabilities
        here = f"file://{self._running.data_dir}"
        return Surroundings(here, self._checkout.web_url, found.isolation, found.is_isolated, shows_images=True)

    def clear(self) -> int:
        """End what an earlier run left in the rows, which was cut off; return how much that is.

        What it had started ends by itself; a look at it buries what died in some other way.
        """
        with self.database.read() as tx:
            left = experiments.under_way(tx)
        self.backend.poll([attempt.backend_id for attempt in left])
        end = Observation(State.CANCELLED, self._clock.now(), "the run that wanted it was cut off")
        for attempt in left:
            with self.database.write() as tx:
                experiments.observe(tx, attempt.id, [end])
                experiments.change(tx, attempt.id, retry_at=None)
        return len(left)

    def tried(self, sha: str) -> frozenset[int]:
        """Return the experiments of a commit that were tried before."""
        with self.database.read() as tx:
            commit = commits.find(tx, REPOSITORY, sha)
            return frozenset() if commit is None else targets.ids(targets.of_commit(tx, commit))

    def where(self, x: ExperimentFacts) -> list[tuple[str, str]]:
        """Return what an experiment left, and where."""
        directory = self._running.data_dir / "runs" / x.public_id / str(x.attempt)
        artifacts, found = directory / ARTIFACTS, list[tuple[str, str]]()
        logs = [path for task in x.tasks if (path := directory / task.name / "log").exists()]
        if logs:
            found.append(("log", str(logs[0] if len(logs) == 1 else directory / "*" / "log")))
        if artifacts.is_dir() and any(artifacts.iterdir()):
            found.append(("artifacts", str(artifacts)))
        if any(metric.source is Source.TENSORFLOW for metric in x.metrics):
            found.append(("curves", f"{_TENSORBOARD} --logdir {shlex.quote(str(artifacts))}"))
        if x.picture_url is not None:
            found.append(("picture", x.picture_url))
        return found

    def worker(self, snapshot: Snapshot, sign: WorkerSign) -> Worker:
        """Return the worker of a snapshot. `sign` is held already: nobody else works in this directory."""
        database, clock, backend, data_dir = self.database, self._clock, self.backend, self._running.data_dir
        pictures = PictureStore(data_dir / "images", self.reader)
        stations: list[Station] = [
            Launch(database, clock, backend, AtHand(snapshot), self._secrets),
            Watch(database, clock, backend),
            Collect(database, clock, backend, self.reader, pictures, self._secrets),
            Keep(database, clock, backend),
            Sweep(database, clock, data_dir, self._running.retention_days, self._running.keep_workspaces_days),
        ]
        return Worker(stations, sign)

    def close(self) -> None:
        """Close what is open. What runs ends when this process does."""
        self.reader.close()
        self.database.close()


def repository_of(checkout: Checkout) -> events.Repository:
    """Return a checkout as the repository of a bench."""
    return events.Repository(REPOSITORY, checkout.owner, checkout.name, True, checkout.default_branch, 0)


def store_of(data_dir: Path) -> Path:
    """Return where the snapshots of a checkout lie: in the place of the cache that a bot fills from GitHub."""
    return data_dir / "git" / f"{REPOSITORY}.git"
