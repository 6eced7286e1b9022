"""A webhook is GitHub's when its signature says so, and nothing that a stranger sends can do more than be wrong."""

import hashlib
import hmac

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.forge.signature import is_signed

SECRET = "It's a Secret to Everybody"
BODY = b"Hello, World!"
SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


def test_githubs_own_example_is_good() -> None:
    assert is_signed(BODY, SIGNATURE, [SECRET])


def test_while_rotating_both_secrets_are_good() -> None:
    assert is_signed(BODY, SIGNATURE, [SECRET, "the next one"])
    assert is_signed(BODY, SIGNATURE, ["the next one", SECRET])
    assert not is_signed(BODY, SIGNATURE, ["the next one", "and another"])


def test_one_changed_byte_is_enough_to_be_refused() -> None:
    assert not is_signed(BODY + b" ", SIGNATURE, [SECRET])
    assert not is_signed(BODY, SIGNATURE[:-1] + "8", [SECRET])


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "foo",
        "=",
        "sha256=",
        SIGNATURE.removeprefix("sha256="),
        SIGNATURE.replace("sha256", "sha1"),
        SIGNATURE.upper(),
        SIGNATURE + " ",
        SIGNATURE + "," + SIGNATURE,
        "sha256=" + "é" * 64,
        "sha256=" + "\ud800" * 64,
    ],
)
def test_what_is_not_exactly_the_signature_is_refused(header: str | None) -> None:
    assert not is_signed(BODY, header, [SECRET])


def test_without_a_secret_nothing_is_good() -> None:
    """A forgotten setting must not open the door: anybody can sign with an empty secret."""
    signed_with_nothing = "sha256=" + hmac.new(b"", BODY, hashlib.sha256).hexdigest()

    assert not is_signed(BODY, signed_with_nothing, [""])
    assert not is_signed(BODY, SIGNATURE, [])


@given(header=st.text(st.characters()) | st.none(), body=st.binary(), secret=st.text(min_size=1))
@example(header="sha256=ÿ", body=b"", secret="é")
@example(header="sha256=\udcff", body=b"\xff", secret="\udcff")
def test_no_header_raises_and_none_but_the_right_one_passes(header: str | None, body: bytes, secret: str) -> None:
    assert is_signed(body, header, [secret]) is False
