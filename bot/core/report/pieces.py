"""What an experiment's facts are made of: its tasks, its image, its ports, and what it left. All text is untrusted."""

from dataclasses import dataclass

from bot.core.states import State


@dataclass(frozen=True)
class TaskFacts:
    """One task of an attempt, such as `worker-0`. `node` is the host it ran on, empty where there is only one.

    FAILED is the state of a task that failed by itself. One that was stopped because the work was done is STOPPED, one
    that was stopped because another had failed is CANCELLED, each with that as its reason.
    """

    name: str
    state: State
    exit_code: int | None = None
    peak_memory_mb: int | None = None
    node: str = ""
    reason: str = ""
    log_tail: str = ""


@dataclass(frozen=True)
class ImageFacts:
    """The image that the config names. `digest` where it was used; `reason` where it was not ("no podman here")."""

    name: str
    used: bool
    digest: str = ""
    reason: str = ""


@dataclass(frozen=True)
class PortFacts:
    """A port of the experiment's own (`container`) and the address of ours at which it can be looked at."""

    container: int
    url: str


@dataclass(frozen=True)
class ModelFacts:
    """The model that a successful experiment left. `size` in bytes; `url` is its page or its archive."""

    type: str
    files: int
    size: int
    url: str | None = None


@dataclass(frozen=True)
class ArtifactFacts:
    """What lies in /artifacts: how many files, bytes in all, and where they can be had."""

    files: int
    size: int
    url: str | None = None
