"""Every word the bot says, pinned. A change of words is a change of the product: see it whole in golden/."""

import pytest

from tests.core.report.words import GOLDEN, SITUATIONS, document


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_words(situation: str) -> None:
    assert document(situation) == (GOLDEN / f"{situation}.md").read_text()


def test_no_words_are_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(SITUATIONS)
