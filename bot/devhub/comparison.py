"""What lies between two commits: how they are related, and which files differ."""

import re
from dataclasses import dataclass
from typing import Literal

from bot.devhub.git import Git, GitError

_STATUSES = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "T": "changed"}
_NO_BLOB = "0" * 40
_FILE = re.compile(r"^diff --git ", re.MULTILINE)
_HUNK = re.compile(r"^@@ ", re.MULTILINE)


@dataclass(frozen=True)
class FileChange:
    """A file that differs. `sha` is its blob (of a removed one: what it was); `patch` is None for a binary one."""

    path: str
    previous_path: str | None
    status: str
    sha: str
    additions: int
    deletions: int
    patch: str | None


@dataclass(frozen=True)
class Comparison:
    """Two commits (SHAs), their newest common ancestor, and how many commits each has that the other lacks."""

    base: str
    head: str
    merge_base: str
    ahead_by: int
    behind_by: int

    @property
    def status(self) -> Literal["identical", "ahead", "behind", "diverged"]:
        if self.ahead_by and self.behind_by:
            return "diverged"
        return "ahead" if self.ahead_by else "behind" if self.behind_by else "identical"


def compare(git: Git, base: str, head: str) -> Comparison | None:
    """Return how two commits are related; None when they have no ancestor in common."""
    try:
        merge_base = git.line("merge-base", base, head)
    except GitError:
        return None
    behind, ahead = git.line("rev-list", "--left-right", "--count", f"{base}...{head}").split()
    return Comparison(base, head, merge_base, int(ahead), int(behind))


def changes(git: Git, old: str, new: str) -> list[FileChange]:
    """Return the files that differ between two commits, in git's order, renamed ones as one change."""
    flags = ("-r", "-z", "--find-renames", "--no-abbrev", "--no-commit-id")
    raw = git.run("diff-tree", *flags, "--raw", old, new).decode(errors="replace")
    counts = git.run("diff-tree", *flags, "--numstat", old, new).decode(errors="replace")
    patch = git.run("diff-tree", "-r", "--find-renames", "--patch", "--no-commit-id", old, new).decode(errors="replace")
    entries, numbers, patches = _entries(raw), _numbers(counts), _patches(patch)
    return [FileChange(*entry, *number, text) for entry, number, text in zip(entries, numbers, patches, strict=True)]


def _entries(raw: str) -> list[tuple[str, str | None, str, str]]:
    """Return path, previous path, status and blob of each record: `:mode mode sha sha X␀path␀` (or two paths)."""
    fields, found = iter(raw.rstrip("\0").split("\0") if raw else ()), []
    for facts in fields:
        _, _, old, new, letter = facts.split()
        path, previous = next(fields), None
        if letter[0] == "R":
            path, previous = next(fields), path
        found.append((path, previous, _STATUSES[letter[0]], old if new == _NO_BLOB else new))
    return found


def _numbers(counts: str) -> list[tuple[int, int]]:
    """Return lines added and removed: `1␉2␉path␀`, of a renamed one `1␉2␉␀old␀new␀`, of a binary one `-␉-␉…`."""
    fields, found = iter(counts.rstrip("\0").split("\0") if counts else ()), []
    for facts in fields:
        added, removed, path = facts.split("\t", 2)
        if not path:
            next(fields), next(fields)
        found.append((0 if added == "-" else int(added), 0 if removed == "-" else int(removed)))
    return found


def _patches(text: str) -> list[str | None]:
    """Return each file's hunks. No line of a file's content begins with `diff`: each has a sign before it."""
    found = []
    for part in _FILE.split(text)[1:]:
        hunk = _HUNK.search(part)
        found.append(None if hunk is None else part[hunk.start() :].rstrip("\n"))
    return found
