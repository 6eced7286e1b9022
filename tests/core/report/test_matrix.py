"""The cells of a matrix share their checks: how they stand together, which one speaks, and what is left out."""

from dataclasses import replace

from bot.core.gates import Gate, Range, Verdict
from bot.core.report import CheckView, CommitFacts, Status, desired_checks, desired_comment
from bot.core.series import Source
from bot.core.states import State
from tests.core.report import examples as e
from tests.core.report import scenes as s
from tests.core.report.words import RENDERER

FIT, GATE = "train / fit", "train / fit / tensorflow:accuracy"


def views(commit: CommitFacts) -> dict[str, CheckView]:
    return {view.name: view for view in desired_checks(commit, RENDERER)}


def states(*cells: State) -> CommitFacts:
    """Return a matrix whose cells are in these states."""
    ended = replace(s.BROKEN_CELL, gates=s.CELLS[0].gates)
    by_state = {State.STOPPED: s.CELLS[0], State.FAILED: ended, State.CANCELLED: e.SUPERSEDED}
    found = [by_state.get(state) or s.live(s.CELLS[0], state) for state in cells]
    return s.matrix(*(replace(one, variant=f"seed={n}") for n, one in enumerate(found)))


def test_a_matrix_has_one_check_and_one_for_each_gate_named_like_a_plain_step() -> None:
    assert list(views(s.GOOD_MATRIX)) == ["experiments", FIT, GATE]


def test_a_matrix_of_one_cell_keeps_the_names() -> None:
    assert list(views(s.matrix(s.CELLS[0]))) == list(views(s.GOOD_MATRIX))


def test_cells_that_report_each_have_checks_of_their_own_unless_they_are_too_many() -> None:
    assert list(views(s.EACH_MATRIX))[1:3] == [
        "train / fit (lr=0.1, units=32)",
        f"{FIT} (lr=0.1, units=32) / {GATE[14:]}",
    ]
    many = (replace(s.CELLS[0], reports_each=True, variant=f"seed={n}") for n in range(21))
    assert list(views(s.matrix(*many))) == ["experiments", FIT, GATE]


def test_it_runs_while_any_cell_runs_and_ends_as_the_worst() -> None:
    def stands(*cells: State) -> str:
        view = views(states(*cells))[FIT]
        return str(view.conclusion or view.status)

    assert stands(State.PENDING, State.CREATED) == "queued"
    assert stands(State.STOPPED, State.PENDING) == "in_progress"
    assert stands(State.FAILED, State.RUNNING) == "in_progress"
    assert stands(State.STOPPED, State.STOPPED) == "success"
    assert stands(State.STOPPED, State.CANCELLED) == "cancelled"
    assert stands(State.CANCELLED, State.FAILED, State.STOPPED) == "failure"


def test_a_glance_sees_when_it_begins_when_it_is_in_trouble_and_its_end() -> None:
    way = [
        states(State.PENDING, State.PENDING, State.PENDING),
        states(State.RUNNING, State.PENDING, State.PENDING),
        states(State.STOPPED, State.RUNNING, State.PENDING),
        states(State.STOPPED, State.FAILED, State.PENDING),
        states(State.STOPPED, State.FAILED, State.RUNNING),
        states(State.STOPPED, State.FAILED, State.STOPPED),
    ]
    seen = [views(commit)[FIT].headline for commit in way]
    assert seen[0] != seen[1] == seen[2] != seen[3] == seen[4] != seen[5]


def test_a_cell_that_runs_moves_no_number() -> None:
    before = s.live(s.CELLS[1], State.RUNNING)
    after = replace(before, metrics=(replace(e.ACCURACY, last=0.5),))
    one, two = (views(s.matrix(s.CELLS[0], cell)) for cell in (before, after))
    assert {name: view.digest() for name, view in one.items()} == {name: view.digest() for name, view in two.items()}


def test_the_roll_up_is_not_told_which_cell_began() -> None:
    one = s.matrix(s.CELLS[0], *s.UNTRIED[1:])
    two = s.matrix(s.CELLS[0], s.live(s.CELLS[1], State.RUNNING), *s.UNTRIED[2:])
    assert views(one)["experiments"].digest() == views(two)["experiments"].digest()


