"""The door: what is let in, what is turned away, and that nothing a stranger sends is an error of ours."""

import io
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from werkzeug.test import TestResponse

from bot.clock import ManualClock
from bot.store.database import Database
from bot.store.schema import Delivery
from bot.web.webhook import MAX_BYTES
from tests.web.stage import APP_ID, Stage, delivery, signature

BODY = b'{"ref": "refs/heads/main"}'


def knock(stage: Stage, body: bytes = BODY, **changed: str | None) -> TestResponse:
    return stage.client.post("/webhook", data=body, headers=delivery(body, **changed))


def knock_with(stage: Stage, **environ: object) -> TestResponse:
    """Knock as only a server's own words for a request can say it."""
    return stage.client.post("/webhook", data=BODY, headers=delivery(BODY), environ_overrides=environ)


def stored(stage: Stage) -> list[Delivery]:
    with stage.database.read() as tx:
        return list(tx.scalars(select(Delivery)))


# What is let in


def test_a_signed_delivery_is_stored_as_it_came_and_accepted(stage: Stage) -> None:
    answer = knock(stage)

    assert (answer.status_code, answer.text) == (202, "accepted\n")
    [row] = stored(stage)
    assert (row.guid, row.event, row.body) == ("72d3162e-cc78-11e3-81ab-4c9367dc0958", "push", BODY)
    assert (row.state, row.reason, row.tries, row.not_before) == ("received", "", 0, 0)
    assert row.received_at == stage.clock.now()


def test_another_process_sees_the_row_as_soon_as_the_answer_is_there(stage: Stage) -> None:
    knock(stage)

    with closing(sqlite3.connect(stage.database.url.removeprefix("sqlite:///"))) as other:
        assert other.execute("select count(*) from deliveries").fetchone() == (1,)


def test_a_redelivery_is_accepted_and_changes_nothing(stage: Stage) -> None:
    knock(stage)
    stage.clock.advance(60)

    answer = knock(stage, b'{"ref": "refs/heads/other"}')

    assert (answer.status_code, answer.text) == (202, "accepted before\n")
    assert [row.body for row in stored(stage)] == [BODY]


def test_nothing_is_parsed_before_the_answer(stage: Stage) -> None:
    assert knock(stage, b"\xff not JSON at all").status_code == 202


def test_an_event_that_nobody_knows_yet_is_accepted(stage: Stage) -> None:
    assert knock(stage, X_GitHub_Event="quantum_merge.v2").status_code == 202


def test_while_the_secret_is_rotated_the_old_one_opens_too(stage: Stage) -> None:
    answer = knock(stage, X_Hub_Signature_256=signature(BODY, "the secret before"))

    assert answer.status_code == 202


def test_form_encoded_deliveries_are_stored_as_they_came(stage: Stage) -> None:
    """Also those larger than the 500,000 bytes at which Flask stops to read forms."""
    body = b"payload=" + b"%7B%22a%22%3A" * 100_000

    answer = knock(stage, body, Content_Type="application/x-www-form-urlencoded")

    assert answer.status_code == 202
    assert [row.body for row in stored(stage)] == [body]


FORM = {"Content_Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    "header",
    [
        None,
        signature(b"payload=%7B%22a%22%3A+1%7D", "a wrong secret"),
        signature(b'{"a": 1}'),
        signature(b"payload=%7B%22a%22%3A%201%7D"),
        signature(b'payload={"a": 1}'),
    ],
    ids=["none", "a wrong secret", "of its JSON", "of the same form, encoded otherwise", "of the form decoded"],
)
def test_the_signature_of_a_form_is_that_of_its_bytes(stage: Stage, header: str | None) -> None:
    answer = knock(stage, b"payload=%7B%22a%22%3A+1%7D", X_Hub_Signature_256=header, **FORM)

    assert answer.status_code == 401
    assert stored(stage) == []


def test_a_form_too_large_is_refused_like_json(stage: Stage) -> None:
    body = b"payload=" + b"%7B" * (MAX_BYTES // 3)

    assert knock(stage, body, **FORM).status_code == 413
    assert stored(stage) == []


def test_a_body_without_a_length_is_read_to_its_end(stage: Stage) -> None:
    answer = without_length(stage, BODY)

    assert answer.status_code == 202
    assert [row.body for row in stored(stage)] == [BODY]


def test_a_webhook_of_a_repository_is_let_in_by_its_signature(stage: Stage) -> None:
    """Only an App's deliveries name the App; what a repository's tell is said by intake."""
    answer = knock(stage, X_GitHub_Hook_Installation_Target_Type="repository", X_GitHub_Hook_Installation_Target_ID="1")

    assert answer.status_code == 202


# What is turned away


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "foo",
        "sha256=",
        "sha256",
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        signature(BODY).removeprefix("sha256="),
        signature(BODY).upper(),
        signature(BODY) + "0",
        signature(BODY, "a wrong secret"),
        signature(BODY, ""),
        signature(b"another body"),
        "sha256=é",
        "=" * 1000,
    ],
)
def test_without_its_signature_nothing_is_let_in(stage: Stage, header: str | None) -> None:
    answer = knock(stage, X_Hub_Signature_256=header)

    assert answer.status_code == 401
    assert stored(stage) == []


def test_the_signature_covers_every_byte(stage: Stage) -> None:
    answer = stage.client.post("/webhook", data=BODY + b" ", headers=delivery(BODY))

    assert answer.status_code == 401


@pytest.mark.parametrize("name", ["X_GitHub_Event", "X_GitHub_Delivery"])
@pytest.mark.parametrize("value", [None, "", "a b", "é", "x" * 101, "<script>"])
def test_a_delivery_must_say_which_it_is(stage: Stage, name: str, value: str | None) -> None:
    answer = knock(stage, **{name: value})

    assert answer.status_code == 400
    assert name.replace("_", "-") in answer.text
    assert stored(stage) == []


