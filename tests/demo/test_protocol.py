"""What the demo calls a mistake: whatever did not come out as it must, in a sentence."""

import copy
from typing import Any

import pytest

from bot.core.states import WAY
from bot.demo.protocol import mistakes

GOOD = {"digits main": True, "digits worse": False}
BOT = {"pull": "acme/digits#1", "author": "experiment-ci[bot]"}
GATE = "train / fit / tensorflow:loss"


def check(label: str, name: str, conclusion: str | None = "success") -> dict[str, Any]:
    status = "in_progress" if conclusion is None else "completed"
    return {"label": label, "name": name, "status": status, "conclusion": conclusion}


def experiment(states: list[str]) -> dict[str, Any]:
    return {"name": "train / fit", "commit": "0123456789", "transitions": [{"state": state} for state in states]}


REPORT: dict[str, Any] = {
    "checks": [
        check("digits main", "experiments"),
        check("digits main", "train / fit"),
        check("digits main", GATE),
        check("digits worse", "experiments", "failure"),
        check("digits worse", "train / fit"),
        check("digits worse", GATE, "failure"),
    ],
    "experiments": [experiment(list(WAY)), experiment(list(WAY))],
    "comments": [BOT, {"pull": "acme/digits#1", "author": "ada"}],
    "requests": [{"sender": "ada", "verb": "compare", "state": "done", "answer": "compared"}],
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
        (with_check("digits main", "train / fit", None), "digits main: train / fit is in_progress"),
        (with_check("digits main", "experiments", "failure"), "digits main: the roll-up concluded ['failure']"),
        (with_check("digits main", GATE, "failure"), f"digits main: {GATE} did not pass"),
        (with_check("digits worse", "experiments", "success"), "digits worse: the roll-up concluded ['success']"),
        (with_check("digits worse", GATE, "success"), "digits worse: no gate failed"),
        (with_check("digits worse", GATE, "cancelled"), "digits worse: no gate failed"),
        (without(checks=REPORT["checks"][3:]), "digits main: the roll-up concluded []"),
        (
            without(experiments=[experiment([*WAY[:3], "error"]), experiment(list(WAY))]),
            "train / fit at 0123456 went created → pending → provisioning → error",
        ),
        (without(comments=[]), "0 comments of the bot on 1 pull requests"),
        (without(comments=[BOT, BOT]), "2 comments of the bot on 1 pull requests"),
        (
            without(requests=[{"sender": "ada", "verb": "compare", "state": "refused", "answer": "no such branch"}]),
            "ada asked for compare: refused: no such branch",
        ),
    ],
)
def test_what_is_otherwise_is_said(report: dict[str, Any], sentence: str) -> None:
    assert sentence in mistakes(report, GOOD, 1)


@pytest.mark.parametrize("conclusion", ["skipped", "neutral"])
def test_what_is_not_run_blocks_nobody(conclusion: str) -> None:
    assert mistakes(with_check("digits main", GATE, conclusion), GOOD, 1) == []
