"""Markdown as GitHub's own library reads it, taken apart so that tests can ask what a reader would see."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import cmarkgfm
from cmarkgfm.cmark import Options

_VOID = {"br", "hr", "img", "input"}

# What GitHub makes of text once Markdown is done: mentions, references, addresses that it would link, emoji.
_ALIVE = re.compile(r"@[a-zA-Z0-9]|#[0-9]|(?i:\bgh-[0-9])|[a-zA-Z]://|(?i:www\.)|:[a-z_]+:")


@dataclass
class Page(HTMLParser):
    """A rendered page: its tags in order, its links, and its text inside and outside of code."""

    markdown: str
    tags: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    prose: str = ""
    code: str = ""
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        # "Unsafe" shows raw HTML as GitHub would before its sanitizer: anything that is ours must be harmless already.
        self.feed(cmarkgfm.github_flavored_markdown_to_html(self.markdown, Options.CMARK_OPT_UNSAFE))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        if tag == "a":
            self.links.append(given.get("href") or "")
        if tag == "img":
            self.images.append(given.get("src") or "")
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += 1
            self.cells.append("")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"{tag} closes something else in {self.markdown!r}"

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & set(self._open):
            self.cells[-1] += data
        if {"code", "pre"} & set(self._open):
            self.code += data
        else:
            self.prose += data

    @property
    def is_closed(self) -> bool:
        return not self._open

    @property
    def alive(self) -> list[str]:
        """What GitHub would turn into a mention, a reference or a link, outside of code."""
        return _ALIVE.findall(self.prose)
