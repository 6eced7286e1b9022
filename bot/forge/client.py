"""The verbs: what we write to GitHub and read from it as an installation, through PyGithub kept lean.

Every verb but the finds is exactly one request: PyGithub's objects are lazy and built from ids that we keep, so
nothing is fetched before it is edited. PyGithub's own retries and pauses are off: it would repeat a POST whose answer
was lost, and it sleeps in the calling thread (docs/decisions/0020-forge.md). Whoever calls gets a `ForgeError`.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import requests
from github import Github
from github.Auth import Auth
from github.GithubException import BadAttributeException, GithubException
from github.Issue import Issue
from github.IssueComment import IssueComment
from github.Repository import Repository

from bot.clock import Clock
from bot.forge.checks import CheckWrite
from bot.forge.credentials import TIMEOUT, UNAUTHORIZED_PAUSE, USER_AGENT, Credentials
from bot.forge.errors import ForgeError, Limited, Moved, Refused, Retry, Unauthorized, from_answer
from bot.forge.pacing import Pacer

T = TypeVar("T")
_PART = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._-]{1,100}")
_SHA = re.compile(r"[0-9a-f]{40}")
_MOVED_PAUSE = 60.0
_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, RuntimeError, AssertionError, BadAttributeException)
"""What PyGithub raises over an answer that is not GitHub's: cut JSON, a proxy's page, a redirect to another host."""


@dataclass(frozen=True)
class Repo:
    """Where a verb acts. ValueError for names that GitHub does not know: they become part of a URL."""

    installation: int
    owner: str
    name: str

    def __post_init__(self) -> None:
        """Refuse names with a slash, a dot path or worse."""
        if not (_PART.fullmatch(self.owner) and _PART.fullmatch(self.name)):
            raise ValueError(f"not the name of a repository: {self.owner!r}/{self.name!r}")

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True)
class Pull:
    """A pull request as it is now. `head_repository_id` is None when the fork it came from is gone."""

    number: int
    is_open: bool
    is_draft: bool
    title: str
    head_sha: str
    head_branch: str
    head_repository_id: int | None
    base_sha: str
    base_branch: str
    base_repository_id: int

    @property
    def is_fork(self) -> bool:
        return self.head_repository_id != self.base_repository_id


class Forge:
    """GitHub, for those who report and those who look. Any thread may call; one installation's calls go one by one.

    Each verb raises Retry (Limited, Unauthorized and Moved are kinds of it) or Refused, see `bot.forge.errors`. It
    obeys the pacer itself: a write before its time raises Limited without a request, so ask `pacer.may_write` first.
    """

    def __init__(self, credentials: Credentials, pacer: Pacer, clock: Clock) -> None:
        self.pacer = pacer
        self._credentials = credentials
        self._clock = clock
        self._lines: dict[int, _Line] = {}
        self._lock = threading.Lock()
        self._bot_login = ""

    def close(self) -> None:
        """Close all connections, those of the credentials too."""
        with self._lock:
            lines, self._lines = self._lines, {}
        for line in lines.values():
            line.github.close()
        self._credentials.close()

    def create_check(self, repo: Repo, sha: str, check: CheckWrite, external_id: str) -> int:
        """Make a check on the commit and return GitHub's id. The first 50 annotations go with it.

        After a Retry with `maybe_written`, and after a crash, ask `find_check` before creating again.
        """
        sha = _checked_sha(sha)
        wire = check.to_wire(annotations_from=0)

        def ask(github: Github) -> int:
            made = _repository(github, repo).create_check_run(check.name, sha, external_id=external_id, **wire)
            _expected(made.status)
            return made.id

        return self._call(repo.installation, ask, is_write=True, is_post=True)

    def update_check(self, repo: Repo, check_id: int, check: CheckWrite, annotations_from: int | None = None) -> None:
        """Make the check on GitHub look like `check`. Name, commit and external id stay.

        GitHub *appends* the annotations of every request, so none are sent unless `annotations_from` says from which on
        (at most 50): a check with 120 is `create_check`, then 50 and 100 here. Repeating such a call shows them twice:
        after a Retry with `maybe_written`, and after a crash, ask `count_annotations` first.
        """
        wire = check.to_wire(len(check.annotations) if annotations_from is None else annotations_from)

        def ask(github: Github) -> None:
            run = _repository(github, repo).get_check_run(check_id)
            run.edit(**wire)
            _expected(run.status)

        self._call(repo.installation, ask, is_write=True, is_post="annotations" in wire["output"])

    def count_annotations(self, repo: Repo, check_id: int) -> int:
        """Return how many annotations GitHub has of a check."""

        def ask(github: Github) -> int:
            return int(_repository(github, repo).get_check_run(check_id).output.annotations_count)

        return self._call(repo.installation, ask)

    def find_check(self, repo: Repo, sha: str, name: str, external_id: str) -> int | None:
        """Return the id of our App's check with this name and external id on the commit, None when there is none.

        Reads a page of 100 of that name at a time, re-runs included (`filter=all`).
        """
        sha, ours = _checked_sha(sha), self._credentials.app_id

        def ask(github: Github) -> int | None:
            for run in _repository(github, repo).get_commit(sha).get_check_runs(name, filter="all"):
                if run.external_id == external_id and run.app and run.app.id == ours:
                    return run.id
            return None

        return self._call(repo.installation, ask)

    def create_comment(self, repo: Repo, pull: int, body: str) -> int:
        """Comment on the pull request and return GitHub's id. Its watchers are mailed, once, now.

        After a Retry with `maybe_written`, and after a crash, ask `find_comment` before creating again.
        """

        def ask(github: Github) -> int:
            made = _issue(github, repo, pull).create_comment(body)
            _expected(made.body)
            return made.id

        return self._call(repo.installation, ask, is_write=True, is_post=True)

    def update_comment(self, repo: Repo, pull: int, comment_id: int, body: str) -> None:
        """Replace the text of our comment. Nobody is mailed."""

        def ask(github: Github) -> None:
            comment = _issue(github, repo, pull).get_comment(comment_id)
            comment.edit(body)
            _expected(comment.body)

        self._call(repo.installation, ask, is_write=True)

    def find_comment(self, repo: Repo, pull: int, marker: str) -> int | None:
        """Return the id of the oldest comment with `marker` that our App made itself, None when there is none.

        Anybody can paste the marker into a comment of their own; such a one is passed over.
        """

        def ask(github: Github) -> int | None:
            comments = _issue(github, repo, pull).get_comments()
            return next((c.id for c in comments if marker in (c.body or "") and self._is_ours(c)), None)

        return self._call(repo.installation, ask)

    def get_pull(self, repo: Repo, number: int) -> Pull:
        """Return the pull request as it is now."""
        return self._call(repo.installation, lambda github: _pull(_repository(github, repo), number))

    def installation_of(self, owner: str, name: str) -> int | None:
        """Return the id of the installation that reaches the repository, None when the App is not installed there."""
        repo = Repo(0, owner, name)
        try:
            return int(self._credentials.read(f"/repos/{repo}/installation")["id"])
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def _is_ours(self, comment: IssueComment) -> bool:
        """Tell whether our App wrote it: GitHub names the App with the comment, or else its bot as the author."""
        via = comment.performed_via_github_app
        if via is not None and via.id == self._credentials.app_id:
            return True
        author = comment.user
        if author is None or author.type != "Bot":
            return False
        # Asked for at most once, and only where a bot's comment has our marker but names no App.
        self._bot_login = self._bot_login or f"{self._credentials.read('/app')['slug']}[bot]"
        return bool(author.login == self._bot_login)

    def _call(
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
                auth = _TokenAuth(self._credentials, installation)
                line = self._lines[installation] = _Line(_github(auth, self._credentials.api_url), auth)
            return line


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


def _repository(github: Github, repo: Repo) -> Repository:
    return github.get_repo(str(repo))


def _issue(github: Github, repo: Repo, number: int) -> Issue:
    return _repository(github, repo).get_issue(number)


def _pull(repository: Repository, number: int) -> Pull:
    pull = repository.get_pull(number)
    head, base = pull.head, pull.base
    return Pull(
        number=number,
        is_open=pull.state == "open",
        is_draft=bool(pull.draft),
        title=pull.title,
        head_sha=head.sha,
        head_branch=head.ref,
        head_repository_id=head.repo.id if head.repo else None,
        base_sha=base.sha,
        base_branch=base.ref,
        base_repository_id=base.repo.id,
    )


def _expected(value: Any) -> Any:
    """Return what every good answer has.

    GitHub redirects a write to a renamed repository with 307 (18F/charlie#85), and PyGithub takes that for a success.
    """
    if value is None:
        raise Moved("GitHub did not take the write: the repository was renamed or transferred.", _MOVED_PAUSE)
    return value


def _checked_sha(sha: str) -> str:
    if not _SHA.fullmatch(sha):
        raise ValueError(f"not a whole commit id: {sha!r}")
    return sha
