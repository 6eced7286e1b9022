"""The merge queue: it makes commits of its own, asks for checks on them, and merges or drops them.

GitHub: "Managing a merge queue", and `merge_group` in "Webhook events and payloads". A pull request leaves the queue
with `pull_request.dequeued` when it is merged, too.
"""

from typing import Any, Literal

from bot.devhub.model import Account, MergeGroup, Pull, Repository
from bot.devhub.people.acts import Acts
from bot.devhub.pushes import after_push, emit_pull

Reason = Literal["merged", "invalidated", "dequeued"]
_DEQUEUED = {"merged": "MERGE", "dequeued": "MANUAL"}
"""Why a pull request left the queue. Of an invalidated group it stays there, and gets another group."""


class MergeQueue(Acts):
    """What the queue does. It acts under a name of its own, as GitHub's does."""

    def request_merge_group(self, pull: Pull) -> str:
        """Let the merge queue ask for checks on a commit of its own; return that commit's SHA."""
        repository, queue = pull.repository, self._queue()
        with self.world.lock:
            if not pull.is_queued:
                pull.is_queued = True
                emit_pull(self.site, pull, repository.owner, "enqueued")
        with repository.push_lock:
            git, before = self.site.git(repository), self.site.git(repository).refs()
            base = before[f"refs/heads/{pull.base_ref}"]
            sha = git.merge(base, pull.head_sha, self._signature(queue), f"Merge pull request #{pull.number}")
            ref = f"refs/heads/gh-readonly-queue/{pull.base_ref}/pr-{pull.number}-{base}"
            git.run("update-ref", ref, sha)
            after_push(self.site, repository, queue, before)
        group = repository.merge_groups[sha] = MergeGroup(pull, sha, ref, base, f"refs/heads/{pull.base_ref}")
        self._emit_group(repository, group, {"action": "checks_requested"})
        return sha

    def destroy_merge_group(self, repository: Repository, sha: str, reason: Reason) -> None:
        """Let the queue be done with a group: its branch is deleted, and for `merged` its commit is the base's now.

        Raises KeyError for a group that there is not, ValueError when the base has moved on: only what checks have
        seen is merged.
        """
        group = repository.merge_groups[sha]
        if reason == "merged":
            self._merge(repository, group)
        del repository.merge_groups[sha]
        with self.world.lock:
            if reason in _DEQUEUED:
                group.pull.is_queued = False
                emit_pull(self.site, group.pull, self._queue(), "dequeued", reason=_DEQUEUED[reason])
            self._emit_group(repository, group, {"action": "destroyed", "reason": reason})
        with repository.push_lock:
            git, before = self.site.git(repository), self.site.git(repository).refs()
            git.run("update-ref", "-d", group.ref)
            after_push(self.site, repository, self._queue(), before)

    def _merge(self, repository: Repository, group: MergeGroup) -> None:
        queue, pull = self._queue(), group.pull
        with repository.push_lock:
            git, before = self.site.git(repository), self.site.git(repository).refs()
            if before.get(group.base_ref) != group.base_sha:
                raise ValueError(f"{group.base_ref} is not at {group.base_sha} any more")
            git.run("update-ref", group.base_ref, group.sha)
            after_push(self.site, repository, queue, before)
        with self.world.lock:
            pull.closed_at = pull.merged_at = pull.updated_at = self.site.clock.now()
            pull.merged_by, pull.merge_commit_sha = queue, group.sha
            emit_pull(self.site, pull, queue, "closed")

    def _queue(self) -> Account:
        return self.world.account("github-merge-queue[bot]", "Bot")

    def _emit_group(self, repository: Repository, group: MergeGroup, payload: dict[str, Any]) -> None:
        shape = {
            "head_sha": group.sha,
            "head_ref": group.ref,
            "base_sha": group.base_sha,
            "base_ref": group.base_ref,
            "head_commit": self.site.shapes.simple_commit(self.site.commit(repository, group.sha)),
        }
        self.site.emit("merge_group", repository, self._queue(), payload | {"merge_group": shape})
