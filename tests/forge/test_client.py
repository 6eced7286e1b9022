"""The verbs at the wire: one request each, and a name for everything that can come back."""

import contextlib
import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bot.clock import SECOND, ManualClock
from bot.forge.checks import Action, Annotation, CheckWrite, Conclusion, Status
from bot.forge.client import Forge, Pull, Repo
from bot.forge.credentials import Credentials
from bot.forge.errors import ForgeError, Limited, Moved, Refused, Retry, Unauthorized
from bot.forge.pacing import Pacer
from tests.forge.conftest import APP_ID
from tests.forge.standin import CUT, Reply, Standin

REPO = Repo(7, "octo", "digits")
SHA = "c0ffee" + "0" * 34
QUEUED = CheckWrite("digits / train", Status.QUEUED, "Pending", "It waits for a machine.")
DONE = replace(
    QUEUED,
    status=Status.COMPLETED,
    conclusion=Conclusion.FAILURE,
    title="Failed",
    summary="The command ended with 1.",
    text="Traceback",
    details_url="https://ci.example/e/1",
    started_at=1_700_000_000 * SECOND + 999_999,
    completed_at=1_700_000_060 * SECOND,
    actions=(Action("Run again", "Run this experiment again", "rerun"),),
)

pytestmark = pytest.mark.service  # each play has a real server or database of its own
BAD_LINE = Annotation(".ps_project/config.yaml", 3, 3, "unknown key", title="config", start_column=5)
RUN = {"id": 11, "status": "queued", "name": QUEUED.name, "external_id": "42", "app": {"id": APP_ID}}
MADE_CHECK = Reply(201, RUN)
COMMENT = {"id": 21, "body": "<!-- ours --> hello", "user": {"login": "ci[bot]", "type": "Bot"}}
MADE_COMMENT = Reply(201, COMMENT)


def comment(number: int, body: str, login: str, kind: str = "User", via: int | None = None) -> dict[str, Any]:
    app = None if via is None else {"id": via}
    return {"id": number, "body": body, "user": {"login": login, "type": kind}, "performed_via_github_app": app}


VERBS: dict[str, Callable[[Forge], Any]] = {
    "create_check": lambda forge: forge.create_check(REPO, SHA, QUEUED, "42"),
    "update_check": lambda forge: forge.update_check(REPO, 11, QUEUED),
    "count_annotations": lambda forge: forge.count_annotations(REPO, 11),
    "find_check": lambda forge: forge.find_check(REPO, SHA, QUEUED.name, "42"),
    "create_comment": lambda forge: forge.create_comment(REPO, 5, "hello"),
    "update_comment": lambda forge: forge.update_comment(REPO, 5, 21, "hello"),
    "find_comment": lambda forge: forge.find_comment(REPO, 5, "<!-- ours -->"),
    "get_pull": lambda forge: forge.get_pull(REPO, 5),
}
WRITES = ["create_check", "update_check", "create_comment", "update_comment"]
POSTS = ["create_check", "create_comment"]


