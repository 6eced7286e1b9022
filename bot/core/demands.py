"""What a base branch asks of what is to be merged into it: no change may loosen its own gate.

A pull request brings a config of its own, and with it its own filters, paths and gates. Those of its base apply too,
and the stricter wins: a workflow runs if either of the two wants it, a gate's verdict is the worse of both, and a name
that is missing in the new config fails. So does a merge group, whose config the pull request has written as well.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.core.config import Reporting, Step, Workflow
from bot.core.gates import Gate, GateResult, Verdict
from bot.core.plan import Plan

_WORST_FIRST = (
    Verdict.REMOVED,
    Verdict.FAILED,
    Verdict.NOT_EVALUATED,
    Verdict.CANCELLED,
    Verdict.WAITING,
    Verdict.PASSED,
    Verdict.NOT_ON_PUSH,
)


@dataclass(frozen=True)
class Demand:
    """A step of the base's config whose name must be reported, with its gates.

    `variants` are the cells that have checks of their own, (`""`,) for all others. `is_selected`: the base's own
    filters want it run for this change.
    """

    workflow: str
    step: str
    gates: tuple[Gate, ...] = ()
    variants: tuple[str, ...] = ("",)
    is_selected: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the demand as JSON-able values."""
        return {**vars(self), "gates": [gate.to_json() for gate in self.gates], "variants": list(self.variants)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Demand":
        """Return the demand that `to_json` wrote."""
        gates = tuple(map(Gate.from_json, value["gates"]))
        return cls(**{**value, "gates": gates, "variants": tuple(value["variants"])})


@dataclass(frozen=True)
class Demands:
    """All that one base branch asks. `number` is the pull request's that is to be merged, 0 for a merge group."""

    branch: str
    number: int
    steps: tuple[Demand, ...] = ()

    def of(self, workflow: str, step: str) -> Demand | None:
        """Return what is asked of a step."""
        return next((one for one in self.steps if (one.workflow, one.step) == (workflow, step)), None)


@dataclass(frozen=True)
class GateChange:
    """A gate that differs from the base's: None where one of the two does not have it."""

    branch: str
    label: str
    before: Gate | None
    after: Gate | None


def demands(plan: Plan) -> tuple[Demand, ...]:
    """Return what the base's own plan for a change asks of it: every name that it would report."""
    return tuple(
        _demand(chosen.workflow, step, is_selected=chosen.is_run)
        for chosen in plan.visible
        for step in chosen.workflow.steps
    )


def _demand(workflow: Workflow, step: Step, *, is_selected: bool) -> Demand:
    is_each = step.report is Reporting.EACH
    variants = tuple(cell.label for cell in step.matrix) if is_each else ("",)
    return Demand(workflow.name, step.name, step.gates, variants or ("",), is_selected)


def governing(own: GateResult | None, asked: Iterable[tuple[str, GateResult]]) -> GateResult:
    """Return the verdict that counts of a gate's own and those of its bases (each with the branch's name): the worst.

    Where a base's rule differs and decides nothing worse, it is still the one that is shown: it must be kept to.
    """
    results = [
        replace(result, base=branch) for branch, result in asked if own is None or result.gate.rule != own.gate.rule
    ]
    if own is not None:
        results.append(own)
    return min(results, key=lambda result: _WORST_FIRST.index(result.verdict))


def removed(gate: Gate, branch: str) -> GateResult:
    """Return the verdict of a gate that the base has and the change does not."""
    return GateResult(gate, Verdict.REMOVED, reason=f"removed by this pull request: `{branch}` has it", base=branch)


def changes(asked: Demands, own: Mapping[tuple[str, str], Sequence[Gate]]) -> tuple[GateChange, ...]:
    """Return every gate that a change adds, removes or changes; `own` are its gates by workflow and step."""
    found: list[GateChange] = []
    for key, gates in own.items():
        demand = asked.of(*key)
        before = {gate.name: gate for gate in (demand.gates if demand else ())}
        after = {gate.name: gate for gate in gates}
        found += _changes(asked.branch, " / ".join(key), before, after)
    for demand in asked.steps:
        if (demand.workflow, demand.step) not in own:
            before = {gate.name: gate for gate in demand.gates}
            found += _changes(asked.branch, f"{demand.workflow} / {demand.step}", before, {})
    return tuple(found)


def _changes(branch: str, label: str, before: Mapping[str, Gate], after: Mapping[str, Gate]) -> Iterable[GateChange]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old is None or new is None or old.rule != new.rule:
            yield GateChange(branch, label, old, new)
