"""Which checks a commit has, how they stand, and what counts as a change."""

from dataclasses import replace

import pytest

from bot.core.gates import Verdict
from bot.core.report import CheckView, CommitFacts, RunFacts, Status, desired_checks
from bot.core.states import WAY, State
from tests.core.report import examples as e
from tests.core.report import scenes as s
from tests.core.report.words import RENDERER


def views(commit: CommitFacts) -> dict[str, CheckView]:
    return {view.name: view for view in desired_checks(commit, RENDERER)}


def conclusions(commit: CommitFacts) -> dict[str, str]:
    return {name: str(view.conclusion or view.status) for name, view in views(commit).items()}


ROLLUP, FIT, GATE = "experiments", "train / fit", "train / fit / tensorflow:accuracy"


@pytest.mark.parametrize(
    ("facts", "rollup", "experiment", "gate"),
    [
        (e.WAITING, "in_progress", "queued", "queued"),
        (e.RUNNING, "in_progress", "in_progress", "queued"),
        (e.SINGLE, "success", "success", "success"),
        (e.BELOW, "failure", "success", "failure"),
        (e.BROKEN, "failure", "failure", "failure"),
        (e.TIMED_OUT, "failure", "timed_out", "failure"),
        (e.PLATFORM, "failure", "failure", "failure"),
        (e.SUPERSEDED, "cancelled", "cancelled", "cancelled"),
        (e.UNLAUNCHED, "failure", "failure", "failure"),
    ],
)
def test_every_end_has_its_conclusion(facts: e.ExperimentFacts, rollup: str, experiment: str, gate: str) -> None:
    found = conclusions(e.commit(facts))
    assert (found[ROLLUP], found[FIT], found[GATE]) == (rollup, experiment, gate)


def test_a_skipped_workflow_concludes_all_its_checks_so_that_none_blocks() -> None:
    found = views(e.commit(e.WAITING, skipped="only `main` is built"))
    assert {str(view.conclusion) for view in found.values()} == {"skipped"}
    assert {view.title for view in found.values()} == {"Skipped: only main is built"}


def test_a_skipped_workflow_does_not_hide_a_failed_one() -> None:
    runs = (RunFacts("bench", (e.UNGATED,), "nothing changed"), RunFacts("train", (e.BELOW,)))
    assert conclusions(e.commit(runs=runs))[ROLLUP] == "failure"


def test_a_gate_for_pull_requests_lets_a_push_pass_and_is_not_counted() -> None:
    found = views(e.commit(e.PUSHED))
    assert found["train / fit / tensorflow:loss"].conclusion == "skipped"
    assert found[ROLLUP].conclusion == "success"
    assert found[ROLLUP].title == "1 of 1 gate passed"


def test_a_run_that_ended_is_in_progress_until_its_metrics_are_read() -> None:
    found = views(e.commit(replace(e.SINGLE, metrics_read=False)))
    assert [str(view.status) for view in found.values()] == ["in_progress", "in_progress", "queued"]
    assert found[FIT].title == "Finished: reading the last metrics · accuracy 0.9683 (step 12)"


def test_a_run_that_never_began_has_no_metrics_to_wait_for() -> None:
    assert views(e.commit(replace(e.PLATFORM, metrics_read=False)))[FIT].conclusion == "failure"


def test_the_rollup_waits_for_the_last_one_but_tells_of_trouble_at_once() -> None:
    rollup = views(e.commit(e.BROKEN, e.RUNNING_TOO))[ROLLUP]
    assert rollup.status is Status.IN_PROGRESS
    assert rollup.title == "1 of 2 experiments finished; train / fit failed: the loss is NaN at train.py:12"


def test_failures_speak_before_cancellations() -> None:
    title = views(e.commit(replace(e.SUPERSEDED, workflow="first"), e.BROKEN))[ROLLUP].title
    assert "train / fit failed: the loss is NaN at train.py:12 (and 1 more)" in title


def test_a_config_with_errors_has_the_rollup_alone_with_each_error_on_its_line() -> None:
    (rollup,) = desired_checks(e.commit(e.WAITING, problems=e.WARNINGS + e.ERRORS), RENDERER)
    assert rollup.conclusion == "failure"
    assert [(one.line, one.level) for one in rollup.annotations] == [(7, "failure"), (12, "failure"), (14, "warning")]


def test_of_many_problems_one_request_s_worth_is_annotated_and_all_are_listed() -> None:
    many = tuple(replace(e.ERRORS[0], line=line) for line in range(1, 61))
    rollup = views(e.commit(problems=many))[ROLLUP]
    assert len(rollup.annotations) == 50
    assert rollup.summary.count("unknown key") == 60
    assert "The last 10 of them are listed here only" in rollup.summary


def test_the_first_version_s_only_experiment_is_called_by_its_type() -> None:
    one = replace(e.SINGLE, workflow="experiment", step="single")
    assert list(conclusions(e.commit(one)))[1] == "experiment / single"


def test_names_stay_the_same_whatever_happens() -> None:
    names = [sorted(conclusions(e.commit(facts))) for facts in (e.WAITING, e.BROKEN, e.PLATFORM, e.KILLED)]
    assert names[0] == names[1] == names[2] == names[3] == sorted([ROLLUP, FIT, GATE])


