"""Pages that look like GitHub's: a repository's commits with their checks, a pull request, a check.

They are for whoever sits at this machine: nothing is hidden behind a login, private repositories included.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from bot.clock import SECOND
from bot.devhub.acting import Rights, acting, everybody
from bot.devhub.fence import fence
from bot.devhub.git import Commit, Git, GitError
from bot.devhub.markdown import render
from bot.devhub.model import CheckRun, Comment, Repository, iso
from bot.devhub.site import Site

_COMMITS_ON_A_PAGE = 30
_BAD = ("failure", "timed_out", "action_required", "cancelled")
_WORDS = {
    "success": "successful",
    "failure": "failing",
    "timed_out": "timed out",
    "action_required": "waiting for action",
    "in_progress": "in progress",
}
_SIGNS = {
    "+1": "👍",
    "-1": "👎",
    "laugh": "😄",
    "hooray": "🎉",
    "confused": "😕",
    "heart": "❤️",
    "rocket": "🚀",
    "eyes": "👀",
}

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1f2328"/>'
    '<path d="M10 7v18M10 12h7a5 5 0 0 1 5 5v8" fill="none" stroke="#fff" stroke-width="3"/></svg>'
)


def pages(site: Site) -> Blueprint:
    """Return the pages. Templates: `templates/devhub/`, one for each page."""
    blueprint = fence(Blueprint("pages", __name__))
    show = _Pages(site)
    for rule, view in (
        ("/", show.index),
        ("/<owner>/<repo>", show.commits),
        ("/<owner>/<repo>/commits", show.commits),
        ("/<owner>/<repo>/commits/<path:ref>", show.commits),
        ("/<owner>/<repo>/tree/<path:ref>", show.commits),
        ("/<owner>/<repo>/commit/<ref>", show.commit),
        ("/<owner>/<repo>/pull/<int:number>", show.pull),
        ("/<owner>/<repo>/pull/<int:number>/checks", show.checks),
        ("/<owner>/<repo>/pulls", show.commits),
        ("/<owner>/<repo>/runs/<int:number>", show.run),
        ("/<owner>/<repo>/blob/<sha>/<path:path>", show.blob),
        ("/avatars/<int:number>", show.avatar),
        ("/favicon.svg", show.favicon),
    ):
        blueprint.add_url_rule(rule, f"{view.__name__} {rule}".replace(".", "_"), view)
    blueprint.add_app_template_filter(render, "markdown")
    blueprint.add_app_template_filter(iso, "iso")
    blueprint.add_app_template_filter(show.ago, "ago")
    blueprint.add_app_template_filter(state, "state")
    blueprint.add_app_template_filter(verdict, "verdict")
    blueprint.add_app_template_filter(count, "count")
    blueprint.add_app_template_filter(felt, "felt")
    return blueprint


def state(run: CheckRun) -> str:
    """Return the one word that says how a check stands: its conclusion, or else its status."""
    return run.conclusion or run.status


def verdict(runs: list[CheckRun]) -> str:
    """Return how all checks of a commit stand together: `none`, `pending`, `failure` or `success`."""
    states = {state(run) for run in runs}
    if not runs:
        return "none"
    if states & set(_BAD):
        return "failure"
    return "pending" if states & {"queued", "in_progress"} else "success"


def count(runs: Iterable[CheckRun]) -> str:
    """Return GitHub's sentence: `1 failing, 2 successful checks`."""
    counts = Counter(state(run) for run in runs)
    parts = [f"{number} {_WORDS.get(word, word)}" for word, number in sorted(counts.items())]
    return f"{', '.join(parts)} {'check' if counts.total() == 1 else 'checks'}"


def felt(comment: Comment) -> list[tuple[str, int, str]]:
    """Return the reactions to a comment: the sign, how many, and whose."""
    contents = dict.fromkeys(reaction.content for reaction in comment.reactions)
    whose = {c: [r.user.login for r in comment.reactions if r.content == c] for c in contents}
    return [(_SIGNS[content], len(names), ", ".join(names)) for content, names in whose.items()]


