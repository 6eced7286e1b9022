"""Text as YAML, with no more quotes than it needs."""

import pytest

from bot.init.scalars import scalar, value


@pytest.mark.parametrize(
    ("text", "anywhere", "behind_a_key"),
    [
        ("python3 train.py", "python3 train.py", "python3 train.py"),
        ("python3 train.py --lr {lr}", "'python3 train.py --lr {lr}'", "python3 train.py --lr {lr}"),
        ("tensorflow:validation/loss", "tensorflow:validation/loss", "tensorflow:validation/loss"),
        (r".*\.md", r".*\.md", r".*\.md"),
        ("loguniform(0.1, 1)", "'loguniform(0.1, 1)'", "loguniform(0.1, 1)"),
        ("a: b", "'a: b'", "'a: b'"),
        ("a #b", "'a #b'", "'a #b'"),
        ("it's", "it's", "it's"),
        ("'quoted'", "'''quoted'''", "'''quoted'''"),
        ("*a", "'*a'", "'*a'"),
        ("!a", "'!a'", "'!a'"),
        ("- a", "'- a'", "'- a'"),
        ("~", "'~'", "'~'"),
        ("null", "'null'", "'null'"),
        (" a ", "' a '", "' a '"),
        ("a\nb", '"a\\nb"', '"a\\nb"'),
        ("<<", "'<<'", "<<"),
    ],
)
def test_text_with_the_quotes_that_it_needs(text: str, anywhere: str, behind_a_key: str) -> None:
    assert (scalar(text), value(text)) == (anywhere, behind_a_key)


@pytest.mark.parametrize("text", ["\x1b[0m", "\u202e", "\udcff", "a\0", "\u2028"])
def test_what_no_config_may_hold(text: str) -> None:
    for style in (scalar, value):
        with pytest.raises(ValueError, match="a config cannot hold this text"):
            style(text)
