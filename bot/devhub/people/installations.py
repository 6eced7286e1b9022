"""The App comes to an account, and goes; what its installation may do and reach.

GitHub's words for all of it: "Reviewing and modifying installed GitHub Apps", "Suspending a GitHub App installation",
and `installation`, `installation_repositories` in "Webhook events and payloads".
"""

from collections.abc import Iterable, Mapping
from typing import Any

from bot.devhub.manifest import allows
from bot.devhub.model import Account, Installation, Repository
from bot.devhub.people.acts import Acts


class Installations(Acts):
    """What the owner of an account does with the App there."""

    def installation(self, owner: str) -> Installation:
        """Return the App's installation on an account; when there is none, one is made, of which nobody hears."""
        with self.world.lock:
            account = self.world.account(owner)
            return self.world.installation_of(account) or self._new_installation(account, None)

    def install(
        self, owner: str, repositories: Iterable[Repository | str] | None = None, by: Account | None = None
    ) -> Installation:
        """Install the App on all repositories of an account, or on some (or their names).

        Raises ValueError where it is installed already.
        """
        with self.world.lock:
            account = self.world.account(owner)
            if self.world.installation_of(account) is not None:
                raise ValueError(f"the App is installed on {owner} already")
            chosen = None if repositories is None else {each.id for each in self._of(account, repositories)}
            installation = self._new_installation(account, chosen)
            self._emit_with_repositories(installation, by, "created")
            return installation

    def uninstall(self, owner: str, by: Account | None = None) -> None:
        """Take the App off an account; its tokens are bad from now on."""
        with self.world.lock:
            installation = self.installation(owner)
            self._emit_with_repositories(installation, by, "deleted")
            del self.world.installations[installation.id]
            self.site.tokens.revoke_all(installation)

    def suspend(self, owner: str, by: Account | None = None) -> None:
        """Keep the App out for a while: no token, no webhook but those about the installation itself."""
        with self.world.lock:
            installation = self._known(owner)
            installation.suspended_at = installation.updated_at = self.site.clock.now()
            installation.suspended_by = by or installation.account
            self.site.emit_installation("installation", installation, installation.suspended_by, {"action": "suspend"})

    def unsuspend(self, owner: str, by: Account | None = None) -> None:
        with self.world.lock:
            installation = self._known(owner)
            installation.suspended_at, installation.suspended_by = None, None
            installation.updated_at = self.site.clock.now()
            sender = by or installation.account
            self.site.emit_installation("installation", installation, sender, {"action": "unsuspend"})

    def add_repositories(self, owner: str, repositories: Iterable[Repository | str], by: Account | None = None) -> None:
        """Let the App into more repositories. Raises ValueError where it is in all of them."""
        with self.world.lock:
            installation = self._known(owner)
            if installation.selected is None:
                raise ValueError(f"the App is installed on all repositories of {owner}")
            added = [each for each in self._of(installation.account, repositories) if not installation.covers(each)]
            installation.selected |= {each.id for each in added}
            self._emit_change(installation, by, "added", added)

    def remove_repositories(
        self, owner: str, repositories: Iterable[Repository | str], by: Account | None = None
    ) -> None:
        """Shut the App out of repositories; one that was in all is in those that are left."""
        with self.world.lock:
            installation = self._known(owner)
            removed = [each for each in self._of(installation.account, repositories) if installation.covers(each)]
            covered = {each.id for each in self.world.covered(installation)}
            installation.selected = covered - {each.id for each in removed}
            self._emit_change(installation, by, "removed", removed)

    def grant(self, owner: str, permissions: Mapping[str, str], by: Account | None = None) -> None:
        """Let the installation do exactly this from now on, its tokens in use included.

        GitHub tells the App when somebody accepts more (`new_permissions_accepted`), not when there is less: an
        installation lags behind an App that asks for more, as here, until its owner agrees.
        """
        with self.world.lock:
            installation = self._known(owner)
            old, installation.permissions = installation.permissions, {"metadata": "read", **permissions}
            installation.updated_at = self.site.clock.now()
            if not all(allows(old, name, level) for name, level in installation.permissions.items()):
                self._emit_with_repositories(installation, by, "new_permissions_accepted")

    def _known(self, owner: str) -> Installation:
        found = self.world.installation_of(self.world.account(owner))
        if found is None:
            raise ValueError(f"the App is not installed on {owner}")
        return found

    def _new_installation(self, account: Account, selected: set[int] | None) -> Installation:
        now, permissions = self.site.clock.now(), dict(self.site.app.permissions)
        installation = Installation(self.world.new_id(), account, permissions, now, now, selected)
        self.world.installations[installation.id] = installation
        return installation

    def _of(self, account: Account, repositories: Iterable[Repository | str]) -> list[Repository]:
        found = []
        for each in repositories:
            repository = self.world.find(account.login, each) if isinstance(each, str) else each
            if repository is None or repository.owner is not account:
                raise ValueError(f"{account.login} has no repository {each}")
            found.append(repository)
        return found

    def _emit_with_repositories(self, installation: Installation, by: Account | None, action: str) -> None:
        reached = [self.site.shapes.identity(each) for each in self.world.covered(installation)]
        payload: dict[str, Any] = {"action": action, "repositories": reached}
        if action == "created":
            # Set when a member asked for it and an owner agreed.
            payload["requester"] = None
        self.site.emit_installation("installation", installation, by or installation.account, payload)

    def _emit_change(
        self, installation: Installation, by: Account | None, action: str, changed: list[Repository]
    ) -> None:
        installation.updated_at = self.site.clock.now()
        shapes = [self.site.shapes.identity(each) for each in changed]
        payload = {
            "action": action,
            "repository_selection": "all" if installation.selected is None else "selected",
            "repositories_added": shapes if action == "added" else [],
            "repositories_removed": shapes if action == "removed" else [],
            "requester": None,
        }
        self.site.emit_installation("installation_repositories", installation, by or installation.account, payload)
