"""The bot's own log: lines that nobody else can write."""

import logging
import sys
from types import TracebackType

import pytest

from bot.logs import LineFormatter

_Raised = tuple[type[BaseException], BaseException, TracebackType | None]


def shown(message: str, *args: object, raised: _Raised | None = None) -> str:
    record = logging.LogRecord("bot.worker.intake", logging.WARNING, __file__, 1, message, args, raised)
    return LineFormatter().format(record)


def test_a_message_is_one_line_whatever_is_in_it() -> None:
    branch = "x\r\n2026-11-28 12:00:00,000 INFO bot.web: login by root\u2028and more"
    text = shown("delivery %s waits: %s", "1-2", branch)
    assert text.count("\n") == 0
    assert "WARNING bot.worker.intake: delivery 1-2 waits: x\\n2026" in text
    assert text.endswith("root\\nand more")


def test_no_message_commands_the_terminal() -> None:
    text = shown("%s", "a\x1b[2J\x1b]0;owned\x07b\x9b31mc\u202ed")
    assert text.endswith(": abcd")


@pytest.mark.parametrize(
    "credential",
    [
        "ghs_" + "a" * 36,
        "ghp_" + "b" * 36,
        "github_pat_11ABCDEFG_" + "c" * 40,
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxIn0.c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIEow",
    ],
)
def test_no_credential_of_githubs_is_left_in_a_message_or_a_traceback(credential: str) -> None:
    secret = credential.rsplit("\n", maxsplit=1)[-1] if "\n" not in credential else "MIIEow"
    assert secret not in shown("fetched with %s", credential)
    try:
        raise ValueError(f"refused: {credential}")
    except ValueError:
        text = shown("it failed", raised=sys.exc_info())  # type: ignore[arg-type] # there is one
    assert "Traceback" in text
    assert secret not in text
    assert "***" in text


def test_what_only_looks_a_little_like_one_stays() -> None:
    text = "ghs_ is how they begin; a branch called eyJ.a.b, a step ghx_0123456789abcdef"
    assert shown("%s", text).endswith(text)
