"""The front page, the login, and the errors that everybody may see."""

import pytest

from bot.clock import SECOND, ManualClock
from bot.core.states import State
from bot.store.database import Database
from bot.web.access import COOKIE, LASTS, Logins
from tests.web.stage import LOGIN, Stage

pytestmark = pytest.mark.service  # each play has a real server or database of its own


def test_a_stranger_learns_what_this_is_and_no_more(stage: Stage) -> None:
    stage.experiment()

    page = stage.get("/").text

    assert "GitHub App" in page
    assert "train / fit" not in page


def test_with_the_token_that_was_printed_one_sees_the_newest_experiments(stage: Stage) -> None:
    waiting, tried = stage.experiment("prepare"), None
    stage.clock.advance(1)
    tried = stage.experiment("fit")
    stage.reach(stage.attempt(tried, 1), State.ERROR)
    stage.reach(stage.attempt(tried, 2), State.PENDING)
    stage.login()

    page = stage.get("/").text

    assert page.index("train / fit") < page.index("train / prepare")
    assert "Pending" in page
    assert "Error" not in page
    assert "not started" in page
    for experiment in (waiting, tried):
        assert stage.get(f"/experiments/{experiment.public_id}").status_code == 200


def test_the_printed_link_logs_in_and_leaves_no_token_in_the_address(stage: Stage) -> None:
    answer = stage.client.get("/login", query_string={"token": LOGIN})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert LOGIN not in cookie
    assert "Experiments" in stage.get("/").text


@pytest.mark.parametrize("token", ["", "wrong", LOGIN[:-1], LOGIN + "x", "é", "\ud800"])
def test_a_wrong_token_lets_nobody_in(stage: Stage, token: str) -> None:
    given = {"token": token.encode("utf-8", "replace")}

    for answer in (stage.client.post("/login", data=given), stage.client.get("/login", query_string=given)):
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers
        assert "not the login token" in answer.text


def test_whoever_logs_out_is_out(stage: Stage) -> None:
    stage.experiment()
    stage.login()

    assert stage.client.post("/logout").status_code == 303
    assert "train / fit" not in stage.get("/").text


@pytest.mark.parametrize("cookie", ["", "1", "1.2", "x.y", "1." + "0" * 64, "-1." + "0" * 64, "é.é", "." * 3000])
def test_a_cookie_that_we_did_not_issue_opens_nothing(stage: Stage, cookie: str) -> None:
    stage.experiment()
    stage.client.set_cookie(COOKIE, cookie)

    assert "train / fit" not in stage.get("/").text


def test_a_login_ends_after_thirty_days(clock: ManualClock) -> None:
    logins = Logins(LOGIN, clock)
    cookie = logins.issue()

    clock.advance(LASTS / SECOND - 1)
    assert logins.is_valid(cookie)
    clock.advance(1)
    assert not logins.is_valid(cookie)


def test_a_new_token_ends_every_login(clock: ManualClock) -> None:
    cookie = Logins("the token of the former start", clock).issue()

    assert not Logins("the token of the present start", clock).is_valid(cookie)


def test_a_cookie_cannot_be_made_to_last(clock: ManualClock) -> None:
    issued, _, signed = Logins(LOGIN, clock).issue().partition(".")

    assert not Logins(LOGIN, clock).is_valid(f"{int(issued) + 1}.{signed}")


def test_a_login_token_that_could_be_guessed_is_refused(clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="too short"):
        Logins("secret", clock)


def test_behind_https_and_a_path_the_cookie_and_the_links_follow(
    database: Database, clock: ManualClock, stage: Stage
) -> None:
    behind = Stage(database, clock, stage.data_dir, "https://ml.example/ci/")

    cookie = behind.client.post("/login", data={"token": LOGIN})

    assert cookie.headers["Location"] == "/ci/"
    assert "Secure" in cookie.headers["Set-Cookie"]
    assert "Path=/ci" in cookie.headers["Set-Cookie"]
    assert 'href="/ci/static/page.css"' in behind.get("/").text


def test_another_site_can_have_nothing_done_by_a_browser_that_is_logged_in(stage: Stage) -> None:
    """Our pages change nothing, a run's own need the pass in their address, and the cookie does not come along."""
    cookie = stage.client.post("/login", data={"token": LOGIN}).headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie

    changing = {rule.rule for rule in stage.app.url_map.iter_rules() if rule.methods - {"GET", "HEAD", "OPTIONS"}}
    ours = {rule for rule in changing if "~<key>" not in rule}
    assert ours == {"/webhook", "/login", "/logout"}


def test_a_login_form_takes_no_more_than_a_form_holds(stage: Stage) -> None:
    assert stage.client.post("/login", data={"token": "x" * 100_000}).status_code == 413


@pytest.mark.parametrize("path", ["/nowhere", "/experiments/", "/experiments/x", "/static/../page.css", "/static/"])
def test_what_is_not_there_is_said_as_a_page_with_the_same_protection(stage: Stage, path: str) -> None:
    answer = stage.get(path)

    assert answer.status_code == 404
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_wrong_method_says_which_are_right(stage: Stage) -> None:
    answer = stage.client.post("/")

    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(("name", "kind"), [("page.css", "text/css"), ("live.js", "text/javascript")])
def test_style_and_script_are_files_of_our_own(stage: Stage, name: str, kind: str) -> None:
    answer = stage.get(f"/static/{name}")

    assert answer.headers["Content-Type"].startswith(kind)
    assert answer.headers["Cache-Control"] == "no-cache"


def test_a_database_that_cannot_be_read_is_said_honestly(database: Database, stage: Stage) -> None:
    with database.connection() as connection:
        connection.exec_driver_sql("ALTER TABLE experiments RENAME TO mislaid")
    stage.app.testing = False

    answer = stage.get("/experiments/0123456789abc?token=x")

    assert answer.status_code == 503
    assert "database" in answer.text
