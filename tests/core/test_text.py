"""Whatever a stranger writes is shown as written, and does nothing."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.core import text
from bot.core.text import MARKER, ZWSP, Safe, clean, code, fenced, fit, line, link, name, plain, prose
from tests.core.rendering import Page

WEAPONS = (
    *("@octocat", "@octo/team", "#1", "octo/digits#2", "GH-3", "gh-4", "octocat@example.org", ":tada:"),
    *("https://github.com/octo/digits/issues/1", "http://evil.example", "www.evil.example", "ftp://evil.example"),
    *("<script>alert(1)</script>", "<!--", "-->", MARKER, "<b>", "</details>", "<details>", "</td>", "&lt;", "&#64;"),
    *("![pixel](https://evil.example/p.png)", "[click](https://evil.example)", "[ref]: https://evil.example", "[ref]"),
    *("`", "``", "```", "~~~", "\\", "\\|", "|", "| a | b |", "|---|---|", "**", "__", "~~", "*", "_", "$x$", "$$"),
    *("\n", "\r\n", "\r", "\n\n", "\t", "    ", " ", "# h", "- ", "1. ", "1)", "+ ", "> ", "---", "===", ":-:", "[^1]"),
    *("\x1b[31m", "\x1b]8;;https://evil.example\x07", "\x9b1m", "\x00", "\x08", "\u202e", "\u2066", "\ufeff", ZWSP),
    *("\ud800", "\u2028", "\u00ad", "é", "模", "👩‍🔬", "<https://evil.example>", "<a@evil.example>", "[!NOTE]", "[x] "),
)

hostile = st.lists(st.sampled_from(WEAPONS) | st.text(max_size=6), max_size=12).map("".join)


def spaces_aside(shown: str) -> str:
    return " ".join(shown.split())


@given(hostile)
@example("---\n")
@example("1.\n")
@example("`a` __b__ _c_ **d** *e* ~~f~~ [g](https://h) ![i](j) <b> &lt; :tada:")
@settings(deadline=None, max_examples=40)
def test_plain_text_reads_like_itself_in_a_paragraph(words: str) -> None:
    page = Page(f"We say\n{plain(words)}\n")
    assert page.tags == ["p"]
    assert spaces_aside(page.text) == spaces_aside(f"We say {line(words)}")
    assert page.alive == []


@given(hostile)
@settings(deadline=None, max_examples=40)
def test_plain_text_reads_like_itself_at_the_beginning(words: str) -> None:
    page = Page(plain(words))
    assert set(page.tags) <= {"p"}
    assert spaces_aside(page.text) == line(words)


@given(hostile, hostile)
@settings(deadline=None, max_examples=40)
def test_a_table_keeps_its_columns(words: str, more: str) -> None:
    page = Page(f"| a | b | c |\n| --- | --- | --- |\n| {plain(words)} | {code(more)} | end |\n")
    assert page.rows == [3, 3]
    shown = [spaces_aside(cell.replace(ZWSP, "")) for cell in page.cells[3:]]
    assert shown == [line(words).replace(ZWSP, ""), text._shorten(name(more), 300), "end"]
    assert set(page.tags) <= {"table", "thead", "tbody", "tr", "th", "td", "code"}
    assert page.alive == []


@given(hostile)
@settings(deadline=None, max_examples=40)
def test_inline_code_is_one_piece_of_code(words: str) -> None:
    page = Page(f"is {code(words)} so")
    assert page.tags == ["p", "code"]
    assert page.alive == []
    assert page.prose.split() == ["is", "so"]


@given(hostile)
@settings(deadline=None, max_examples=40)
def test_a_code_block_holds_what_it_was_given(words: str) -> None:
    page = Page(f"before\n\n{fenced(words)}\n\nafter")
    assert page.tags == ["p", "pre", "code", "p"]
    assert page.prose.split() == ["before", "after"]
    assert page.code.replace(ZWSP, "").strip("\n") == clean(words).strip("\n")


@given(hostile)
@settings(deadline=None, max_examples=40)
def test_a_link_is_ours_alone(words: str) -> None:
    page = Page(f"see {link(words, 'https://ci.example.org/e/1?token=a_b*c')} there")
    assert page.links == ["https://ci.example.org/e/1?token=a_b%2Ac"]
    assert page.alive == []


@given(hostile)
@settings(deadline=None, max_examples=40)
def test_nobody_can_forge_our_marker(words: str) -> None:
    for shown in (plain(words), code(words), fenced(words)):
        assert MARKER not in shown
        assert "<!--" not in shown


@given(hostile)
@settings(deadline=None, max_examples=40)
def test_everything_can_be_sent(words: str) -> None:
    for shown in (clean(words), line(words), prose(words), plain(words), code(words), fenced(words)):
        shown.encode()  # a lone surrogate would raise


@given(hostile, st.integers(1_000, 1_400))
@settings(deadline=None, max_examples=50)
def test_a_text_that_is_too_long_is_cut_whole(words: str, limit: int) -> None:
    log = fenced(f"{words}é" * 200)
    long = f"start {plain(words)}\n\n<details>\n<summary>log</summary>\n\n{log}\n\n</details>\n\nend"
    short = fit(long, limit)
    assert len(short.encode()) <= limit or short == long
    page = Page(short)
    assert page.is_closed
    assert page.tags.count("details") == 1
    assert page.alive == []


def test_a_cut_says_that_it_is_one() -> None:
    assert fit("words\n" * 300, 1_000).endswith("✂️ Cut here: GitHub takes at most 1,000 bytes.")
    assert fit("words", 1_000) == "words"


def test_a_cut_never_splits_a_character() -> None:
    cut = fit(f"```text\n{'é' * 2_000}\n```", 1_001)
    assert len(cut.encode()) <= 1_001
    assert "\ufffd" not in cut
    assert cut.split("\n")[2] == "```"


def test_half_a_row_outside_of_code_is_left_out() -> None:
    # Cut in its middle, the code span would be open and what it holds would come to life.
    assert "@octocat" not in fit(f"fine\n`{'x' * 600} @octocat {'x' * 600}`", 1_050)


def test_a_log_loses_its_beginning_not_its_end() -> None:
    shown = fenced("\n".join(f"line {n}" for n in range(1_000)), limit=50)
    assert shown.startswith("```text\n… the beginning is left out …\n")
    assert shown.endswith("line 998\nline 999\n```")


def test_a_progress_bar_leaves_its_last_state() -> None:
    assert clean("10%\r50%\r100%\r\ndone\r\n") == "100%\ndone\n"


def test_colours_and_terminal_links_are_gone() -> None:
    assert clean("\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07text\x1b]8;;\x07 \x9b2J.") == "red text ."


def test_what_hides_is_gone_and_what_writes_stays() -> None:
    assert clean("a\u202eb\u2066c\u200bd\ufeffe\u00adf") == "abcdef"
    assert clean("👩‍🔬 می‌خواهم") == "👩‍🔬 می‌خواهم"


def test_names_stay_as_people_must_repeat_them() -> None:
    assert name(" val/acc@5 \n #1 ") == "val/acc@5 #1"


def test_common_code_is_plain_backticks() -> None:
    assert code("tensorflow:accuracy") == "`tensorflow:accuracy`"
    assert code("a|b") == "<code>a&#124;b</code>"


def test_long_text_is_shortened() -> None:
    assert plain("x" * 400, 10) == "xxxxxxxxx…"


def test_what_the_renderer_here_does_not_know_is_disarmed_too() -> None:
    assert plain("$x$ > [^1]") == "&#36;x&#36; &gt; \\[^1\\]"


def test_a_plain_number_is_left_alone() -> None:
    assert plain("0.71") == "0.71"
    assert plain("1. first") == "1\\. first"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "ftp://x/y", ""])
def test_only_http_addresses_become_links(url: str) -> None:
    with pytest.raises(ValueError, match="not an http"):
        link("label", url)


def test_what_is_made_of_safe_text_is_not_safe_by_itself() -> None:
    assert isinstance(plain("x"), Safe)
    assert not isinstance(plain("x") + "<b>", Safe)
    assert not isinstance(", ".join([plain("x")]), Safe)
