"""The page of an experiment: who may read it, what it tells, and that nothing an experiment wrote comes to life."""

import html
import json
import re

import pytest

from bot.core.states import WAY, Observation, State
from bot.store import experiments, runs
from bot.store.schema import Attempt, Experiment, Run
from tests.web.stage import LOGIN, Stage, address, gate

pytestmark = pytest.mark.service  # each play has a real server or database of its own


def page_of(stage: Stage, experiment: Experiment, **query: object) -> str:
    answer = stage.get(address(experiment, **query))
    assert answer.status_code == 200
    return answer.text


@pytest.fixture
def experiment(stage: Stage) -> Experiment:
    return stage.experiment(gates=(gate("loss", None, 0.5),))


@pytest.fixture
def attempt(stage: Stage, experiment: Experiment) -> Attempt:
    """An attempt that runs, with a log and an artifact."""
    attempt = stage.attempt(experiment)
    stage.reach(attempt, *WAY[1:6])
    stage.backend.log[attempt.backend_id] = b"epoch 1\nepoch 2\n"
    stage.backend.files[attempt.backend_id] = {"model/weights.bin": b"1234"}
    return attempt


# What it tells


def test_a_finished_experiment_tells_its_whole_story(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    stage.log_scalars(attempt, "loss", [0.9, 0.4])
    stage.finish(attempt)

    page = page_of(stage, experiment)

    assert all(state.label in page for state in WAY)
    for told in ("train / fit", "octocat/Hello-World", "python3 train.py --epochs 3", "small", "runs in no box at all"):
        assert told in page
    for told in ("epoch 2", "model/weights.bin", "tensorflow:loss", "passed", "..0.5", "321 MB", "/opt/venv"):
        assert told in page
    assert "https://github.example/octocat/Hello-World/commit/0123456789abcdef" in page
    assert "<polyline" in page
    assert "data-live" not in page


def test_a_page_goes_on_while_the_platform_is_to_try_again(
    stage: Stage, experiment: Experiment, attempt: Attempt
) -> None:
    now = stage.clock.now()
    with stage.database.write() as tx:
        end = Observation(State.ERROR, now, "the backend lost this attempt", may_retry=True)
        experiments.observe(tx, attempt.id, [end])
        experiments.change(tx, attempt.id, metrics_read_at=now)
    page = page_of(stage, experiment)
    assert "The platform tries again by itself at" in page
    assert "not evaluated" not in page
    assert "data-live" in page


def words(page: str) -> str:
    """What a reader reads: a page without its tags, in one line."""
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", page).split()))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"author": "octocat"}, "Attempt 1: push by octocat"),
        ({"author": ""}, "Attempt 1: push Gates"),
        ({"author": "ada", "cause": "rerun"}, "Attempt 1: run again by ada"),
        ({"author": "ada", "cause": "rerun", "retry": 2}, "Attempt 1: run again by ada, repeated by the platform (2)"),
        ({"author": "bob", "cause": "approval"}, "Attempt 1: approved by bob"),
        (
            {"author": "ada (terminal)", "cause": "command", "settings": {"LR": "0.1", "NOTE": "<b>x</b>"}},
            "Attempt 1: a command of ada (terminal), with LR=0.1 NOTE=<b>x</b>",
        ),
    ],
)
def test_who_caused_an_attempt_and_how(
    stage: Stage, experiment: Experiment, attempt: Attempt, changes: dict[str, object], told: str
) -> None:
    with stage.database.write() as tx:
        experiments.change(tx, attempt.id, **changes)
    page = page_of(stage, experiment)
    assert told in words(page)
    assert "<b>x</b>" not in page
    assert "push to main by octocat" in words(page)


