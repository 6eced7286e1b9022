"""What the people of the demo do: they push with real git and open pull requests."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bot.devhub import DevHub, Pull, Repository


@dataclass(frozen=True)
class Change:
    """A pull request: `old` becomes `new` in `path`. `is_good` is what the bot must find."""

    branch: str
    title: str
    path: str
    old: str
    new: str
    is_good: bool


CHANGES = (
    Change("worse", "Learn more carefully", "params.json", '"learning_rate": 0.01', '"learning_rate": 0.001', False),
    Change("better", "Give it more units", "params.json", '"hidden_units": 24', '"hidden_units": 64', True),
)
"""examples/digits/README.md has the figures."""


class People:
    """Somebody with a clone of the repository."""

    def __init__(self, hub: DevHub, example: Path, clone: Path) -> None:
        self._hub, self._example, self._clone = hub, example, clone
        self._ada = hub.add_user("ada")
        self._repository: Repository | None = None

    @property
    def repository(self) -> Repository:
        if self._repository is None:
            raise RuntimeError("nobody has created the repository yet")
        return self._repository

    def create(self) -> str:
        """Create the repository, push the example to its default branch, and return the commit."""
        self._repository = self._hub.create_repository("acme", "digits", private=False)
        self._hub.add_collaborator(self._repository, "ada")
        shutil.copytree(self._example, self._clone)
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("remote", "add", "origin", self._hub.clone_url(self._repository))
        self._make_it_adas()
        return self._push("main", "Train a small network on handwritten digits")

    def propose(self, change: Change) -> tuple[Pull, str]:
        """Push a branch with the change and open a pull request for it."""
        self._git("switch", "--quiet", "--create", change.branch, "main")
        file = self._clone / change.path
        text = file.read_text()
        if change.old not in text:
            raise ValueError(f"{change.path} does not hold {change.old}: the example and the demo differ")
        file.write_text(text.replace(change.old, change.new))
        sha = self._push(change.branch, change.title)
        pull = self._hub.open_pull(
            self.repository, head=change.branch, base="main", title=change.title, body=f"`{change.new}`", by=self._ada
        )
        return pull, sha

    def _push(self, branch: str, message: str) -> str:
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)
        self._git("push", "--quiet", "origin", branch)
        return self._git("rev-parse", "HEAD")

    def _make_it_adas(self) -> None:
        """Put Ada's name and her way to log in into the clone: whoever tries the demo may push from there too."""
        given = self._hub.git_env(self._ada)
        count = int(given["GIT_CONFIG_COUNT"])
        known = [(given[f"GIT_CONFIG_KEY_{n}"], given[f"GIT_CONFIG_VALUE_{n}"]) for n in range(count)]
        for key, value in [("user.name", "Ada"), ("user.email", "ada@example.com"), *known]:
            self._git("config", "--add", key, value)

    def _git(self, *arguments: str) -> str:
        # Nothing of this machine's own git settings: the demo is the same everywhere.
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        result = subprocess.run(
            ["git", *arguments], cwd=self._clone, env=environment, check=True, capture_output=True, text=True
        )
        return result.stdout.strip()
