"""Repositories: made, renamed, put away, given away; and who may do what in them."""

import shutil
from typing import Any

from bot.devhub.git import Git
from bot.devhub.model import Account, Installation, Repository, RequiredCheck, Role
from bot.devhub.people.installations import Installations


class Repositories(Installations):
    """What is done with a repository as a whole. Its owner does it."""

    def create_repository(
        self,
        owner: str,
        name: str,
        *,
        private: bool = False,
        default_branch: str = "main",
        installed: bool = True,
    ) -> Repository:
        """Make an empty repository; the App is installed on it unless `installed` is False."""
        with self.world.lock:
            repository = self._new_repository(self.world.account(owner), name, private, default_branch, None)
            if installed:
                self.installation(owner)
            self._emit_repository(repository, "created")
            return repository

    def fork(self, repository: Repository, by: str) -> Repository:
        """Make a copy below another account, with all branches; the App is not installed there."""
        with self.world.lock:
            copy = self._new_repository(
                self.world.account(by), repository.name, repository.is_private, repository.default_branch, repository
            )
            self.site.git(copy).run("fetch", "--quiet", str(repository.path), "+refs/heads/*:refs/heads/*")
            return copy

    def _new_repository(
        self, owner: Account, name: str, private: bool, default_branch: str, parent: Repository | None
    ) -> Repository:
        number, now = self.world.new_id(), self.site.clock.now()
        path = self.site.root / "repositories" / f"{number}.git"
        repository = Repository(number, owner, name, private, default_branch, path, now, now, parent)
        self.world.add(repository)
        Git.create(path, default_branch)
        return repository

    def rename_repository(self, repository: Repository, name: str) -> None:
        """Give a repository another name; the old one redirects."""
        with self.world.lock:
            old = repository.name
            self.world.move(repository, repository.owner, name)
            self._emit_repository(repository, "renamed", changes={"repository": {"name": {"from": old}}})

    def archive_repository(self, repository: Repository) -> None:
        """Make it read-only: every write is refused with 403 (GitHub: "Archiving repositories")."""
        with self.world.lock:
            repository.is_archived = True
            self._emit_repository(repository, "archived")

    def unarchive_repository(self, repository: Repository) -> None:
        with self.world.lock:
            repository.is_archived = False
            self._emit_repository(repository, "unarchived")

    def set_visibility(self, repository: Repository, *, private: bool) -> None:
        """Make it private, or public for all to read."""
        with self.world.lock:
            repository.is_private = private
            self._emit_repository(repository, "privatized" if private else "publicized")

    def delete_repository(self, repository: Repository, *, told: bool = True) -> None:
        """Delete it, git and all, from every address that it ever had.

        GitHub's reference says that Apps do not receive `repository.deleted`; they were seen to receive it, after
        `installation_repositories.removed` (github/docs#36991). With `told=False` the reference is right.
        """
        with repository.push_lock, self.world.lock:
            self._leave(repository)
            if told:
                self._emit_repository(repository, "deleted")
            installation = self.world.installation_on(repository)
            if installation is not None and installation.selected is not None:
                installation.selected.discard(repository.id)
            self.world.remove(repository)
            shutil.rmtree(repository.path)

    def transfer_repository(self, repository: Repository, new_owner: str, installed: bool = True) -> None:
        """Give it to another account, where the App is `installed` (on all repositories, when it was not yet) or not.

        The new owner's installation alone hears `repository.transferred` (GitHub: "This event is only sent to the
        account where the ownership is transferred"); the old one's loses a repository. The old address redirects. A
        person who gives away stays as a collaborator (GitHub: "Transferring a repository").
        """
        with self.world.lock:
            old, account = repository.owner, self.world.account(new_owner)
            known = self.world.installation_of(account)
            if not installed and known is not None and known.selected is None:
                raise ValueError(f"the App is installed on all repositories of {new_owner}")
            left = self._leave(repository)
            self.world.move(repository, account, repository.name)
            if left is not None and left.selected is not None:
                left.selected.discard(repository.id)
            if old.kind == "User":
                repository.collaborators.setdefault(old.login.lower(), "write")
            if installed:
                arrived = self.installation(new_owner)
                if arrived.selected is not None:
                    arrived.selected.add(repository.id)
            kind = "organization" if old.kind == "Organization" else "user"
            shape = self.site.shapes.organization(old) if kind == "organization" else self.site.shapes.user(old)
            self._emit_repository(repository, "transferred", by=old, changes={"owner": {"from": {kind: shape}}})

    def _leave(self, repository: Repository) -> Installation | None:
        """Tell the App that a repository is none of its installation's any more."""
        installation = self.world.installation_on(repository)
        if installation is not None:
            self._emit_change(installation, None, "removed", [repository])
        return installation

    def _emit_repository(self, repository: Repository, action: str, by: Account | None = None, **more: Any) -> None:
        self.site.emit("repository", repository, by or repository.owner, {"action": action, **more})

    def add_collaborator(self, repository: Repository, login: str, role: Role = "write") -> Account:
        """Let somebody in; returns the account, whose `token` is also the password for git."""
        return self.set_role(repository, login, role)

    def set_role(self, repository: Repository, login: str, role: Role | None) -> Account:
        """Give somebody a role in the repository, `none` (or None) to take it away: what is public, all read on."""
        with self.world.lock:
            account = self.world.account(login)
            repository.collaborators.pop(login.lower(), None)
            if role not in {None, "none"}:
                repository.collaborators[login.lower()] = role
            return account

    def require_check(
        self,
        repository: Repository,
        name: str,
        app_id: int | None = None,
        branch: str | None = None,
        *,
        classic: bool = False,
    ) -> None:
        """Require a check on a branch (default: the default one), of one App or (None) of whoever reports it.

        By a ruleset, or by the older protection of the branch. devhub shows it and merges all the same.
        """
        with self.world.lock:
            required = RequiredCheck(branch or repository.default_branch, name, app_id, classic)
            repository.required_checks.append(required)

    def set_fetch_rules(self, repository: Repository, *, any_sha: bool = True, filters: bool = True) -> None:
        """Refuse (or allow again) fetching a SHA that no ref names, and fetching without blobs."""
        git = self.site.git(repository)
        git.configure("uploadpack.allowAnySHA1InWant", str(any_sha).lower())
        git.configure("uploadpack.allowFilter", str(filters).lower())
        repository.any_sha = any_sha
