"""What a base branch asks of a change: no pull request may loosen its own gate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.config import Config, EventKind, load
from bot.core.demands import Demand, Demands, changes, demands, governing, removed
from bot.core.gates import Gate, GateResult, Range, Source, Verdict
from bot.core.plan import Decision, Policy, Trigger, plan

POLICY = Policy(default_branch="main")
PULL = Trigger(EventKind.PULL_REQUESTS, "refs/heads/main", number=7)

STRICT = Gate(Source.TENSORFLOW, "loss", Range(None, 0.5), "min")
LOOSE = Gate(Source.TENSORFLOW, "loss", Range(None, 5.0), "min")


def config(text: str) -> Config:
    loaded = load(f"version: 2\nworkflows:\n{text}".encode(), "config.yaml", lambda _name: b"")
    assert loaded.config is not None, loaded.problems
    return loaded.config


STEP = """\
  {workflow}:
    triggers: {triggers}
    steps:
      - name: fit
        command: experiment.run_single_node
        params: {{command: python3 train.py}}
        checks: {{tensorflow:loss: {{target: '{target}', aggregate: min}}}}
"""


def workflow(name: str = "train", triggers: str = "{}", target: str = "..0.5") -> str:
    return STEP.format(workflow=name, triggers=triggers, target=target)


def test_every_name_that_the_base_would_report_is_asked_for() -> None:
    base = config(workflow() + workflow("docs", "{branches: {only: release}}") + workflow("bench", "{events: command}"))
    found = demands(plan(base, POLICY, PULL))
    assert [(one.workflow, one.step, one.is_selected) for one in found] == [
        ("train", "fit", True),
        ("docs", "fit", False),  # skipped, but its name is reported; that of a command is not
    ]
    assert found[0].gates == (STRICT,)


def test_cells_with_checks_of_their_own_are_names_of_their_own() -> None:
    text = workflow().rstrip() + "\n        matrix: {seed: [1, 2]}\n        report: each\n"
    [found] = demands(plan(config(text), POLICY, PULL))
    assert found.variants == ("seed=1", "seed=2")
    assert demands(plan(config(workflow()), POLICY, PULL))[0].variants == ("",)


def test_what_is_stored_comes_back() -> None:
    found = demands(plan(config(workflow()), POLICY, PULL))
    assert tuple(Demand.from_json(one.to_json()) for one in found) == found


def test_a_workflow_runs_if_either_config_wants_it() -> None:
    ours = config(workflow(triggers="{paths: {ignore: '.*'}}"))
    change = Trigger(EventKind.PULL_REQUESTS, "refs/heads/main", 7, changed=("train.py",))
    assert plan(ours, POLICY, change).runs[0].decision is Decision.SKIP
    assert plan(ours, POLICY, change, wanted={"train"}).runs[0].decision is Decision.RUN
    hidden = config(workflow(triggers="{events: command}"))
    assert plan(hidden, POLICY, change, wanted={"train"}).runs[0].decision is Decision.RUN


def verdict(gate: Gate, value: Verdict) -> GateResult:
    return GateResult(gate, value, 0.7)


def test_the_worse_of_two_rules_counts_and_says_whose_it_is() -> None:
    found = governing(verdict(LOOSE, Verdict.PASSED), [("main", verdict(STRICT, Verdict.FAILED))])
    assert (found.verdict, found.gate, found.base) == (Verdict.FAILED, STRICT, "main")


def test_a_stricter_rule_of_ones_own_counts_too() -> None:
    found = governing(verdict(STRICT, Verdict.FAILED), [("main", verdict(LOOSE, Verdict.PASSED))])
    assert (found.verdict, found.base) == (Verdict.FAILED, "")


def test_where_both_agree_nobody_else_is_named() -> None:
    found = governing(verdict(STRICT, Verdict.PASSED), [("main", verdict(STRICT, Verdict.PASSED))])
    assert found.base == ""


def test_where_both_pass_the_bases_rule_is_shown() -> None:
    found = governing(verdict(LOOSE, Verdict.PASSED), [("main", verdict(STRICT, Verdict.PASSED))])
    assert (found.base, found.gate) == ("main", STRICT)


@given(st.sampled_from(list(Verdict)), st.lists(st.sampled_from(list(Verdict)), max_size=3))
def test_no_base_ever_makes_a_verdict_better(own: Verdict, others: list[Verdict]) -> None:
    bases = [(f"b{n}", verdict(LOOSE, other)) for n, other in enumerate(others)]
    lets_merge = {Verdict.PASSED, Verdict.NOT_ON_PUSH}
    found = governing(verdict(STRICT, own), bases).verdict
    if found in lets_merge:
        assert own in lets_merge
        assert set(others) <= lets_merge


def test_a_missing_gate_fails_with_the_name_of_who_has_it() -> None:
    found = removed(STRICT, "main")
    assert (found.verdict, found.base) == (Verdict.REMOVED, "main")
    assert "removed by this pull request" in found.reason


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({("train", "fit"): (STRICT,)}, []),
        ({("train", "fit"): (LOOSE,)}, [(STRICT, LOOSE)]),
        ({("train", "fit"): ()}, [(STRICT, None)]),
        ({}, [(STRICT, None)]),
        ({("train", "fit"): (STRICT,), ("new", "fit"): (LOOSE,)}, [(None, LOOSE)]),
    ],
)
def test_every_gate_that_differs_is_listed(
    own: dict[tuple[str, str], tuple[Gate, ...]], expected: list[tuple[Gate | None, Gate | None]]
) -> None:
    asked = Demands("main", 7, (Demand("train", "fit", (STRICT,)),))
    assert [(one.before, one.after) for one in changes(asked, own)] == expected


def test_what_only_concerns_the_comment_is_no_change() -> None:
    quiet = Gate(Source.TENSORFLOW, "loss", Range(None, 0.5), "min", comment_on_pr=False)
    assert changes(Demands("main", 7, (Demand("train", "fit", (STRICT,)),)), {("train", "fit"): (quiet,)}) == ()