def test_each_check_knows_its_experiment_and_its_page() -> None:
    found = views(e.commit(e.SINGLE))
    assert [(view.kind, view.experiment) for view in found.values()] == [
        ("rollup", None),
        ("experiment", e.SINGLE.public_id),
        ("gate", e.SINGLE.public_id),
    ]
    assert found[FIT].details_url == found[GATE].details_url == e.SINGLE.details_url


def test_times_are_those_of_the_attempt() -> None:
    done, live = views(e.commit(e.SINGLE))[FIT], views(e.commit(e.RUNNING))[FIT]
    assert done.started_at == live.started_at == e.BEGIN + 2_500_000
    assert done.completed_at == e.SINGLE.timeline[-1].at
    assert live.completed_at is None


# What counts as a change


def test_new_numbers_change_the_digest_but_not_the_headline() -> None:
    before = views(e.commit(e.RUNNING))[FIT]
    after = views(e.commit(replace(e.RUNNING, metrics=(replace(e.ACCURACY, last=0.95, step=7),))))[FIT]
    assert before.digest() != after.digest()
    assert before.headline == after.headline


def test_a_single_node_s_way_shows_four_headlines() -> None:
    seen = []
    for place, state in enumerate(WAY):
        facts = e.experiment(state, timeline=e.timeline(*WAY[: place + 1]), metrics_read=state is State.STOPPED)
        seen.append(views(e.commit(facts))[FIT].headline)
    assert len(dict.fromkeys(seen)) == 4
    assert seen[0] == seen[1] != seen[2] == seen[3] == seen[4] != seen[5] == seen[6] != seen[7]


def test_a_rollup_has_one_headline_until_something_goes_wrong_or_all_is_done() -> None:
    waiting, running = views(e.commit(e.WAITING, e.UNGATED))[ROLLUP], views(e.commit(e.RUNNING, e.SILENT))[ROLLUP]
    assert waiting.headline == running.headline
    assert views(e.commit(e.BROKEN, e.RUNNING_TOO))[ROLLUP].headline != running.headline


def test_a_verdict_that_changes_is_seen_at_once() -> None:
    before, after = views(e.commit(e.BELOW))[ROLLUP], views(e.commit(e.SUCCEEDED))[ROLLUP]
    assert before.headline != after.headline


def test_a_view_survives_being_stored() -> None:
    for view in desired_checks(e.commit(e.BROKEN, problems=e.WARNINGS), RENDERER):
        again = CheckView.from_json(view.to_json())
        assert again == view
        assert again.digest() == view.digest()


def test_the_same_facts_give_the_same_digest() -> None:
    one, two = (desired_checks(e.commit(e.SUCCEEDED), RENDERER) for _ in range(2))
    assert [view.digest() for view in one] == [view.digest() for view in two]


# GitHub's limits


def test_texts_stay_within_github_s_bytes() -> None:
    flood = replace(e.BROKEN, log_tail="🔥" * 60_000, report_md="🔥 <b>\n" * 5_000, command="x" * 70_000)
    for view in desired_checks(e.commit(flood, problems=e.WARNINGS * 800), RENDERER):
        assert len(view.summary.encode()) <= 65_535
        assert view.text is None or len(view.text.encode()) <= 65_535
        assert len(view.title) <= 255
        assert len(view.name.encode()) <= 255


def test_the_widest_matrix_and_the_longest_search_fit() -> None:
    long = "é" * 60
    cells = [replace(one, variant=f"{n} {long}", caveats=(long * 9,)) for n, one in enumerate(s.CELLS * 64)]
    trials = tuple(s.trial(n, 1 / (n + 1)) for n in range(10_000))
    commit = e.commit(runs=(RunFacts("train", tuple(cells)), RunFacts("tune", (s.search(State.STOPPED, trials),))))
    for view in desired_checks(commit, RENDERER):
        assert len(view.summary.encode()) <= 65_535
        assert "✂️" not in view.summary + (view.text or "")
        assert len(view.title) <= 255


def test_a_log_of_any_size_leaves_room_for_the_rest() -> None:
    text = views(e.commit(replace(e.SUCCEEDED, log_tail="é" * 500_000)))[FIT].text
    assert text is not None
    assert text.endswith("</details>")
    assert "### Run it yourself" in text


def test_a_gate_waits_for_its_experiment_whatever_its_own_verdict() -> None:
    early = replace(e.RUNNING, gates=(replace(e.PASSED, verdict=Verdict.FAILED),))
    assert conclusions(e.commit(early))[GATE] == "queued"


def test_what_a_reader_must_know_is_a_sentence() -> None:
    told = replace(e.SINGLE, caveats=("it comes from outside and was approved by `ada`", "`a.txt` is no text"))
    summary = views(e.commit(told))[FIT].summary
    assert "⚠️ It comes from outside and was approved by `ada`\n" in summary
    assert "⚠️ `a.txt` is no text\n" in summary
    both = s.matrix(replace(s.CELLS[0], caveats=told.caveats), replace(s.CELLS[1], caveats=told.caveats))
    assert any("⚠️ It comes from outside" in (view.summary or "") for view in views(both).values())
