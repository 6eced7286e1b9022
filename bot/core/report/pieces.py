"""What an experiment's facts are made of: its tasks, its image, its ports, and what it left. All text is untrusted."""

from dataclasses import dataclass

from bot.core.commands import WORD
from bot.core.states import HOUR, State


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


@dataclass(frozen=True)
class WouldRun:
    """A step that would run if somebody said so, and the most that it may take: `timeout` in seconds.

    `cpus`, `memory_mb` and `gpus` are those of all tasks of one experiment; there are `runs` of them. `usual` is how
    long it last took on the base branch, in microseconds. `refusal` says why it would not be run all the same.
    """

    label: str
    runs: int
    tasks: int
    machine: str
    cpus: float
    memory_mb: int
    gpus: int
    timeout: float
    refusal: str = ""
    usual: int | None = None

    @property
    def cpu_hours(self) -> float:
        return self.runs * self.cpus * self.timeout * 1_000_000 / HOUR

    @property
    def gpu_hours(self) -> float:
        return self.runs * self.gpus * self.timeout * 1_000_000 / HOUR

    @property
    def timeout_microseconds(self) -> int:
        return round(self.timeout * 1_000_000)


@dataclass(frozen=True)
class HeldFacts:
    """Why nothing of a commit runs: `fork`, `author` (who may not write here), `skip` (its message says so), `draft`.

    `words` are those of the commit's message that ask for it.
    """

    why: str
    author: str = ""
    words: str = ""
    would_run: tuple[WouldRun, ...] = ()

    @property
    def needs_approval(self) -> bool:
        return self.why in ("fork", "author")

    @property
    def cpu_hours(self) -> float:
        return sum(one.cpu_hours for one in self.would_run if not one.refusal)

    @property
    def gpu_hours(self) -> float:
        return sum(one.gpu_hours for one in self.would_run if not one.refusal)

    def command(self, sha: str) -> str:
        """Return what a person writes to have it run."""
        return f"{WORD} approve {sha}" if self.needs_approval else f"{WORD} run"


@dataclass(frozen=True)
class RequestFacts:
    """What a person asked for, and the answer. `is_done` False: it was refused. `at` in microseconds."""

    sender: str
    words: str
    is_done: bool
    answer: str
    at: int


@dataclass(frozen=True)
class PullLine:
    """A pull request whose head the commit is."""

    number: int
    base: str
    is_open: bool
