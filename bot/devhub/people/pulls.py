"""Pull requests, from their opening to their end."""

from bot.devhub.model import Account, Pull, Repository
from bot.devhub.people.acts import Acts
from bot.devhub.pushes import after_push, emit_pull, keep_head


class Pulls(Acts):
    """What is done with pull requests."""

    def open_pull(
        self,
        repository: Repository,
        head: str,
        base: str = "main",
        title: str = "A change",
        body: str = "",
        *,
        draft: bool = False,
        head_repository: Repository | None = None,
        by: Account | None = None,
    ) -> Pull:
        """Open a pull request of branch `head` (of a fork, when `head_repository` is given) onto branch `base`."""
        source = head_repository or repository
        head_sha, base_sha = self.site.git(source).tip(head), self.site.git(repository).tip(base)
        if head_sha is None or base_sha is None:
            raise ValueError(f"there is no branch {head if head_sha is None else base}")
        with self.world.lock:
            now, author = self.site.clock.now(), by or source.owner
            number = len(repository.pulls) + 1
            pull = Pull(
                id=self.world.new_id(),
                number=number,
                repository=repository,
                head_repository=source,
                head_ref=head,
                head_sha=head_sha,
                base_ref=base,
                base_sha=base_sha,
                title=title,
                body=body,
                author=author,
                is_draft=draft,
                created_at=now,
                updated_at=now,
            )
            repository.pulls[number] = pull
            keep_head(self.site, pull)
            emit_pull(self.site, pull, author, "opened")
            return pull

    def close_pull(self, pull: Pull, by: Account | None = None) -> None:
        with self.world.lock:
            pull.closed_at = pull.updated_at = self.site.clock.now()
            emit_pull(self.site, pull, by or pull.repository.owner, "closed")

    def reopen_pull(self, pull: Pull, by: Account | None = None) -> None:
        with self.world.lock:
            pull.closed_at, pull.updated_at = None, self.site.clock.now()
            emit_pull(self.site, pull, by or pull.repository.owner, "reopened")

    def mark_ready(self, pull: Pull, by: Account | None = None) -> None:
        """Make a draft ready for review."""
        with self.world.lock:
            pull.is_draft, pull.updated_at = False, self.site.clock.now()
            emit_pull(self.site, pull, by or pull.author, "ready_for_review")

    def convert_to_draft(self, pull: Pull, by: Account | None = None) -> None:
        with self.world.lock:
            pull.is_draft, pull.updated_at = True, self.site.clock.now()
            emit_pull(self.site, pull, by or pull.author, "converted_to_draft")

    def edit_pull(self, pull: Pull, title: str) -> None:
        """Change the title: an action that concerns no commit."""
        with self.world.lock:
            old, pull.title, pull.updated_at = pull.title, title, self.site.clock.now()
            emit_pull(self.site, pull, pull.author, "edited", changes={"title": {"from": old}})

    def edit_base(self, pull: Pull, base: str, by: Account | None = None) -> None:
        """Turn the pull request to another base branch; its own commits stay. Raises ValueError when there is none."""
        sha = self.site.git(pull.repository).tip(base)
        if sha is None:
            raise ValueError(f"there is no branch {base}")
        with self.world.lock:
            changes = {"base": {"ref": {"from": pull.base_ref}, "sha": {"from": pull.base_sha}}}
            pull.base_ref, pull.base_sha, pull.updated_at = base, sha, self.site.clock.now()
            emit_pull(self.site, pull, by or pull.author, "edited", changes=changes)

    def merge_pull(self, pull: Pull, by: Account | None = None) -> str:
        """Merge with a merge commit; return its SHA. Raises GitError on a conflict."""
        repository, who = pull.repository, by or pull.repository.owner
        with repository.push_lock:
            git, before = self.site.git(repository), self.site.git(repository).refs()
            base = before[f"refs/heads/{pull.base_ref}"]
            words = f"Merge pull request #{pull.number} from {pull.head_repository.owner.login}/{pull.head_ref}"
            sha = git.merge(base, pull.head_sha, self._signature(who), words)
            git.run("update-ref", f"refs/heads/{pull.base_ref}", sha)
            after_push(self.site, repository, who, before)
        with self.world.lock:
            pull.closed_at = pull.merged_at = pull.updated_at = self.site.clock.now()
            pull.merged_by, pull.merge_commit_sha = who, sha
            emit_pull(self.site, pull, who, "closed")
        return sha
