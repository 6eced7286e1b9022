"""A proposal becomes text: the config, and what the terminal says. The words stand in templates/init/."""

import re
import shlex
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined

from bot.core import config
from bot.core.text import Safe
from bot.init import scalars
from bot.init.completing import BLANK
from bot.init.facts import Repository
from bot.init.guess import Proposal
from bot.resources import TEMPLATES

_LONGEST, _WIDTH = 200, 118
_LOOK = re.compile(r"^ *# LOOK:", re.MULTILINE)


@dataclass(frozen=True)
class Told:
    """What happened: `path` was written, or only printed (then it is empty), below the checkout at `root`."""

    root: str
    path: str


def render_config(proposal: Proposal) -> str:
    """Return the config's text. `check-config` has nothing to say of it."""
    rendered = _environment().get_template("init/config.yaml.j2").render(p=proposal, blank=BLANK)
    return re.sub(r"\n{3,}", "\n\n", rendered).strip() + "\n"


def render_told(proposal: Proposal, repository: Repository, text: str, told: Told) -> str:
    """Return what the terminal says of it; only printable characters, whatever the repository holds."""
    places = [text.count("\n", 0, found.start()) + 1 for found in _LOOK.finditer(text)]
    template = _environment().get_template("init/told.j2")
    return template.render(p=proposal, r=repository, told=told, places=places)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        finalize=_shown,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML: `_shown` does what comments and terminals need
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "example": _example,
        "prose": _prose,
        "yaml": _safe(scalars.scalar),
        "yamls": lambda items: Safe(", ".join(map(scalars.scalar, items))),
        "leading_capital": lambda words: words[:1].upper() + words[1:],
        "value": _safe(scalars.value),
        "shell": lambda word: Safe(shlex.quote(_neutral(word))),
    }
    return environment


def _safe(style: Callable[[str], str]) -> Callable[[str], Safe]:
    return lambda text: Safe(style(text))


def _shown(value: object) -> str:
    """Neutralise what a template shows, unless it was made safe: in a comment and on a terminal text has one line."""
    if isinstance(value, Safe):
        return value
    if isinstance(value, str | int):
        return _neutral(str(value))
    if isinstance(value, Undefined):
        str(value)  # raises UndefinedError, with the name that is missing
    raise TypeError(f"a template cannot show {type(value).__name__}")


def _neutral(text: str) -> str:
    line = config.printable(text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _prose(block: str, indent: int) -> Safe:
    """Return sentences as a comment of lines that are not too long, where words allow it."""
    room = _WIDTH - indent - len("# ")
    lines = textwrap.wrap(" ".join(block.split()), room, break_long_words=False, break_on_hyphens=False)
    return Safe("".join(f"{' ' * indent}# {line}\n" for line in lines))


def _example(block: str, indent: int) -> Safe:
    """Return lines of YAML as an example: each behind a `#` that stands where the YAML is to stand."""
    lines = [line for line in textwrap.dedent(block).split("\n") if line.strip()]
    return Safe("".join(f"{' ' * indent}#{line}\n" for line in lines))
