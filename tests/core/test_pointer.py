"""JSON pointers: the examples of RFC 6901 and the traps beside them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.pointer import PointerError, number_pointers, resolve

RFC = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", RFC),
        ("/foo", ["bar", "baz"]),
        ("/foo/0", "bar"),
        ("/", 0),
        ("/a~1b", 1),
        ("/c%d", 2),
        ("/e^f", 3),
        ("/g|h", 4),
        ("/i\\j", 5),
        ('/k"l', 6),
        ("/ ", 7),
        ("/m~0n", 8),
    ],
)
def test_the_examples_of_the_standard(pointer: str, value: Any) -> None:
    assert resolve(RFC, pointer) == value


def test_an_escaped_tilde_before_a_one_is_no_slash() -> None:
    assert resolve({"~1": "right", "/": "wrong"}, "/~01") == "right"


@pytest.mark.parametrize("pointer", ["/nope", "/foo/2", "/foo/bar", "/foo/0/0", "/foo/+1", "/foo/1.0", "/foo/١"])
def test_what_is_not_there_is_not_found(pointer: str) -> None:
    with pytest.raises(LookupError):
        resolve(RFC, pointer)


@pytest.mark.parametrize("pointer", ["foo", "foo/0", "#/foo", "/~", "/~2", "/foo/-", "/foo/01", "/foo/00"])
def test_what_is_no_pointer_says_so(pointer: str) -> None:
    with pytest.raises(PointerError, match="is no"):
        resolve(RFC, pointer)


def test_an_object_may_have_keys_that_look_like_bad_indices() -> None:
    assert resolve({"-": 1, "01": 2}, "/-") == 1
    assert resolve({"-": 1, "01": 2}, "/01") == 2


JSON = st.recursive(
    st.floats(allow_nan=False) | st.booleans() | st.none() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=30)
@given(JSON)
def test_every_pointer_to_a_number_leads_to_it(document: Any) -> None:
    for pointer in number_pointers(document):
        assert isinstance(resolve(document, pointer), float)
