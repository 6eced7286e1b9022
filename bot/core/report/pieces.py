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
class PlaceFacts:
    """Where a task failed: the line of the commit that its traceback leads to. It is there: somebody looked.

    `exception` is the row that names it; `source` is the line as the commit has it.
    """

    task: str
    path: str
    line: int
    exception: str
    function: str = ""
    source: str = ""

    @property
    def label(self) -> str:
        """`train.py:88`; of a long path the end."""
        path = self.path if len(self.path) <= _PATH else f"…{self.path[1 - _PATH :]}"
        return f"{path}:{self.line}"


_PATH = 60
"""Characters of a path in a line of text."""


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
