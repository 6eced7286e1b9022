"""The submodules of a commit, theirs too: every one whole on this machine before the run begins, or a sentence why not.

Each has a cache of its own inside that of the repository which asked for it, so nothing is seen by others, and the
sweep takes them together.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bot.clock import Clock, SystemClock
from bot.forge.bare import Bare, check_size
from bot.forge.git import FileAbsent, FileError, GitCache, RepositoryId, find
from bot.forge.git_command import MIB, CodeTooLarge, CommitAbsent, Denied, Git, GitError, Origin
from bot.forge.whereabouts import Refused, Whereabouts, origin_elsewhere, resolve

MOST, DEEPEST = 64, 6
"""How many submodules one commit may have, all in all, and how deep one may lie in another."""
_LONGEST = 1800.0
"""Seconds that all of them may take."""
_LARGEST_LIST = MIB // 4
"""Bytes that a .gitmodules may have."""


class PartUnavailable(GitError):
    """A part of the code, which the message names, cannot be had: the repository's own matter, and no better later."""


@dataclass(frozen=True)
class Submodule:
    """`path` is from the top of the workspace. The commit `sha` is whole in `bare`; `token` opens it for us, if any."""

    path: str
    sha: str
    bare: Bare
    where: Whereabouts
    token: str | None = field(repr=False)


class Submodules:
    """Fetches those of one repository. `token` is for that repository alone: all others are read as anybody would."""

    def __init__(self, cache: GitCache, repository: RepositoryId, token: str | None) -> None:
        self._cache, self._repository, self._token = cache, repository, token
        self._clock: Clock = SystemClock()

    def fetch(self, sha: str, max_bytes: int) -> list[Submodule]:
        """Return all submodules of a commit that is here, parents before their children.

        `max_bytes` is for all together. Raises PartUnavailable, and GitError where later may differ.
        """
        give_up = self._clock.monotonic() + _LONGEST
        bare = self._cache.bare(self._repository, self._token)
        found = list(self._listed(bare, sha, self._cache.url(self._repository), ""))
        left, done = max_bytes, list[Submodule]()
        while found:
            module = found.pop(0)
            if len(done) >= MOST or _depth(module, done) > DEEPEST:
                raise PartUnavailable(
                    f"this commit has more than {MOST} submodules, or they lie too deep in each other"
                )
            if self._clock.monotonic() > give_up:
                raise GitError("the submodules took too long", is_retryable=True)
            left -= _fetch(module, left)
            done.append(module)
            found += self._listed(module.bare, module.sha, module.where.url, f"{module.path}/")
        return done

    def _listed(self, bare: Bare, sha: str, parent: str, prefix: str) -> Iterator[Submodule]:
        """Yield the submodules that a commit names."""
        links = [(entry.path, entry.name) for entry in bare.git.entries(sha) if entry.kind == "commit"]
        known = _read_list(bare.git, sha) if links else {}
        for raw, commit in links:
            path = _safe_path(raw)
            entry = known.get(path, {})
            if entry.get("update") == "none":
                continue
            yield self._submodule(f"{prefix}{path}", commit, entry.get("url"), parent)

    def _submodule(self, path: str, sha: str, url: str | None, parent: str) -> Submodule:
        if url is None:
            raise PartUnavailable(f"the submodule `{path}` has no url in .gitmodules")
        try:
            where = resolve(url, parent, self._cache.web_url)
            own = (self._repository.owner.lower(), self._repository.name.lower())
            if where.repository == own:
                return Submodule(path, sha, self._cache.bare(self._repository, self._token), where, self._token)
            origin = Origin(where.url) if where.is_ours else origin_elsewhere(where.url)
        except Refused as refused:
            raise PartUnavailable(f"the submodule `{path}` cannot be fetched: {refused}") from None
        return Submodule(path, sha, Bare(self._directory(where), origin, where.url), where, None)

    def _directory(self, where: Whereabouts) -> Path:
        name = hashlib.sha256(where.url.encode()).hexdigest()[:40]
        return self._cache.directory(self._repository) / "modules" / f"{name}.git"


def _fetch(module: Submodule, max_bytes: int) -> int:
    """Make a submodule whole; return the bytes of its files."""
    what = f"the submodule `{module.path}` ({module.where.url})"
    try:
        module.bare.fetch_code(module.sha, max_bytes)
        return check_size(module.bare.git, module.sha, max_bytes)
    except CommitAbsent:
        raise PartUnavailable(f"{what} has no commit {module.sha}: was it pushed?") from None
    except CodeTooLarge:
        raise PartUnavailable(f"{what} is too large: all submodules together have more than a bot takes") from None
    except Denied as error:
        if module.token is not None:
            raise  # it may be the token, which is replaced then
        raise PartUnavailable(
            f"{what} is private or not there: submodules are read without a credential, but for the repository's own"
        ) from error
    except GitError as error:
        if error.is_retryable:
            raise GitError(f"{what} could not be fetched: {error}", is_retryable=True) from None
        raise PartUnavailable(f"{what} could not be fetched: {error}") from None


def _read_list(git: Git, sha: str) -> Mapping[str, dict[str, str]]:
    """Return what .gitmodules says: path → key → value."""
    try:
        blob = find(git, sha, ".gitmodules")
        if (git.size(blob) or 0) > _LARGEST_LIST:
            raise PartUnavailable(".gitmodules is too large")
        output = git.run("config", "--no-includes", f"--blob={blob}", "--null", "--list")
    except FileAbsent:
        return {}
    except (FileError, GitError) as error:
        raise PartUnavailable(f".gitmodules cannot be read: {error}") from None
    sections: dict[str, dict[str, str]] = {}
    for item in output.decode(errors="replace").split("\0"):
        key, _, value = item.partition("\n")
        section, _, name = key.rpartition(".")
        if section.startswith("submodule."):
            sections.setdefault(section, {})[name] = value
    return {section["path"].rstrip("/"): section for section in sections.values() if "path" in section}


def _safe_path(raw: bytes) -> str:
    """Return where a submodule lies. git refuses to check out such names, too; nobody should get that far."""
    path = raw.decode(errors="replace")
    parts = PurePosixPath(path).parts
    is_safe = not path.startswith("/") and not any(part in ("..", ".") or part.lower() == ".git" for part in parts)
    if not is_safe or not path.isprintable() or "\ufffd" in path:
        raise PartUnavailable(f"{path!r} is no place for a submodule")
    return path


def _depth(module: Submodule, others: list[Submodule]) -> int:
    return sum(module.path.startswith(f"{other.path}/") for other in others)
