"""Station: what GitHub shows is held against what it was told, and what became something else is told once more.

Answers are lost, databases are restored, people edit and delete: a check stays yellow, a comment says what somebody
else wrote, or stands there twice. Each is put right once. After that whoever changed it is taken to mean it.
"""

import logging

from bot.clock import SECOND, Clock
from bot.core.text import MARKER
from bot.forge.client import Forge, Repo
from bot.forge.errors import ForgeError, Retry
from bot.forge.shown import ShownCheck, ShownComment
from bot.store import reconciling
from bot.store.database import Database
from bot.store.reconciling import ToldCheck, ToldComment
from bot.store.schema import Commit, Repository
from bot.worker.repo import repo_of

_EVERY = 2 * SECOND
_log = logging.getLogger(__name__)


class Reconcile:
    """Looks at one commit and one comment at a time. What has not changed on GitHub costs no request of the hour's."""

    name = "reconcile"

    def __init__(self, database: Database, clock: Clock, forge: Forge) -> None:
        self._database, self._clock, self._forge = database, clock, forge
        self._next = 0

    def tick(self) -> bool:
        now = self._clock.now()
        if now < self._next:
            return False
        self._next = now + _EVERY
        with self._database.read() as tx:
            commit = reconciling.next_commit(tx, now)
            comment = reconciling.next_comment(tx, now)
        if commit is not None:
            self._look_at_commit(*commit)
        if comment is not None:
            self._look_at_comment(comment)
        return False

    # Checks

    def _look_at_commit(self, commit: Commit, repository: Repository) -> None:
        now = self._clock.now()
        with self._database.write() as tx:
            reconciling.looked_at_commit(tx, commit.id, now)
            told = reconciling.told_checks(tx, commit.id, now)
        if not told:
            return
        try:
            shown = self._forge.checks_on(repo_of(repository), commit.sha)
        except ForgeError as trouble:
            _log.info("the checks of %s cannot be looked at: %s", commit.sha[:7], trouble)
            return
        by_id = {one.external_id: one for one in shown}
        for check in told:
            there = by_id.get(str(check.id))
            if there is not None and check.may_heal and is_something_else(check, there):
                _log.warning("the check %r of %s shows something else; it is told again", check.name, commit.sha[:7])
                with self._database.write() as tx:
                    reconciling.heal_check(tx, check, there.id)

    # Comments

    def _look_at_comment(self, comment: ToldComment) -> None:
        with self._database.write() as tx:
            reconciling.looked_at_comment(tx, comment.id, self._clock.now())
        repo = repo_of(comment.repository)
        try:
            made = self._forge.comments_on(repo, comment.number)
            # Whoever edited it may have taken the marker away.
            shown = [one for one in made if MARKER in one.body or one.id == comment.github_id]
            ours = self._only_one(repo, comment, shown)
        except ForgeError as trouble:
            _log.info("the comment on #%s cannot be looked at: %s", comment.number, trouble)
            if isinstance(trouble, Retry):
                with self._database.write() as tx:
                    reconciling.look_soon_at_comment(tx, comment.id, self._clock.now())
            return
        is_right = ours is not None and ours.id == comment.github_id and _same(ours.body, comment.body)
        if is_right or not comment.may_heal:
            return
        _log.warning("the comment on #%s of %s is not as it was told; it is told again", comment.number, repo)
        with self._database.write() as tx:
            reconciling.heal_comment(tx, comment, None if ours is None else ours.id)

    def _only_one(self, repo: Repo, comment: ToldComment, shown: list[ShownComment]) -> ShownComment | None:
        """Return the one that stays, which is the oldest; the others are taken away."""
        for other in shown[1:]:
            if self._forge.pacer.may_write(repo.installation):
                with self._database.write() as tx:
                    reconciling.looked_at_comment(tx, comment.id, 0)  # soon again
                break
            self._forge.delete_comment(repo, comment.number, other.id)
        return shown[0] if shown else None


def is_something_else(told: ToldCheck, shown: ShownCheck) -> bool:
    """Tell whether a check does not stand as it was told; nobody but us can change its words."""
    is_here = shown.id == told.github_id and (shown.status, shown.conclusion) == (told.status, told.conclusion)
    return not is_here or shown.title.strip() != told.title.strip()


def _same(shown: str, told: str) -> bool:
    """Tell whether two bodies are one text: GitHub keeps line ends and edges in its own way."""
    return shown.replace("\r\n", "\n").strip() == told.replace("\r\n", "\n").strip()