class TestWhatIsSent:
    def test_a_check_is_created_with_one_request(self, forge: Forge, github: Standin) -> None:
        github.will(MADE_CHECK)

        assert forge.create_check(REPO, SHA, QUEUED, "42") == 11

        [asked] = github.asked
        assert asked.line == "POST /repos/octo/digits/check-runs"
        assert asked.body == {
            "name": "digits / train",
            "head_sha": SHA,
            "external_id": "42",
            "status": "queued",
            "output": {"title": "Pending", "summary": "It waits for a machine.", "text": ""},
            "actions": [],
        }
        assert asked.headers["authorization"] == "token ghs_1"
        assert asked.headers["user-agent"] == "experiment-ci"

    def test_a_check_is_changed_with_one_request_and_nothing_is_read_before(
        self, forge: Forge, github: Standin
    ) -> None:
        github.will(Reply(200, RUN))

        forge.update_check(REPO, 11, DONE)

        [asked] = github.asked
        assert asked.line == "PATCH /repos/octo/digits/check-runs/11"
        assert asked.body == {
            "status": "completed",
            "conclusion": "failure",
            "details_url": "https://ci.example/e/1",
            "started_at": "2023-11-14T22:13:20Z",
            "completed_at": "2023-11-14T22:14:20Z",
            "output": {"title": "Failed", "summary": "The command ended with 1.", "text": "Traceback"},
            "actions": [{"label": "Run again", "description": "Run this experiment again", "identifier": "rerun"}],
        }

    def test_an_experiments_whole_life_costs_three_requests_and_one_token(self, forge: Forge, github: Standin) -> None:
        github.will(MADE_CHECK, Reply(200, RUN), Reply(200, RUN))

        check_id = forge.create_check(REPO, SHA, QUEUED, "42")
        forge.update_check(REPO, check_id, replace(QUEUED, status=Status.IN_PROGRESS, title="Running"))
        forge.update_check(REPO, check_id, DONE)

        assert [asked.method for asked in github.asked] == ["POST", "PATCH", "PATCH"]
        assert len(github.minted) == 1

    def test_comments_cost_one_request_each(self, forge: Forge, github: Standin) -> None:
        github.will(MADE_COMMENT, Reply(200, COMMENT))

        comment_id = forge.create_comment(REPO, 5, "hello")
        forge.update_comment(REPO, 5, comment_id, "hello again")

        assert comment_id == 21
        assert [(asked.line, asked.body) for asked in github.asked] == [
            ("POST /repos/octo/digits/issues/5/comments", {"body": "hello"}),
            ("PATCH /repos/octo/digits/issues/comments/21", {"body": "hello again"}),
        ]

    def test_annotations_go_by_fifties_and_only_when_asked_for(self, forge: Forge, github: Standin) -> None:
        """GitHub appends what each request brings: an ordinary update must not show them all twice."""
        many = replace(QUEUED, annotations=tuple(replace(BAD_LINE, start_line=n, end_line=n) for n in range(1, 121)))
        github.will(MADE_CHECK, *[Reply(200, RUN)] * 3)

        forge.create_check(REPO, SHA, many, "42")
        forge.update_check(REPO, 11, many, annotations_from=50)
        forge.update_check(REPO, 11, many, annotations_from=100)
        forge.update_check(REPO, 11, many)

        lines = [[a["start_line"] for a in asked.body["output"].get("annotations", [])] for asked in github.asked]
        assert lines == [list(range(1, 51)), list(range(51, 101)), list(range(101, 121)), []]

    def test_an_annotation_has_columns_only_on_one_line(self) -> None:
        assert BAD_LINE.to_wire() == {
            "path": ".ps_project/config.yaml",
            "start_line": 3,
            "end_line": 3,
            "annotation_level": "failure",
            "message": "unknown key",
            "title": "config",
            "start_column": 5,
            "end_column": 5,
        }
        assert "start_column" not in replace(BAD_LINE, end_line=4).to_wire()
        assert replace(BAD_LINE, end_column=9).to_wire()["end_column"] == 9

    def test_an_api_url_with_a_path_is_kept(self, app_key: str, clock: ManualClock) -> None:
        """GitHub Enterprise Server answers below /api/v3."""
        github = Standin(clock, prefix="/api/v3")
        github.will(MADE_CHECK, Reply(200, RUN))
        forge = Forge(Credentials(APP_ID, app_key, github.url + "/", clock), Pacer(clock, caps=()), clock)

        forge.create_check(REPO, SHA, QUEUED, "42")
        forge.update_check(REPO, 11, QUEUED)
        forge.close()
        github.close()

        assert github.minted[0].path == "/api/v3/app/installations/7/access_tokens"
        assert github.lines == [
            "POST /api/v3/repos/octo/digits/check-runs",
            "PATCH /api/v3/repos/octo/digits/check-runs/11",
        ]

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a?b", "a#b", "a b", "a\n", "é", "a" * 101])
    def test_a_name_that_would_leave_its_place_in_the_url_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="not the name of a repository"):
            Repo(7, "octo", name)
        with pytest.raises(ValueError, match="not the name of a repository"):
            Repo(7, name, "digits")

    @pytest.mark.parametrize("sha", ["", "main", SHA[:7], SHA.upper(), SHA + "\n", "../" + SHA])
    def test_only_a_whole_commit_id_is_a_commit(self, forge: Forge, github: Standin, sha: str) -> None:
        with pytest.raises(ValueError, match="not a whole commit id"):
            forge.create_check(REPO, sha, QUEUED, "42")
        with pytest.raises(ValueError, match="not a whole commit id"):
            forge.find_check(REPO, sha, QUEUED.name, "42")
        assert github.asked == []

    def test_a_check_that_github_would_refuse_cannot_be_made(self) -> None:
        with pytest.raises(ValueError, match="a conclusion stands with the status completed"):
            replace(QUEUED, status=Status.COMPLETED)
        with pytest.raises(ValueError, match="a conclusion stands with the status completed"):
            replace(QUEUED, conclusion=Conclusion.SUCCESS)
        with pytest.raises(ValueError, match="at most 3 actions"):
            replace(DONE, actions=DONE.actions * 4)


