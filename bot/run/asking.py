"""`experiment-ci run --repo … --ref …`: the bot that works on this machine is asked, by its own tables, and watched."""

import re
import secrets
from dataclasses import dataclass
from typing import NoReturn

from jinja2 import FileSystemLoader

from bot.clock import Clock
from bot.core.commands import Command, Verb
from bot.core.report import ExperimentFacts, Renderer
from bot.resources import TEMPLATES
from bot.run import results, view
from bot.run.desk import EVERY, INTERRUPTED, Desk
from bot.run.errors import CannotRun
from bot.run.follow import Followed, Follower
from bot.run.ink import BLANK, Style, line
from bot.run.screen import Screen
from bot.settings import Settings
from bot.store import commits, requests, runs
from bot.store.schema import Repository, Request
from bot.store.surroundings import Surroundings

_SHA = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class Target:
    """`owner/name`, and a branch, a tag or a SHA of it."""

    repository: str
    ref: str


class Asking:
    """Puts requests into the bot's tables, and looks what becomes of them. `by` is whoever sits at the terminal."""

    def __init__(self, settings: Settings, clock: Clock, screen: Screen, by: str) -> None:
        self._settings, self._clock, self._screen = settings, clock, screen
        self._by = f"{by} (terminal)"
        self._desk = Desk(settings, clock, screen)
        self._database = self._desk.database

    def ask(self, target: Target, command: Command, *, waits: bool) -> int:
        """Have a command carried out; `waits`: for the verdict of what it begins. Returns the exit status.

        Raises CannotRun for what is refused.
        """
        with self._desk.opened():
            repository = self._repository(target.repository)
            self._desk.refuse_without_worker()
            key = self._put(repository, target.ref, command)
            try:
                request = self._answered(key)
            except KeyboardInterrupt:
                self._screen.say([line("What was asked for is done all the same.")])
                return INTERRUPTED
            if request.state != requests.DONE:
                raise CannotRun(request.answer)
            self._screen.say([line(f"{target.repository} at {request.sha[:7]}: {request.answer}", Style.BOLD)])
            return self._follow(target, repository, request) if waits else 0

    def _repository(self, name: str) -> Repository:
        owner, _, rest = name.partition("/")
        with self._database.read() as tx:
            found = commits.repository_named(tx, owner, rest)
        if found is None:
            raise CannotRun(
                f"the bot has never heard of {name}: install its App there, and push or open a pull request once"
            )
        if found.closed:
            raise CannotRun(f"nothing can be told to {name}: it is {found.closed}")
        return found

    def _put(self, repository: Repository, ref: str, command: Command) -> str:
        """Write the request down; return its key."""
        now, key = self._clock.now(), f"terminal/{secrets.token_hex(16)}"
        # What runs at a commit can be stopped whatever GitHub says of that commit by now.
        sha = ref if command.verb is Verb.CANCEL and _SHA.fullmatch(ref) else ""
        request = Request(key=key, repository_id=repository.id, number=0, sha=sha, verb=command.verb, ref=ref)
        request.names, request.settings = list(command.names), dict(command.settings)
        request.source, request.sender = requests.TERMINAL, self._by
        request.asked_at = request.created_at = now
        with self._database.write() as tx:
            requests.put(tx, request)
        return key

    def _answered(self, key: str) -> Request:
        """Wait for the worker's answer. Who does not wait has asked all the same."""

        def look() -> tuple[Request | None, str]:
            with self._database.read() as tx:
                request = requests.find(tx, key)
            if request is None:
                _lost(key)
            return (None, request.answer) if request.state == requests.WAITING else (request, "")

        return self._desk.wait(look)

    def _follow(self, target: Target, repository: Repository, request: Request) -> int:
        """Watch what was begun until its verdict. Ctrl-C leaves it alone: it belongs to the bot."""
        renderer = Renderer(FileSystemLoader(TEMPLATES))
        with self._database.read() as tx:
            commit = commits.find(tx, repository.github_id, request.sha)
            names = frozenset() if commit is None else runs.begun_since(tx, commit.id, request.created_at)
        follower = Follower(self._database, self._clock, self._screen, renderer, self._around, EVERY)
        followed = Followed(repository.github_id, request.sha, names)
        try:
            seen = follower.follow(followed, lambda: "Ctrl-C leaves them running")
        except KeyboardInterrupt:
            stop = f"experiment-ci cancel --repo {target.repository} --ref {request.sha}"
            self._screen.say([line(f"They go on, and GitHub is told. To stop them: {stop}")])
            return INTERRUPTED
        told = results.result(seen, renderer, self._where)
        self._screen.say([*told, BLANK, view.verdict(seen, renderer), line(f"  {seen.commit.url}", Style.DIM)])
        return view.status(seen)

    @property
    def _around(self) -> Surroundings:
        settings = self._settings
        return Surroundings(settings.public_url, settings.web_url, isolation="", is_isolated=True, shows_images=False)

    def _where(self, x: ExperimentFacts) -> list[tuple[str, str]]:
        return [] if x.details_url is None else [("page", x.details_url)]


def _lost(key: str) -> NoReturn:
    raise CannotRun(f"the request {key} is not in the database any more")
