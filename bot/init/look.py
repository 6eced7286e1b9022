"""A checkout becomes facts: the edge where files are read. Nothing of the repository is run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bot.core.config import CONFIG_PATHS
from bot.init import manifests
from bot.init.facts import Entry, Mention, Parameters, Recipe, Repository, Script
from bot.init.listing import content, names, opened
from bot.init.source import read_script

MOST_FILES = 2_000
"""Files that are read."""
MOST_CHARACTERS = 4 << 20
"""Characters that are read of all of them."""

_PARAMETERS = re.compile(
    r"(?i)(.*(param|hyper|conf|default|train|model|args).*)\.(json|ya?ml)|(conf|configs?)/.*\.ya?ml"
)
_BRANCH = re.compile(r"ref: refs/(?:heads|remotes/origin)/([A-Za-z0-9._/-]{0,99}[A-Za-z0-9_-])\s*", re.ASCII)
_TOLD = re.compile(r"(?i)readme(\.\w+)?|dockerfile(\.\w+)?|makefile")
_STAGES = "dvc.yaml"
_METADATA = ("pyproject.toml", "setup.cfg")


_OF_OTHERS = frozenset({"tests", "test", "docs", "doc"})
"""Directories whose data are none that is trained with."""


@dataclass
class _Seen:
    """What the files that were read so far say."""

    scripts: list[Script] = field(default_factory=list)
    recipes: list[Recipe] = field(default_factory=list)
    mentions: list[Mention] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    parameters: list[Parameters] = field(default_factory=list)
    buckets: dict[str, None] = field(default_factory=dict)
    read: int = 0
    left_out: int = 0

    def take(self, path: str, text: str) -> None:
        """Read one more file."""
        name = PurePosixPath(path).name
        if not _OF_OTHERS & set(PurePosixPath(path).parts[:-1]):
            self.buckets |= dict.fromkeys(manifests.read_buckets(text))
        if path.endswith(".py"):
            script = read_script(path, text)
            self.left_out += script is None
            self.scripts += [script] if script else []
        elif path in _METADATA:
            self.entries += manifests.read_entries(name, text)
        elif path.lower() in ("makefile", "gnumakefile"):
            self.recipes += manifests.read_recipes(text)
        elif path == _STAGES:
            self.recipes += manifests.read_stages(path, text)
        elif _TOLD.fullmatch(name):
            self.mentions += manifests.read_mentions(path, text)
        elif _PARAMETERS.fullmatch(path):
            found = manifests.read_parameters(path, text)
            self.parameters += [found] if found else []


def look(root: Path) -> Repository:
    """Return what is in the checkout at `root`. Raises OSError when that is no directory that can be opened."""
    with opened(root) as folder:
        found, is_git = names(root)
        seen = _read(folder, found)
        heads = (content(folder, name) or "" for name in (".git/refs/remotes/origin/HEAD", ".git/HEAD"))
        head = next(filter(None, map(_BRANCH.fullmatch, heads)), None)
    return Repository(
        names=tuple(found),
        scripts=tuple(seen.scripts),
        recipes=tuple(seen.recipes),
        mentions=tuple(seen.mentions),
        entries=tuple(seen.entries),
        parameters=tuple(seen.parameters),
        buckets=tuple(seen.buckets),
        branch=head[1] if head else "main",
        is_git=is_git,
        read=seen.read,
        left_out=seen.left_out,
    )


def _read(folder: int, found: list[str]) -> _Seen:
    seen, size = _Seen(), 0
    for position, path in enumerate(wanted := list(_wanted(found))):
        if position >= MOST_FILES or size > MOST_CHARACTERS:
            seen.left_out += len(wanted) - position
            break
        text = content(folder, path)
        if text is None:
            seen.left_out += 1
            continue
        size += len(text)
        seen.read += 1
        seen.take(path, text)
    return seen


def _wanted(found: list[str]) -> Iterator[str]:
    """Yield the paths of the files that may say something."""
    for path in found:
        name = PurePosixPath(path).name
        is_told = path in (*_METADATA, _STAGES) or _TOLD.fullmatch(name) or _PARAMETERS.fullmatch(path)
        if (path.endswith(".py") or is_told) and path not in CONFIG_PATHS[:1]:
            yield path
