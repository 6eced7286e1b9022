"""A run's own report keeps its shape and loses its teeth."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.markdown import rebuilt
from bot.core.text import MARKER
from tests.core.rendering import Page
from tests.core.test_text import WEAPONS, hostile

HARMLESS = {
    *("p", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "strong", "em"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}

documents = st.lists(hostile | st.sampled_from(WEAPONS), max_size=12).map("\n".join)


@given(documents)
@settings(deadline=None, max_examples=80)
def test_no_report_links_mentions_or_breaks_out(document: str) -> None:
    page = Page(f"### Report\n\n{rebuilt(document)}\n\n<details>\n<summary>log</summary>\n\nours\n\n</details>\n")
    assert set(page.tags) <= HARMLESS | {"h3", "details", "summary"}
    assert page.tags.count("details") == 1
    assert page.is_closed
    assert page.links == page.images == page.alive == []
    assert page.prose.split()[-2:] == ["log", "ours"]
    assert MARKER not in page.markdown


@given(documents)
@settings(deadline=None, max_examples=40)
def test_rebuilding_stays_within_its_limit(document: str) -> None:
    assert len(rebuilt(document * 5, 2_000).encode()) <= 2_000


def test_what_is_harmless_keeps_its_meaning() -> None:
    page = Page(rebuilt("# Title\n\nSome **bold**, *soft* and `code`.\n\n- one\n  - two\n\n1. first\n\n> said\n"))
    assert page.tags == [
        *("h4", "p", "strong", "em", "code", "ul", "li", "ul", "li", "ol", "li", "blockquote", "p"),
    ]


def test_a_table_stays_a_table() -> None:
    assert rebuilt("| a | b |\n|:--|--:|\n| 1 | x \\| y |\n| 2 |\n| 3 | 4 | 5 |") == (
        "| a | b |\n| --- | --- |\n| 1 | x &#124; y |\n| 2 |  |\n| 3 | 4 |"
    )


def test_links_become_words_and_images_are_left_out() -> None:
    assert rebuilt("See [notes](https://x.example/a) ![plot](p.png)") == (
        "See notes (`https://x.example/a`) plot (a picture, left out)"
    )


def test_html_is_shown_as_text() -> None:
    assert Page(rebuilt("<details><img src=x onerror=alert(1)>")).tags == ["p"]


def test_an_open_code_block_is_closed() -> None:
    assert rebuilt("```python\n@octocat") == "```text\n@octocat\n```"


def test_no_row_takes_long() -> None:
    for evil in (
        "`" * 5_000,
        "[a](" * 2_000,
        "#" * 5_000,
        "*a" * 3_000,
        "|" * 9_000 + "\n" + "|-" * 4_000,
        "[" * 5_000,
    ):
        rebuilt(evil * 4)
