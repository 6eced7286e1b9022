"""`triggers` of version 2, which are the `filters` of version 1: what starts a workflow."""

from typing import Annotated, ClassVar

from pydantic import Field

from bot.core.config.models import EventKind, Triggers
from bot.core.config.section import Loc, Reading, Section, listed
from bot.core.config.values import Pattern, choice
from bot.core.patterns import MAX_PATTERNS, Filter

_Patterns = Annotated[list[Pattern], listed(MAX_PATTERNS, "patterns", Pattern | list[Pattern])]
_Event = Annotated[EventKind, choice(EventKind)]
_Events = Annotated[list[_Event], listed(len(EventKind), "events", _Event | list[_Event])]


class FilterSection(Section):
    """`only` or `ignore`, each one regular expression or a list."""

    only: _Patterns | None = Field(None, description="Regular expressions; one of them must match the whole name")
    ignore: _Patterns | None = Field(None, description="Regular expressions; none may match the whole name")


class TriggersSection(Section):
    """What starts a workflow."""

    advice: ClassVar = {
        "only": "Say of what: put it below `branches`, `tags` or `paths`.",
        "ignore": "Say of what: put it below `branches`, `tags` or `paths`.",
    }

    branches: FilterSection | None = Field(
        None, description="The pushed branch, or the base branch of a pull request; default: the default branch"
    )
    tags: FilterSection | None = Field(None, description="The pushed tag; default: none")
    paths: FilterSection | None = Field(None, description="The changed files; default: all")
    events: _Events | None = Field(None, description="What starts the workflow; default: all four")


def read_triggers(section: TriggersSection | None, reading: Reading, loc: Loc) -> Triggers:
    """Return the triggers; `loc` is where the section stands."""
    if section is None:
        return Triggers()
    return Triggers(
        branches=_filter(section.branches, reading, (*loc, "branches")),
        tags=_filter(section.tags, reading, (*loc, "tags")),
        paths=_filter(section.paths, reading, (*loc, "paths")),
        events=frozenset(section.events) if section.events else frozenset(EventKind),
    )


def _filter(section: FilterSection | None, reading: Reading, loc: Loc) -> Filter | None:
    if section is None:
        return None
    if section.only and section.ignore:
        reading.error(
            "`only` and `ignore` exclude each other",
            "Keep one: `only` selects what matches, `ignore` everything else.",
            reading.key_at(*loc, "ignore"),
        )
        return None
    for key, patterns in (("only", section.only), ("ignore", section.ignore)):
        for position, pattern in enumerate(patterns or ()):
            _warn_of_wildcard(pattern, reading, (*loc, key, position))
    return Filter(tuple(section.only or ()), tuple(section.ignore or ()))


def _warn_of_wildcard(pattern: str, reading: Reading, loc: Loc) -> None:
    """A wildcard is often a regular expression too, but of another meaning: then nothing would ever be selected."""
    if "/*" in pattern:
        hint = "For everything below a directory write `src/.*`."
        reading.warn("`/*` is a number of slashes here, not a wildcard", hint, reading.value_at(*loc))
    elif pattern.endswith("/"):
        hint = "Patterns match whole names: write `src/.*` for everything below `src/`."
        reading.warn("No name ends with a slash", hint, reading.value_at(*loc))
