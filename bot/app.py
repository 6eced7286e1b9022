"""The composition root: where the bot is built of real things, out of settings."""

import os
import secrets
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Flask
from jinja2 import FileSystemLoader

from bot.backends.base import Backend
from bot.backends.machines import Machines
from bot.clock import Clock
from bot.core.report import Renderer
from bot.forge.client import Forge
from bot.forge.credentials import Credentials
from bot.forge.deliveries import DeliveryLog
from bot.forge.git import GitCache
from bot.forge.pacing import Pacer
from bot.metrics.pictures import PictureStore
from bot.metrics.reader import MetricsReader
from bot.parts import make_backend, make_reader
from bot.resources import TEMPLATES
from bot.settings import Settings
from bot.storage.kept import KeptFiles
from bot.store.database import Database
from bot.store.secrets import StoredSecrets
from bot.store.windows import Windows
from bot.vault import Vault
from bot.web.server import create_web
from bot.worker.answer import Answer
from bot.worker.build import Builder
from bot.worker.collect import Collect
from bot.worker.compare import Compare
from bot.worker.configs import Configs
from bot.worker.conversation import Conversation
from bot.worker.fetching import Fetching
from bot.worker.intake import Intake
from bot.worker.keep import Keep
from bot.worker.launch import Launch
from bot.worker.loop import Leased, Station, Worker, holder_name
from bot.worker.pool import Pool
from bot.worker.reconcile import Reconcile
from bot.worker.recover import Recover
from bot.worker.report import Report
from bot.worker.scan import Scan
from bot.worker.sweep import Sweep
from bot.worker.watch import Watch
from bot.worker.workload import Workload
from bot.worker_sign import WorkerSign

_FETCHES = 4
"""Repositories whose code is fetched at the same time."""
_WRITERS = 8
"""Installations that are written to at the same time."""


class AlreadyRunning(Exception):
    """Another worker holds this DATA_DIR."""


@dataclass(frozen=True)
class Deciding:
    """What an event meets before anything is done about it: it reads GitHub, and writes to the database alone."""

    credentials: Credentials
    forge: Forge
    git: GitCache
    builder: Builder
    conversation: Conversation


