"""Untrusted text made harmless, in one place.

Everything that a stranger can choose passes here before GitHub shows it: metric, workflow and file names, commit
titles, commands, log lines. What comes out may be put anywhere in a paragraph or a
table cell: it opens no link, loads no image, mentions nobody, refers to no issue and breaks no layout.

Three layers, each usable alone: `clean` (what a terminal or a bidi attack hides), `line` and `prose` (references
broken), `plain` / `code` / `fenced` (Markdown, marked `Safe`); and `fit` for GitHub's size limits. The longer
Markdown that a run writes itself is `bot.core.markdown`'s.
"""

import re
from urllib.parse import quote, urlsplit

ZWSP = "\u200b"
"""A zero-width space. It breaks a mention where a backslash does not (github/cmark-gfm#389), in e-mails too."""

MARKER = "<!-- experiment-ci:report -->"
"""The hidden last line of our comment, by which it is found again. No untrusted text can contain it."""

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: window titles, hyperlinks
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movements
    r"|\x1b[@-Z\\-_]?"
)
_BREAKS = re.compile("[\v\f\x85\u2028\u2029]")
# Control characters, and format characters that show nothing but change what is seen: bidi overrides and isolates,
# zero-width spaces, soft hyphens, byte-order marks, tag characters. Joiners stay: scripts and emoji need them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SURROGATES = re.compile("[\ud800-\udfff]")

# What GitHub turns into something after Markdown is done, so that only a broken word keeps it from doing so. Bare
# SHAs stay whole: GitHub links them only within the repository, tells nobody, and people want to copy them.
_REFERENCES = (
    (re.compile(r"@"), "@" + ZWSP),  # people, teams, e-mail addresses, owner/repo@sha
    (re.compile(r"#(?=\d)"), "#" + ZWSP),  # #1 and owner/repo#1
    (re.compile(r"(?i)\b(gh)-(?=\d)"), rf"\1-{ZWSP}"),  # GH-1
    (re.compile(r"://"), ZWSP + "://"),  # addresses: links of themselves, and back-links into other repositories
    (re.compile(r"(?i)(www)\."), rf"\1{ZWSP}."),
    (re.compile(r":(?=[a-z0-9_+-]+:)"), ":" + ZWSP),  # :tada: — a name must not draw a tick for itself
)

