"""What the demo calls a mistake: whatever did not come out as it must, in a sentence."""

import copy
from typing import Any

import pytest

from bot.core.states import WAY
from bot.demo.protocol import mistakes

GOOD = {"main": True, "worse": False}
GATE = "train / fit / tensorflow:loss"


def check(label: str, name: str, conclusion: str | None = "success") -> dict[str, Any]:
    status = "in_progress" if conclusion is None else "completed"
    return {"label": label, "name": name, "status": status, "conclusion": conclusion}


def experiment(states: list[str]) -> dict[str, Any]:
    return {"name": "train / fit", "commit": "0123456789", "transitions": [{"state": state} for state in states]}


REPORT: dict[str, Any] = {
    "checks": [
        check("main", "experiments"),
        check("main", "train / fit"),
        check("main", GATE),
        check("worse", "experiments", "failure"),
        check("worse", "train / fit"),
        check("worse", GATE, "failure"),
    ],
    "experiments": [experiment(list(WAY)), experiment(list(WAY))],
    "comments": [{"pull": 1}],
}


def without(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(REPORT), **changes}


def with_check(label: str, name: str, conclusion: str | None) -> dict[str, Any]:
    others = [one for one in REPORT["checks"] if (one["label"], one["name"]) != (label, name)]
    return without(checks=[*others, check(label, name, conclusion)])


def test_all_as_it_must_be() -> None:
    assert mistakes(REPORT, GOOD, 1) == []


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (with_check("main", "train / fit", None), "main: train / fit is in_progress"),
        (with_check("main", "experiments", "failure"), "main: the roll-up concluded ['failure']"),
        (with_check("main", GATE, "failure"), f"main: {GATE} did not pass"),
        (with_check("worse", "experiments", "success"), "worse: the roll-up concluded ['success']"),
        (with_check("worse", GATE, "success"), "worse: no gate failed"),
        (with_check("worse", GATE, "cancelled"), "worse: no gate failed"),
        (without(checks=REPORT["checks"][3:]), "main: the roll-up concluded []"),
        (
            without(experiments=[experiment([*WAY[:3], "error"]), experiment(list(WAY))]),
            "train / fit at 0123456 went created → pending → provisioning → error",
        ),
        (without(comments=[]), "0 comments on 1 pull requests"),
        (without(comments=[{"pull": 1}, {"pull": 1}]), "2 comments on 1 pull requests"),
    ],
)
def test_what_is_otherwise_is_said(report: dict[str, Any], sentence: str) -> None:
    assert sentence in mistakes(report, GOOD, 1)


@pytest.mark.parametrize("conclusion", ["skipped", "neutral"])
def test_what_is_not_run_blocks_nobody(conclusion: str) -> None:
    assert mistakes(with_check("main", GATE, conclusion), GOOD, 1) == []