def test_a_stranger_learns_of_the_signature_alone(stage: Stage) -> None:
    answer = stage.client.post("/webhook")

    assert answer.status_code == 401


def test_what_is_meant_for_another_app_is_refused_by_name(stage: Stage) -> None:
    answer = knock(stage, X_GitHub_Hook_Installation_Target_ID="99")

    assert answer.status_code == 400
    assert "99" in answer.text
    assert str(APP_ID) in answer.text


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_the_door_takes_posts_alone(stage: Stage, method: str) -> None:
    assert stage.client.open("/webhook", method=method, headers=delivery(BODY)).status_code == 405


# Size


def without_length(stage: Stage, body: bytes) -> TestResponse:
    """Send as a chunked request arrives: the server knows where the body ends, no header does."""
    return stage.client.post(
        "/webhook",
        input_stream=io.BytesIO(body),
        headers=delivery(body),
        environ_overrides={"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"},
    )


def test_the_largest_delivery_that_github_sends_is_let_in(stage: Stage) -> None:
    assert knock(stage, b" " * MAX_BYTES).status_code == 202


@pytest.mark.parametrize("send", [knock, without_length])
def test_one_byte_more_is_too_large_however_it_is_sent(stage: Stage, send: object) -> None:
    assert callable(send)

    answer = send(stage, b" " * (MAX_BYTES + 1))

    assert answer.status_code == 413
    assert stored(stage) == []


def test_a_length_that_promises_too_much_is_refused_unread(stage: Stage) -> None:
    assert knock_with(stage, CONTENT_LENGTH=str(10**15)).status_code == 413


def test_a_body_that_ends_before_its_length_is_the_senders_fault(stage: Stage) -> None:
    assert knock_with(stage, CONTENT_LENGTH=str(len(BODY) + 1)).status_code == 400


@pytest.mark.parametrize("length", ["-1", "abc", "", "0x10", "1e3", "0", "9" * 5000])
def test_an_odd_length_is_not_our_error(stage: Stage, length: str) -> None:
    assert knock_with(stage, CONTENT_LENGTH=length).status_code in (401, 413)


class _TornStream:
    """A body that the server cannot read to its end."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, _size: int = -1) -> bytes:
        raise self._error


@pytest.mark.parametrize("error", [OSError("reset"), ValueError("bad chunk"), RuntimeError("bad trailer")])
def test_a_body_that_breaks_off_is_the_senders_fault(stage: Stage, error: Exception) -> None:
    answer = knock_with(stage, **{"wsgi.input": _TornStream(error), "wsgi.input_terminated": True})

    assert answer.status_code == 400


# Whatever anybody sends

TEXT = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "X-Hub-Signature-256",
            "X-GitHub-Event",
            "X-GitHub-Delivery",
            "X-GitHub-Hook-Installation-Target-Type",
            "X-GitHub-Hook-Installation-Target-ID",
            "Content-Type",
            "Content-Length",
            "Content-Encoding",
            "Cookie",
            "Host",
        ]
    ),
    TEXT,
)


@given(st.sampled_from(["GET", "POST", "PUT", "OPTIONS"]), HEADERS, st.binary(max_size=300), st.booleans())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_is_answered_without_an_error_of_ours(
    stage: Stage, method: str, headers: dict[str, str], body: bytes, is_signed: bool
) -> None:
    signed = {"X-Hub-Signature-256": signature(body)} if is_signed else {}

    answer = stage.client.open("/webhook", method=method, data=body, headers=headers | signed)

    assert answer.status_code < 500


# A database that cannot be written: the one error that is ours, said honestly


@contextmanager
def door_of(url: str, tmp_path: Path) -> Iterator[Stage]:
    database = Database(url, patience=0.05)
    yield Stage(database, ManualClock(), tmp_path, "http://bot.example")
    database.close()


def test_a_database_that_another_process_holds_gives_503_and_later_202(database: Database, tmp_path: Path) -> None:
    path = database.url.removeprefix("sqlite:///")
    with door_of(database.url, tmp_path) as stage, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        while_held = knock(stage)
        other.execute("ROLLBACK")

        assert while_held.status_code == 503
        assert "redeliver" in while_held.text
        assert knock(stage).text == "accepted\n"


def test_a_database_that_is_read_only_gives_503(database: Database, tmp_path: Path) -> None:
    path = database.url.removeprefix("sqlite:///")
    with door_of(f"sqlite:///file:{path}?mode=ro&uri=true", tmp_path) as stage:
        assert knock(stage).status_code == 503


def test_a_database_whose_directory_is_gone_gives_503(tmp_path: Path) -> None:
    with door_of(f"sqlite:///{tmp_path}/gone/experiment-ci.sqlite3", tmp_path) as stage:
        assert knock(stage).status_code == 503


def test_a_database_without_our_tables_gives_503(tmp_path: Path) -> None:
    with door_of(f"sqlite:///{tmp_path}/new.sqlite3", tmp_path) as stage:
        assert knock(stage).status_code == 503


def test_a_file_that_is_no_database_gives_503(tmp_path: Path) -> None:
    (tmp_path / "text.sqlite3").write_bytes(b"this is no database, but long enough to look like one" * 100)
    with door_of(f"sqlite:///{tmp_path}/text.sqlite3", tmp_path) as stage:
        assert knock(stage).status_code == 503


def test_a_full_disk_gives_503(database: Database, tmp_path: Path) -> None:
    with door_of(database.url, tmp_path) as stage:
        with stage.database.connection() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        assert knock(stage, b"x" * 100_000).status_code == 503
