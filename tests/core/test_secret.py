"""What may be a secret, its name, its scope."""

import pytest

from bot.core.secret import LARGEST, NAME, refusal, scope_of


def test_scopes_are_githubs_names_in_lower_case() -> None:
    assert scope_of("Acme") == "acme"
    assert scope_of("Acme", "Digits.py") == "acme/digits.py"
    assert scope_of("mona-lisa_acme") == "mona-lisa_acme", "a managed user"


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("", None),
        ("acme/digits", None),
        ("-acme", None),
        ("a" * 40, None),
        ("acme\n", None),
        ("äcme", None),
        ("acme", ""),
        ("acme", "a/b"),
        ("acme", "x" * 101),
        ("acme", "digits\n"),
        ("acme", "di gits"),
    ],
)
def test_what_github_has_no_name_for(owner: str, name: str | None) -> None:
    with pytest.raises(ValueError, match="is no owner or repository"):
        scope_of(owner, name)


def test_names() -> None:
    for good in ("token", "AWS_KEY", "_x", "a-b-1", "a" * 100):
        assert NAME.fullmatch(good)
    for bad in ("", "1a", "-a", "a b", "a.b", "ä", "a\n", "a" * 101):
        assert not NAME.fullmatch(bad)


def test_values() -> None:
    assert refusal("1234") == ""
    assert refusal("x" * LARGEST) == ""
    assert "at least 4 characters" in refusal("123")
    assert "at least 4 characters" in refusal("  123  \n")
    assert "NUL" in refusal("1234\0")
    assert "49152 bytes" in refusal("ä" * (LARGEST // 2 + 1))
