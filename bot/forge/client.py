"""The verbs: what we write to GitHub as an installation, and the finds that keep a write from being made twice.

Every verb but the finds is exactly one request: PyGithub's objects are lazy and built from ids that we keep, so
nothing is fetched before it is edited. Whoever calls gets a `ForgeError`.
"""

from typing import Any, TypeVar

from github import Github
from github.CheckRun import CheckRun
from github.Issue import Issue
from github.IssueComment import IssueComment
from github.Repository import Repository

from bot.forge.checks import CheckWrite, Status
from bot.forge.errors import Moved, Refused
from bot.forge.looks import Looks
from bot.forge.repo import Pull, Repo, checked_sha
from bot.forge.shown import ShownComment

__all__ = ["Forge", "Pull", "Repo"]

T = TypeVar("T")
_MOVED_PAUSE = 60.0


class Forge(Looks):
    """GitHub, for those who report and those who look. What each verb raises stands at `Calls`."""

    def create_check(self, repo: Repo, sha: str, check: CheckWrite, external_id: str) -> int:
        """Make a check on the commit and return GitHub's id. The first 50 annotations go with it.

        After a Retry with `maybe_written`, and after a crash, ask `find_check` before creating again.
        """
        sha = checked_sha(sha)
        wire = check.to_wire(annotations_from=0)

        def ask(github: Github) -> int:
            made = _repository(github, repo).create_check_run(check.name, sha, external_id=external_id, **wire)
            _expected(_status(made))
            return made.id

        return self.call(repo.installation, ask, is_write=True, is_post=True)

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
            _expected(_status(run))

        self.call(repo.installation, ask, is_write=True, is_post="annotations" in wire["output"])

    def count_annotations(self, repo: Repo, check_id: int) -> int:
        """Return how many annotations GitHub has of a check."""

        def ask(github: Github) -> int:
            return int(_repository(github, repo).get_check_run(check_id).output.annotations_count)

        return self.call(repo.installation, ask)

    def find_check(self, repo: Repo, sha: str, name: str, external_id: str) -> int | None:
        """Return the id of our App's check with this name and external id on the commit, None when there is none.

        Reads a page of 100 of that name at a time, re-runs included (`filter=all`).
        """
        sha, ours = checked_sha(sha), self.credentials.app_id

        def ask(github: Github) -> int | None:
            for run in _repository(github, repo).get_commit(sha).get_check_runs(name, filter="all"):
                if run.external_id == external_id and run.app and run.app.id == ours:
                    return run.id
            return None

        return self.call(repo.installation, ask)

    def create_comment(self, repo: Repo, pull: int, body: str) -> int:
        """Comment on the pull request and return GitHub's id. Its watchers are mailed, once, now.

        After a Retry with `maybe_written`, and after a crash, ask `find_comment` before creating again.
        """

        def ask(github: Github) -> int:
            made = _issue(github, repo, pull).create_comment(body)
            _expected(made.body)
            return made.id

        return self.call(repo.installation, ask, is_write=True, is_post=True)

    def update_comment(self, repo: Repo, pull: int, comment_id: int, body: str) -> None:
        """Replace the text of our comment. Nobody is mailed."""

        def ask(github: Github) -> None:
            comment = _issue(github, repo, pull).get_comment(comment_id)
            comment.edit(body)
            _expected(comment.body)

        self.call(repo.installation, ask, is_write=True)

    def find_comment(self, repo: Repo, pull: int, marker: str) -> int | None:
        """Return the id of the oldest comment with `marker` that our App made itself, None when there is none.

        Anybody can paste the marker into a comment of their own; such a one is passed over.
        """

        def ask(github: Github) -> int | None:
            comments = _issue(github, repo, pull).get_comments()
            return next((c.id for c in comments if marker in (c.body or "") and self._wrote(c)), None)

        return self.call(repo.installation, ask)

    def delete_comment(self, repo: Repo, pull: int, comment_id: int) -> None:
        """Take a comment of ours away. One that is gone already is none."""

        def ask(github: Github) -> None:
            _issue(github, repo, pull).get_comment(comment_id).delete()

        try:
            self.call(repo.installation, ask, is_write=True)
        except Refused as refused:
            if refused.status != 404:
                raise

    def react(self, repo: Repo, pull: int, comment_id: int, content: str) -> None:
        """Put a reaction on somebody's comment: one of GitHub's eight. The same one again changes nothing."""

        def ask(github: Github) -> None:
            made = _issue(github, repo, pull).get_comment(comment_id).create_reaction(content)
            _expected(made.content)

        self.call(repo.installation, ask, is_write=True)

    def _wrote(self, comment: IssueComment) -> bool:
        via, author = comment.performed_via_github_app, comment.user
        bot_login = author.login if author is not None and author.type == "Bot" else ""
        return self.is_ours(ShownComment(comment.id, "", None if via is None else via.id, bot_login))


def _repository(github: Github, repo: Repo) -> Repository:
    return github.get_repo(str(repo))


def _issue(github: Github, repo: Repo, number: int) -> Issue:
    return _repository(github, repo).get_issue(number)


def _status(run: CheckRun) -> str | None:
    """Return the status of a check as it was answered; the body of a redirect has one too: `"status": "307"`."""
    return run.status if run.status in list(Status) else None


def _expected(value: Any) -> Any:
    """Return what every good answer has.

    GitHub redirects a write to a renamed repository with 307 (18F/charlie#85), and PyGithub takes that for a success.
    """
    if value is None:
        raise Moved("GitHub did not take the write: the repository was renamed or transferred.", _MOVED_PAUSE)
    return value
