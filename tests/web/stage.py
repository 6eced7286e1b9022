"""What the plays of the web process stand on: a backend that holds bytes, and rows as the worker leaves them."""

import hashlib
import hmac
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.test import TestResponse

from bot.backends.base import (
    Artifact,
    AttemptReport,
    AttemptSpec,
    Backend,
    BackendError,
    Capabilities,
    LogChunk,
    Machine,
    TaskGroup,
    to_json,
)
from bot.clock import SECOND, ManualClock
from bot.core import events
from bot.core.gates import Gate, Range
from bot.core.series import Point, Series, Source
from bot.core.states import WAY, Observation, State
from bot.storage.kept import KeptFiles
from bot.store import commits, experiments, metrics, runs
from bot.store.database import Database
from bot.store.schema import Attempt, Experiment
from bot.web.server import create_web
from bot.worker_sign import WorkerSign

T = TypeVar("T")
SECRET = "It's a Secret to Everybody"
APP_ID = 4711
LOGIN = "a login token that is long enough"
TEMPLATES = Path(__file__).parents[2] / "templates" / "web"
SHA = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class ShelfBackend:
    """A backend of which only the shelf exists: logs and artifacts by the attempt's id."""

    log: dict[str, bytes] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    is_complete: bool = False
    is_broken: bool = False
    opened: BinaryIO | None = None
    connect: Callable[[str, int], socket.socket] | None = None
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities("shelf", "runs in no box at all", False, None)
    )

    def logs(self, attempt_id: str, task: str, from_byte: int, limit: int = 65_536) -> LogChunk:
        # By the attempt's name for its first task, by `<attempt>/<task>` for another.
        log = self._of(self.log, attempt_id if task == "worker-0" else f"{attempt_id}/{task}")
        start = max(0, len(log) + from_byte) if from_byte < 0 else min(from_byte, len(log))
        data = log[start : start + limit]
        end = start + len(data)
        return LogChunk(start, end, data, self.is_complete and end == len(log))

    def artifacts(self, attempt_id: str) -> Iterator[Artifact]:
        yield from (Artifact(path, len(data)) for path, data in self._of(self.files, attempt_id).items())

    def open_artifact(self, attempt_id: str, path: str) -> BinaryIO:
        files = self._of(self.files, attempt_id)
        if path not in files:
            raise FileNotFoundError(path)
        file = self.opened = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asked closes it
        file.write(files[path])
        file.seek(0)
        return file

    def open_port(self, attempt_id: str, port: int) -> socket.socket:
        if self.connect is None:
            raise ConnectionRefusedError(f"{attempt_id} opened no port")
        return self.connect(attempt_id, port)

    def submit(self, spec: AttemptSpec, secrets: Mapping[str, str] | None = None) -> str:
        raise AssertionError("the web process starts nothing")

    def poll(self, ids: Sequence[str]) -> Mapping[str, AttemptReport]:
        raise AssertionError("the web process asks for no states")

    def cancel(self, attempt_id: str, reason: str) -> None:
        raise AssertionError("the web process ends nothing")

    def _of(self, shelf: dict[str, T], attempt_id: str) -> T:
        if self.is_broken or attempt_id not in shelf:
            raise BackendError(f"the shelf has no {attempt_id}")
        return shelf[attempt_id]


