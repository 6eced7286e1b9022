"""GitHub's rate limits (github.com: "Rate limits for the REST API"), by the clock handed in.

Primary: requests an hour. Secondary: points a minute for one endpoint (a read 1, a write 5), writes that make content
a minute and an hour. A 304 costs nothing of the primary limit.
"""

from collections import defaultdict, deque
from dataclasses import dataclass, field

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


class Meter:
    """Counts; raises ApiError for what is too much. `limits` None counts only."""

    def __init__(self, clock: Clock, limits: Limits | None) -> None:
        self._clock = clock
        self._limits = limits
        self._windows: dict[str, _Window] = {}
        self._recent: dict[str, _Recent] = defaultdict(_Recent)

    def spend(self, actor: str, method: str, route: str) -> None:
        """Take one request of `actor`; raises 403 when a limit is passed. A refused one is not counted."""
        window = self._window(actor)
        if self._limits is not None:
            self._check_primary(actor, window)
            self._check_writes(self._recent[actor], method, route)
            self._check_points(self._recent[actor], method, route)
        window.used += 1
        now = self._clock.now()
        self._recent[actor].points[route].append((now, _points(method)))
        if _makes_content(method, route):
            self._recent[actor].writes.append(now)

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

    def crowded(self, concurrent: int) -> bool:
        """Tell whether so many requests at once are too many."""
        return self._limits is not None and concurrent > self._limits.concurrent

    def _window(self, actor: str) -> _Window:
        now = self._clock.now()
        window = self._windows.get(actor)
        if window is None or now >= window.started + HOUR:
            window = self._windows[actor] = _Window(now)
        return window

    def _check_primary(self, actor: str, window: _Window) -> None:
        if window.used >= self.hourly(actor):
            headers = self.headers(actor)
            raise ApiError(403, f"API rate limit exceeded for {actor}.", headers=headers, documentation=_DOCS)

    def _check_writes(self, recent: _Recent, method: str, route: str) -> None:
        if not _makes_content(method, route) or self._limits is None:
            return
        now = self._clock.now()
        while recent.writes and recent.writes[0] <= now - HOUR:
            recent.writes.popleft()
        for most, span in ((self._limits.writes_a_minute, MINUTE), (self._limits.writes_an_hour, HOUR)):
            inside = [at for at in recent.writes if at > now - span]
            if len(inside) >= most:
                raise secondary(inside[-most] + span - now)

    def _check_points(self, recent: _Recent, method: str, route: str) -> None:
        if self._limits is None:
            return
        now, spent = self._clock.now(), recent.points[route]
        while spent and spent[0][0] <= now - MINUTE:
            spent.popleft()
        if sum(points for _, points in spent) + _points(method) > self._limits.points_a_minute:
            raise secondary(spent[0][0] + MINUTE - now)


def secondary(wait: int) -> ApiError:
    """Return GitHub's refusal for a secondary limit; `wait` in microseconds becomes whole seconds, rounded up."""
    return ApiError(
        403,
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        headers={"Retry-After": str(-(-wait // SECOND))},
        documentation=f"{_DOCS}#about-secondary-rate-limits",
    )


def _makes_content(method: str, route: str) -> bool:
    """Tokens and redeliveries are written too, but nobody reads them."""
    return _points(method) > 1 and route.startswith("/repos/")


def _points(method: str) -> int:
    return 1 if method in {"GET", "HEAD", "OPTIONS"} else 5
