"""What was seen in a repository, as values. Nothing here was run, and nothing here is trusted."""

from dataclasses import dataclass
from enum import StrEnum

from bot.core.series import Source

Value = str | int | float | bool | None


class Distributed(StrEnum):
    """How the processes of one training work together."""

    TORCH = "torch.distributed"
    TENSORFLOW_SERVERS = "parameter servers of TensorFlow"
    TENSORFLOW_WORKERS = "TensorFlow's MultiWorkerMirroredStrategy"
    HOROVOD = "Horovod"
    MPI = "mpi4py"


@dataclass(frozen=True)
class Option:
    """An option of a script's command line. `flag` is empty for an argument by position.

    `command` is the subcommand that it belongs to, empty for the script itself. With Hydra `flag` is the name before
    the `=`.
    """

    flag: str
    name: str
    default: Value = None
    is_number: bool = False
    is_required: bool = False
    takes_value: bool = True
    command: str = ""
    is_override: bool = False

    def words(self, value: str) -> tuple[str, ...]:
        """Return how the option is given this value."""
        if self.is_override:
            return (f"{self.flag}={value}",)
        return (self.flag, value) if self.flag else (value,)


@dataclass(frozen=True)
class Metric:
    """A number that a script logs, and where: `train.py:40`. `pointer` is its JSON pointer, for `custom`."""

    source: Source
    name: str
    at: str
    pointer: str = ""


@dataclass(frozen=True)
class Curves:
    """A place in the code that says where TensorBoard's files go.

    `directory` is the beginning of the path as far as it is written there, empty when it is not; `option` is the name
    that stands before it, which may be that of an option; `how` is what is told, such as `SummaryWriter`.
    """

    directory: str
    option: str
    how: str
    at: str

    @property
    def folder(self) -> str:
        """Return the directory of the workspace that all of it is in, empty when that is not known."""
        first = self.directory.removeprefix("./").split("/")[0]
        return "" if self.directory.startswith(("/", "..", "~")) or first.endswith("…") else first


@dataclass(frozen=True)
class Script:
    """A Python file. `imports` are dotted names, relative ones with their dots in front.

    `is_launched` tells whether it waits for what `torchrun` gives; `tracked` are metrics that go to a tracker, such as
    wandb, which the bot does not read.
    """

    path: str
    imports: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    has_guard: bool = False
    does_something: bool = False
    trains: str = ""
    options: tuple[Option, ...] = ()
    commands: tuple[str, ...] = ()
    hydra: str = ""
    metrics: tuple[Metric, ...] = ()
    unnamed: tuple[str, ...] = ()
    curves: tuple[Curves, ...] = ()
    files: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    distributed: tuple[Distributed, ...] = ()
    is_launched: bool = False
    secrets: tuple[str, ...] = ()
    tracked: tuple[Metric, ...] = ()

    @property
    def is_runnable(self) -> bool:
        return self.has_guard or self.does_something


@dataclass(frozen=True)
class Recipe:
    """A target of a Makefile, or a stage of DVC's, with the lines that it runs."""

    target: str
    lines: tuple[str, ...]
    file: str = "Makefile"


@dataclass(frozen=True)
class Mention:
    """A command that a text for people or for Docker shows."""

    file: str
    command: str


@dataclass(frozen=True)
class Entry:
    """A console script of the project's metadata."""

    name: str
    module: str
    function: str


@dataclass(frozen=True)
class Parameters:
    """A file of parameters: JSON, or YAML. Names of inner ones are joined by dots."""

    path: str
    values: tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Repository:
    """All that was seen. `names` are the paths of all files, the nearest to the root first.

    `is_git` tells whether git named the files; `left_out` how many of interest were not read, being too large, too
    many, links, or no Python after all.
    """

    names: tuple[str, ...] = ()
    scripts: tuple[Script, ...] = ()
    recipes: tuple[Recipe, ...] = ()
    mentions: tuple[Mention, ...] = ()
    entries: tuple[Entry, ...] = ()
    parameters: tuple[Parameters, ...] = ()
    buckets: tuple[str, ...] = ()
    branch: str = "main"
    is_git: bool = False
    read: int = 0
    left_out: int = 0
