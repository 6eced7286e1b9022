"""The configs that a decision rests upon, read through git: the commit's own, its base's, the default branch's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.core import events
from bot.core.config import CONFIG_PATHS, MAX_BYTES, Config, Loaded, Problem, is_ours, load
from bot.forge.credentials import Credentials
from bot.forge.git import CommitAbsent, CommitInfo, Denied, FileAbsent, FileError, GitCache, RepositoryId


@dataclass(frozen=True)
class Found:
    """A config of ours at a commit: its path, and what is in it."""

    path: str
    loaded: Loaded

    @property
    def config(self) -> Config | None:
        return self.loaded.config


@dataclass(frozen=True)
class Tip:
    """The newest commit of a branch, and the config there (None: it has none of ours)."""

    sha: str
    found: Found | None

    @property
    def config(self) -> Config | None:
        """The config, None where there is none or it has errors."""
        return None if self.found is None else self.found.config


class Opening(Protocol):
    """Where commits are read from."""

    def open(self, repository: events.Repository, sha: str, ref: str) -> "OpenRepository":
        """Make a commit readable, and return its repository to be read from. Raises GitError, ForgeError."""


class Configs:
    """Reads configs at commits of GitHub's."""

    def __init__(self, git: GitCache, credentials: Credentials) -> None:
        self._git, self._credentials = git, credentials

    def open(self, repository: events.Repository, sha: str, ref: str) -> "OpenRepository":
        """See `Opening.open`: the commit is fetched."""
        where = RepositoryId(repository.github_id, repository.owner, repository.name)
        token = self._credentials.token(repository.installation_id, repository.github_id)
        try:
            self._git.fetch_commit(where, sha, token, ref=ref)
        except Denied:
            # A token can die before its hour (new permissions, a selection changed): one new one, then it is true.
            token = self._credentials.renewed(repository.installation_id, repository.github_id)
            self._git.fetch_commit(where, sha, token, ref=ref)
        return OpenRepository(self._git, where, token)


class OpenRepository:
    """One repository, with the token that opens it. Raises GitError where what is wanted cannot be fetched."""

    def __init__(self, git: GitCache, where: RepositoryId, token: str | None) -> None:
        self._git, self._where, self._token = git, where, token

    def config(self, sha: str) -> Found | None:
        """Return the first config that is ours, with its problems; None when the commit has none."""

        def read(path: str) -> bytes:
            return self._git.read_file(self._where, sha, path, MAX_BYTES, self._token)

        for path in CONFIG_PATHS:
            try:
                data = read(path)
            except FileAbsent:
                continue
            except FileError as error:
                if path == CONFIG_PATHS[0]:
                    return Found(path, Loaded(None, (_unreadable(path, error),)))
                continue  # a root config.yaml that cannot be read does not say that it is ours
            if path == CONFIG_PATHS[0] or is_ours(data):
                return Found(path, load(data, path, lambda name: _params_file(read, name)))
        return None

    def tip(self, branch: str) -> Tip | None:
        """Return the newest commit of a branch with its config, None when there is no such branch."""
        try:
            sha = self._git.branch_head(self._where, branch, self._token)
        except CommitAbsent:
            return None
        return Tip(sha, self.config(sha))

    def changed(self, since: str, sha: str) -> Sequence[str] | None:
        """Return the paths that differ between two commits; None when that cannot be told."""
        return self._git.changed_paths(self._where, since, sha, self._token)

    def info(self, sha: str) -> CommitInfo:
        """Return what the commit says of itself."""
        return self._git.commit_info(self._where, sha, self._token)


def _params_file(read: Callable[[str], bytes], path: str) -> bytes:
    """Read a file that the config names: what is wrong with it is the config's problem, with its line."""
    try:
        return read(path)
    except FileError as error:
        raise LookupError(str(error)) from error


def _unreadable(path: str, error: FileError) -> Problem:
    return Problem("error", str(error), "Commit the config as a plain file of at most 64 KiB.", path, 1, 1)
