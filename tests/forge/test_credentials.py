"""Who we are to GitHub: the JWT, the installations' tokens, and what is said when GitHub does not know us."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bot.clock import MINUTE, SECOND, ManualClock
from bot.forge.credentials import Credentials
from bot.forge.errors import Limited, Refused, Retry, Unauthorized
from tests.forge.conftest import APP_ID
from tests.forge.standin import CUT, Reply, Standin


def test_the_jwt_is_backdated_and_lives_nine_minutes(
    credentials: Credentials, app_key: str, clock: ManualClock
) -> None:
    public = load_pem_private_key(app_key.encode(), None).public_key()

    claims = jwt.decode(credentials.jwt(), public, algorithms=["RS256"], options={"verify_exp": False})

    now = clock.now() // SECOND
    assert claims == {"iss": str(APP_ID), "iat": now - 60, "exp": now + 540}


def test_a_token_is_minted_once_and_replaced_after_fifty_minutes(
    credentials: Credentials, github: Standin, clock: ManualClock
) -> None:
    assert [credentials.token(7), credentials.token(7)] == ["ghs_1", "ghs_1"]

    clock.advance(50 * MINUTE / SECOND - 1)
    assert credentials.token(7) == "ghs_1"
    clock.advance(1)
    assert credentials.token(7) == "ghs_2"

    assert [asked.line for asked in github.minted] == ["POST /app/installations/7/access_tokens"] * 2


def test_minting_presents_the_jwt_and_nothing_else(credentials: Credentials, github: Standin) -> None:
    credentials.token(7)

    [asked] = github.minted
    assert asked.headers["authorization"].startswith("Bearer eyJ")
    assert asked.headers["user-agent"] == "experiment-ci"
    assert asked.body == {}


def test_gits_token_opens_one_repository_for_reading_and_is_kept_apart(
    credentials: Credentials, github: Standin
) -> None:
    assert credentials.token(7, repository_id=55) == "ghs_1"
    assert credentials.token(7) == "ghs_2"
    assert credentials.token(7, repository_id=55) == "ghs_1"

    assert github.minted[0].body == {"repository_ids": [55], "permissions": {"contents": "read"}}


def test_many_threads_that_need_a_token_mint_one(credentials: Credentials, github: Standin) -> None:
    barrier = threading.Barrier(8)

    def ask(_: int) -> str:
        barrier.wait()
        return credentials.token(7)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"ghs_1"}
    assert len(github.minted) == 1


def test_a_token_that_another_thread_already_replaced_is_not_dropped_again(credentials: Credentials) -> None:
    old = credentials.token(7)
    credentials.forget(7, token=old)
    new = credentials.token(7)

    credentials.forget(7, token=old)

    assert credentials.token(7) == new


def test_a_wrong_clock_is_named_and_githubs_is_used(
    credentials: Credentials, github: Standin, app_key: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    github.date_ahead = 700
    github.mints.append(Reply(401, {"message": "'Expiration time' claim ('exp') must be a numeric value"}))

    with caplog.at_level(logging.ERROR):
        assert credentials.token(7) == "ghs_2"

    assert "clock is off by -700 s" in caplog.text
    public = load_pem_private_key(app_key.encode(), None).public_key()
    claims = jwt.decode(credentials.jwt(), public, algorithms=["RS256"], options={"verify_exp": False})
    assert claims["iat"] == clock.now() // SECOND + 700 - 60


def test_a_clock_that_was_set_right_is_believed_again(
    credentials: Credentials, github: Standin, clock: ManualClock
) -> None:
    for ahead in (700, 0):
        github.date_ahead = ahead
        github.mints.append(Reply(401, {"message": "'Issued at' claim ('iat')"}))
        credentials.renewed(7)
    [*_, last] = github.minted
    claims = jwt.decode(last.headers["authorization"].removeprefix("Bearer "), options={"verify_signature": False})
    assert claims["iat"] == clock.now() // SECOND - 60


def test_while_the_app_has_to_wait_nothing_is_asked(
    credentials: Credentials, github: Standin, clock: ManualClock
) -> None:
    github.mints.append(Reply(403, {"message": "You have exceeded a secondary rate limit."}, {"Retry-After": "90"}))
    for _ in range(3):
        with pytest.raises(Limited):
            credentials.token(7)
    assert len(github.minted) == 1

    clock.advance(90)
    assert credentials.token(7) == "ghs_2"


def test_a_wrong_key_is_named(credentials: Credentials, github: Standin) -> None:
    github.mints.append(Reply(401, {"message": "A JSON web token could not be decoded"}))

    with pytest.raises(Unauthorized, match=r"private key does not belong to App 4242") as caught:
        credentials.token(7)

    assert caught.value.after == 60


def test_a_wrong_app_id_is_named_and_no_reason_to_give_up(credentials: Credentials, github: Standin) -> None:
    """A 404 here is not "never": every write would be dropped for a typing error in a setting."""
    github.mints.append(Reply(404, {"message": "Integration not found"}))

    with pytest.raises(Unauthorized, match="There is no App 4242: GITHUB_APP_ID is"):
        credentials.token(7)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(404, {"message": "Not Found"}), Refused),
        (Reply(403, {"message": "This installation has been suspended"}), Refused),
        (Reply(422, {"message": "There is at least one repository that does not exist"}), Refused),
        (Reply(403, {"message": "You have exceeded a secondary rate limit."}), Limited),
        (Reply(502, "<html>Bad Gateway</html>"), Retry),
        (Reply(201, "<html>a proxy's login page</html>"), Retry),
        (Reply(201, {"token": None}), Retry),
        (CUT, Retry),
    ],
)
def test_each_failure_to_mint_is_told_apart(
    credentials: Credentials, github: Standin, clock: ManualClock, reply: Reply | str, error: type[Exception]
) -> None:
    github.mints.append(reply)

    with pytest.raises(error) as caught:
        credentials.token(7)

    assert type(caught.value) is error
    assert getattr(caught.value, "maybe_written", False) is False, "a token is no write: nothing has to be looked up"
    clock.advance(60)
    assert credentials.token(7) == f"ghs_{len(github.minted)}", "the next attempt is not poisoned by the first"


def test_a_netrc_does_not_replace_our_jwt(
    credentials: Credentials, github: Standin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """requests prefers ~/.netrc to an Authorization header; the environment is the operator's, so it is set here."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    credentials.token(7)

    assert github.minted[0].headers["authorization"].startswith("Bearer eyJ")


def test_nothing_secret_is_in_a_repr_or_an_error(
    credentials: Credentials, github: Standin, app_key: str, caplog: pytest.LogCaptureFixture
) -> None:
    github.mints.extend([CUT, Reply(401, {"message": "no"})])
    told = [repr(credentials), str(vars(credentials))]
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            with pytest.raises(Retry) as caught:
                credentials.token(7)
            told += [str(caught.value), repr(caught.value), str(caught.value.__cause__)]
        token = credentials.token(7)
    told += [str(vars(credentials)), caplog.text]

    for secret in (token, "eyJ", app_key.splitlines()[1]):
        assert not any(secret in text for text in told)


@pytest.mark.parametrize(
    "pem", ["", "nonsense", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"]
)
def test_what_is_no_key_stops_at_once_and_is_not_repeated(pem: str, clock: ManualClock) -> None:
    with pytest.raises(ValueError, match="not an RSA key") as caught:
        Credentials(APP_ID, pem, "https://api.github.com", clock)

    assert not pem or pem not in str(caught.value)