def test_each_attempt_is_listed_with_its_cause(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    again = stage.attempt(experiment, number=2)
    with stage.database.write() as tx:
        experiments.change(tx, again.id, author="ada", cause="rerun")
    listed = words(page_of(stage, experiment).partition("<h2>Attempts</h2>")[2])
    assert re.match(r"2 Created run again by ada .* 1 Running push ", listed)


def test_code_from_outside_says_who_approved_it(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    with stage.database.write() as tx:
        run = tx.get_one(Run, experiment.run_id)
        runs.trust(tx, run, "bob")
    assert "held until bob approved exactly this commit: it runs without secrets" in words(page_of(stage, experiment))
    with stage.database.write() as tx:
        tx.get_one(Run, experiment.run_id).trust = runs.REVOKED
    assert "bob approved this commit, and another came since" in words(page_of(stage, experiment))
    with stage.database.write() as tx:
        assert runs.trust(tx, tx.get_one(Run, experiment.run_id), "")
    assert "approved" not in words(page_of(stage, experiment))


def test_a_reason_that_has_gone_is_told_as_gone(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    with stage.database.write() as tx:
        run = tx.get_one(Run, experiment.run_id)
        runs.end_reason(tx, run.repository_id, "push", "refs/heads/main", "main was deleted", stage.clock.now())
    assert "push to main by octocat (gone since)" in words(page_of(stage, experiment))


def test_the_environment_of_the_run_is_not_shown(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    assert "SECRET_OF_THE_RUN" not in page_of(stage, experiment)


def test_before_anything_is_tried_the_page_says_so(stage: Stage, experiment: Experiment) -> None:
    page = page_of(stage, experiment)

    assert "not started" in page
    assert "a note of the planner" in page
    assert "data-live" in page


def test_a_failed_one_says_why(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    stage.reach(attempt, WAY[6])
    stage.reach(attempt, State.FAILED, reason="exit code 1: loss is NaN")

    page = page_of(stage, experiment)

    assert "exit code 1: loss is NaN" in page
    assert "not evaluated" in page


def test_a_running_one_keeps_itself_up_to_date_with_and_without_a_script(
    stage: Stage, experiment: Experiment, attempt: Attempt
) -> None:
    page = page_of(stage, experiment)

    assert "data-live" in page
    assert "data-follow" in page
    assert '<noscript><meta http-equiv="refresh"' in page
    assert "so far" in page


def test_a_finished_one_stays_live_until_its_metrics_are_read(
    stage: Stage, experiment: Experiment, attempt: Attempt
) -> None:
    stage.reach(attempt, *WAY[6:])
    assert "data-live" in page_of(stage, experiment)


def test_of_several_attempts_the_newest_is_shown_and_the_others_linked(stage: Stage, experiment: Experiment) -> None:
    first = stage.attempt(experiment, 1)
    stage.reach(first, State.ERROR, reason="the machine went away")
    stage.attempt(experiment, 2)

    newest, oldest = page_of(stage, experiment), page_of(stage, experiment, attempt=1)

    assert "the machine went away" in oldest
    assert f"/experiments/{experiment.public_id}?attempt=1&amp;token={experiment.view_token}" in newest
    assert "Pending" not in oldest


def test_a_log_that_the_backend_has_no_more_is_told_from_the_row(
    stage: Stage, experiment: Experiment, attempt: Attempt
) -> None:
    stage.finish(attempt)
    with stage.database.write() as tx:
        experiments.change(tx, attempt.id, log_tail="the last words\n")
    stage.backend.is_broken = True

    page = page_of(stage, experiment)

    assert "the last words" in page
    assert "data-follow" not in page


def test_thousands_of_points_make_a_small_page(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    stage.log_scalars(attempt, "loss", [1.0 / (i + 1) for i in range(3_000)])

    assert len(page_of(stage, experiment)) < 20_000


# Who may read it

PAGES = ("", "/log", "/log.txt", "/artifacts/model/weights.bin")


def test_the_view_token_opens_the_page_and_what_lies_below(
    stage: Stage, experiment: Experiment, attempt: Attempt
) -> None:
    for below in PAGES:
        assert stage.get(address(experiment, below)).status_code == 200


def test_so_does_a_login(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    stage.login()

    for below in PAGES:
        assert stage.get(f"/experiments/{experiment.public_id}{below}").status_code == 200


@pytest.mark.parametrize("below", PAGES)
def test_without_it_nothing_tells_whether_there_is_such_an_experiment(
    stage: Stage, experiment: Experiment, attempt: Attempt, below: str
) -> None:
    for query in ({}, {"token": ""}, {"token": "wrong"}, {"token": "é"}, {"token": "None"}, {"token": LOGIN}):
        there = stage.get(f"/experiments/{experiment.public_id}{below}", query_string=query)
        nowhere = stage.get(f"/experiments/0123456789abc{below}", query_string=query)

        assert (there.status_code, nowhere.status_code) == (404, 404)
        assert there.data == nowhere.data
        assert sorted(there.headers) == sorted(nowhere.headers)


def test_a_withdrawn_token_opens_nothing_more(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    with stage.database.write() as tx:
        tx.get_one(Experiment, experiment.id).view_token = None

    for below in PAGES:
        assert stage.get(address(experiment, below)).status_code == 404
        assert stage.get(f"/experiments/{experiment.public_id}{below}?token=None").status_code == 404


def test_one_experiments_token_opens_no_other(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    stage.clock.advance(1)
    other = stage.experiment("other")

    assert stage.get(f"/experiments/{other.public_id}?token={experiment.view_token}").status_code == 404


def test_the_pages_links_carry_the_token_that_opened_it(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    links = re.findall(r'(?:href|data-url)="(/experiments/[^"]+)"', page_of(stage, experiment))

    assert len(links) == 4
    for link in links:
        assert stage.get(link.replace("&amp;", "&")).status_code == 200


def test_no_cache_keeps_it_and_no_other_site_learns_its_address(
    stage: Stage, experiment: Experiment, attempt: Attempt
) -> None:
    for below in PAGES:
        headers = stage.get(address(experiment, below)).headers

        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]


# The log


def log_of(stage: Stage, experiment: Experiment, start: int) -> dict[str, object]:
    answer = stage.get(address(experiment, "/log", attempt=1, **{"from": start}))
    assert answer.status_code == 200
    part: dict[str, object] = json.loads(answer.data)
    return part


def test_the_log_is_read_on_from_where_it_was_left(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    first = log_of(stage, experiment, 0)
    stage.backend.log[attempt.backend_id] += b"epoch 3\n  10%"
    second = log_of(stage, experiment, 16)
    stage.backend.log[attempt.backend_id] += b"\r  20%\r100%\ndone\n"
    stage.backend.is_complete = True
    third = log_of(stage, experiment, 24)

    assert first == {"lines": "epoch 1\nepoch 2\n", "partial": "", "end": 16, "is_complete": False}
    assert second == {"lines": "epoch 3\n", "partial": "  10%", "end": 24, "is_complete": False}
    assert third == {"lines": "100%\ndone\n", "partial": "", "end": 46, "is_complete": True}


def test_the_whole_log_comes_as_it_was_written(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    stage.backend.log[attempt.backend_id] = b"\x1b[32mgreen\x1b[0m\xff\n" * 20_000

    answer = stage.get(address(experiment, "/log.txt"))

    assert answer.data == stage.backend.log[attempt.backend_id]
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["Content-Type"] == "application/octet-stream"


def test_a_malformed_place_in_the_log_is_nothing_that_we_have(
    stage: Stage, experiment: Experiment, attempt: Attempt
) -> None:
    for start in ("x", "", "-65537", "9" * 17, "1.5", "--1", "٣", "1e3"):
        assert stage.get(address(experiment, "/log", **{"from": start})).status_code == 404


def test_an_attempt_that_was_not_made_has_no_page(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    for below in PAGES:
        for number in ("0", "-1", "2", "x", "9" * 30):
            assert stage.get(address(experiment, below, attempt=number)).status_code == 404


def test_an_attempt_that_was_not_launched_has_no_log_and_no_artifacts(stage: Stage, experiment: Experiment) -> None:
    stage.attempt(experiment, handle=False)

    assert "Not started yet" in page_of(stage, experiment)
    for below in PAGES[1:]:
        assert stage.get(address(experiment, below)).status_code == 404


def test_a_backend_that_cannot_tell_leaves_the_page_readable(
    stage: Stage, experiment: Experiment, attempt: Attempt
) -> None:
    stage.backend.is_broken = True

    assert "train / fit" in page_of(stage, experiment)
    for below in PAGES[1:]:
        assert stage.get(address(experiment, below)).status_code == 404


# What an experiment wrote


def test_an_artifact_is_saved_never_shown(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    stage.backend.files[attempt.backend_id]["report.html"] = b"<script>alert(1)</script>"

    answer = stage.get(address(experiment, "/artifacts/report.html"))

    assert answer.data == b"<script>alert(1)</script>"
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Length"] == "25"
    assert stage.backend.opened is not None
    assert stage.backend.opened.closed


def test_what_is_no_artifact_is_not_there(stage: Stage, experiment: Experiment, attempt: Attempt) -> None:
    for path in ("absent", "../../etc/passwd", "%2e%2e/secret", "model", "a%00b"):
        assert stage.get(address(experiment, f"/artifacts/{path}")).status_code == 404


HOSTILE = "</script><script>alert(1)</script>\x1b[31m\u202e&quot;'\">"


def test_nothing_that_an_experiment_named_or_wrote_comes_to_life(stage: Stage) -> None:
    experiment = stage.experiment(step=HOSTILE, workflow=HOSTILE, gates=(gate(HOSTILE, None, 1.0),))
    attempt = stage.attempt(experiment)
    stage.log_scalars(attempt, HOSTILE, [1.0, float("nan"), float("inf"), 2.0], run=HOSTILE)
    stage.backend.log[attempt.backend_id] = HOSTILE.encode() + b"\n"
    stage.backend.files[attempt.backend_id] = {HOSTILE: b"", "new\nline": b"", "not text \udcff": b""}
    stage.reach(attempt, State.FAILED, reason=HOSTILE)

    page = page_of(stage, experiment)

    assert page.count("<script") == 1  # our own
    assert "alert(1)" in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert re.search(r"<[^>]*\son\w+=", page) is None


def test_a_file_whose_name_is_no_text_is_listed_without_a_link(
    stage: Stage, experiment: Experiment, attempt: Attempt
) -> None:
    stage.backend.files[attempt.backend_id] = {"bad \udcff name": b"12", "good name?#": b"345"}

    page = page_of(stage, experiment)

    assert "bad \ufffd name" in page
    assert f"/experiments/{experiment.public_id}/artifacts/good%20name%3F%23?attempt=1" in page
    assert stage.get(address(experiment, "/artifacts/good%20name%3F%23")).data == b"345"
