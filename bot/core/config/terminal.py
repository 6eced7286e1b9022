"""What `experiment-ci check-config` prints."""

from bot.core.config.document import FORBIDDEN
from bot.core.config.load import Loaded
from bot.core.config.models import Config, EventKind, SearchParams, Step, Workflow
from bot.core.config.problems import Problem
from bot.core.gates import Gate
from bot.core.search import Pruner, Search

_WIDTH = 100


def render_terminal(loaded: Loaded, source_text: str) -> str:
    """Return the answer for a terminal: every problem with its line, then what the config means.

    `source_text` is the text of the config itself. Whatever it contains, only printable characters are returned.
    """
    told = render_problems(loaded, source_text)
    return told if loaded.config is None else f"{told}\n{_summary(loaded.config)}\n"


def render_problems(loaded: Loaded, source_text: str) -> str:
    """Return every problem with its line, and how many there are, as `render_terminal` does."""
    lines = source_text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    blocks = [_problem(problem, lines if problem.path == loaded.path else []) for problem in loaded.problems]
    return "\n\n".join([*blocks, _verdict(loaded)]) + "\n"


def _problem(problem: Problem, lines: list[str]) -> str:
    place = f"{printable(problem.path)}:{problem.line}:{problem.column}"
    told = [f"{place}: {problem.severity}: {printable(problem.message)}"]
    if 1 <= problem.line <= len(lines):
        told += _excerpt(lines[problem.line - 1], problem)
    return "\n".join([*told, f"  hint: {printable(problem.hint)}"])


def _excerpt(line: str, problem: Problem) -> list[str]:
    """Return the line, cut around the place when it is long, and a caret below the place."""
    start = max(0, problem.column - 1 - _WIDTH // 2) if len(line) > _WIDTH else 0
    shown = printable(line[start : start + _WIDTH])
    number = str(problem.line)
    return [
        f"  {number} | {shown}",
        f"  {' ' * len(number)} | {' ' * (problem.column - 1 - start)}^",
    ]


def _verdict(loaded: Loaded) -> str:
    counts = [_count(len(loaded.errors), "error"), _count(len(loaded.warnings), "warning")]
    found = " and ".join(count for count in counts if count) or "no problems"
    version = f", version {loaded.config.version}" if loaded.config else ""
    return f"{printable(loaded.path)}{version}: {found}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number > 1 else ''}" if number else ""


def _summary(config: Config) -> str:
    told = [line for workflow in config.workflows for line in _workflow(workflow)]
    if config.pulls_write_storage:
        told.append("pull requests may write to /storage, where the default branch says so")
    return "\n".join(told)


def _workflow(workflow: Workflow) -> list[str]:
    events = ", ".join(kind for kind in EventKind if kind in workflow.triggers.events)
    told = [f"workflow {printable(workflow.name)} ({events})"]
    for name in ("branches", "tags", "paths"):
        chosen = getattr(workflow.triggers, name)
        if chosen is not None:
            verb = "only" if chosen.only else "ignore"
            told.append(f"  {name}: {verb} {printable(', '.join(chosen.only or chosen.ignore))}")
    return told + [line for step in workflow.steps for line in _step(step)]


def _step(step: Step) -> list[str]:
    told = [f"  step {printable(step.name)}: {step.kind.label}{_cells(step)}"]
    if isinstance(step.params, SearchParams) and step.params.search is not None:
        told += _search(step.params.search)
    return told + [f"    gate {printable(gate.name)}: {_gate(gate)}" for gate in step.gates]


def _cells(step: Step) -> str:
    if not step.matrix:
        return ""
    return (
        f", {_count(len(step.matrix), 'run')}: {printable(step.matrix[0].label)}{' …' if len(step.matrix) > 1 else ''}"
    )


def _search(search: Search) -> list[str]:
    told = f"{_count(search.trials, 'trial')}, {search.parallel} at a time, sampler {search.sampler}"
    told += f", pruner {search.pruner}" if search.pruner is not Pruner.NONE else ""
    space = [f"      {printable(name)}: {printable(str(distribution))}" for name, distribution in search.space.items()]
    return [f"    {search.goal} {printable(search.objective)}: {told}", *space]


def _gate(gate: Gate) -> str:
    decimals = f"{gate.precision} decimals, rounded {gate.round}"
    only = ", on pull requests only" if gate.only_pulls else ""
    return f"{printable(gate.aggregate)} in {gate.target} ({decimals}{only})"


def printable(text: str) -> str:
    """Return `text` on one line, without what a terminal obeys: a repository must not command it."""
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text.replace("\t", " ").replace("\n", " "))
