"""Version 2 of the file: several workflows, each of several steps."""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from bot.core.config.checks import ChecksSection, read_checks
from bot.core.config.concurrency import ConcurrencySection, read_concurrency
from bot.core.config.document import Mapping, parse
from bot.core.config.limits import LimitsSection
from bot.core.config.matrix import MatrixKeys, read_matrix
from bot.core.config.models import AnyParams, Config, Reporting, Step, StepKind, Workflow
from bot.core.config.params import (
    SECTIONS,
    CommonParams,
    GrpcSection,
    MpiSection,
    SearchSection,
    SingleNodeSection,
    read_params,
)
from bot.core.config.permissions import PermissionsSection
from bot.core.config.problems import Problems, quote
from bot.core.config.rights import read_rights
from bot.core.config.section import Loc, Reading, Section, listed, named, nearest, wrong
from bot.core.config.triggers import TriggersSection, read_triggers
from bot.core.config.values import Duration, File, Name
from bot.core.gates import Gate

MAX_WORKFLOWS = 20
MAX_STEPS = 20
MAX_RUNS = 1_000
"""Runs that one commit may start: every cell of a matrix is one."""
MAX_CHECK_NAME = 255
"""Bytes. GitHub documents no limit; this is the smallest that others in the field keep to."""

Read = Callable[[str], bytes]
"""Fetches another file of the same commit. Raises LookupError, whose text is shown to the user."""

_INTO_PARAMS = "Put it one level down, into the step's `params`."
_INTO_STEP = "Put it into a step, beside its `command`."


class _StepSection(MatrixKeys):
    """One experiment."""

    advice: ClassVar = {
        "triggers": "Put `triggers` one level up, into the workflow beside its `steps`.",
        **{key: _INTO_PARAMS for section in SECTIONS.values() for key in section.known_keys() if key != "name"},
    }

    name: Name = Field(examples=["train"], description="Unique in the workflow; part of the check's name")
    params_file: File | None = Field(
        None, alias="paramsFile", description="A YAML file of the same commit with the params"
    )
    checks: ChecksSection | None = None
    timeout: Duration | None = None


class SingleNodeStep(_StepSection):
    """An experiment on one machine."""

    command: Literal["experiment.run_single_node"]
    params: SingleNodeSection | None = None


class GrpcStep(_StepSection):
    """An experiment of workers and parameter servers."""

    command: Literal["experiment.run_multi_node"]
    params: GrpcSection | None = None  # type: ignore[valid-type] # made by create_model


class MpiStep(_StepSection):
    """An experiment of a master and workers."""

    command: Literal["experiment.run_mpi_multi_node"]
    params: MpiSection | None = None  # type: ignore[valid-type] # made by create_model


class SearchStep(_StepSection):
    """A search for hyperparameters."""

    command: Literal["hyperparameters.run"]
    params: SearchSection | None = None  # type: ignore[valid-type] # made by create_model


def _with_command(value: Any) -> Any:
    """Refuse a step whose command is not one of ours: without it nothing else of it can be read."""
    if not isinstance(value, Mapping):
        raise wrong("A step is a mapping", "Write `- name: …` and, below `name`, `command: …`.")
    command = value.get("command")
    if not isinstance(command, str):
        near = next((key for key in value if key != "command" and nearest(key, ["command"])), "")
        hint = f"Did you mean `command` by {quote(near)}?" if near else f"Write `command: {StepKind.SINGLE_NODE}`."
        raise wrong("The step's `command` is missing", hint, "command")
    if command not in list(StepKind):
        near = nearest(command, StepKind)
        raise wrong(
            f"Unknown command {quote(command)}",
            f"Did you mean `{near}`?"
            if near
            else f"What is run in the shell belongs into `params`; here write `{StepKind.SINGLE_NODE}`.",
            "command",
        )
    return value


_AnyStep = Annotated[
    Annotated[SingleNodeStep | GrpcStep | MpiStep | SearchStep, Field(discriminator="command")],
    BeforeValidator(_with_command),
]


class WorkflowSection(Section):
    """Steps that run one after the other. Workflows run at the same time."""

    advice: ClassVar = dict.fromkeys(("checks", "command", "params", "timeout", "matrix", "report"), _INTO_STEP)

    steps: Annotated[list[_AnyStep], listed(MAX_STEPS, "steps", list[_AnyStep])]
    triggers: TriggersSection | None = None
    concurrency: ConcurrencySection | None = None


class Version2(Section):
    """The whole file, version 2."""

    model_config = ConfigDict(title="Version 2")
    advice: ClassVar = {
        "steps": "Put `steps` into a workflow: `workflows:`, below it a name, below that `steps:`.",
        "triggers": "Put `triggers` into a workflow, beside its `steps`.",
        "checks": _INTO_STEP,
        **dict.fromkeys(
            ("type", "worker", "parameter-server", "master", "filters", "experiment", "ports", "paths", "model"),
            "That is a key of version 1.",
        ),
        **dict.fromkeys(("matrix", "report"), _INTO_STEP),
    }

    version: Annotated[Any, WithJsonSchema({"enum": [2, "2"]})]
    workflows: Annotated[dict[Name, WorkflowSection], named(MAX_WORKFLOWS, "workflows")]
    permissions: PermissionsSection | None = None
    limits: LimitsSection | None = None