class TestWhatIsFound:
    def test_a_check_is_found_by_its_external_id_on_any_page(self, forge: Forge, github: Standin) -> None:
        others = [{**RUN, "id": n, "external_id": str(n)} for n in range(100, 200)]
        path = f"/repos/octo/digits/commits/{SHA}/check-runs"
        after = f'<{github.url}{path}?page=2>; rel="next", <{github.url}{path}?page=2>; rel="last"'
        github.will(
            Reply(200, {"total_count": 101, "check_runs": others}, {"Link": after}),
            Reply(200, {"total_count": 101, "check_runs": [RUN]}),
        )

        assert forge.find_check(REPO, SHA, "digits / train", "42") == 11
        assert github.lines == [
            f"GET {path}?check_name=digits+%2F+train&filter=all&per_page=100",
            f"GET {path}?page=2",
        ]

    def test_another_apps_check_of_the_same_name_and_id_is_not_ours(self, forge: Forge, github: Standin) -> None:
        runs = [{**RUN, "app": {"id": 1}}, {**RUN, "app": None}, {**RUN, "external_id": "421"}]
        github.will(Reply(200, {"total_count": 3, "check_runs": runs}))

        assert forge.find_check(REPO, SHA, QUEUED.name, "42") is None
        assert len(github.asked) == 1

    def test_our_comment_is_found_although_others_pasted_the_marker(self, forge: Forge, github: Standin) -> None:
        marker = "<!-- experiment-ci:5 -->"
        github.will(
            Reply(
                200,
                [
                    comment(1, f"look: {marker}", "mallory"),
                    comment(2, f"quoting {marker}", "other[bot]", "Bot", via=1),
                    comment(3, "something else of ours", "ci[bot]", "Bot", via=APP_ID),
                    {**comment(4, marker, "x"), "user": None, "body": None},
                    comment(5, f"{marker}\n# Verdict", "ci[bot]", "Bot", via=APP_ID),
                ],
            ),
            Reply(200, {"slug": "ci"}),
        )

        assert forge.find_comment(REPO, 5, marker) == 5
        assert github.lines == ["GET /repos/octo/digits/issues/5/comments?per_page=100", "GET /app"]

    def test_where_github_names_no_app_our_bots_login_tells(self, forge: Forge, github: Standin) -> None:
        theirs, ours = comment(1, "<!-- m -->", "other[bot]", "Bot"), comment(2, "<!-- m -->", "ci[bot]", "Bot")
        github.will(Reply(200, [theirs, ours]), Reply(200, {"slug": "ci"}), Reply(200, [theirs]))

        assert forge.find_comment(REPO, 5, "<!-- m -->") == 2
        assert forge.find_comment(REPO, 5, "<!-- m -->") is None
        assert github.lines.count("GET /app") == 1, "our name is asked for once"

    def test_a_user_cannot_pass_for_the_bot(self, forge: Forge, github: Standin) -> None:
        github.will(Reply(200, [comment(1, "<!-- m -->", "ci[bot]", "User")]))

        assert forge.find_comment(REPO, 5, "<!-- m -->") is None

    def test_a_pull_request_is_one_request(self, forge: Forge, github: Standin) -> None:
        head = {"sha": SHA, "ref": "worse", "repo": None}
        base = {"sha": "b" * 40, "ref": "main", "repo": {"id": 9, "url": "x"}}
        pull = {"number": 5, "state": "open", "draft": False, "title": "Try", "head": head, "base": base}
        github.will(Reply(200, pull | {"user": None, "updated_at": "2026-01-31T12:00:00Z"}))

        found = forge.get_pull(REPO, 5)

        assert found == Pull(5, True, False, "Try", SHA, "worse", None, "b" * 40, "main", 9, "", "2026-01-31T12:00:00Z")
        assert found.is_fork, "a fork that is gone is still no branch of ours"
        assert len(github.asked) == 1

    def test_the_installation_of_a_repository(self, forge: Forge, github: Standin) -> None:
        github.will(Reply(200, {"id": 7}), Reply(404, {"message": "Not Found"}), Reply(500))

        assert forge.installation_of("octo", "digits") == 7
        assert forge.installation_of("octo", "other") is None
        with pytest.raises(Retry):
            forge.installation_of("octo", "digits")
        assert github.asked[0].headers["authorization"].startswith("Bearer eyJ")


