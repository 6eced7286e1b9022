"""A commit is followed in the rows, from its first experiment to its last: what changes is told, until nothing can."""

from collections.abc import Callable
from dataclasses import dataclass

from bot.clock import SECOND, Clock
from bot.core.report import Renderer
from bot.core.report.figures import duration
from bot.core.report.overview import Overview
from bot.core.report.part import Part
from bot.core.states import State
from bot.core.text import short
from bot.run import view
from bot.run.ink import Line, Span, Style
from bot.run.screen import Screen
from bot.store import commits
from bot.store.database import Database
from bot.store.facts import Known, commit_facts, repository_of
from bot.store.surroundings import Surroundings

_SELDOM = 30 * SECOND
"""How often figures that move are told where nothing can be drawn over."""


@dataclass(frozen=True)
class Followed:
    """The workflows of a commit that somebody waits for. `github_id` is the repository's."""

    github_id: int
    sha: str
    workflows: frozenset[str]


class Follower:
    """Tells on a screen what becomes of a commit. `every` is how many seconds pass between two looks at its rows."""

    def __init__(
        self, database: Database, clock: Clock, screen: Screen, renderer: Renderer, around: Surroundings, every: float
    ) -> None:
        self._database, self._clock, self._screen, self._renderer = database, clock, screen, renderer
        self._around, self._every = around, every
        self._known, self._revision = Known(), -1
        self._seen: Overview | None = None
        self._told: dict[str, tuple[tuple[object, ...], str, int]] = {}
        self._over: set[tuple[str, int]] = set()

    def follow(self, followed: Followed, hint: Callable[[], str]) -> Overview:
        """Return how it all ended. `hint` is asked at every look: it says what Ctrl-C does, and may raise."""
        since = self._clock.now()
        try:
            while True:
                told = hint()
                seen = self._look(followed)
                lines = self._news(seen, since)
                if seen.standing.is_done:
                    self._screen.say(lines)
                    return seen
                now, height = self._clock.now(), self._screen.size[1]
                self._screen.say(lines, view.drawing(seen, self._renderer, now, since, told, height - 1))
                self._clock.sleep(self._every)
        finally:
            self._screen.say(())

    def _look(self, followed: Followed) -> Overview:
        """Return the commit as it stands; its rows are read only when there is something new in them."""
        with self._database.read() as tx:
            commit = commits.find(tx, followed.github_id, followed.sha)
            if commit is None:
                raise LookupError(followed.sha)
            if self._seen is None or commit.revision != self._revision:
                found = commit_facts(tx, commit, repository_of(tx, commit), self._around, self._known)
                self._seen, self._revision = view.seen_of(found, followed.workflows), commit.revision
        return self._seen

    def _news(self, seen: Overview, since: int) -> list[Line]:
        """Return what is to be said of what has changed."""
        lines = list[Line]()
        for part in seen.parts:
            name = (part.facts.public_id, part.facts.attempt)
            if part.is_skipped or name in self._over:
                continue
            if part.standing.is_done:
                self._over.add(name)
                lines += view.ended(part, seen, self._renderer)
            elif not self._screen.is_live:
                lines += self._change(part, seen, since)
        return lines

    def _change(self, part: Part, seen: Overview, since: int) -> list[Line]:
        """Return a line for what has changed about an experiment, where it cannot be drawn over."""
        x, now = part.facts, self._clock.now()
        title = view.title(part, seen, self._renderer)
        # Of the states only what a list of checks would show: those in between pass in no time.
        stands = (part.standing, x.attempt, x.retry_at, x.reason if x.state is State.PENDING else "")
        before, told, at = self._told.get(x.public_id, ((), "", 0))
        if stands == before and (told == title or now - at < _SELDOM):
            return []
        self._told[x.public_id] = (stands, title, now)
        return [(Span(f"{duration(now - since):>11}  ", Style.DIM), Span(f"{short(part.label)}: {title}"))]
