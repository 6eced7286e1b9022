"""When a pull request is written to, and what the first line says."""

from dataclasses import replace

from bot.core.report import PullFacts, RunFacts, desired_comment
from bot.core.text import MARKER
from tests.core.report import conversation as c
from tests.core.report import examples as e
from tests.core.report.words import RENDERER


def body(pull: PullFacts) -> str:
    view = desired_comment(pull, RENDERER)
    assert view is not None
    return view.body


def test_nothing_is_mailed_before_there_is_a_verdict() -> None:
    assert desired_comment(e.pull(e.commit(e.RUNNING)), RENDERER) is None
    assert desired_comment(e.pull(e.commit(e.SUCCEEDED, e.RUNNING_TOO)), RENDERER) is None


def test_a_failure_is_mailed_at_once_for_nothing_can_undo_it() -> None:
    view = desired_comment(e.pull(e.commit(e.BROKEN, e.RUNNING_TOO)), RENDERER)
    assert view is not None
    assert not view.is_final


def test_nobody_is_mailed_that_nothing_ran_or_that_a_run_was_stopped() -> None:
    assert desired_comment(e.pull(e.commit(e.WAITING, skipped="nothing changed")), RENDERER) is None
    assert desired_comment(e.pull(e.commit(e.SUPERSEDED)), RENDERER) is None


def test_once_made_it_follows_the_newest_commit() -> None:
    assert body(e.pull(e.commit(e.RUNNING), has_comment=True)).startswith("### ⏳ 0 of 1 experiment finished\n")


def test_a_config_error_is_a_verdict() -> None:
    view = desired_comment(e.pull(e.commit(problems=e.ERRORS)), RENDERER)
    assert view is not None
    assert view.is_final


def test_live_numbers_do_not_rewrite_the_comment() -> None:
    one = e.pull(e.commit(e.RUNNING), has_comment=True)
    two = e.pull(e.commit(e.replace(e.RUNNING, metrics=(e.replace(e.ACCURACY, step=9),))), has_comment=True)
    assert body(one) == body(two)


def test_the_first_line_says_it_all() -> None:
    assert body(e.pull(e.commit(e.BELOW))).split("\n")[0] == "### ❌ `tensorflow:accuracy` is 0.71, wanted > 0.9"


def test_gates_that_the_config_hides_are_counted_not_listed() -> None:
    shown = body(e.pull(e.commit(e.HIDING)))
    assert "| `tensorflow:loss` |" not in shown
    assert "1 gate (1 not passed)" in shown


def test_it_is_found_again_by_its_last_line() -> None:
    assert body(e.pull(e.commit(e.SUCCEEDED))).endswith(f"\n\n{MARKER}")


def test_it_fits_however_much_there_is_to_say() -> None:
    many = [e.replace(e.BELOW, step=f"step {n}") for n in range(600)]
    shown = body(e.pull(e.commit(*many), *e.EARLIER * 40))
    assert len(shown) <= 65_536
    assert shown.endswith(MARKER)


def test_only_so_many_earlier_commits_are_listed() -> None:
    shown = body(e.pull(e.commit(e.SUCCEEDED), *e.EARLIER * 15))
    assert shown.count("Try a wider layer") == 10
    assert "And 10 more commits." in shown


def test_where_nothing_has_run_no_gate_is_left_out_of_a_table() -> None:
    waiting = replace(c.WAITING, gates=e.HIDING.gates)
    held = replace(c.FORK, runs=(RunFacts("train", (waiting,), is_held=True),))
    assert "Left out" in body(e.pull(e.commit(e.HIDING)))
    assert "Left out" not in body(e.pull(held))