_MARKUP = str.maketrans(
    {character: f"\\{character}" for character in "\\`*_[]~"}
    # Backslashes do not help against a marker search, a table's pipes or mathematics.
    | {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;", "$": "&#36;"}
)
_LONG_TICKS = re.compile("(`{20})(?=`)")
_BLOCK_START = re.compile(r"^(?:([#+\-=:])|(\d{1,9})([.)])(?=\s|$))")


class Safe(str):
    """Markdown that is ours: written by this module or by a template. All other strings are neutralised when shown.

    Adding, joining or formatting a `Safe` gives an ordinary string again: what is forgotten is escaped, not trusted.
    """

    __slots__ = ()


def clean(text: str) -> str:
    """Return `text` as a terminal would leave it on paper: no escape sequences, nothing invisible, only `\\n` breaks.

    A progress bar that overwrites itself with carriage returns leaves its last state.
    """
    text = _BREAKS.sub("\n", _ESCAPES.sub("", text))
    rows = (row.rstrip("\r").rpartition("\r")[2] for row in text.split("\n"))
    return _SURROGATES.sub("\ufffd", _INVISIBLE.sub("", "\n".join(rows)))


def name(text: str) -> str:
    """Return `text` cleaned and on one line but otherwise unchanged: for names that people must be able to repeat."""
    return " ".join(clean(text).split())


def short(text: str, limit: int = 300) -> str:
    """Return `text` cleaned and on one line of at most `limit` characters: for a terminal."""
    return _shorten(name(text), limit)


def line(text: str, limit: int = 300) -> str:
    """Return `text` on one line of at most `limit` characters, references broken: for places that know no Markdown."""
    return _inert(short(text, limit))


def prose(text: str, limit: int = 2_000) -> str:
    """Return `text` with its line breaks, references broken: for longer places that know no Markdown."""
    return _inert(_shorten(clean(text).strip(), limit))


def plain(text: str, limit: int = 300) -> Safe:
    """Return `text` as Markdown that reads exactly like it, on one line: for a paragraph, a link's label or a cell."""
    escaped = line(text, limit).translate(_MARKUP)
    return Safe(_BLOCK_START.sub(lambda m: f"\\{m[1]}" if m[1] else f"{m[2]}\\{m[3]}", escaped))


def code(text: str, limit: int = 300) -> Safe:
    """Return `text` as inline code, fit for a table cell as well.

    Characters that a code span cannot carry everywhere (a pipe ends a cell even inside one) take the HTML element.
    """
    shown = _shorten(name(text), limit) or " "
    if any(character in shown for character in "`|\\<"):
        return Safe(f"<code>{plain(shown, limit)}</code>")
    return Safe(f"`{shown}`")


def fenced(text: str, language: str = "text", limit: int = 20_000) -> Safe:
    """Return `text` as a code block whose fence is longer than any inside. `language` is ours, never a stranger's.

    Beyond `limit` bytes the beginning is left out and the block says so: a log's end is what people look for.
    """
    shown = clean(text).strip("\n").replace("<!--", f"<{ZWSP}!--")
    shown = _LONG_TICKS.sub(rf"\1{ZWSP}", shown)  # a fence must not outgrow what it holds
    kept = _last_bytes(shown, limit)
    if kept != shown:
        kept = f"… the beginning is left out …\n{kept}"
    longest = max((len(run) for run in re.findall("`+", kept)), default=0)
    fence = "`" * max(3, longest + 1)
    return Safe(f"{fence}{language}\n{kept}\n{fence}")


def link(label: str, url: str) -> Safe:
    """Return a link to an address of ours. `label` is neutralised unless it is `Safe`.

    Raises ValueError for an address that is not http(s): such a one can only be a mistake of ours.
    """
    shown = label if isinstance(label, Safe) else plain(label)
    return Safe(f"[{shown}]({address(url)})")


def image(alternative: str, url: str) -> Safe:
    """Return an image of ours, as `link` does."""
    return Safe(f"![{plain(alternative)}]({address(url)})")


def address(url: str) -> Safe:
    """Return `url` with everything percent-encoded that could end a Markdown link. Raises ValueError unless http(s)."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError(f"not an http(s) address: {line(url, 80)}")
    return Safe(quote(url, safe="/:?#@!&=+,;%~-._"))


def fit(text: str, limit: int) -> str:
    """Return Markdown of our making cut to `limit` bytes, whole: open code blocks and folds closed, and the cut named.

    Rows are kept or dropped whole, except inside a code block: half a row could be half a code span, whose
    contents would come to life.
    """
    if len(text.encode()) <= limit:
        return text
    size, room = 0, limit - 400
    kept: list[str] = []
    fence, folds = "", 0
    for row in text.split("\n"):
        size += len(row.encode()) + 1
        if size > room:
            if fence:
                kept.append(_first_bytes(row, max(0, room - size + len(row.encode()))))
            break
        kept.append(row)
        fence = _fence_after(row, fence)
        folds += 0 if fence else (row == "<details>") - (row == "</details>")
    closing = ([fence] if fence else []) + ["", "</details>"] * folds
    note = f"✂️ Cut here: GitHub takes at most {limit:,} bytes."
    return "\n".join([*kept, *closing, "", note])


def _inert(text: str) -> str:
    for pattern, replacement in _REFERENCES:
        text = pattern.sub(replacement, text)
    return text


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _first_bytes(text: str, limit: int) -> str:
    return text.encode()[:limit].decode(errors="ignore")


def _last_bytes(text: str, limit: int) -> str:
    data = text.encode()
    return text if len(data) <= limit else data[-limit:].decode(errors="ignore")


def _fence_after(row: str, fence: str) -> str:
    """Return the code fence that is open after `row`, given the one open before it; empty for none."""
    if fence:
        return "" if row == fence else fence
    opened = re.match("`{3,}", row)
    return opened[0] if opened else ""