class _Pages:
    """The views. Each holds the world still while it looks."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def index(self) -> str:
        with self._site.world.lock:
            return self._render("index.html", repositories=list(self._site.world.repositories.values()))

    def commits(self, owner: str, repo: str, ref: str | None = None) -> str:
        with self._site.world.lock:
            repository = self._repository(owner, repo)
            git = self._site.git(repository)
            branches = [name.removeprefix("refs/heads/") for name in git.refs() if name.startswith("refs/heads/")]
            chosen = ref or repository.default_branch
            sha = git.resolve(chosen)
            if sha is None and ref is not None:
                abort(404)
            return self._render(
                "commits.html",
                repository=repository,
                branches=branches,
                chosen=chosen,
                commits=self._history(git, repository, sha),
            )

    def commit(self, owner: str, repo: str, ref: str) -> AnyResponse:
        return redirect(f"{self._site.url}/{owner}/{repo}/commits/{ref}")

    def pull(self, owner: str, repo: str, number: int) -> str:
        with self._site.world.lock:
            repository = self._repository(owner, repo)
            pull = repository.pulls.get(number) or abort(404)
            commits = self._site.git(repository).log(f"{pull.base_sha}..{pull.head_sha}", limit=_COMMITS_ON_A_PAGE)[
                ::-1
            ]
            return self._render(
                "pull.html",
                repository=repository,
                pull=pull,
                commits=[(commit, self._runs(repository, commit.sha)) for commit in commits],
                runs=self._runs(repository, pull.head_sha),
                # Somebody may be writing a comment here, which looking again would throw away.
                is_waiting=False,
            )

    def checks(self, owner: str, repo: str, number: int) -> AnyResponse:
        """Lead to the first check of a pull request's head, beside which all others are listed."""
        with self._site.world.lock:
            repository = self._repository(owner, repo)
            pull = repository.pulls.get(number) or abort(404)
            runs = self._runs(repository, pull.head_sha)
        return redirect(f"{self._site.url}/{owner}/{repo}/{f'runs/{runs[0].id}' if runs else f'pull/{number}'}")

    def run(self, owner: str, repo: str, number: int) -> str:
        with self._site.world.lock:
            repository = self._repository(owner, repo)
            run = next((run for run in repository.runs() if run.id == number), None) or abort(404)
            return self._render(
                "run.html",
                repository=repository,
                run=run,
                commit=self._site.commit(repository, run.sha),
                runs=self._runs(repository, run.sha),
                app=self._site.app,
                is_waiting=_is_waiting([run]),
            )

    def blob(self, owner: str, repo: str, sha: str, path: str) -> Response:
        with self._site.world.lock:
            repository = self._repository(owner, repo)
        try:
            found = self._site.git(repository).run("cat-file", "blob", "--end-of-options", f"{sha}:{path}")
        except GitError:
            abort(404)
        # As text, whatever it is: nobody vouches for a file of a repository.
        return Response(found, mimetype="text/plain", headers={"X-Content-Type-Options": "nosniff"})

    def avatar(self, number: int) -> Response:
        account = next((a for a in self._site.world.accounts.values() if a.id == number), None) or abort(404)
        letter = account.login[0].upper()
        picture = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><rect width="40" height="40" '
            f'fill="hsl({number * 67 % 360} 45% 55%)"/><text x="20" y="27" font-family="sans-serif" font-size="20" '
            f'fill="#fff" text-anchor="middle">{letter}</text></svg>'
        )
        return Response(picture, mimetype="image/svg+xml")

    def favicon(self) -> Response:
        """Draw the icon of the pages: as a `data:` address their own policy would not let it in."""
        return Response(_ICON, mimetype="image/svg+xml")

    def ago(self, at: int) -> str:
        """Return a time as GitHub's pages say it."""
        seconds = (self._site.clock.now() - at) // SECOND
        for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
            if seconds >= size:
                number = seconds // size
                return f"{number} {name}{'' if number == 1 else 's'} ago"
        return "now" if seconds < 5 else f"{seconds} seconds ago"

    def _history(self, git: Git, repository: Repository, sha: str | None) -> list[tuple[Commit, list[CheckRun]]]:
        found = [] if sha is None else git.log(sha, limit=_COMMITS_ON_A_PAGE)
        return [(commit, self._runs(repository, commit.sha)) for commit in found]

    def _runs(self, repository: Repository, sha: str) -> list[CheckRun]:
        suite = repository.suites.get(sha)
        return [] if suite is None else sorted(suite.latest(), key=_first_things_first)

    def _repository(self, owner: str, repo: str) -> Repository:
        return self._site.world.find(owner, repo) or abort(404)

    def _render(self, template: str, **facts: Any) -> str:
        site, repository = self._site, facts.get("repository")
        commits: list[tuple[Commit, list[CheckRun]]] = facts.get("commits", [])
        waiting = facts.pop("is_waiting", _is_waiting(chain.from_iterable(runs for _, runs in commits)))
        who = acting(site.world, site.app.owner if repository is None else repository.owner)
        return render_template(
            template,
            here=request.path,
            is_waiting=waiting,
            shapes=site.shapes,
            acting=who,
            people=everybody(site.world),
            may=None if repository is None else Rights(repository, who),
            **facts,
        )


def _is_waiting(runs: Iterable[CheckRun]) -> bool:
    """Tell whether the page will soon be another one, and should look again by itself."""
    return any(run.status != "completed" for run in runs)


def _first_things_first(run: CheckRun) -> tuple[int, str]:
    """GitHub lists failures first, then what is unfinished, then the rest, each by name."""
    return (0 if run.conclusion in _BAD else 1 if run.status != "completed" else 2), run.name
