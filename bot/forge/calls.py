"""How one call to GitHub is made: at its time, with a good token, its failure turned into ours.

PyGithub is kept lean: its own retries and pauses are off. It would repeat a POST whose answer was lost, and it sleeps
in the calling thread (docs/decisions/0020-forge.md).
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import requests
from github import Github
from github.Auth import Auth
from github.GithubException import BadAttributeException, GithubException

from bot.clock import Clock
from bot.forge.credentials import TIMEOUT, UNAUTHORIZED_PAUSE, USER_AGENT, Credentials
from bot.forge.errors import ForgeError, Limited, Moved, Refused, Retry, Unauthorized, from_answer
from bot.forge.pacing import Pacer
from bot.forge.reads import Memory, Page, read
from bot.forge.repo import Repo

T = TypeVar("T")
_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, RuntimeError, AssertionError, BadAttributeException)
"""What PyGithub raises over an answer that is not GitHub's: cut JSON, a proxy's page, a redirect to another host."""


class Calls:
    """Calls as installations. Any thread may call; one installation's calls go one by one.

    Each raises Retry (Limited, Unauthorized and Moved are kinds of it) or Refused, see `bot.forge.errors`. The pacer is
    obeyed here: a write before its time raises Limited without a request, so ask `pacer.may_write` first.
    """

    def __init__(self, credentials: Credentials, pacer: Pacer, clock: Clock) -> None:
        self.credentials, self.pacer = credentials, pacer
        self._clock = clock
        self._lines: dict[int, _Line] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all connections, those of the credentials too."""
        with self._lock:
            lines, self._lines = self._lines, {}
        for line in lines.values():
            line.github.close()
        self.credentials.close()

    def call(
        self, installation: int, ask: Callable[[Github], T], *, is_write: bool = False, is_post: bool = False
    ) -> T:
        """Do one verb: at its time, with a good token, its failure turned into ours, and the pacer told of it."""
        line = self._line(installation)
        with line.lock:
            self._keep_back(installation, is_write)
            try:
                answer = self._with_good_token(line, ask, is_post)
            except Limited as limit:
                limit.after = self.pacer.limited(installation, limit.after)
                raise
            except (Refused, Moved):
                self.pacer.answered(installation)
                raise
            except Retry as trouble:
                trouble.after = self.pacer.failed(installation, at_least=trouble.after)
                raise
            finally:
                if is_write:
                    self.pacer.wrote(installation)
            self.pacer.answered(installation)
            return answer

    def _keep_back(self, installation: int, is_write: bool) -> None:
        wait = self.pacer.may_write(installation) if is_write else self.pacer.closed_for(installation)
        if wait:
            raise Limited(f"Installation {installation} has to wait {wait:.1f} s.", wait)

    def _with_good_token(self, line: "_Line", ask: Callable[[Github], T], is_post: bool) -> T:
        try:
            return self._translated(line, ask, is_post)
        except Unauthorized as refused:
            if refused.after:  # it was the App's own key that was refused, at minting
                raise
            # A token can die before its hour (revoked, new permissions): one new one, then it is something else.
            line.auth.forget()
        try:
            return self._translated(line, ask, is_post)
        except Unauthorized as refused:
            raise Unauthorized(str(refused), UNAUTHORIZED_PAUSE) from None

    def _translated(self, line: "_Line", ask: Callable[[Github], T], is_post: bool) -> T:
        # `from None` throughout: the originals carry requests, and those our token.
        try:
            return ask(line.github)
        except ForgeError:
            raise
        except GithubException as error:
            headers = error.headers or {}
            raise from_answer(error.status, headers, error.data, self._clock.now(), is_post=is_post) from None
        except requests.RequestException as error:
            raise Retry(f"GitHub was not reached ({type(error).__name__}).", maybe_written=is_post) from None
        except _UNREADABLE as error:
            reason = f"GitHub's answer could not be read ({type(error).__name__})."
            raise Retry(reason, maybe_written=is_post) from None

    def _line(self, installation: int) -> "_Line":
        with self._lock:
            line = self._lines.get(installation)
            if line is None:
                auth = _TokenAuth(self.credentials, installation)
                line = self._lines[installation] = _Line(_github(auth, self.credentials.api_url), auth)
            return line

    def read(self, repo: Repo, path: str, understand: Callable[[Any], T], **parameters: str) -> T:
        """Return what `understand` makes of `GET /repos/{owner}/{repo}<path>`.

        What has not changed since it was last read is not sent again. An answer that cannot be understood is a Retry.
        """
        return self._read(repo, path, parameters, lambda page: understand(page.value))

    def read_all(self, repo: Repo, path: str, understand: Callable[[Any], T], pages: int, **parameters: str) -> list[T]:
        """Return a list of GitHub's, each item understood: a hundred a page, and at most so many pages.

        Where GitHub leads from a repository's old name to its new one, PyGithub follows without the parameters. What
        is then but a part of another list is not taken for the whole: that is Moved.
        """
        found: list[T] = []
        asked = {**parameters, "per_page": "100"}
        query: Mapping[str, str] | None = asked
        for _ in range(pages):
            if query is None:
                break
            items, query = self._read(repo, path, query, lambda page: _items(page, understand))
            if query is not None and not asked.items() <= query.items():
                raise Moved("The repository was renamed or transferred (the list was not read as it was asked for)")
            found += items
        return found

    def _read(self, repo: Repo, path: str, parameters: Mapping[str, str], understand: Callable[[Page], T]) -> T:
        memory = self._line(repo.installation).memory

        def ask(github: Github) -> T:
            return understand(read(github, memory, f"/repos/{repo}{path}", parameters))

        return self.call(repo.installation, ask)


class _TokenAuth(Auth):
    """An installation's token for each request, from our cache. PyGithub's own class reads the machine's clock."""

    def __init__(self, credentials: Credentials, installation: int) -> None:
        self._credentials = credentials
        self._installation = installation
        self._used = ""

    @property
    def token_type(self) -> str:
        return "token"

    @property
    def token(self) -> str:
        self._used = self._credentials.token(self._installation)
        return self._used

    def forget(self) -> None:
        """Drop the token that was used last; the next request brings a new one."""
        self._credentials.forget(self._installation, token=self._used)


@dataclass(frozen=True)
class _Line:
    """A kept client with its lock: PyGithub's connection keeps the request that it is about to send in itself."""

    github: Github
    auth: _TokenAuth
    lock: threading.Lock = field(default_factory=threading.Lock)
    memory: Memory = field(default_factory=Memory)


def _github(auth: Auth, api_url: str) -> Github:
    return Github(
        auth=auth,
        base_url=api_url,
        timeout=TIMEOUT,
        user_agent=USER_AGENT,
        per_page=100,
        retry=None,
        pool_size=1,
        seconds_between_requests=0,
        seconds_between_writes=0,
        lazy=True,
    )


def _items(page: Page, understand: Callable[[Any], T]) -> tuple[list[T], Mapping[str, str] | None]:
    """Return what is on a page, and the query of the next one."""
    items = page.value if isinstance(page.value, list) else next(v for v in page.value.values() if isinstance(v, list))
    following = None if page.following is None else dict(parse_qsl(page.following))
    return [understand(item) for item in items], following
