"""A stranger's Markdown (the `report.md` that a run left), built anew from the parts that cannot harm.

Nothing is filtered out of the original: rows are recognised as headings, lists, tables, quotes or code and written
again from neutralised text; what is not recognised is shown as the text it is. HTML is text. Images are left out.
A link becomes its label with the address beside it as code: an address that leads elsewhere than it says, or that
leaves a trace in somebody's issue, is nothing a report needs.
"""

import re
from collections import deque
from collections.abc import Iterator

from bot.core.text import Safe, clean, code, fenced, fit, plain

_LONGEST_ROW = 2_000

# Quantifiers are possessive (`*+`): no input makes these patterns try again and again.
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6}) ++(.*)$")
_ITEM = re.compile(r"( *+)([-*+]|\d{1,9}[.)]) ++(.*)$")
_QUOTE = re.compile(r" {0,3}>++ ?(.*)$")
_RULE = re.compile(r" *+([-=_*])\1{2,}+$")
_INLINE = re.compile(
    r"(?<!`)(?P<ticks>`++)(?P<code>[^`]++)(?P=ticks)(?!`)"
    r"|(?P<image>!?)\[(?P<label>[^\[\]]*+)\]\(<?(?P<url>[^()\s<>]*+)>?[^()]*+\)"
)
# Asterisks as `plain` leaves them: escaped. A pair around words means emphasis again.
_STRONG = re.compile(r"\\\*\\\*(?=[^\s\\])((?:(?!\\\*).)++)(?<!\s)\\\*\\\*")
_EMPHASIS = re.compile(r"\\\*(?=[^\s\\])((?:(?!\\\*).)++)(?<!\s)\\\*")


def rebuilt(text: str, limit: int = 20_000) -> Safe:
    """Return `text` rebuilt, in at most `limit` bytes. Headings are made small: they stand inside a text of ours."""
    rows = deque(row.expandtabs(4)[:_LONGEST_ROW].rstrip() for row in clean(text[:limit]).split("\n"))
    blocks = "\n".join(_blocks(rows))
    return Safe(fit(re.sub(r"\n{3,}", "\n\n", blocks).strip("\n"), limit))


def _blocks(rows: deque[str]) -> Iterator[str]:
    indent = -4
    while rows:
        row = rows.popleft()
        if item := _ITEM.match(row):
            # Deeper than one level below the item before, it would be an indented code block.
            indent = min(len(item[1]), indent + 4)
            yield f"{' ' * indent}{'-' if item[2] in '-*+' else '1.'} {_inline(item[3])}"
        else:
            yield from _block(row, rows)
            indent = indent if not row or row.startswith(" ") else -4


def _block(row: str, rows: deque[str]) -> Iterator[str]:
    if opened := _FENCE.match(row):
        yield from ("", fenced("\n".join(_until_fence(rows, opened[1]))), "")
    elif _opens_table(row, rows):
        yield from ("", *_table(row, rows), "")
    elif heading := _HEADING.match(row):
        yield from ("", f"{'#' * min(len(heading[1]) + 3, 6)} {_inline(heading[2].rstrip(' #'))}", "")
    elif _RULE.match(row):
        yield ""
    elif quoted := _QUOTE.match(row):
        yield f"> {_inline(quoted[1])}"
    else:
        yield _inline(row)


def _until_fence(rows: deque[str], fence: str) -> Iterator[str]:
    while rows:
        row = rows.popleft()
        if row.strip().startswith(fence) and not row.strip().strip(fence[0]):
            return
        yield row


def _opens_table(row: str, rows: deque[str]) -> bool:
    return row.lstrip().startswith("|") and bool(rows) and "-" in rows[0] and set(rows[0]) <= set(" |:-")


def _table(header: str, rows: deque[str]) -> Iterator[str]:
    rows.popleft()
    titles = _cells(header)
    yield _row(titles)
    yield _row(["---"] * len(titles))
    while rows and rows[0].lstrip().startswith("|"):
        cells = _cells(rows.popleft())
        yield _row((cells + [""] * len(titles))[: len(titles)])


def _cells(row: str) -> list[str]:
    inner = re.sub(r"^\||(?<!\\)\|$", "", row.strip())
    return [_inline(cell.replace("\\|", "|")) for cell in re.split(r"(?<!\\)\|", inner)]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _inline(text: str) -> str:
    parts, start = [], 0
    for found in _INLINE.finditer(text):
        parts += [_words(text[start : found.start()]), _token(found)]
        start = found.end()
    return "".join([*parts, _words(text[start:])]).strip()


def _token(found: re.Match[str]) -> str:
    if found["code"] is not None:
        return code(found["code"])
    if found["image"]:
        return f"{plain(found['label'])} (a picture, left out)"
    return f"{plain(found['label'])} ({code(found['url'])})"


def _words(text: str) -> str:
    """Return a piece of a row neutralised, its asterisks meaning what they meant. Spaces at its ends stay."""
    escaped = _EMPHASIS.sub(r"*\1*", _STRONG.sub(r"**\1**", plain(text, _LONGEST_ROW)))
    return f"{' ' * text[:1].isspace()}{escaped}{' ' * (bool(escaped) and text[-1:].isspace())}"
