"""Text as a scalar of YAML: it says exactly this text, wherever it stands, or it is refused."""

import json
from collections.abc import Callable

from bot.core.config.document import FORBIDDEN, parse
from bot.core.config.problems import Problems

_STYLES: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: "'" + text.replace("'", "''") + "'",
    lambda text: json.dumps(text, ensure_ascii=False),
)


def value(text: str) -> str:
    """Return `text` as the value of a key, with quotes where it needs them. Raises ValueError as `scalar` does."""
    return _first(text, lambda written: (f"a: {written}\n", {"a": text}))


def scalar(text: str) -> str:
    """Return `text` as a value or a key anywhere, in brackets and braces as well.

    The reader of configs is asked whether it reads the same again. Raises ValueError for what it refuses in any
    spelling: invisible characters.
    """
    inner = {text: [text, {"c": text}]}
    return _first(text, lambda written: (f"{written}: {{{written}: [{written}, {{c: {written}}}]}}\n", {text: inner}))


def _first(text: str, example: Callable[[str], tuple[str, object]]) -> str:
    """Return the first spelling of which the reader makes what it should in the example."""
    if FORBIDDEN.search(text):
        raise ValueError("a config cannot hold this text")
    for style in _STYLES:
        written = style(text)
        document, expected = example(written)
        problems = Problems()
        if "\n" not in written and parse(document.encode(), "", problems).root == expected and not list(problems):
            return written
    raise ValueError("a config cannot hold this text")