def test_a_gate_waits_for_the_last_cell() -> None:
    assert views(s.LIVE_MATRIX)[GATE].status is Status.QUEUED


def test_the_gate_is_that_of_the_cell_which_is_the_nearest_to_failing() -> None:
    def worst(wanted: Range, *values: float) -> str:
        gate = Gate(Source.TENSORFLOW, "accuracy", wanted, "max")
        cells = (s.cell(f"seed={n}", value, n, gate) for n, value in enumerate(values))
        return views(s.matrix(*cells))[GATE].title.partition(", wanted")[0]

    assert worst(Range(0.5, None), 0.75, 0.25, 0.125) == "Worst 0.12 (seed=2)"
    assert worst(Range(None, 0.5), 0.25, 0.45, 0.125) == "Worst 0.45 (seed=1)"
    assert worst(Range(0.25, 0.75), 0.5, 0.375, 0.7) == "Worst 0.70 (seed=2)"
    assert worst(Range(0.25, 0.75), 0.8, 0.9, 0.05) == "Worst 0.05 (seed=2)"


def test_a_value_that_fails_speaks_before_a_cell_that_has_none() -> None:
    assert views(s.BAD_MATRIX)[GATE].title == "Worst 0.71 (lr=0.1, units=64), wanted > 0.9"


def test_a_cell_without_a_value_speaks_when_all_others_pass() -> None:
    title = views(s.matrix(*s.CELLS[1:], s.BROKEN_CELL))[GATE].title
    assert title == "lr=0.1, units=32: not evaluated: the experiment failed: exit code 1"


def test_a_failed_cell_is_told_at_once() -> None:
    live = s.matrix(s.BROKEN_CELL, s.live(s.CELLS[1], State.RUNNING))
    view = desired_comment(e.pull(live), RENDERER)
    assert view is not None
    assert view.body.startswith("### ❌ train / fit (lr=0.1, units=32) failed: the loss is NaN at `train.py:12`")


def test_a_gate_that_fails_in_several_cells_is_one_trouble_by_its_worst() -> None:
    rollup = views(s.matrix(*(s.cell(f"seed={n}", 0.5 - n / 10, n) for n in range(4))))["experiments"]
    assert rollup.title == "0 of 1 gate passed; tensorflow:accuracy 0.20, wanted > 0.9 (seed=3)"


def test_a_gate_hidden_from_the_comment_is_hidden_in_its_cells_too() -> None:
    hidden = replace(s.ACCURACY, comment_on_pr=False)
    view = desired_comment(
        e.pull(s.matrix(s.cell("seed=1", 0.5, 1, hidden), s.cell("seed=2", 0.95, 2, hidden))), RENDERER
    )
    assert view is not None
    assert "accuracy" not in view.body.partition("Left out of this table")[0].partition("\n")[2]
    assert "1 gate (1 not passed)" in view.body


def test_what_is_cut_from_a_table_is_counted_and_what_failed_is_kept() -> None:
    summary = views(s.WIDE_MATRIX)[FIT].summary
    assert summary.count("❌ exit code 1") == 7
    assert summary.count("0.90 ❌") == 39
    assert "And 156 more: 156 ok." in summary


def test_a_gate_for_pull_requests_lets_a_push_pass_in_every_cell() -> None:
    gate = e.result(replace(s.ACCURACY, only_pulls=True), Verdict.NOT_ON_PUSH)
    found = views(s.matrix(*(replace(one, gates=(gate,)) for one in s.CELLS)))
    assert found[GATE].conclusion == "skipped"
    assert found["experiments"].title == "4 experiments succeeded"


def test_a_matrix_that_cannot_be_launched_says_so_once() -> None:
    refused = (replace(one, state=State.CREATED, not_launchable="no machine has 2 GPUs") for one in s.UNTRIED)
    found = views(s.matrix(*refused))
    assert found[FIT].title == "Not launched: no machine has 2 GPUs"
    assert found[GATE].title == "Not evaluated: no machine has 2 GPUs"