class TestWhatGoesWrong:
    @pytest.mark.parametrize("reply", [Reply(502, "<html>Bad Gateway</html>"), Reply(500), Reply(503, ""), CUT])
    def test_trouble_on_githubs_side_is_never_repeated_by_itself(
        self, forge: Forge, github: Standin, reply: Reply | str
    ) -> None:
        for asked, (verb, do) in enumerate(VERBS.items(), 1):
            github.will(reply)
            forge.pacer = Pacer(ManualClock(), caps=())

            with pytest.raises(Retry) as caught:
                do(forge)

            assert type(caught.value) is Retry
            assert caught.value.maybe_written is (verb in POSTS)
            assert caught.value.after == 1
            assert len(github.asked) == asked, "a POST that GitHub had taken would now be there twice"

    @pytest.mark.parametrize("verb", VERBS)
    def test_no_answer_at_all_can_raise_anything_but_a_forge_error(
        self, forge: Forge, github: Standin, verb: str
    ) -> None:
        bodies = ["<html>captive portal</html>", '{"id": 1', "[]", "null", '"text"', "7", "", '{"id": 11}']
        for body, status in itertools.product(bodies, (200, 400, 404, 500)):
            github.replies.clear()
            github.will(Reply(status, body))
            forge.pacer = Pacer(ManualClock(), caps=())
            answer = None
            with contextlib.suppress(ForgeError):
                answer = VERBS[verb](forge)
            assert answer is None, "an id was made up"

    def test_a_lost_answer_does_not_make_a_second_check(
        self, forge: Forge, github: Standin, clock: ManualClock
    ) -> None:
        """How the report station is to behave: look first, then post."""
        github.will(Reply(502, "Bad Gateway"), Reply(200, {"total_count": 1, "check_runs": [RUN]}))

        with pytest.raises(Retry) as caught:
            forge.create_check(REPO, SHA, QUEUED, "42")
        clock.advance(caught.value.after)

        assert caught.value.maybe_written
        assert forge.find_check(REPO, SHA, QUEUED.name, "42") == 11
        assert [asked.method for asked in github.asked] == ["POST", "GET"]

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (403, "Resource not accessible by integration"),
            (404, "Not Found"),
            (410, "Issues are disabled for this repo"),
            (422, "Validation Failed"),
        ],
    )
    def test_what_github_will_never_take_is_refused(
        self, forge: Forge, github: Standin, status: int, message: str
    ) -> None:
        for do in VERBS.values():
            github.will(Reply(status, {"message": message}))

            with pytest.raises(Refused, match=message) as caught:
                do(forge)

            assert caught.value.status == status
            assert forge.pacer.may_read(7) == 0, "one refused check must not hold up the others"

    @pytest.mark.parametrize("verb", WRITES)
    def test_a_renamed_repository_is_no_success(self, forge: Forge, github: Standin, verb: str) -> None:
        """GitHub redirects a write with 307; PyGithub returns from that as if it had been done."""
        url = "https://api.github.com/repositories/9/check-runs/11"
        github.will(Reply(307, {"message": "Moved Permanently", "url": url, "status": "307"}, {"Location": url}))

        with pytest.raises(Moved, match="renamed"):
            VERBS[verb](forge)

        assert len(github.asked) == 1

    def test_a_redirect_to_another_host_is_not_followed(self, forge: Forge, github: Standin) -> None:
        """Our token would go with it."""
        github.will(Reply(301, {}, {"Location": "https://evil.example/"}))

        with pytest.raises(Retry, match="could not be read"):
            forge.get_pull(REPO, 5)

    def test_a_token_that_died_early_is_replaced_once(self, forge: Forge, github: Standin) -> None:
        github.will(Reply(401, {"message": "Bad credentials"}), MADE_CHECK)

        assert forge.create_check(REPO, SHA, QUEUED, "42") == 11
        assert [asked.headers["authorization"] for asked in github.asked] == ["token ghs_1", "token ghs_2"]

    def test_a_second_bad_token_is_not_the_tokens_fault(self, forge: Forge, github: Standin) -> None:
        github.will(*[Reply(401, {"message": "Bad credentials"})] * 2)

        with pytest.raises(Unauthorized) as caught:
            forge.create_check(REPO, SHA, QUEUED, "42")

        assert (len(github.asked), len(github.minted)) == (2, 2)
        assert caught.value.after == 60

    def test_a_refused_key_is_tried_once(self, forge: Forge, github: Standin) -> None:
        github.mints.append(Reply(401, {"message": "A JSON web token could not be decoded"}))

        with pytest.raises(Unauthorized, match="private key"):
            forge.create_check(REPO, SHA, QUEUED, "42")

        assert (len(github.asked), len(github.minted)) == (0, 1)

    def test_no_error_or_log_tells_the_token(
        self, forge: Forge, github: Standin, caplog: pytest.LogCaptureFixture
    ) -> None:
        github.will(CUT)

        with caplog.at_level(logging.DEBUG), pytest.raises(Retry) as caught:
            forge.create_check(REPO, SHA, QUEUED, "42")

        assert "ghs_1" not in f"{caught.value!r} {caught.value} {caught.value.__cause__} {caplog.text} {vars(forge)}"


