"""What happens on GitHub and wants nothing built: what is closed, deleted, moved or taken away is followed."""

from bot.clock import Clock
from bot.core import events
from bot.store import checks, commits, installations, runs
from bot.store.database import Database, Transaction
from bot.store.schema import Repository
from bot.worker.build import why_cancelled
from bot.worker.outcome import Outcome

_OfRepository = (
    events.RefDeleted
    | events.MergeGroupDestroyed
    | events.RepositoryChanged
    | events.RepositoryClosed
    | events.CommentTouched
)
Followed = _OfRepository | events.InstallationChanged
_OPENING = frozenset({"created", "unsuspend", "new_permissions_accepted", "repositories added"})
_WHY_CLOSED = {"deleted": "the repository was deleted", "archived": "the repository was archived"}


class Follower:
    """Brings the rows up to what happened. Everything here may be told twice, late, or in another order."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def follow(self, event: Followed) -> Outcome:
        """Follow an event; what is not known here already is none of our business."""
        with self._database.write() as tx:
            if isinstance(event, events.InstallationChanged):
                return self._installation(tx, event)
            repository = commits.find_repository(tx, event.repository.github_id)
            if repository is None:
                return Outcome("ignored", "nothing was ever run for this repository")
            return self._of_repository(tx, event, repository)

    def _of_repository(self, tx: Transaction, event: _OfRepository, repository: Repository) -> Outcome:
        match event:
            case events.RepositoryChanged():
                return self._repository(tx, event, repository)
            case events.RepositoryClosed():
                count = installations.close(tx, repository, event.action, _WHY_CLOSED[event.action])
                return Outcome("done", f"{_WHY_CLOSED[event.action]}; {_asked(count)}")
            case events.RefDeleted():
                return self._ref(tx, event, repository)
            case events.MergeGroupDestroyed():
                return self._group(tx, event, repository)
            case events.CommentTouched():
                return self._comment(tx, event, repository)

    def close(self, event: events.PullRequestChanged, *, is_look: bool = False) -> Outcome:
        """Stop what ran for a pull request that is closed, as its newest event tells, or a look at GitHub."""
        with self._database.write() as tx:
            repository = commits.see_repository(tx, event.repository, self._clock.now())
            facts = {
                "base_branch": event.base_branch,
                "author": event.author,
                "is_fork": event.is_fork,
                "is_draft": event.is_draft,
            }
            pull = commits.see_pull(
                tx, repository.id, event.number, event.sha, False, event.updated_at, facts, is_look=is_look
            )
            if pull.is_open:
                return Outcome("ignored", f"pull request #{event.number} was opened again after this")
            count = runs.cancel_pull(tx, pull, why_cancelled(pull))
            # What went into its base is that branch's own from now on.
            commits.touch_pull(tx, repository.id, event.number)
        return Outcome("done", f"{why_cancelled(pull)}; {_asked(count)}")

    def _repository(self, tx: Transaction, event: events.RepositoryChanged, repository: Repository) -> Outcome:
        """What waits to be told goes to the repository's new name from now on."""
        commits.see_repository(tx, event.repository, self._clock.now())
        if repository.closed is not None:
            installations.open_again(tx, repository)
        return Outcome("done", f"this repository is {event.repository.full_name}")

    def _ref(self, tx: Transaction, event: events.RefDeleted, repository: Repository) -> Outcome:
        commits.see_head(tx, repository.id, event.ref, None, event.pushed_at)
        if commits.head_of(tx, repository.id, event.ref) is not None:
            return Outcome("ignored", f"{event.ref} was made again after this")
        return self._end_ref(tx, repository, event.ref)

    def _end_ref(self, tx: Transaction, repository: Repository, ref: str) -> Outcome:
        reason = f"{ref.removeprefix('refs/heads/').removeprefix('refs/tags/')} was deleted"
        count = runs.end_reason(tx, repository.id, "push", ref, reason, self._clock.now())
        return Outcome("done", f"{reason}; {_asked(count)}")

    def see_push(self, tx: Transaction, event: events.PushReceived) -> None:
        """Remember where a branch or a tag stands; a push that is told after its deletion wants nothing any more."""
        repository = commits.find_repository(tx, event.repository.github_id)
        if repository is None:
            return
        commits.see_head(tx, repository.id, event.ref, event.sha, event.pushed_at)
        if commits.head_of(tx, repository.id, event.ref) is None:
            self._end_ref(tx, repository, event.ref)

    def let_in(self, tx: Transaction, sent: events.Repository) -> None:
        """Speak again to a repository that was closed: GitHub sends nothing of those that are, and its code was read.

        That it was opened again may have been told before its closing was, or never.
        """
        repository = commits.find_repository(tx, sent.github_id)
        if repository is not None and repository.closed is not None:
            installations.open_again(tx, repository)

    def is_gone(self, event: events.MergeGroupRequested) -> bool:
        """Tell whether the end of a merge group came before this, its beginning."""
        with self._database.read() as tx:
            return commits.has_group_ended(tx, event.repository.github_id, event.sha)

    def _group(self, tx: Transaction, event: events.MergeGroupDestroyed, repository: Repository) -> Outcome:
        if event.reason == "merged":
            return Outcome("ignored", "the merge group was merged: its commit is that of its branch")
        commit = commits.find(tx, repository.github_id, event.sha)
        if commit is None:
            commits.see_group_end(tx, repository.id, event.sha)
            return Outcome("ignored", "nothing was run for this merge group")
        reason = f"the merge queue needs it no more ({event.reason})"
        count = runs.end_group(tx, commit.id, reason, self._clock.now())
        return Outcome("done", f"{reason}; {_asked(count)}")

    def _comment(self, tx: Transaction, event: events.CommentTouched, repository: Repository) -> Outcome:
        if checks.suspect_comment(tx, repository.id, event.number, event.comment_id):
            return Outcome("done", "somebody changed or deleted our comment")
        return Outcome("ignored", "a comment that is not ours was changed or deleted")

    def _installation(self, tx: Transaction, event: events.InstallationChanged) -> Outcome:
        now = self._clock.now()
        row = installations.see(tx, event.installation_id, event.account, now)
        count = 0
        if event.action == "suspend":
            row.suspended_at = now
        elif event.action == "deleted":
            row.removed_at = now
            gone = installations.repositories(tx, event.installation_id)
            count = sum(self._shut(tx, repository) for repository in gone)
        elif event.action in _OPENING:
            row.suspended_at = row.removed_at = None
            self._open(tx, event)
        for repository in installations.by_github_ids(tx, event.removed):
            # One that another installation has by now was not taken from that.
            if repository.installation_id == event.installation_id:
                count += self._shut(tx, repository)
        return Outcome("done", f"{event.account}: {event.action}; {_asked(count)}")

    def _shut(self, tx: Transaction, repository: Repository) -> int:
        return installations.close(tx, repository, installations.UNINSTALLED, "the App was taken off this repository")

    def _open(self, tx: Transaction, event: events.InstallationChanged) -> None:
        """Say again what could not be said. A repository may have another installation's id since it was last seen."""
        for repository in installations.by_github_ids(tx, event.added):
            repository.installation_id = event.installation_id
            installations.open_again(tx, repository)
        if event.action in ("unsuspend", "new_permissions_accepted"):
            for repository in installations.repositories(tx, event.installation_id):
                installations.open_again(tx, repository)


def _asked(count: int) -> str:
    return f"{count} experiments were asked to stop"
