"""Configs from files, and a role from the command line: what is read of GitHub where a simulation does without it."""

from collections.abc import Sequence
from pathlib import Path

from bot.config_file import start_of
from bot.core import config, events
from bot.core.permission import Permission
from bot.forge.git import CommitInfo
from bot.forge.repo import Repo
from bot.run.errors import CannotRun
from bot.worker.configs import Found, OpenRepository, Tip


class GivenConfigs:
    """`Opening` of two files: the commit has the one, every branch (the base, the default branch) the other.

    `message` is the commit's.
    """

    def __init__(self, own: Path, base: Path | None, message: str) -> None:
        self._own, self._base, self._message = own, base or own, message

    def open(self, repository: events.Repository, sha: str, ref: str) -> "_Given":  # noqa: ARG002 - the protocol's
        """See `Opening.open`."""
        return _Given(_found(self._own), _found(self._base), self._message)


class _Given(OpenRepository):
    """What was given, in place of a repository that git reads."""

    def __init__(self, own: Found, base: Found, message: str) -> None:
        self._own, self._base, self._message = own, base, message

    def config(self, sha: str) -> Found:  # noqa: ARG002 - the protocol's
        return self._own

    def tip(self, branch: str) -> Tip:  # noqa: ARG002 - the protocol's
        return Tip("", self._base)

    def changed(self, since: str, sha: str) -> Sequence[str] | None:  # noqa: ARG002 - the protocol's
        """Everything may have."""
        return None

    def info(self, sha: str) -> CommitInfo:  # noqa: ARG002 - the protocol's
        return CommitInfo(self._message.partition("\n")[0], "", 0, self._message)


class GivenRole:
    """`Roles` of a repository in which everybody has the same."""

    def __init__(self, role: Permission) -> None:
        self._role = role

    def permission_of(self, repo: Repo, login: str) -> Permission:  # noqa: ARG002 - the protocol's
        """See `Roles.permission_of`."""
        return self._role


def _found(path: Path) -> Found:
    """Return a config as it would be found in a repository; the files that it names lie beside it, as there."""
    root = path.absolute().parent
    root = root.parent if root.name == ".ps_project" else root
    try:
        data = start_of(path)
    except OSError as error:
        raise CannotRun(f"{path} cannot be read: {error.strerror}") from None
    return Found(str(path), config.load(data, str(path), lambda name: _named(root / name)))


def _named(path: Path) -> bytes:
    try:
        return start_of(path)
    except OSError as error:
        raise LookupError(error.strerror) from None