def read_version2(reading: Reading, read: Read, problems: Problems) -> Config | None:
    """Return the config that a file of version 2 is."""
    section = reading.validate(Version2, reading.document.root)
    if section is None:
        return None
    files = _Files(read, problems)
    workflows = tuple(_workflow(name, workflow, reading, files) for name, workflow in section.workflows.items())
    _check_runs(workflows, reading)
    rights = read_rights(section.permissions, section.limits)
    return Config(2, reading.document.path, None, workflows, **rights)


def _check_runs(workflows: tuple[Workflow, ...], reading: Reading) -> None:
    runs = sum(max(1, len(step.matrix)) for workflow in workflows for step in workflow.steps)
    if runs > MAX_RUNS:
        hint = "Make the matrices smaller."
        reading.error(f"{runs:,} runs, more than {MAX_RUNS:,} of one commit", hint, reading.key_at("workflows"))


def _workflow(name: str, section: WorkflowSection, reading: Reading, files: "_Files") -> Workflow:
    loc: Loc = ("workflows", name)
    steps = [
        _step(name, step, reading, (*loc, "steps", position), files) for position, step in enumerate(section.steps)
    ]
    for position, step in enumerate(section.steps):
        if any(step.name == other.name for other in section.steps[:position]):
            reading.error(
                f"A second step is named {quote(step.name)}",
                "Give each step of a workflow a name of its own: it names the check.",
                reading.value_at(*loc, "steps", position, "name"),
            )
    triggers = read_triggers(section.triggers, reading, (*loc, "triggers"))
    line = reading.key_at(*loc).line
    turns = read_concurrency(section.concurrency)
    return Workflow(name, triggers, tuple(step for step in steps if step is not None), line, turns)


def _step(workflow: str, section: Any, reading: Reading, loc: Loc, files: "_Files") -> Step | None:
    kind = StepKind(section.command)
    gates = read_checks(section.checks, reading, (*loc, "checks"))
    params = _params(kind, section, reading, loc, files)
    if params is None:
        return None
    matrix, report = read_matrix(section, params, reading, loc)
    cells = [f" ({cell.label})" for cell in matrix] if report is Reporting.EACH else []
    for gate in gates:
        for cell in cells or [""]:
            check_length(f"{workflow} / {section.name}{cell}", gate, reading, (*loc, "checks", gate.name))
    return Step(section.name, kind, params, gates, reading.key_at(*loc).line, matrix, report)


def check_length(experiment: str, gate: Gate, reading: Reading, loc: Loc) -> None:
    """Complain of a check whose whole name is too long."""
    if len(f"{experiment} / {gate.name}".encode()) > MAX_CHECK_NAME:
        hint = "Shorten the workflow's, the step's or the metric's name."
        reading.error(f"The check's name is longer than {MAX_CHECK_NAME} bytes", hint, reading.key_at(*loc))


def _params(kind: StepKind, section: Any, reading: Reading, loc: Loc, files: "_Files") -> AnyParams | None:
    if section.params is not None and section.params_file is not None:
        hint = "Keep one of them."
        reading.error("`params` and `paramsFile` exclude each other", hint, reading.key_at(*loc, "paramsFile"))
        return None
    if section.params is not None:
        return read_params(kind, section.params, section.timeout, reading, (*loc, "params"))
    if section.params_file is None:
        hint = "Write `params:` and, below it, `command: python train.py`."
        reading.error("`params` is missing", hint, reading.key_at(*loc))
        return None
    return files.params(kind, section, reading, (*loc, "paramsFile"))


class _Files:
    """The `paramsFile`s of one config. A problem in one of them points into it."""

    def __init__(self, read: Read, problems: Problems) -> None:
        self._read = read
        self._problems = problems

    def params(self, kind: StepKind, step: Any, reading: Reading, loc: Loc) -> AnyParams | None:
        try:
            data = self._read(step.params_file)
        except LookupError as error:
            reason = str(error.args[0]) if error.args else "it is not there"
            reading.error(
                f"{quote(step.params_file)} cannot be read: {reason}",
                "`paramsFile` names a regular file of the same commit, from the repository's root.",
                reading.value_at(*loc),
            )
            return None
        document = parse(data, step.params_file, self._problems)
        if document.is_broken:
            return None
        inner = Reading(document, self._problems)
        section: CommonParams | None = inner.validate(SECTIONS[kind], document.root)
        return read_params(kind, section, step.timeout, inner, ()) if section else None