class _Compiled(BytecodeCache):
    """Templates compiled once for all plays: it takes longer than most of them."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


class Stage:
    """A web process over a database, and one repository whose experiments a play makes."""

    def __init__(self, database: Database, clock: ManualClock, data_dir: Path, public_url: str) -> None:
        self.database, self.clock, self.data_dir = database, clock, data_dir
        self.backend = ShelfBackend()
        self.sign = WorkerSign(data_dir, clock)
        self._public_url = public_url
        self.app = self.web(self.backend)
        self.client = self.app.test_client()

    def web(self, backend: Backend, kept: KeptFiles | None = None) -> Flask:
        """Return a web process over the same rows, with this backend and these files elsewhere."""
        app = create_web(
            database=self.database,
            clock=self.clock,
            backend=backend,
            sign=self.sign,
            webhook_secrets=(SECRET, "the secret before"),
            app_id=APP_ID,
            public_url=self._public_url,
            web_url="https://github.example",
            data_dir=self.data_dir,
            templates=TEMPLATES,
            login_token=LOGIN,
            kept=kept,
        )
        # What a person would see as "Internal Server Error" is an exception here.
        app.testing = True
        app.jinja_env.bytecode_cache = _COMPILED
        return app

    def get(self, address: str, **options: Any) -> TestResponse:
        """Return an answer read to its end, as a browser does: then the server closes what it had opened."""
        return self.client.get(address, buffered=True, **options)

    def login(self) -> None:
        """Log the client in."""
        assert self.client.post("/login", data={"token": LOGIN}).status_code == 303

    def experiment(self, step: str = "fit", workflow: str = "train", gates: tuple[Gate, ...] = ()) -> Experiment:
        """Return a new experiment of the one commit, with a view token and no attempt."""
        now = self.clock.now()
        with self.database.write() as tx:
            seen = events.Repository(1296269, "octocat", "Hello-World", False, "main", 7)
            repository = commits.see_repository(tx, seen, self.clock.now())
            commit = commits.see_commit(tx, repository.id, SHA, "Make it <b>learn</b>", "config.yaml", [], now)
            run = runs.see(tx, commit, workflow, 0, None, now)
            runs.see_trigger(tx, run, "push", "refs/heads/main", 0, "octocat", now)
            row = Experiment(public_id=experiments.new_public_id(now), run_id=run.id, step=step, position=0)
            row.kind, row.created_at, row.notes = "experiment.run_single_node", now, ["a note of the planner"]
            row.params = {"command": "python3 train.py", "machine_type": None, "env": {"SEED": "1"}}
            row.gates = [asdict(gate) for gate in gates]
            return experiments.add_experiment(tx, row)

    def attempt(
        self, experiment: Experiment, number: int = 1, handle: bool = True, groups: tuple[TaskGroup, ...] = ()
    ) -> Attempt:
        """Return a new attempt, of one task unless told otherwise, handed to the backend likewise."""
        name = f"{experiment.public_id}-{number}"
        machine = Machine("small", 2, 2048, environment="/opt/venv")
        group = TaskGroup("worker", 1, "python3 train.py --epochs 3", machine)
        spec = AttemptSpec(name, groups or (group,), None, {"SECRET_OF_THE_RUN": "x"}, 600.0, "/run", "/storage")
        row = Attempt(experiment_id=experiment.id, number=number, backend_id=name, created_at=self.clock.now())
        row.spec, row.handle = to_json(spec), name if handle else None
        with self.database.write() as tx:
            return experiments.add_attempt(tx, row)

    def reach(self, attempt: Attempt, *states: State, reason: str = "") -> None:
        """Let the attempt enter states, a second apart."""
        seen = []
        for state in states:
            self.clock.advance(1)
            seen.append(Observation(state, self.clock.now(), reason))
        with self.database.write() as tx:
            experiments.observe(tx, attempt.id, seen)

    def finish(self, attempt: Attempt) -> None:
        """Let the attempt go all the way to success, its metrics read."""
        self.reach(attempt, *WAY[1:])
        with self.database.write() as tx:
            experiments.change(tx, attempt.id, metrics_read_at=self.clock.now(), exit_code=0, peak_memory_mb=321)
            experiments.see_task(tx, attempt.id, "worker", 0, exit_code=0, node="this machine")

    def log_scalars(self, attempt: Attempt, tag: str, values: Sequence[float], run: str = "") -> None:
        """Store a metric as the collector does."""
        at = self.clock.now()
        points = tuple(Point.of(i, at + i * SECOND, value, i) for i, value in enumerate(values))
        with self.database.write() as tx:
            metrics.add(tx, attempt.id, [Series(Source.TENSORFLOW, run, tag, points)])


def gate(metric: str, low: float | None, high: float | None, aggregate: str = "min") -> Gate:
    """Return a gate on a TensorBoard scalar."""
    return Gate(Source.TENSORFLOW, metric, Range(low, high), aggregate)


def address(experiment: Experiment, below: str = "", **query: object) -> str:
    """Return the address of an experiment's page, or of something below it, with its view token."""
    values = "".join(f"&{name}={value}" for name, value in query.items())
    return f"/experiments/{experiment.public_id}{below}?token={experiment.view_token}{values}"


def signature(body: bytes, secret: str = SECRET) -> str:
    """Return GitHub's signature header for a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def delivery(body: bytes, guid: str = "72d3162e-cc78-11e3-81ab-4c9367dc0958", **changed: str | None) -> dict[str, str]:
    """Return the headers of a delivery as GitHub sends it; a changed header of None is left out."""
    headers: dict[str, str | None] = {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Delivery": guid,
        "X-GitHub-Event": "push",
        "X-GitHub-Hook-ID": "292430182",
        "X-GitHub-Hook-Installation-Target-ID": str(APP_ID),
        "X-GitHub-Hook-Installation-Target-Type": "integration",
        "X-Hub-Signature-256": signature(body),
    }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in headers.items() if value is not None}
