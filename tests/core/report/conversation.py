"""What people and GitHub agree upon, as facts: commits that wait for a yes, rules of a base, requests, comparisons."""

from dataclasses import replace

from bot.core.demands import GateChange, removed
from bot.core.gates import Verdict
from bot.core.report import (
    CommitFacts,
    ComparisonFacts,
    ExperimentFacts,
    HeldFacts,
    PullFacts,
    PullLine,
    ReferenceFacts,
    RequestFacts,
    RunFacts,
    WouldRun,
)
from bot.core.states import MINUTE, State
from tests.core.report import examples as e

# Held

WOULD_RUN = (
    WouldRun("train / fit", 1, 1, "large", 8, 32_768, 1, 3_600.0, usual=12 * MINUTE),
    WouldRun("sweep / grid", 9, 1, "small", 2, 4_096, 0, 7_200.0),
    WouldRun("bench / speed", 1, 4, "huge", 64, 262_144, 8, 3_600.0, refusal="it asks for `huge`, which none may use"),
)
WAITING = e.experiment(
    State.CREATED, gates=(e.result(e.GATE_ACCURACY, Verdict.WAITING),), timeline=(), details_url=None
)


def held(why: str, **changes: object) -> CommitFacts:
    """Return a commit of which nothing runs, with the names that its base asks for."""
    facts = HeldFacts(why, **{"author": "mallory", "would_run": WOULD_RUN, **changes})  # type: ignore[arg-type]
    return e.commit(held=facts, runs=(RunFacts("train", (WAITING,), is_held=True),))


FORK = held("fork")
AUTHOR = held("author", would_run=WOULD_RUN[:1])
SKIPPED = held("skip", author="", words="[skip ci]", would_run=WOULD_RUN[1:2])
DRAFT = held("draft", author="octocat", would_run=WOULD_RUN[1:2])
NOTHING_TO_RUN = held("fork", would_run=())

# The rules of a base


def gone(name: str) -> ExperimentFacts:
    """Return a step that only the base has."""
    gates = (removed(e.GATE_LOSS, "main"),)
    return e.experiment(State.CREATED, step=name, removed_from="main", gates=gates, timeline=(), details_url=None)


STRICTER = replace(e.SINGLE, gates=(replace(e.MISSED, base="main"), removed(e.GATE_LOSS, "main")))
CHANGES = (
    GateChange("main", "train / fit", e.GATE_ACCURACY, replace(e.GATE_ACCURACY, target=e.Range(0.5, None))),
    GateChange("main", "train / fit", e.GATE_LOSS, None),
    GateChange("main", "train / fit", None, replace(e.GATE_F1, only_pulls=True)),
)
REMOVED = e.commit(runs=(RunFacts("train", (STRICTER, gone("evaluate"))),), changes=CHANGES)

# Several pull requests, requests

PULLS = (PullLine(7, "main", is_open=True), PullLine(9, "release/2", is_open=True), PullLine(5, "old", is_open=False))
REQUESTS = (
    RequestFacts("octocat", "/experiment run bench LR=0.1", True, "1 experiment begun: `bench / speed`", e.BEGIN),
    RequestFacts("mallory", "/experiment cancel", False, "that needs the role write, and `mallory` has read", e.BEGIN),
    RequestFacts("octocat", "Re-run failed", True, "", e.BEGIN - 90 * MINUTE),
)
SETTINGS = {"LR": "0.1", "NOTE": "two words"}
OVERRIDDEN = replace(e.SINGLE, settings=SETTINGS, variables=SETTINGS, attempt=2)
ASKED = e.commit(OVERRIDDEN, requests=REQUESTS)

# Compared

THERE = ReferenceFacts(
    {"tensorflow:accuracy": 0.94, "tensorflow:loss": 0.11},
    {"tensorflow:accuracy": 0.9421, "tensorflow:loss": 0.1131, "tensorflow:speed": 812.0},
    {"command": "python train.py --epochs 10", "LR": "0.05", "machine": "small"},
)
MEASURED = replace(
    e.SUCCEEDED,
    metrics=(e.ACCURACY, e.LOSS, replace(e.LOSS, name="speed", last=790.0)),
    params={"command": "python train.py --epochs 12", "LR": "0.05", "batch": "64", "machine": "small"},
    report_md=None,
)
PLACE = ("train", "fit", "")
BASE = ComparisonFacts(
    "main",
    "merge base",
    "1f7a7a472abf3dd9643fd615f6da379c4acb3e3a",
    "Start",
    experiments={PLACE: THERE},
    picture_url="https://ci.example.org/images/5f0c9a7e.png",
)
NEWEST = replace(BASE, how="newest", picture_url=None, experiments={PLACE: replace(THERE, params=MEASURED.params)})
TAG = ComparisonFacts(
    "v1.2", "asked", "9fceb02d0ae598e95dc970b74767f19372d61af8", "Release 1.2", experiments={PLACE: THERE}
)
NEVER = ComparisonFacts("v0.1", "asked", reason="no experiment of both commits has ended well")
COMPARED = e.commit(MEASURED, comparisons=(BASE, TAG, NEVER))
BESIDE_NEWEST = e.commit(MEASURED, comparisons=(NEWEST,))


def conversation(head: CommitFacts | None, **changes: object) -> PullFacts:
    """Return a pull request in which people talk."""
    return PullFacts(7, head, **changes)  # type: ignore[arg-type]
