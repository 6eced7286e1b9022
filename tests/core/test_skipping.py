"""Commit messages that ask for no build."""

import pytest

from bot.core.skipping import asks_to_skip


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Fix a typo [skip ci]", "[skip ci]"),
        ("Fix a typo\n\nDetails, [CI SKIP] and more", "[CI SKIP]"),
        ("[no ci] Notes", "[no ci]"),
        ("x [skip actions]", "[skip actions]"),
        ("x [actions skip]", "[actions skip]"),
        ("Title\n\n\nskip-checks: true", "skip-checks: true"),
        ("Title\n\nBody\n\nSigned-off-by: A <a@b>\nskip-checks:true\n", "skip-checks:true"),
        ("Title\n\nWe no longer write skip-checks: true anywhere", ""),
        ("skip-checks: true", ""),  # a title is no trailer
        ("Title\n\nskip-checks: false", ""),
        ("skip the ci", ""),
        ("", ""),
    ],
)
def test_the_words_are_githubs(message: str, words: str) -> None:
    assert asks_to_skip(message) == words
