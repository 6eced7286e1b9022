"""The code and the App: what GitHub may answer, and what becomes of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from bot.clock import ManualClock
from bot.devhub.auth import key_pair
from bot.setup.answers import GitHub
from bot.setup.conversion import ConversionError, NewApp, convert
from tests.forge.standin import CUT, Reply, Standin

PEM = key_pair()[0]
APP = {"id": 7, "slug": "ci", "html_url": "https://github.com/apps/ci", "pem": PEM, "webhook_secret": "s3cret"}


@pytest.fixture
def api(clock: ManualClock) -> Iterator[Standin]:
    standin = Standin(clock)
    yield standin
    standin.close()


def ask(api: Standin, reply: Reply | str) -> NewApp:
    api.will(reply)
    return convert(GitHub(api.url, "https://github.com"), "c0de", 0)


def refused(api: Standin, reply: Reply | str) -> tuple[str, bool]:
    with pytest.raises(ConversionError) as caught:
        ask(api, reply)
    assert "c0de" not in str(caught.value)
    assert caught.value.__cause__ is None
    return str(caught.value), caught.value.is_over


def test_a_good_answer(api: Standin) -> None:
    app = ask(api, Reply(201, APP | {"client_secret": "x"}))
    assert app == NewApp(7, "ci", "https://github.com/apps/ci", PEM, "s3cret")
    assert "s3cret" not in repr(app)
    assert "PRIVATE" not in repr(app)
    [asked] = api.asked
    assert asked.line == "POST /app-manifests/c0de/conversions"
    assert "authorization" not in asked.headers


def test_nothing_of_a_netrc_is_sent(api: Standin, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    ask(api, Reply(201, APP))
    assert "authorization" not in api.asked[0].headers


@pytest.mark.parametrize(
    ("missing", "instead", "left"),
    [
        ("webhook_secret", None, ("", "https://github.com/apps/ci")),
        ("webhook_secret", "a,b", ("", "https://github.com/apps/ci")),
        ("webhook_secret", "a\nb", ("", "https://github.com/apps/ci")),
        ("html_url", "javascript:alert(1)", ("s3cret", "https://github.com/apps/ci")),
        ("html_url", None, ("s3cret", "https://github.com/apps/ci")),
    ],
)
def test_for_what_can_be_done_without_no_key_is_thrown_away(
    api: Standin, missing: str, instead: Any, left: tuple[str, str]
) -> None:
    app = ask(api, Reply(201, APP | {missing: instead}))
    assert (app.private_key, app.webhook_secret, app.page) == (PEM, *left)


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(404, {"message": "Not Found"}), "GitHub does not know this code (404)"),
        (Reply(404, "<html>"), "GitHub does not know this code (404)"),
        (Reply(422, {"message": "Name is taken"}), "GitHub answered 422: Name is taken."),
        (Reply(400, "<html>"), "GitHub answered 400: no reason given."),
        (Reply(201, "<html>"), "its `id` is no number"),
        (Reply(201, []), "its `id` is no number"),
        (Reply(201, APP | {"id": True}), "its `id` is no number"),
        (Reply(201, APP | {"id": "7"}), "its `id` is no number"),
        (Reply(201, APP | {"pem": None}), "has no key for App 7"),
        (Reply(201, APP | {"pem": "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"}), "no key"),
    ],
)
def test_an_answer_after_which_the_code_is_of_no_use(api: Standin, reply: Reply, says: str) -> None:
    sentence, is_over = refused(api, reply)
    assert says in sentence
    assert is_over


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(500, {"message": "Oops"}), "GitHub answered 500: Oops."),
        (Reply(502, "<html>"), "GitHub answered 502"),
        (Reply(429, {"message": "Slow down"}), "GitHub answered 429"),
        (Reply(403, {"message": "You have exceeded a secondary rate limit"}), "GitHub answered 403"),
        (Reply(301, {}, {"Location": "https://elsewhere"}), " answered 301: is that GitHub's API?"),
        (Reply(200, "<html>a portal</html>"), " answered 200: is that GitHub's API?"),
        (CUT, "GitHub was not reached (ConnectionError)."),
    ],
)
def test_an_answer_after_which_the_code_may_still_be_good(api: Standin, reply: Reply | str, says: str) -> None:
    sentence, is_over = refused(api, reply)
    assert says in sentence
    assert not is_over
    assert len(api.asked) == 1, "nothing is asked twice, nor elsewhere"
