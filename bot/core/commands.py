"""What people say to the bot in a comment: `/experiment run train LR=0.1`.

A command stands at the beginning of a line of a plain paragraph. What is quoted, stands in code, in a list, or in
HTML that nobody sees is not said to us: google/fuzzbench#1898 ran a command that somebody only wrote about. Markdown
has more ways to quote than a pattern can tell (a line below a quote belongs to it), so its own parser decides.
"""

import difflib
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.core.steering import steers
from bot.core.text import clean

WORD = "/experiment"
LONGEST_COMMENT = 16_384
"""Characters. Hostile Markdown of this length is parsed in half a second; no longer one is looked at."""
MOST_COMMANDS = 5
"""Commands of one comment that are carried out; the others are told to come one by one."""
MOST_SETTINGS, LONGEST_SETTING = 20, 500

_LINE = re.compile(rf"{WORD}(?=\s|$)", re.IGNORECASE)
_SETTING = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,99})=(.*)", re.DOTALL)
_REF = re.compile(r"(?![-/.])[^\s~^:?*\[\\]{1,250}")
_SHA = re.compile(r"[0-9a-f]{40}")


class Verb(StrEnum):
    """What can be asked for."""

    RUN = "run"
    RERUN = "rerun"
    CANCEL = "cancel"
    APPROVE = "approve"
    COMPARE = "compare"
    STATUS = "status"
    HELP = "help"


@dataclass(frozen=True)
class Command:
    """One command. `names` are workflows (run), one check, workflow or `failed` (rerun, cancel), a SHA or a ref.

    `settings` become variables of the run, and nothing else: no part of a command ever reaches a shell.
    """

    verb: Verb
    names: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the command as one would write it."""
        given = (f"{name}={value}" for name, value in self.settings.items())
        return " ".join([WORD, self.verb, *map(_quoted, (*self.names, *given))])


@dataclass(frozen=True)
class Misunderstood:
    """A line that begins like a command and is none; `why` is for whoever wrote it."""

    line: str
    why: str


def find(body: str) -> tuple[Command | Misunderstood, ...]:
    """Return the commands of a new comment, in their order, at most `MOST_COMMANDS`. Total: never raises."""
    if len(body) > LONGEST_COMMENT or WORD not in body.lower():
        return ()
    lines = list(_lines(body))
    read = [read_line(line) for line in lines[:MOST_COMMANDS]]
    if len(lines) > MOST_COMMANDS:
        read.append(Misunderstood(lines[MOST_COMMANDS][:100], f"only {MOST_COMMANDS} commands of a comment are taken"))
    return tuple(read)


def read_line(line: str) -> Command | Misunderstood:
    """Return what a line that begins with `/experiment` asks for."""
    said = " ".join(clean(line).split())
    verb, _, rest = said[len(WORD) :].strip().partition(" ")
    known = verb.lower() or Verb.HELP
    if known not in list(Verb):
        near = difflib.get_close_matches(known, list(Verb), n=1)
        hint = f"Did you mean `{near[0]}`?" if near else f"There are {', '.join(f'`{one}`' for one in Verb)}."
        return Misunderstood(said[:200], f"`{verb[:40]}` is no command. {hint}")
    try:
        return _READERS[Verb(known)](Verb(known), rest)
    except ValueError as error:
        return Misunderstood(said[:200], str(error))


def is_ref(name: str) -> bool:
    """Tell whether this can be the name of a branch, a tag or a commit: it becomes part of an address."""
    return _REF.fullmatch(name) is not None and ".." not in name


def _run(_verb: Verb, rest: str) -> Command:
    try:
        words = shlex.split(rest)
    except ValueError:
        raise ValueError("a quotation mark is left open") from None
    command = run_of(words)
    for name in command.settings:
        if steers(name):
            raise ValueError(f"`{name}` tells programs what to load or to run: only the config may set it")
    return command


def run_of(words: Iterable[str]) -> Command:
    """Return the command that these words make behind `run`: workflows, and settings (`LR=0.1`).

    Raises ValueError with a reason for whoever wrote them.
    """
    names, settings = [], dict[str, str]()
    for word in words:
        setting = _SETTING.fullmatch(word)
        if setting is None:
            names.append(word)
        elif len(setting[2]) > LONGEST_SETTING:
            raise ValueError(f"`{setting[1]}` is longer than {LONGEST_SETTING} characters")
        elif setting[2].startswith("secret:"):
            raise ValueError("a secret cannot be given in a command: name it in the config")
        else:
            settings[setting[1]] = setting[2]
    if len(settings) > MOST_SETTINGS:
        raise ValueError(f"more than {MOST_SETTINGS} settings")
    return Command(Verb.RUN, tuple(dict.fromkeys(names)), settings)


def _one(verb: Verb, rest: str) -> Command:
    """The rest of the line is one name: names of checks have spaces."""
    name = rest.strip("`\"' ")
    return Command(verb, (name,) if name else ())


def _approve(verb: Verb, rest: str) -> Command:
    sha = rest.strip("`").lower()
    if not _SHA.fullmatch(sha):
        raise ValueError(
            "approve names the commit by all of its 40 digits: what you have seen runs, not what was pushed since"
        )
    return Command(verb, (sha,))


def _compare(verb: Verb, rest: str) -> Command:
    ref = rest.strip("`")
    if not is_ref(ref):
        raise ValueError("compare wants one branch, tag or commit")
    return Command(verb, (ref,))


def _bare(verb: Verb, rest: str) -> Command:
    if rest:
        raise ValueError(f"`{verb}` stands alone on its line")
    return Command(verb)


_READERS = {
    Verb.RUN: _run,
    Verb.RERUN: _one,
    Verb.CANCEL: _one,
    Verb.APPROVE: _approve,
    Verb.COMPARE: _compare,
    Verb.STATUS: _bare,
    Verb.HELP: _bare,
}


def _lines(body: str) -> Iterator[str]:
    """Yield the lines of plain paragraphs that begin with the word."""
    try:
        tokens = MarkdownIt("commonmark").parse(body)
    except RecursionError:
        return
    for before, token in pairwise(tokens):
        # Level 1: the paragraph stands in nothing, be it a quote or a list.
        if token.type == "inline" and before.type == "paragraph_open" and before.level == 0:
            for line in _split(token.children or ()):
                # What only reads like the word (code, emphasis) does not begin with plain text.
                if line and line[0].type == "text" and _LINE.match(line[0].content):
                    yield "".join(map(_written, line))


def _split(children: Sequence[Token]) -> Iterator[list[Token]]:
    line: list[Token] = []
    for child in children:
        if child.type in ("softbreak", "hardbreak"):
            yield line
            line = []
        else:
            line.append(child)
    yield line


def _written(token: Token) -> str:
    """Return a piece of a line as it was typed: a workflow's name may have underscores, which mean emphasis."""
    if token.type.endswith(("_open", "_close")):
        return token.markup
    return token.content


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[\w./:=+,@%^-]+", word) else shlex.quote(word)