class App:
    """Everything that both processes need, built once from the settings and one clock."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        database: Database,
        machines: Machines,
        backend: Backend,
        reader: MetricsReader | None = None,
        pool: Executor | None = None,
        writers: Executor | None = None,
    ) -> None:
        """`reader` is handed in by those who share one; a reader of its own is closed with the rest.

        Code is fetched in `pool`, by default four threads of its own; GitHub is told things in `writers`, eight.
        """
        self.settings, self.clock, self.database = settings, clock, database
        self.machines, self.backend = machines, backend
        vault = Vault(settings.secrets_keys) if settings.secrets_keys else None
        self._secrets = StoredSecrets(database, vault)
        self._kept = _kept(settings)
        self._closing = ExitStack()
        self._closing.callback(database.close)
        self._reader, self._pool, self._writers = reader, pool, writers

    def close(self) -> None:
        """Close every connection and end the metrics reader. Experiments go on running."""
        self._closing.close()

    @classmethod
    def build(cls, settings: Settings, clock: Clock) -> "App":
        """Build, and bring the database to this version. Raises BackendUnavailable when no isolation is to be had."""
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        database = Database(settings.database_url)
        database.migrate(settings.data_dir / "migrate.lock")
        machines = Machines.load(settings.machines_file)
        return cls(settings, clock, database, machines, make_backend(settings, machines, clock))

    def web(self) -> Flask:
        """Return the web process's application."""
        settings = self.settings
        return create_web(
            database=self.database,
            clock=self.clock,
            backend=self.backend,
            sign=WorkerSign(settings.data_dir, self.clock),
            webhook_secrets=settings.webhook_secrets,
            app_id=settings.app_id,
            public_url=settings.public_url,
            web_url=settings.web_url,
            data_dir=settings.data_dir,
            templates=TEMPLATES / "web",
            login_token=login_token(settings.data_dir),
            kept=self._kept,
        )

    def deciding(self) -> Deciding:
        """Return what decides of events."""
        settings, database, clock, backend = self.settings, self.database, self.clock, self.backend
        pacer = Pacer(clock, windows=Windows(database, clock))
        credentials = make_credentials(settings, clock, pacer)
        git = GitCache(settings.data_dir / "git", settings.web_url)
        workload = Workload(
            settings.data_dir,
            settings.web_url,
            git,
            self.machines,
            backend.capabilities,
            refuses_unused_images=settings.unused_images == "refuse",
            builds_images=settings.builds_images,
        )
        forge = Forge(credentials, pacer, clock)
        self._closing.callback(forge.close)
        builder = Builder(
            database, clock, Configs(git, credentials), forge, workload, builds_drafts=settings.builds_drafts
        )
        return Deciding(credentials, forge, git, builder, Conversation(database, clock, forge, builder))

    def stations(self) -> list[Station]:
        """Return the stations of the road, in its order."""
        settings, database, clock, backend = self.settings, self.database, self.clock, self.backend
        reader = self._reader or self._own_reader()
        pictures = PictureStore(settings.data_dir / "images", reader)
        deciding = self.deciding()
        credentials, forge, builder = deciding.credentials, deciding.forge, deciding.builder
        sources = Fetching(deciding.git, credentials, self._pool or self._own_pool())
        return [
            Recover(database, clock, DeliveryLog(credentials), polls=settings.polls),
            Scan(database, clock, forge, polls=settings.polls),
            Intake(database, clock, forge, builder),
            Answer(database, clock, forge, deciding.conversation, settings.command_role),
            Launch(database, clock, backend, sources, self._secrets),
            Watch(database, clock, backend),
            Collect(database, clock, backend, reader, pictures, self._secrets),
            Keep(database, clock, backend, self._kept),
            Compare(database, clock, forge, pictures),
            Report(
                database,
                clock,
                forge,
                _renderer(),
                settings,
                backend.capabilities,
                self._writers or self._own_writers(),
            ),
            Reconcile(database, clock, forge),
            Sweep(database, clock, settings.data_dir, settings.retention_days, settings.keep_workspaces_days),
        ]

    def _own_reader(self) -> MetricsReader:
        reader = make_reader()
        self._closing.callback(reader.close)
        return reader

    def _own_pool(self) -> Executor:
        pool = Pool(_FETCHES, "fetch")
        self._closing.callback(pool.shutdown, wait=False, cancel_futures=True)
        return pool

    def _own_writers(self) -> Executor:
        writers = Pool(_WRITERS, "tell")
        self._closing.callback(writers.shutdown, wait=False, cancel_futures=True)
        return writers

    def worker(self) -> Worker:
        """Return the worker. Raises AlreadyRunning when another one has this DATA_DIR."""
        sign = WorkerSign(self.settings.data_dir, self.clock)
        if not sign.hold():
            raise AlreadyRunning(f"another worker is running on {self.settings.data_dir}")
        holder = holder_name()
        return Worker([Leased(s, self.database, self.clock, holder) for s in self.stations()], sign)


def _kept(settings: Settings) -> KeptFiles | None:
    """Return where artifacts and models are archived, None where they stay here. Raises storage's Unavailable."""
    if (archive := settings.archive) is None:
        return None
    return KeptFiles(archive.url, archive.endpoint_url, archive.access_key_id, archive.secret_access_key)


@cache
def _renderer() -> Renderer:
    """Return the one there is: its templates take half a second to compile, and every bot of a process has the same."""
    return Renderer(FileSystemLoader(TEMPLATES))


def make_credentials(settings: Settings, clock: Clock, pacer: Pacer | None = None) -> Credentials:
    """Return the App's credentials. A key that lies in a file may be replaced there while we run."""
    path = settings.private_key_path
    return Credentials(
        settings.app_id,
        settings.private_key,
        settings.api_url,
        clock,
        pacer,
        read_again=lambda: None if path is None else path.read_text(),
    )


def login_token(data_dir: Path) -> str:
    """Return the token that opens every page, made at the first start and kept with mode 600."""
    path = data_dir / "login-token"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        token = secrets.token_urlsafe(24)
        file.write(token + "\n")
    return token
