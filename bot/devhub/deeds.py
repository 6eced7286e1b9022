"""What people do on the pages: each is a form that calls the same act as a test would.

Forms of other sites are refused, and so is everybody whom GitHub would refuse.
"""

from collections.abc import Callable

from flask import Blueprint, redirect, request
from werkzeug.wrappers import Response

from bot.devhub.acting import COOKIE, Rights, acting
from bot.devhub.fence import Refused, check_origin, fence, local_path
from bot.devhub.git import GitError
from bot.devhub.model import Account, CheckRun, Comment, Pull, Repository
from bot.devhub.people import People
from bot.devhub.site import Site

_LONGEST_COMMENT = 65_536
_YEAR = 365 * 86_400
_PULL = "/<owner>/<repo>/pull/<int:number>"


def deeds(site: Site) -> Blueprint:
    """Return the forms' targets. Each answers with a redirect to a page, or with a page that says why not."""
    blueprint = fence(Blueprint("deeds", __name__))
    do = _Deeds(site)
    for rule, view in (
        ("/acting-as", do.act_as),
        (f"{_PULL}/comments", do.comment),
        (f"{_PULL}/comments/<int:comment_id>/edit", do.edit_comment),
        (f"{_PULL}/comments/<int:comment_id>/delete", do.delete_comment),
        (f"{_PULL}/close", do.close),
        (f"{_PULL}/reopen", do.reopen),
        (f"{_PULL}/merge", do.merge),
        (f"{_PULL}/draft", do.draft),
        (f"{_PULL}/ready", do.ready),
        ("/<owner>/<repo>/runs/<int:run_id>/rerequest", do.rerun),
        ("/<owner>/<repo>/runs/<int:run_id>/action", do.press),
        ("/<owner>/<repo>/commits/<sha>/rerequest", do.rerun_all),
    ):
        blueprint.add_url_rule(rule, view.__name__, view, methods=["POST"])
    blueprint.before_request(check_origin)
    return blueprint


