"""A run's JSON is made strict, or refused with a sentence."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.metrics.documents import DEPTH, BadDocument, strict


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"loss": {"mean": 0.5}, "n": [1, 2]}', {"loss": {"mean": 0.5}, "n": [1, 2]}),
        (b"\xef\xbb\xbf[1]", [1]),
        ('"Käse"'.encode(), "Käse"),
        (b"[NaN, Infinity, -Infinity]", ["NaN", "Infinity", "-Infinity"]),
        (b"[1e999, -1e999]", ["Infinity", "-Infinity"]),
        (b"[" + b"9" * 5000 + b", -" + b"9" * 5000 + b"]", ["Infinity", "-Infinity"]),
        (b'"\\u0000"', "\0"),
        (b'"\\ud83d\\ude00"', "😀"),
    ],
)
def test_it_is_strict_afterwards(data: bytes, value: Any) -> None:
    text = strict(data)
    assert json.loads(text, parse_constant=pytest.fail) == value
    assert text.isascii()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is no JSON: Expecting value (line 1, column 1)"),
        (b'{"a": 1,\n "b" 2}', "is no JSON: Expecting ':' delimiter (line 2, column 6)"),
        (b'{"a": 1} {"a": 2}', "is no JSON: Extra data (line 1, column 10)"),
        (b'"\xff"', "is not UTF-8 (byte 1)"),
        ("[1]".encode("utf-16"), "is not UTF-8 (byte 0)"),
        (b'{"a": {"loss": 1, "acc": 2, "loss": 3}}', "has the key 'loss' twice in one object"),
        (b'"\\ud800"', "contains half a character (a lone surrogate)"),
        (b'{"\\udfff": 1}', "contains half a character (a lone surrogate)"),
        (b"[" * (DEPTH + 2) + b"]" * (DEPTH + 2), "is nested more than 64 deep"),
        (b"[" * 100_000, "is nested more than 64 deep"),
        (b'{"a":' * 100_000, "is nested more than 64 deep"),
    ],
)
def test_it_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(BadDocument) as refusal:
        strict(data)
    assert str(refusal.value) == reason


def test_the_deepest_that_is_taken() -> None:
    assert strict(b"[" * DEPTH + b"]" * DEPTH)


@given(st.binary())
def test_any_bytes_are_strict_json_or_refused(data: bytes) -> None:
    try:
        text = strict(data)
    except BadDocument:
        text = "null"
    json.loads(text, parse_constant=pytest.fail)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@settings(max_examples=30)
@given(VALUES)
def test_what_is_strict_already_keeps_its_meaning(value: Any) -> None:
    assert json.loads(strict(json.dumps(value).encode())) == value
