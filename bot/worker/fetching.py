"""Code on its way to this machine: fetched in threads beside the launch station, which looks in and never waits."""

from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import Protocol

from bot.backends.base import Code, Module
from bot.forge.code import fetch_whole
from bot.forge.credentials import Credentials
from bot.forge.git import Denied, GitCache, RepositoryId


@dataclass(frozen=True)
class Wanted:
    """The code of one attempt, or of many. `code` is what the attempt was made with."""

    repository: RepositoryId
    installation_id: int
    code: Code


class Sources(Protocol):
    """Where the code of attempts comes from."""

    def look(self) -> None:
        """Begin a round."""

    def take(self, wanted: Wanted) -> Code | None:
        """Return the code with all that belongs to it; None while it is on its way, which it is from now on.

        Raises GitError, ForgeError: it could not be had. PartUnavailable names what the repository lacks.
        """


class Fetching:
    """From GitHub, one fetch for a repository at a time.

    A second would only wait for the first one's lock, in a thread of its own.
    Nothing of this outlives the process. Who comes after it asks again, and what is here already is found at once.
    """

    def __init__(self, git: GitCache, credentials: Credentials, pool: Executor) -> None:
        self._git, self._credentials, self._pool = git, credentials, pool
        self._under_way: dict[int, tuple[Wanted, Future[Code]]] = {}
        self._there: dict[Wanted, Future[Code]] = {}

    def look(self) -> None:
        """See `Sources.look`. What has arrived since the last round is handed out in this one, and then forgotten."""
        arrived = {key: (wanted, future) for key, (wanted, future) in self._under_way.items() if future.done()}
        self._there = dict(arrived.values())
        for key in arrived:
            del self._under_way[key]

    def take(self, wanted: Wanted) -> Code | None:
        """See `Sources.take`."""
        repository = wanted.repository.github_id
        if wanted not in self._there and repository not in self._under_way:
            future = self._pool.submit(self._fetch, wanted)
            if future.done():
                self._there[wanted] = future
            else:
                self._under_way[repository] = wanted, future
        return self._there[wanted].result() if wanted in self._there else None

    def _fetch(self, wanted: Wanted) -> Code:
        where, installation = wanted.repository, wanted.installation_id
        try:
            return self._fetch_with(wanted, self._credentials.token(installation, where.github_id))
        except Denied:  # as in intake: it may only be the token
            return self._fetch_with(wanted, self._credentials.renewed(installation, where.github_id))

    def _fetch_with(self, wanted: Wanted, token: str) -> Code:
        code = wanted.code
        whole = fetch_whole(self._git, wanted.repository, code.sha, token, submodules=code.submodules, lfs=code.lfs)
        modules = tuple(Module(one.path, str(one.bare.directory), one.sha) for one in whole.submodules)
        return replace(code, modules=modules, objects=None if whole.objects is None else str(whole.objects))