class _Deeds:
    """The views. They hold no lock: the acts take what they need, in their own order."""

    def __init__(self, site: Site) -> None:
        self._site, self._people = site, People(site)

    def act_as(self) -> Response:
        login = request.form.get("login", "")
        if login.lower() not in self._site.world.accounts:
            raise Refused(422, f"There is nobody called {login}.")
        response = redirect(_back("/"), 303)
        # Not for other sites to use, and not for their scripts to read.
        response.set_cookie(COOKIE, login, max_age=_YEAR, httponly=True, samesite="Strict")
        return response

    def comment(self, owner: str, repo: str, number: int) -> Response:
        pull, who, may = self._pull(owner, repo, number)
        _check(may.comment, "comment here", may)
        comment = self._people.comment(pull, _text(), who)
        return self._to(pull, comment)

    def edit_comment(self, owner: str, repo: str, number: int, comment_id: int) -> Response:
        pull, who, may = self._pull(owner, repo, number)
        comment = _comment(pull, comment_id)
        _check(may.change(comment), "edit this comment", may)
        self._people.edit_comment(pull, comment, _text(), who)
        return self._to(pull, comment)

    def delete_comment(self, owner: str, repo: str, number: int, comment_id: int) -> Response:
        pull, who, may = self._pull(owner, repo, number)
        comment = _comment(pull, comment_id)
        _check(may.change(comment), "delete this comment", may)
        self._people.delete_comment(pull, comment, who)
        return self._to(pull)

    def close(self, owner: str, repo: str, number: int) -> Response:
        pull, who, may = self._pull(owner, repo, number)
        _check(may.close(pull), "close this pull request", may)
        return self._do(pull, pull.is_open, self._people.close_pull, who)

    def reopen(self, owner: str, repo: str, number: int) -> Response:
        pull, who, may = self._pull(owner, repo, number)
        _check(may.close(pull), "reopen this pull request", may)
        return self._do(pull, not pull.is_open and pull.merged_at is None, self._people.reopen_pull, who)

    def merge(self, owner: str, repo: str, number: int) -> Response:
        pull, who, may = self._pull(owner, repo, number)
        _check(may.merge, "merge", may)
        return self._do(pull, pull.is_open and not pull.is_draft, self._people.merge_pull, who)

    def draft(self, owner: str, repo: str, number: int) -> Response:
        pull, who, may = self._pull(owner, repo, number)
        _check(may.draft(pull), "make this a draft", may)
        return self._do(pull, pull.is_open and not pull.is_draft, self._people.convert_to_draft, who)

    def ready(self, owner: str, repo: str, number: int) -> Response:
        pull, who, may = self._pull(owner, repo, number)
        _check(may.draft(pull), "make this ready for review", may)
        return self._do(pull, pull.is_open and pull.is_draft, self._people.mark_ready, who)

    def rerun(self, owner: str, repo: str, run_id: int) -> Response:
        repository, run, who = self._run(owner, repo, run_id)
        self._people.rerequest_check_run(repository, run, who)
        return redirect(_back(f"/{repository.full_name}/runs/{run.id}"), 303)

    def press(self, owner: str, repo: str, run_id: int) -> Response:
        repository, run, who = self._run(owner, repo, run_id)
        try:
            self._people.request_action(repository, run, request.form.get("identifier", ""), who)
        except ValueError as error:
            raise Refused(422, f"This is not offered: {error}.") from error
        return redirect(_back(f"/{repository.full_name}/runs/{run.id}"), 303)

    def rerun_all(self, owner: str, repo: str, sha: str) -> Response:
        repository, who, may = self._place(owner, repo)
        _check(may.rerun, "re-run checks", may)
        suite = repository.suites.get(sha)
        if suite is None:
            raise Refused(404, "No check has reported for this commit.")
        self._people.rerequest_check_suite(repository, suite, who)
        return redirect(_back(f"/{repository.full_name}/commits/{sha}"), 303)

    def _do(self, pull: Pull, can: bool, act: Callable[[Pull, Account], object], who: Account) -> Response:
        if not can:
            raise Refused(409, "The pull request is in no state for this; somebody may have been faster.")
        try:
            act(pull, who)
        except GitError as error:
            raise Refused(409, f"git refuses: {error}") from error
        return self._to(pull)

    def _place(self, owner: str, repo: str) -> tuple[Repository, Account, Rights]:
        repository = self._site.world.find(owner, repo)
        if repository is None:
            raise Refused(404, f"There is no repository {owner}/{repo}.")
        who = acting(self._site.world, repository.owner)
        return repository, who, Rights(repository, who)

    def _pull(self, owner: str, repo: str, number: int) -> tuple[Pull, Account, Rights]:
        repository, who, may = self._place(owner, repo)
        pull = repository.pulls.get(number)
        if pull is None:
            raise Refused(404, f"There is no pull request {number}.")
        return pull, who, may

    def _run(self, owner: str, repo: str, run_id: int) -> tuple[Repository, CheckRun, Account]:
        """Return a check whose buttons may be pressed: GitHub shows them when it is completed, to who may write."""
        repository, who, may = self._place(owner, repo)
        run = next((run for run in repository.runs() if run.id == run_id), None)
        if run is None:
            raise Refused(404, f"There is no check {run_id}.")
        _check(may.rerun, "press the buttons of checks", may)
        if run.status != "completed":
            raise Refused(409, "The check has not completed yet.")
        return repository, run, who

    def _to(self, pull: Pull, comment: Comment | None = None) -> Response:
        place = f"/{pull.repository.full_name}/pull/{pull.number}"
        return redirect(place if comment is None else f"{place}#issuecomment-{comment.id}", 303)


def _check(may: bool, deed: str, rights: Rights) -> None:
    if rights.repository.is_archived:
        raise Refused(403, "The repository was archived so is read-only.")
    if not may:
        role = rights.repository.role_of(rights.who)
        raise Refused(403, f"{rights.who.login} has the role “{role}” here, and may not {deed}.")


def _comment(pull: Pull, comment_id: int) -> Comment:
    found = next((comment for comment in pull.comments if comment.id == comment_id), None)
    if found is None:
        raise Refused(404, "There is no such comment.")
    return found


def _text() -> str:
    """Return what somebody wrote, with the line ends that browsers send (`\\r\\n`): GitHub keeps them, too."""
    body = request.form.get("body", "")
    if not body.strip():
        raise Refused(422, "A comment cannot be blank.")
    if len(body) > _LONGEST_COMMENT:
        raise Refused(422, f"A comment is too long (maximum is {_LONGEST_COMMENT} characters).")
    return body


def _back(default: str) -> str:
    return local_path(request.form.get("back", "")) or default
