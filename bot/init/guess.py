"""Facts in, a proposal out: what the config of a repository might be. Pure."""

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from bot.core import config
from bot.core.gates import DOCUMENT
from bot.core.search import Goal, SpaceError
from bot.core.search import command as words_of
from bot.core.series import Source
from bot.init.completing import Completed, complete, elsewhere
from bot.init.facts import Curves, Distributed, Metric, Option, Repository, Script
from bot.init.gates import HELD_OUT, ProposedGate, propose_gates
from bot.init.ranking import PYTHON, Candidate, Command, frameworks, is_sayable, rank
from bot.init.space import Parameter, searchable, seed, variable

PLACEHOLDER = Command((PYTHON, "train.py"))
_MOST = 5
_RUNS = frozenset(["train", "training", "val", "valid", "validation", "test", "eval"])
_REQUIREMENTS = ("requirements.txt", "pyproject.toml", "environment.yml", "environment.yaml", "setup.cfg", "setup.py")
_ASIDE = ("docs", "doc", "paper", "figures", "images", "notebooks")
_RESULTS = ("metric", "score", "result", "eval")


@dataclass(frozen=True)
class Several:
    """Several tasks: what they meet by, where that was seen, and what each runs. `is_chosen`: the training itself."""

    kind: Distributed
    at: str
    command: str
    is_chosen: bool

    @property
    def is_mpi(self) -> bool:
        return self.kind in (Distributed.MPI, Distributed.HOROVOD)

    @property
    def has_servers(self) -> bool:
        return self.kind is Distributed.TENSORFLOW_SERVERS


@dataclass(frozen=True)
class Search:
    """A search: what is tried, by which command. `file` is where the parameters stand, if no option sets them."""

    parameters: tuple[Parameter, ...]
    command: str
    file: str
    metric: str
    goal: Goal

    @property
    def can_prune(self) -> bool:
        """A document has values at a trial's end only."""
        return not self.metric.startswith(f"{Source.CUSTOM}:")


@dataclass(frozen=True)
class Matrix:
    """A variable with its values, and how the command takes it; `words` is empty where it has no option for it."""

    name: str
    values: tuple[str, ...]
    words: str = ""


@dataclass(frozen=True)
class Proposal:
    """What is written, and what is told. `command` is the only thing that is guessed and active."""

    command: str
    is_found: bool
    reasons: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    readme: str = ""
    blanks: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    lost: tuple[Curves, ...] = ()
    gates: tuple[ProposedGate, ...] = ()
    suggested: tuple[ProposedGate, ...] = ()
    unnamed: tuple[str, ...] = ()
    results: str = ""
    writes_document: bool = False
    search: Search | None = None
    matrix: Matrix = Matrix("seed", ("1", "2", "3"))
    several: Several | None = None
    datasets: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    branch: str = "main"
    aside: tuple[str, ...] = ()
    requirements: str = ""
    has_dockerfile: bool = False
    notebooks: tuple[str, ...] = ()


def guess(repository: Repository) -> Proposal:
    """Return what the repository's config might be. Every text in it can stand in a config."""
    ranked = rank(repository)
    around = _around(repository)
    if not ranked:
        return replace(around, several=_several(repository, (), None))
    best, *others = ranked
    whole = complete(best, repository)
    near = best.reach.scripts or repository.scripts
    gates, suggested = propose_gates(_metrics(near) or _metrics(repository.scripts)), _suggested(near)
    return replace(
        around,
        command=whole.command.shell(),
        is_found=True,
        reasons=best.reasons,
        others=tuple(other.command.shell() for other in others[:3]),
        readme=_readme(best, repository, whole.command.shell()),
        blanks=whole.blanks,
        frameworks=frameworks(near),
        lost=elsewhere(best, whole.settled),
        gates=gates,
        suggested=suggested,
        unnamed=_distinct(one for script in near for one in script.unnamed),
        results=_results(near),
        writes_document=any(one.endswith(DOCUMENT) for script in near for one in script.files),
        search=_search(best, whole, repository, (gates or suggested)[0]),
        matrix=_matrix(whole),
        several=_several(repository, ranked, best),
        secrets=_distinct(one for script in near for one in script.secrets),
    )


def _around(repository: Repository) -> Proposal:
    """Return what is known without any training: the placeholder, and what lies about."""
    names = frozenset(repository.names)
    tops = {name.split("/")[0] for name in names if "/" in name}
    notes = [rf".*\.{ending}" for ending in ("md", "rst") if any(name.endswith(f".{ending}") for name in names)]
    return Proposal(
        command=PLACEHOLDER.shell(),
        is_found=False,
        suggested=_suggested(()),
        datasets=_datasets(repository.buckets),
        secrets=_distinct(one for script in repository.scripts for one in script.secrets),
        branch=repository.branch,
        aside=(*(f"{folder}/.*" for folder in _ASIDE if folder in tops), *notes),
        requirements=next((name for name in _REQUIREMENTS if name in names), ""),
        has_dockerfile="Dockerfile" in names,
        notebooks=_distinct(name for name in repository.names if name.endswith(".ipynb")),
    )


def _suggested(scripts: tuple[Script, ...]) -> tuple[ProposedGate, ...]:
    """Return gates for what could be logged: what a tracker is told, or what scikit-learn is asked for."""
    tracked = propose_gates(metric for script in scripts for metric in script.tracked)
    if tracked:
        return tracked
    measures = _distinct(one for script in scripts for one in script.measures) or ("accuracy",)
    return propose_gates(Metric(Source.CUSTOM, one, "", f"/{one}") for one in measures)


def _distinct(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in found if is_sayable(one)))[:_MOST]


