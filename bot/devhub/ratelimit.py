"""GitHub's rate limits (github.com: "Rate limits for the REST API"), by the clock handed in.

Primary: requests an hour. Secondary: points a minute for one endpoint (a read 1, a write 5), writes that make content
a minute and an hour. A 304 costs nothing of the primary limit.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Literal

from bot.clock import HOUR, MINUTE, SECOND, Clock
from bot.devhub.errors import ApiError

_DOCS = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"


@dataclass(frozen=True)
class Limits:
    """GitHub's figures; a test may set its own."""

    hourly: int = 5_000
    anonymous_hourly: int = 60
    points_a_minute: int = 900
    writes_a_minute: int = 80
    writes_an_hour: int = 500
    concurrent: int = 100


@dataclass
class _Window:
    """The hour of one actor."""

    started: int
    used: int = 0


@dataclass
class _Recent:
    """When (microseconds), and how many points, an actor spent; what is older than an hour is forgotten."""

    writes: deque[int] = field(default_factory=deque)
    points: dict[str, deque[tuple[int, int]]] = field(default_factory=lambda: defaultdict(deque))


@dataclass
class _Wait:
    """What an actor was told to wait for. `until` None: a minute from the moment at which it is told."""

    kind: Literal["primary", "secondary"]
    until: int | None
    has_header: bool = True
    is_told: bool = False


@dataclass(frozen=True)
class Trespass:
    """A request that came inside a window in which its actor had been told to wait: `at`, before `until`."""

    actor: str
    at: int
    until: int
    method: str
    path: str


@dataclass(frozen=True)
class Crowding:
    """A write of an installation that came less than a second after the one before it, which was at `before`."""

    actor: str
    at: int
    before: int
    method: str
    path: str


