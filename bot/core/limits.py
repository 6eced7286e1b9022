"""What code may take of the bot's machines. Only the default branch's config says; a branch cannot give itself more."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from bot.core.patterns import Filter
from bot.core.registries import full_name

if TYPE_CHECKING:
    from bot.core.config.models import AnyParams, Config, Role, Step

DEFAULT_TIMEOUT = 24 * 3600.0
"""Seconds a run may take when its config sets no `timeout`."""
_LISTS = ("machine_types", "images", "sources", "ports")


@dataclass(frozen=True)
class Limits:
    """None is no limit. `running` experiments at a time of the repository, `running_per_author` of one person.

    `runs` experiments of one commit, `timeout_seconds` the longest that one may run, `tasks` the most that one may
    start; `machine_types`, `images` (patterns that match the whole name, with its registry), `sources` (URIs of data
    and code) and `ports` are what it may name.
    """

    running: int | None = None
    running_per_author: int | None = None
    runs: int | None = None
    timeout_seconds: float | None = None
    machine_types: tuple[str, ...] | None = None
    images: tuple[str, ...] | None = None
    tasks: int | None = None
    sources: tuple[str, ...] | None = None
    ports: tuple[int, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the limits as JSON-able values, without those that are none."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Limits":
        """Return the limits that `to_json` wrote."""
        lists = {name: tuple(value[name]) for name in _LISTS if name in value}
        return cls(**{**value, **lists})

    def timeout_of(self, params: "AnyParams") -> float:
        """Return how long (seconds) an experiment may run: what it asks for, or as long as it may."""
        longest = self.timeout_seconds or DEFAULT_TIMEOUT
        return longest if params.timeout_seconds is None else params.timeout_seconds

    def refusal(self, params: "AnyParams") -> str:
        """Return why an experiment is more than the limits allow, empty when it is not."""
        asked, longest = self.timeout_of(params), self.timeout_seconds
        if longest is not None and asked > longest:
            return f"it asks for {duration(asked)}, and no more than {duration(longest)} is given"
        tasks = sum(role.count for role in params.roles())
        if self.tasks is not None and tasks > self.tasks:
            return f"it asks for {tasks} machines, and no more than {self.tasks} are given"
        for role in params.roles():
            if self.machine_types is not None and (role.machine_type or "") not in self.machine_types:
                return f"the machine type `{role.machine_type or 'default'}` is not given"
            if self.images is not None and role.dockerfile is not None:
                return "no image may be built"
            if role.container and not self._gives_image(_image(role)):
                return f"the image `{_image(role)}` is not given"
        return self._refusal_of_sources(params)

    def _gives_image(self, name: str) -> bool:
        # Each by itself: a filter without a pattern selects everything.
        return self.images is None or any(Filter(only=(pattern,)).selects(name) for pattern in self.images)

    def _refusal_of_sources(self, params: "AnyParams") -> str:
        if self.sources is not None:
            for uri in _sources(params):
                if uri not in self.sources:
                    return f"nothing is fetched from `{uri}`"
        if self.ports is not None:
            for port in params.ports:
                if port.container not in self.ports:
                    return f"the port {port.container} is not opened"
        return ""

    def refusal_of_count(self, steps: "Iterable[Step]") -> str:
        """Return why the experiments of a commit are too many, empty when they are not."""
        count = sum(max(1, len(step.matrix)) for step in steps)
        if self.runs is None or count <= self.runs:
            return ""
        return f"this commit asks for {count} experiments, and no more than {self.runs} are given"


def for_strangers(config: "Config | None") -> Limits:
    """Return what code that nobody of the repository wrote may take, once it is approved.

    Beside the limits that `config`, the default branch's, sets: no machine type, image, time or number of machines that
    it does not use itself. Strangers may choose commands, nothing else.
    """
    if config is None:
        return Limits(machine_types=("",), images=(), tasks=1, sources=(), ports=())
    steps = [step for workflow in config.workflows for step in workflow.steps]
    roles = [role for step in steps for role in step.params.roles()]
    given = config.limits
    longest = max((given.timeout_of(step.params) for step in steps), default=DEFAULT_TIMEOUT)
    return replace(
        given,
        runs=_least(given.runs, sum(max(1, len(step.matrix)) for step in steps)),
        timeout_seconds=_least(given.timeout_seconds, longest),
        machine_types=tuple(sorted({role.machine_type or "" for role in roles})),
        images=tuple(sorted({_literally(_image(role)) for role in roles if role.container})),
        tasks=_least(given.tasks, max((sum(r.count for r in step.params.roles()) for step in steps), default=1)),
        sources=tuple(sorted({uri for step in steps for uri in _sources(step.params)})),
        ports=tuple(sorted({port.container for step in steps for port in step.params.ports})),
    )


def _image(role: "Role") -> str:
    """Return an image's name with its registry: `registryUrl` leads a name that is given to somebody else's image."""
    return full_name(role.container or "", role.registry.url)


def _sources(params: "AnyParams") -> list[str]:
    """Return the URIs that are fetched from, that of a workspace of its own first."""
    workspace = params.workspace
    own = [] if workspace.is_this_commit or workspace.is_empty else [workspace.source or ""]
    return [*own, *(dataset.uri for dataset in params.datasets)]


def _least(limit: "float | None", used: float) -> Any:
    return used if limit is None else min(limit, used)


def _literally(name: str) -> str:
    """Return a pattern that matches this name and no other."""
    return "".join(character if character.isalnum() else f"\\{character}" for character in name)


def duration(seconds: float) -> str:
    """Return `45 s`, `30 min`, `2 h`, `1 h 30 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds) // 60, 60)
    return " ".join(part for part in (f"{hours} h" * bool(hours), f"{minutes} min" * bool(minutes)) if part)