def _metrics(scripts: tuple[Script, ...]) -> tuple[Metric, ...]:
    """Return what is logged. One name in several runs, as TensorFlow's guides have it, gets the run's name."""
    runs = {one.directory.rstrip("/").rpartition("/")[2] for script in scripts for one in script.curves} & _RUNS
    run = next((one for one in sorted(runs) if one in HELD_OUT), "") if len(runs) > 1 else ""
    return tuple(
        replace(metric, name=f"{run}/{metric.name}") if run and _needs_run(metric) else metric
        for script in scripts
        for metric in script.metrics
    )


def _needs_run(metric: Metric) -> bool:
    return metric.source is Source.TENSORFLOW and "/" not in metric.name


def _readme(best: Candidate, repository: Repository, command: str) -> str:
    """Return how a README runs the script, where that is not what is proposed."""
    path = best.script.path if best.script else ""
    read = [mention.command for mention in repository.mentions if "readme" in mention.file.lower()]
    shown = next((one for one in read if path and path in one and is_sayable(one)), "")
    return "" if shown.replace("python ", f"{PYTHON} ", 1) == command else shown


def _results(scripts: tuple[Script, ...]) -> str:
    """Return the JSON file that a script leaves its results in, by its name."""
    found = [one for script in scripts for one in script.files if one.endswith(".json") and is_sayable(one)]
    return next((one for one in found if any(word in PurePosixPath(one).stem.lower() for word in _RESULTS)), "")


def _datasets(buckets: Iterable[str]) -> tuple[str, ...]:
    """Return those that a config may name beside each other, by the config's own rules."""
    kept: list[str] = []
    for bucket in buckets:
        if len(kept) < _MOST and not config.load(_with_datasets([*kept, bucket]), "", lambda _name: b"").problems:
            kept.append(bucket)
    return tuple(kept)


def _with_datasets(buckets: Iterable[str]) -> bytes:
    listed = ", ".join(f'{{uri: "{bucket}"}}' for bucket in buckets)
    step = f"{{name: a, command: experiment.run_single_node, params: {{command: a, datasets: [{listed}]}}}}"
    return f"{{version: 2, workflows: {{a: {{steps: [{step}]}}}}}}".encode()


def _search(best: Candidate, whole: Completed, repository: Repository, gate: ProposedGate) -> Search | None:
    """Return a search for what the script lets be set, or for what stands in a file that it reads."""
    found, file = searchable(whole.options), ""
    command = whole.command.plain()
    if found:
        command = " ".join([command, *(_given(one.option, f"{{{one.name}}}", _of_search) for one in found)])
    else:
        found, file = _from_file(best, repository)
    goal = Goal.MINIMIZE if gate.less else Goal.MAXIMIZE
    search = Search(found, command, file, gate.objective, goal)
    try:
        words_of(search.command, dict.fromkeys((one.name for one in found), 0))
    except SpaceError:
        return None
    return search if found else None


def _given(option: Option, value: str, quote: Callable[[str], str]) -> str:
    """Return the option with a value that stands there unquoted: `--lr {lr}`, `--lr "$lr"`."""
    return " ".join(value.join(map(quote, word.split("\0"))) for word in option.words("\0"))


def _of_shell(part: str) -> str:
    return shlex.quote(part) if part else ""


def _of_search(part: str) -> str:
    return _of_shell(part).replace("{", "{{").replace("}", "}}")


def _from_file(best: Candidate, repository: Repository) -> tuple[tuple[Parameter, ...], str]:
    read = {PurePosixPath(one).name for script in best.reach.scripts for one in script.files}
    for one in repository.parameters:
        options = [
            Option("", name, value, isinstance(value, int | float) and not isinstance(value, bool))
            for name, value in one.values
        ]
        found = searchable(options) if PurePosixPath(one.path).name in read and is_sayable(one.path) else ()
        if found:
            return found, one.path
    return (), ""


def _matrix(whole: Completed) -> Matrix:
    """Return a matrix over seeds, else over the first hyperparameter, else over seeds that the script may read."""
    option = seed(whole.options)
    if option is not None and variable(option):
        return Matrix(variable(option), ("1", "2", "3"), _in_shell(option))
    for one in searchable(whole.options):
        if variable(one.option) and len(set(one.values)) > 1:
            return Matrix(variable(one.option), one.values, _in_shell(one.option))
    return Matrix("seed", ("1", "2", "3"))


def _in_shell(option: Option) -> str:
    return _given(option, f'"${variable(option)}"', _of_shell)


def _several(repository: Repository, ranked: tuple[Candidate, ...], best: Candidate | None) -> Several | None:
    """Return the first script that several tasks run together: the training itself, what may train, anything."""
    for candidate in ranked:
        for script in candidate.reach.scripts:
            if script.distributed and is_sayable(script.path):
                command = complete(candidate, repository).command.alone()
                return _cluster(script, command, is_chosen=candidate is best)
    for script in repository.scripts:
        if script.distributed and script.is_runnable and is_sayable(script.path):
            return _cluster(script, Command((PYTHON, script.path)), is_chosen=False)
    return None


def _cluster(script: Script, command: Command, is_chosen: bool) -> Several:
    kind = script.distributed[0]
    if kind is Distributed.MPI and command.words[0] == PYTHON:
        command = replace(command, words=(PYTHON, "-m", "mpi4py", *command.words[1:]))
    is_mpi = kind in (Distributed.MPI, Distributed.HOROVOD)
    shown = f"mpirun --hostfile /generated/hostfile -np 2 {command.as_program()}" if is_mpi else command.shell()
    return Several(kind, script.path, shown, is_chosen)
