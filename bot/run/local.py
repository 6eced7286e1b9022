"""`experiment-ci run PATH`: from what lies in a checkout to a verdict, on this machine, without any GitHub.

What it starts belongs to this process: supervisors end when it is gone, whatever way it went.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import FileSystemLoader

from bot import settings
from bot.backends.base import BackendUnavailable
from bot.backends.machines import Machines, MachinesError
from bot.clock import Clock
from bot.core.config import Config, render_problems
from bot.core.report import Renderer
from bot.forge.git import GitCache
from bot.resources import TEMPLATES
from bot.run.bench import Bench, repository_of, store_of
from bot.run.checkout import Checkout, look
from bot.run.choosing import Wish, build_of, config_of, decide
from bot.run.errors import CannotRun
from bot.run.home import held, home_of, logged
from bot.run.ink import Style, line
from bot.run.play import Play
from bot.run.screen import Screen
from bot.run.snapshot import Snapshot, take
from bot.run.sources import GivenSecrets, variable_of
from bot.troubles import DATABASE_TROUBLES, database_sentence, disk_sentence
from bot.worker.build import Decision


@dataclass(frozen=True)
class Places:
    """The checkout; where what comes of it is kept, and the environment of its runs (None: as it is by itself)."""

    checkout: Path
    kept: Path | None = None
    environment: Path | None = None


def run(places: Places, wish: Wish, environ: Mapping[str, str], clock: Clock, *, only_list: bool) -> int:
    """Run a checkout to its end. Returns 0 when all went well, 1 when something failed, 130 after Ctrl-C.

    `only_list`: nothing is run, and it is told what would be. Raises CannotRun or SettingsError: nothing was run.
    """
    try:
        return _Local(places, wish, environ, clock).run(only_list=only_list)
    except (BackendUnavailable, MachinesError) as error:
        raise CannotRun(str(error)) from None
    except DATABASE_TROUBLES as error:
        raise CannotRun(f"the database of this checkout cannot be used: {database_sentence(error)}") from None
    except OSError as error:
        raise CannotRun(disk_sentence(error)) from None


class _Local:
    def __init__(self, places: Places, wish: Wish, environ: Mapping[str, str], clock: Clock) -> None:
        self._wish, self._clock = wish, clock
        self._checkout = look(places.checkout)
        self._home = home_of(self._checkout, environ) if places.kept is None else places.kept.absolute()
        self._running = settings.read_running(environ, self._home)
        self._environment = _environment(places.environment, environ)
        self._secrets, self._screen = GivenSecrets(environ), Screen(environ)

    def run(self, *, only_list: bool) -> int:
        with held(self._home, self._clock) as sign, logged(self._home) as log:
            snapshot = take(self._checkout, store_of(self._home), self._home)
            found = self._config(snapshot)
            machines = self._machines(found)
            bench = Bench(self._running, machines, self._clock, self._checkout, self._secrets)
            try:
                decision = self._decide(bench, snapshot, found)
                if only_list:
                    self._screen.say([line(sentence) for sentence in decision.sentences()])
                    return 0
                self._introduce(bench, snapshot, machines, decision)
                play = Play(bench, self._screen, Renderer(FileSystemLoader(TEMPLATES)), self._clock, self._wish.by)
                return play.run(decision, bench.worker(snapshot, sign), log)
            finally:
                bench.close()

    def _config(self, snapshot: Snapshot) -> Config:
        """Return the config of a snapshot, what is wrong with it told."""
        git = GitCache(self._home / "git", self._checkout.web_url)
        found, text = config_of(git, repository_of(self._checkout), snapshot.sha, self._checkout)
        if found.loaded.problems:
            self._screen.say([line(row) for row in render_problems(found.loaded, text).split("\n")])
        if found.config is None:
            raise CannotRun(f"{found.path} has errors")
        return found.config

    def _machines(self, found: Config) -> Machines:
        """Return the machine types. One that is made from this machine is made small enough for every step."""
        steps = [step for workflow in found.workflows for step in workflow.steps]
        most = max(sum(role.count for role in step.params.roles()) for step in steps)
        machines = Machines.load(self._running.machines_file).of_size(most)
        return machines if self._environment is None else machines.in_environment(self._environment)

    def _decide(self, bench: Bench, snapshot: Snapshot, found: Config) -> Decision:
        was_cut_off, again = bench.clear() > 0, bench.tried(snapshot.sha)
        if was_cut_off:
            self._screen.say([line("The run before this one was cut off; what was left of it is called off.")])
        build = build_of(self._wish, self._checkout, repository_of(self._checkout), snapshot.sha, again)
        return decide(bench.builder, build, found)

    def _introduce(self, bench: Bench, snapshot: Snapshot, machines: Machines, decision: Decision) -> None:
        """Say what is run, where it is kept, and what is not as it would be on GitHub."""
        checkout, capabilities = self._checkout, bench.backend.capabilities
        default = machines.types[machines.default]
        wanted = {name for run in decision.chosen for step in run.workflow.steps for name in step.params.secret_names()}
        told = [line(f"{checkout.name}: {_state(checkout, snapshot)}", Style.BOLD)]
        python = default.environment or "the system's python3"
        told.append(line(f"kept in {self._home}, run with {python}", Style.DIM))
        if not capabilities.is_isolated:
            told.append(line(f"not isolated: {capabilities.isolation}", Style.BAD))
        for name in self._secrets.missing(wanted):
            told.append(line(f"the secret {name} is not given: set {variable_of(name)} in the environment", Style.BAD))
        self._screen.say(told)


def _state(checkout: Checkout, snapshot: Snapshot) -> str:
    where = f"{checkout.branch or 'a commit'} at {checkout.head[:7]}"
    if snapshot.is_head:
        return where
    return f"{where}, and what is not committed" if checkout.is_whole else f"what lies in {checkout.root}"


def _environment(given: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the environment that runs have where no machine type says otherwise: the one that somebody works in."""
    if given is not None:
        return given.absolute()
    active = environ.get("VIRTUAL_ENV") or environ.get("CONDA_PREFIX") or ""
    is_there = active.startswith("/") and Path(active, "bin", "python3").exists()
    return Path(active) if is_there and not environ.get("MACHINES_FILE", "").strip() else None
