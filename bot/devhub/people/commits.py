"""Pushing, without a clone."""

from collections.abc import Mapping

from bot.devhub.git import Link
from bot.devhub.model import Account, Repository
from bot.devhub.people.acts import Acts
from bot.devhub.pushes import after_push


class Commits(Acts):
    """What moves refs."""

    def commit_files(
        self,
        repository: Repository,
        files: Mapping[str, str | bytes | Link | None],
        *,
        branch: str | None = None,
        message: str = "Change files",
        parent: str | None = None,
        by: Account | None = None,
    ) -> str:
        """Commit and push in one act, without a clone: return the new tip's SHA.

        `files` maps paths to contents (None deletes, `Link` makes a symbolic link). A new branch starts at the
        default branch's tip; `parent` chooses another start, which makes a forced push of an existing branch.
        """
        who, branch = by or repository.owner, branch or repository.default_branch
        with repository.push_lock:
            git, before = self.site.git(repository), self.site.git(repository).refs()
            start = parent or before.get(f"refs/heads/{branch}")
            start = start or before.get(f"refs/heads/{repository.default_branch}")
            git.write(branch, start, files, self._signature(who), message)
            return after_push(self.site, repository, who, before)[f"refs/heads/{branch}"]

    def tag(self, repository: Repository, names: str | list[str], sha: str, by: Account | None = None) -> None:
        """Push one or several tags at once."""
        with repository.push_lock:
            git, before = self.site.git(repository), self.site.git(repository).refs()
            for name in [names] if isinstance(names, str) else names:
                git.run("update-ref", f"refs/tags/{name}", sha)
            after_push(self.site, repository, by or repository.owner, before)

    def delete_branch(self, repository: Repository, branch: str, by: Account | None = None) -> None:
        with repository.push_lock:
            git, before = self.site.git(repository), self.site.git(repository).refs()
            git.run("update-ref", "-d", f"refs/heads/{branch}")
            after_push(self.site, repository, by or repository.owner, before)
