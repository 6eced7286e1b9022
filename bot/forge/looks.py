"""The looks: what we read from GitHub as an installation. What has not changed since the last look costs nothing."""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from bot.clock import Clock
from bot.core.permission import Permission
from bot.forge.calls import Calls
from bot.forge.credentials import Credentials
from bot.forge.errors import Refused
from bot.forge.pacing import Pacer
from bot.forge.repo import Pull, Repo, Standing, checked_sha, pull_of, standing_of
from bot.forge.shown import Installed, Listed, ShownCheck, ShownComment, branch_of, shown_check, shown_comment

T = TypeVar("T")
_PAGES = 10
"""Of a hundred each: how much of a list is read."""


class Looks(Calls):
    """GitHub, for those who look. What each raises stands at `Calls`."""

    def __init__(self, credentials: Credentials, pacer: Pacer, clock: Clock) -> None:
        super().__init__(credentials, pacer, clock)
        self._bot_login = ""

    def permission_of(self, repo: Repo, login: str) -> Permission:
        """Return what somebody may do in the repository, as it is now; nothing for whom GitHub does not know."""
        try:
            return self.read(repo, f"/collaborators/{quote(login, safe='')}/permission", _permission)
        except Refused as refused:
            if refused.status == 404:
                return Permission.NONE
            raise

    def branch_head(self, repo: Repo, branch: str) -> str | None:
        """Return the newest commit of a branch, None where there is no such branch."""
        return self._or_none(
            repo, f"/branches/{quote(branch, safe='')}", lambda found: checked_sha(found["commit"]["sha"])
        )

    def resolve(self, repo: Repo, ref: str) -> str | None:
        """Return the commit that a branch, a tag or a SHA names, None where there is none."""
        return self._or_none(repo, f"/commits/{quote(ref, safe='')}", lambda found: checked_sha(found["sha"]))

    def merge_base(self, repo: Repo, base: str, head: str) -> str | None:
        """Return where two commits part, None where they have nothing in common."""
        path = f"/compare/{checked_sha(base)}...{checked_sha(head)}"
        return self._or_none(repo, path, lambda found: checked_sha(found["merge_base_commit"]["sha"]), per_page="1")

    def _or_none(self, repo: Repo, path: str, understand: Callable[[Any], T], **parameters: str) -> T | None:
        try:
            return self.read(repo, path, understand, **parameters)
        except Refused as refused:
            if refused.status in (404, 409, 422):  # 409: an empty repository; 422: no such commit
                return None
            raise

    def get_pull(self, repo: Repo, number: int) -> Pull:
        """Return the pull request as it is now."""
        return self.read(repo, f"/pulls/{number:d}", pull_of)

    # What there is, to be compared with what we know

    def standing(self, repo: Repo) -> Standing:
        """Return the repository as it is now."""
        return self.read(repo, "", standing_of)

    def open_pulls(self, repo: Repo) -> Listed[Pull]:
        """Return the open pull requests, those that were touched last first."""
        found = self.read_all(repo, "/pulls", pull_of, _PAGES, state="open", sort="updated", direction="desc")
        return Listed(found, len(found) < _PAGES * 100)

    def branches(self, repo: Repo) -> Listed[tuple[str, str]]:
        """Return the branches, each with its newest commit."""
        found = self.read_all(repo, "/branches", branch_of, _PAGES)
        return Listed(found, len(found) < _PAGES * 100)

    def installations(self) -> list[Installed]:
        """Return where the App is installed, asked as the App itself."""
        found: list[Installed] = []
        query: str | None = "per_page=100"
        while query is not None:
            page = self.credentials.page(f"/app/installations?{query}")
            found += [
                Installed(int(one["id"]), str(one["account"]["login"]), one.get("suspended_at") is not None)
                for one in page.value
            ]
            query = page.following
        return found

    def installation_of(self, owner: str, name: str) -> int | None:
        """Return the id of the installation that reaches the repository, None when the App is not installed there."""
        repo = Repo(0, owner, name)
        try:
            return int(self.credentials.read(f"/repos/{repo}/installation")["id"])
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def checks_on(self, repo: Repo, sha: str) -> list[ShownCheck]:
        """Return the checks of our App on a commit as GitHub shows them: the latest of each name."""
        path, ours = f"/commits/{checked_sha(sha)}/check-runs", str(self.credentials.app_id)
        return self.read_all(repo, path, shown_check, _PAGES, app_id=ours, filter="latest")

    def comments_on(self, repo: Repo, number: int) -> list[ShownComment]:
        """Return the comments that our App made itself on a pull request, the oldest first."""
        found = self.read_all(repo, f"/issues/{number:d}/comments", shown_comment, _PAGES)
        return [one for one in found if self.is_ours(one)]

    def is_ours(self, comment: ShownComment) -> bool:
        """Tell whether our App wrote it: GitHub names the App with the comment, or else its bot as the author."""
        if comment.app_id == self.credentials.app_id:
            return True
        if not comment.bot_login:
            return False
        # Asked for at most once, and only where a bot's comment has our marker but names no App.
        self._bot_login = self._bot_login or f"{self.credentials.read('/app')['slug']}[bot]"
        return comment.bot_login == self._bot_login


def _permission(found: Any) -> Permission:
    return Permission.of(str(found["role_name"]), str(found["permission"]))
