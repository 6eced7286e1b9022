"""What the plays about keeping and sweeping stand on: attempts with rows and real directories, none of them run."""

from pathlib import Path
from typing import Any

from bot.backends.base import Capacity
from bot.backends.local import LocalBackend
from bot.backends.powers import Powers
from bot.clock import ManualClock
from bot.core.states import WAY, State
from bot.store import experiments
from bot.store.database import Database
from bot.store.schema import Attempt, Experiment
from tests.web.stage import Stage


class Yard:
    """One experiment's data directory, as its supervisor leaves it."""

    def __init__(self, database: Database, clock: ManualClock, root: Path) -> None:
        self.data_dir = root / "data"
        self.stage = Stage(database, clock, root, "http://bot.example")
        self.database, self.clock = database, clock
        self.backend = LocalBackend(
            self.data_dir, Capacity(1, 1024, 0), clock, True, bwrap="/nonexistent/bwrap", powers=Powers()
        )
        self.storage = self.data_dir / "storage" / "7"

    def attempt(
        self,
        files: dict[str, bytes] | None = None,
        model_path: str = "/artifacts",
        model_type: str | None = None,
        end: State = State.STOPPED,
        **spec: Any,
    ) -> Attempt:
        """Return an attempt that ended so, its metrics read, with these artifacts."""
        self.clock.advance(1)
        experiment = self.stage.experiment(step=f"fit-{self.clock.now()}")
        attempt = self.stage.attempt(experiment)
        run_dir = self.data_dir / "runs" / experiment.public_id / "1"
        write(run_dir / "artifacts", files or {})
        changed = {"run_dir": str(run_dir), "storage_dir": str(self.storage), "env": {"PS_MODEL_PATH": model_path}}
        with self.database.write() as tx:
            experiments.change(tx, attempt.id, spec={**attempt.spec, **changed, **spec}, handle=str(run_dir))
            tx.get_one(Experiment, experiment.id).params = {"model_type": model_type}
        self.stage.reach(attempt, *WAY[1:6], end)
        with self.database.write() as tx:
            experiments.change(tx, attempt.id, metrics_read_at=self.clock.now())
        return self.row(attempt)

    def row(self, attempt: Attempt) -> Attempt:
        """Return the attempt as it is now."""
        with self.database.read() as tx:
            return tx.get_one(Attempt, attempt.id)

    def directory(self, attempt: Attempt) -> Path:
        return Path(attempt.spec["run_dir"])

    def view_token(self, attempt: Attempt) -> str | None:
        with self.database.read() as tx:
            return tx.get_one(Experiment, attempt.experiment_id).view_token


def write(directory: Path, files: dict[str, bytes]) -> None:
    """Write files below a directory that is made."""
    directory.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)
