"""The whole road in one process: devhub, the web door over HTTP, the stations ticked by hand."""

import atexit
import base64
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import cache
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from sqlalchemy import select
from werkzeug.serving import make_server

from bot import settings
from bot.app import App
from bot.backends.base import Backend
from bot.backends.machines import Machines
from bot.clock import ManualClock
from bot.devhub import DevHub, Repository
from bot.metrics.reader import MetricsReader
from bot.parts import make_reader
from bot.store.database import Database
from bot.store.schema import Attempt, Check, Delivery, TransitionRow
from bot.worker.loop import Station

CONFIG = """\
version: 2
workflows:
  train:
    steps:
      - name: fit
        command: experiment.run_single_node
        params:
          command: python3 train.py
        checks:
          tensorflow:loss:
            target: ..0.5
            aggregate: min
"""


@cache
def _shared_reader() -> MetricsReader:
    """One reading process for all plays: it keeps nothing between two requests, and takes a second to start."""
    reader = make_reader()
    atexit.register(reader.close)
    return reader


class AtOnce(Executor):
    """Does its work where it is submitted, so that a play knows when it is done."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Road:
    """A devhub and a bot that knows it. `tick` does one round of the stations, `settle` as many as change anything.

    `door` may stand between GitHub's requests and the web process. `pool` fetches code, here and now by default.
    `environ` are settings besides the usual ones.
    """

    def __init__(
        self,
        root: Path,
        hub: DevHub,
        clock: ManualClock,
        backend: Backend,
        door: Callable[[WSGIApplication], WSGIApplication] = lambda application: application,
        machines: Machines | None = None,
        pool: Executor | None = None,
        **environ: str,
    ) -> None:
        self._pool = pool or AtOnce()
        self.hub, self.clock, self.backend = hub, clock, backend
        self.machines = machines or Machines.load(None)
        everything = {
            "GITHUB_APP_ID": str(hub.app.id),
            "GITHUB_PRIVATE_KEY": hub.app.private_key,
            "GITHUB_WEBHOOK_SECRET": hub.app.webhook_secret,
            "GITHUB_API_URL": hub.url,
            "GITHUB_WEB_URL": hub.url,
            "DATA_DIR": str(root / "data"),
            "PUBLIC_URL": "http://bot.example",
            "SECRETS_KEY": base64.b64encode(b"0" * 32).decode(),
            **environ,
        }
        self.settings = settings.read(everything)
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        self.database = Database(self.settings.database_url)
        self.database.migrate(self.settings.data_dir / "migrate.lock")
        self.app = App(
            self.settings, clock, self.database, self.machines, backend, _shared_reader(), self._pool, AtOnce()
        )
        self._web = self.app
        self.stations: dict[str, Station] = {station.name: station for station in self.app.stations()}
        self._server = make_server("127.0.0.1", 0, door(self.app.web()), threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        hub.set_webhook(f"http://127.0.0.1:{self._server.server_port}/webhook")

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._web.close()
        self.app.close()

    def restart_worker(self, database: Database) -> None:
        """Forget all that the worker knew and begin again with this database. The web process goes on."""
        self.app.close()
        self.database = database
        self.app = App(
            self.settings, self.clock, database, self.machines, self.backend, _shared_reader(), self._pool, AtOnce()
        )
        self.stations = {station.name: station for station in self.app.stations()}

    def repository(self, files: dict[str, str] | None = None, name: str = "digits") -> tuple[Repository, str]:
        """A repository with a config on its default branch; returns it with its head."""
        repository = self.hub.create_repository("acme", name, private=False)
        everything = {".ps_project/config.yaml": CONFIG, "train.py": "print('training')\n", **(files or {})}
        return repository, self.hub.commit_files(repository, everything, message="First")

    def tick(self, *names: str) -> None:
        self.hub.wait_delivered()
        for name, station in self.stations.items():
            if not names or name in names:
                station.tick()

    def settle(self, rounds: int = 6) -> None:
        """Let the stations work until nothing more can happen without the backend.

        GitHub is written to once a second: as long as something is told, the clock goes on by one.
        """
        quiet = 0
        while quiet < rounds:
            before = self._writes()
            self.tick()
            if self._writes() == before:
                quiet += 1
            else:
                quiet = max(0, quiet - 1)
                self.clock.advance(1)

    def _writes(self) -> int:
        """How many requests have been sent that write something."""
        return sum(request.method != "GET" for request in self.hub.requests)

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.settle()

    # What a play looks at

    def deliveries(self) -> list[Delivery]:
        with self.database.read() as tx:
            return list(tx.scalars(select(Delivery).order_by(Delivery.id)))

    def answers(self, event: str) -> list[str]:
        """What became of the deliveries of one kind, as sentences."""
        return [delivery.reason for delivery in self.deliveries() if delivery.event == event]

    def attempts(self) -> list[Attempt]:
        with self.database.read() as tx:
            return list(tx.scalars(select(Attempt).order_by(Attempt.id)))

    def transitions(self, attempt: Attempt) -> list[str]:
        with self.database.read() as tx:
            query = select(TransitionRow.target).where(TransitionRow.attempt_id == attempt.id)
            return list(tx.scalars(query.order_by(TransitionRow.id)))

    def check_rows(self) -> list[Check]:
        with self.database.read() as tx:
            return list(tx.scalars(select(Check).order_by(Check.id)))

    def shown(self, repository: Repository, sha: str) -> dict[str, tuple[str, str | None]]:
        """What devhub shows on a commit: name → status and conclusion of the newest check of that name."""
        return {run.name: (run.status, run.conclusion) for run in self.hub.checks(repository, sha)}
