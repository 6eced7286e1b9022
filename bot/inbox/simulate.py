"""`experiment-ci simulate`: what would come of a payload. GitHub is only read, and nothing stays in any table."""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from jinja2 import FileSystemLoader

from bot import settings
from bot.app import App
from bot.backends.base import BackendUnavailable
from bot.backends.machines import Machines, MachinesError
from bot.clock import Clock
from bot.core import events
from bot.core.payloads import parse
from bot.core.permission import Permission
from bot.core.report import Renderer
from bot.forge.git import GitCache
from bot.inbox.given import GivenConfigs, GivenRole
from bot.inbox.payload import Payload, take
from bot.inbox.rehearsal import Stage, rehearse
from bot.parts import make_backend
from bot.resources import TEMPLATES
from bot.run.errors import CannotRun
from bot.run.ink import Line, Style, line
from bot.run.screen import Screen
from bot.settings import Settings
from bot.store import deliveries
from bot.store.database import Database, Rehearsal
from bot.store.surroundings import NOWHERE, Surroundings
from bot.troubles import DATABASE_TROUBLES, database_sentence, disk_sentence
from bot.worker.answer import Answer
from bot.worker.build import Builder
from bot.worker.workload import Workload

_NOBODYS = "http://simulated.invalid"
"""In the place of addresses of GitHub's and our own, which nobody gets to see."""


@dataclass(frozen=True)
class Subject:
    """What is simulated: the payload in `place`, of `event` (None: guessed), or a stored `delivery`, by its GUID.

    With `config` there is no GitHub: it is the commit's, `base` that of its base and the default branch, and everybody
    has the `role`.
    """

    place: str | None = None
    event: str | None = None
    delivery: str | None = None
    config: Path | None = None
    base: Path | None = None
    role: Permission = Permission.WRITE


def simulate(subject: Subject, environ: Mapping[str, str], clock: Clock, screen: Screen) -> int:
    """Tell what would happen. Returns 0, or 1 where something of it is wrong by itself.

    Raises CannotRun or SettingsError where it cannot be told.
    """
    try:
        return _Simulation(subject, environ, clock).run(screen)
    except (BackendUnavailable, MachinesError) as error:
        raise CannotRun(str(error)) from None
    except DATABASE_TROUBLES as error:
        raise CannotRun(f"the database cannot be used: {database_sentence(error)}") from None
    except OSError as error:
        raise CannotRun(disk_sentence(error)) from None


class _Simulation:
    def __init__(self, subject: Subject, environ: Mapping[str, str], clock: Clock) -> None:
        self._subject, self._environ, self._clock = subject, environ, clock

    @cached_property
    def _settings(self) -> Settings:
        """The bot's, read when they are first needed. Raises SettingsError."""
        read = settings.read(self._environ)
        settings.forget_secrets()
        return read

    def run(self, screen: Screen) -> int:
        payload = self._payload()
        event = parse(payload.event, payload.body)
        screen.say([line(_described(payload, event), Style.BOLD)])
        if isinstance(event, events.Unreadable):
            screen.say([line(f"unreadable: {event.reason}", Style.BAD)])
            return 1
        if isinstance(event, events.Ignored):
            screen.say([line(f"ignored: {event.reason}")])
            return 0
        with tempfile.TemporaryDirectory(prefix="experiment-ci-") as place, ExitStack() as after:
            told = rehearse(self._stage(payload, Path(place), after), payload, event)
        screen.say([*map(line, told.lines), _end()])
        return 0 if told.is_well else 1

    def _payload(self) -> Payload:
        guid = self._subject.delivery
        if guid is None:
            return take(self._subject.place or "-", self._subject.event)
        database = Database(self._settings.database_url)
        with closing(database), database.read() as tx:
            found = deliveries.find(tx, guid)
        if found is None:
            raise CannotRun(f"there is no delivery {guid} in the bot's tables")
        return Payload(found.event, found.body)

    def _stage(self, payload: Payload, place: Path, after: ExitStack) -> Stage:
        """Return what an event meets. What is fetched for it lies in `place`: nothing of the bot's own is touched."""
        if self._subject.config is None:
            return self._by_github(place, after)
        return self._by_files(self._subject.config, payload, place, after)

    def _by_github(self, place: Path, after: ExitStack) -> Stage:
        read = self._settings
        database = after.enter_context(closing(Rehearsal(read.database_url)))
        database.migrate(read.data_dir / "migrate.lock")
        elsewhere, machines = replace(read, data_dir=place), Machines.load(read.machines_file)
        backend = make_backend(elsewhere, machines, self._clock)
        app = App(elsewhere, self._clock, database, machines, backend)
        after.callback(app.close)
        deciding = app.deciding()
        answer = Answer(database, self._clock, deciding.forge, deciding.conversation, read.command_role)
        able = backend.capabilities
        around = Surroundings(read.public_url, read.web_url, able.isolation, able.is_isolated, shows_images=False)
        return Stage(database, self._clock, deciding.builder, _renderer(), around, answer)

    def _by_files(self, config: Path, payload: Payload, place: Path, after: ExitStack) -> Stage:
        running = settings.read_running(self._environ, place)
        database = after.enter_context(closing(Rehearsal(f"sqlite:///{place / 'empty.sqlite3'}")))
        database.migrate(place / "migrate.lock")
        machines = Machines.load(running.machines_file)
        workload = Workload(
            place,
            _NOBODYS,
            GitCache(place / "git", _NOBODYS),
            machines,
            make_backend(running, machines, self._clock).capabilities,
            refuses_unused_images=running.unused_images == "refuse",
            builds_images=running.builds_images,
        )
        configs, roles = GivenConfigs(config, self._subject.base, payload.message), GivenRole(self._subject.role)
        builder = Builder(database, self._clock, configs, roles, workload)
        around = replace(NOWHERE, public_url=_NOBODYS, web_url=_NOBODYS)
        return Stage(database, self._clock, builder, _renderer(), around)


def _renderer() -> Renderer:
    return Renderer(FileSystemLoader(TEMPLATES))


def _end() -> Line:
    return line("Nothing was posted, and nothing stored.", Style.DIM)


def _described(payload: Payload, event: events.Event | events.Ignored | events.Unreadable) -> str:
    """Return what the payload tells, in a line."""
    where = getattr(event, "repository", None)
    told = [payload.event, str(getattr(event, "action", ""))]
    number, ref, sha = (getattr(event, name, None) for name in ("number", "ref", "sha"))
    told += [f"#{number}" if number else "", str(ref or ""), f"at {sha[:7]}" if sha else ""]
    told.append(f"in {where.full_name}" if isinstance(where, events.Repository) else "")
    return " ".join(word for word in told if word)
