"""What every part of devhub shares: the world, the App, the clock, the courier, the tokens, the meter."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.clock import Clock
from bot.devhub.auth import Gate, Tokens
from bot.devhub.courier import Courier
from bot.devhub.git import Commit, Difference, Git, GitError
from bot.devhub.manifest import hears
from bot.devhub.model import Account, App, CheckSuite, Installation, Pull, Repository, World
from bot.devhub.ratelimit import Meter
from bot.devhub.registrations import Registrations
from bot.devhub.shapes import Shapes


@dataclass
class Site:
    """One devhub, without its server. `url` is where it is reached."""

    root: Path
    clock: Clock
    world: World
    courier: Courier
    tokens: Tokens
    gate: Gate
    meter: Meter
    registrations: Registrations
    url: str = ""
    _commits: dict[str, Commit] = field(default_factory=dict)
    _differences: dict[tuple[str, str], Difference] = field(default_factory=dict)

    @property
    def app(self) -> App:
        """Return the App, which another may have replaced since it was last asked for."""
        return self.world.app

    @property
    def shapes(self) -> Shapes:
        return Shapes(self.url, self.url)

    @property
    def hook_config(self) -> dict[str, str]:
        """Return where the App's webhooks go and how, as its owner sees it."""
        courier = self.courier
        config = {"content_type": courier.content_type, "insecure_ssl": courier.insecure_ssl, "secret": "********"}
        return config | ({"url": courier.url} if courier.url else {})

    def git(self, repository: Repository) -> Git:
        return Git(repository.path)

    def commit(self, repository: Repository, sha: str) -> Commit:
        """Return a commit; what was there once stays, for nothing is ever collected. Raises GitError."""
        key = f"{repository.id} {sha}"
        if key not in self._commits:
            self._commits[key] = self.git(repository).commit(sha)
        return self._commits[key]

    def has_commit(self, repository: Repository, sha: str) -> bool:
        try:
            return self.commit(repository, sha).sha == sha
        except GitError:
            return False

    def full_pull(self, pull: Pull, shapes: Shapes) -> dict[str, Any]:
        """Return the pull request with its counts, which git is asked for once for each pair of ends."""
        ends = (pull.base_sha, pull.head_sha)
        if ends not in self._differences:
            self._differences[ends] = self.git(pull.repository).difference(*ends)
        return shapes.full_pull(pull, self._differences[ends])

    def suite(self, repository: Repository, sha: str, branch: str | None, before: str | None) -> CheckSuite:
        """Return the App's one check suite of the commit, made when it is first asked for."""
        if sha not in repository.suites:
            suite = CheckSuite(self.world.new_id(), sha, branch, before, self.clock.now())
            repository.suites[sha] = suite
        return repository.suites[sha]

    def emit(self, event: str, repository: Repository, sender: Account, payload: dict[str, Any]) -> None:
        """Send a webhook, if the App is installed on the repository and may hear of this."""
        installation = self.world.installation_on(repository)
        if installation is None or installation.is_suspended:
            return
        if not hears(self.app.events, installation.permissions, event, payload.get("action")):
            return
        shapes = self.shapes
        common = {
            "repository": shapes.repository(repository),
            "sender": shapes.user(sender),
            "installation": {"id": installation.id, "node_id": f"I_{installation.id}"},
        }
        if repository.owner.kind == "Organization":
            common["organization"] = shapes.organization(repository.owner)
        # What the event itself says goes first, and before what all events have.
        self.courier.send(
            event, payload | {k: v for k, v in common.items() if k not in payload}, installation, repository
        )

    def emit_installation(
        self, event: str, installation: Installation, sender: Account, payload: dict[str, Any]
    ) -> None:
        """Send a webhook about the installation itself: every App hears of those, a suspended one too."""
        shape = self.shapes.installation(installation, self.app)
        common = {"installation": shape, "sender": self.shapes.user(sender)}
        self.courier.send(event, payload | common, installation, None)