class Meter:
    """Counts; raises ApiError for what is too much. `limits` None counts only.

    Whoever was refused is refused again until the moment that the refusal named ("continuing to make requests while
    you are rate limited may result in the banning of your integration"): those requests are in `trespasses`. Writes
    with less than a second between them, which GitHub asks for and does not enforce, are in `crowding`.
    """

    def __init__(self, clock: Clock, limits: Limits | None) -> None:
        self._clock = clock
        self._limits = limits
        self._windows: dict[str, _Window] = {}
        self._recent: dict[str, _Recent] = defaultdict(_Recent)
        self._waits: dict[str, _Wait] = {}
        self._last_writes: dict[str, int] = {}
        self.trespasses: list[Trespass] = []
        self.crowding: list[Crowding] = []

    def spend(self, actor: str, method: str, route: str, path: str, concurrent: int = 1) -> None:
        """Take one request of `actor`, one of so many `concurrent` ones; raises 403 when a limit is passed.

        A refused one is not counted.
        """
        self._check_wait(actor, method, path)
        wait = self._excess(actor, method, route, concurrent)
        if wait is not None:
            self._waits[actor] = wait
            self._check_wait(actor, method, path)
        now = self._clock.now()
        self._window(actor).used += 1
        self._recent[actor].points[route].append((now, _points(method)))
        if _makes_content(method, route):
            self._recent[actor].writes.append(now)
            self._watch_pace(actor, method, path)

    def limit(self, actor: str, retry_after: int | None) -> None:
        """Refuse `actor` as a secondary limit does: for so many seconds from now, or without a word of how long.

        In that case a minute counts, from the first refusal on (GitHub: "Otherwise, wait for at least one minute").
        """
        until = None if retry_after is None else self._clock.now() + retry_after * SECOND
        self._waits[actor] = _Wait("secondary", until, has_header=retry_after is not None)

    def exhaust(self, actor: str) -> None:
        """Use up the hour of `actor`."""
        window = self._window(actor)
        window.used = self.hourly(actor)
        self._waits[actor] = _Wait("primary", window.started + HOUR)

    def give_back(self, actor: str) -> None:
        """Undo one request of the primary limit: a 304 is free."""
        self._window(actor).used -= 1

    def headers(self, actor: str) -> dict[str, str]:
        """Return the headers that every answer carries."""
        window, limit = self._window(actor), self.hourly(actor)
        return {
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(max(0, limit - window.used)),
            "X-RateLimit-Used": str(window.used),
            "X-RateLimit-Reset": str((window.started + HOUR) // SECOND),
            "X-RateLimit-Resource": "core",
        }

    def hourly(self, actor: str) -> int:
        limits = self._limits or Limits()
        return limits.anonymous_hourly if actor == "anonymous" else limits.hourly

    def _check_wait(self, actor: str, method: str, path: str) -> None:
        """Raise the refusal of an actor that has to wait; the first one tells it, each further one is a trespass."""
        wait, now = self._waits.get(actor), self._clock.now()
        if wait is None:
            return
        if wait.until is not None and now >= wait.until:
            del self._waits[actor]
            return
        wait.until = wait.until or now + MINUTE
        if wait.is_told:
            self.trespasses.append(Trespass(actor, now, wait.until, method, path))
        wait.is_told = True
        raise self._exhausted(actor) if wait.kind == "primary" else _secondary(wait.until - now, wait.has_header)

    def _excess(self, actor: str, method: str, route: str, concurrent: int) -> _Wait | None:
        """Return what `actor` has to wait for, when one more request is too much."""
        if self._limits is None:
            return None
        window, now = self._window(actor), self._clock.now()
        if window.used >= self.hourly(actor):
            return _Wait("primary", window.started + HOUR)
        if concurrent > self._limits.concurrent:
            return _Wait("secondary", now + MINUTE)
        recent = self._recent[actor]
        until = max(self._writes_until(recent, method, route), self._points_until(recent, method, route))
        return _Wait("secondary", until) if until > now else None

    def _window(self, actor: str) -> _Window:
        now = self._clock.now()
        window = self._windows.get(actor)
        if window is None or now >= window.started + HOUR:
            window = self._windows[actor] = _Window(now)
        return window

    def _exhausted(self, actor: str) -> ApiError:
        headers = self.headers(actor)
        return ApiError(403, f"API rate limit exceeded for {actor}.", headers=headers, documentation=_DOCS)

    def _writes_until(self, recent: _Recent, method: str, route: str) -> int:
        """Return when one more write is not too much: 0 where it is not now."""
        if not _makes_content(method, route) or self._limits is None:
            return 0
        now = self._clock.now()
        while recent.writes and recent.writes[0] <= now - HOUR:
            recent.writes.popleft()
        for most, span in ((self._limits.writes_a_minute, MINUTE), (self._limits.writes_an_hour, HOUR)):
            inside = [at for at in recent.writes if at > now - span]
            if len(inside) >= most:
                return inside[-most] + span
        return 0

    def _points_until(self, recent: _Recent, method: str, route: str) -> int:
        """Return when one more request of this endpoint is not too much: 0 where it is not now."""
        if self._limits is None:
            return 0
        now, spent = self._clock.now(), recent.points[route]
        while spent and spent[0][0] <= now - MINUTE:
            spent.popleft()
        is_over = sum(points for _, points in spent) + _points(method) > self._limits.points_a_minute
        return spent[0][0] + MINUTE if is_over else 0

    def _watch_pace(self, actor: str, method: str, path: str) -> None:
        before, now = self._last_writes.get(actor), self._clock.now()
        if actor.startswith("installation ") and before is not None and now - before < SECOND:
            self.crowding.append(Crowding(actor, now, before, method, path))
        self._last_writes[actor] = now


def _secondary(wait: int, has_header: bool = True) -> ApiError:
    """Return GitHub's refusal for a secondary limit; `wait` in microseconds becomes whole seconds, rounded up.

    GitHub was seen to leave the header out (octokit/plugin-throttling.js#594, hub4j/github-api#1805).
    """
    return ApiError(
        403,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        headers={"Retry-After": str(-(-wait // SECOND))} if has_header else {},
        documentation=f"{_DOCS}#about-secondary-rate-limits",
    )


def _makes_content(method: str, route: str) -> bool:
    """Tokens and redeliveries are written too, but nobody reads them."""
    return _points(method) > 1 and route.startswith("/repos/")


def _points(method: str) -> int:
    return 1 if method in {"GET", "HEAD", "OPTIONS"} else 5