class TestWhenItIsAllowed:
    def test_nothing_is_asked_inside_a_limit(self, forge: Forge, github: Standin, clock: ManualClock) -> None:
        github.will(Reply(403, {"message": "secondary rate limit"}, {"Retry-After": "90"}), MADE_CHECK)
        with pytest.raises(Limited) as caught:
            forge.create_check(REPO, SHA, QUEUED, "42")
        assert caught.value.after == 90
        assert not caught.value.maybe_written

        clock.advance(89)
        for verb in VERBS.values():
            with pytest.raises(Limited):
                verb(forge)
        assert len(github.asked) == 1

        clock.advance(1)
        assert forge.create_check(REPO, SHA, QUEUED, "42") == 11

    def test_a_limit_without_a_time_doubles(self, forge: Forge, github: Standin, clock: ManualClock) -> None:
        github.will(*[Reply(429, {"message": "slow down"})] * 3)

        waits = []
        for _ in range(3):
            with pytest.raises(Limited) as caught:
                forge.get_pull(REPO, 5)
            waits.append(caught.value.after)
            clock.advance(caught.value.after)

        assert waits == [60, 120, 240]

    def test_a_write_before_its_time_is_kept_back_here(
        self, credentials: Credentials, github: Standin, clock: ManualClock
    ) -> None:
        forge = Forge(credentials, Pacer(clock), clock)
        github.will(MADE_CHECK)
        forge.create_check(REPO, SHA, QUEUED, "42")

        assert forge.pacer.may_write(7) == 1
        with pytest.raises(Limited) as caught:
            forge.create_check(REPO, SHA, QUEUED, "42")

        assert caught.value.after == 1
        assert len(github.asked) == 1

    def test_another_installation_goes_on(self, forge: Forge, github: Standin) -> None:
        github.will(Reply(429, {}, {"Retry-After": "600"}), MADE_CHECK)
        with pytest.raises(Limited):
            forge.create_check(REPO, SHA, QUEUED, "42")

        assert forge.create_check(Repo(8, "else", "where"), SHA, QUEUED, "42") == 11

    def test_threads_of_one_installation_do_not_mix_their_requests(
        self, forge: Forge, github: Standin, clock: ManualClock
    ) -> None:
        """PyGithub's connection holds the request that it is about to send: two threads would send one twice."""
        github.will(*[Reply(200, COMMENT)] * 8)
        threads = [threading.Thread(target=forge.update_comment, args=(REPO, 5, n, f"text {n}")) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        sent = sorted((asked.path.rsplit("/", 1)[1], asked.body["body"]) for asked in github.asked)
        assert sent == [(str(n), f"text {n}") for n in range(8)]
