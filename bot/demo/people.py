"""What the people of the demo do: they push with real git and open pull requests."""

import os
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import yaml

from bot.devhub import Account, DevHub, Pull, Repository
from bot.resources import EXAMPLES

CONFIG = ".ps_project/config.yaml"


@dataclass(frozen=True)
class Change:
    """A pull request: `old` becomes `new` in `path`. `is_good` is what the bot must find.

    `workflow` is the one that it is about, where the others would not tell it from the default branch.
    """

    branch: str
    title: str
    path: str
    old: str
    new: str
    is_good: bool
    workflow: str = ""


STRANGER = Change(
    "wider",
    "I tried it with 48",
    "params.json",
    '"hidden_units": 24',
    '"hidden_units": 48',
    is_good=True,
)
"""What somebody from outside proposes to the first project, from a fork: nothing of it runs until it is approved."""


@dataclass(frozen=True)
class Project:
    """An example that becomes a repository, and what is proposed there."""

    name: str
    first: str
    changes: tuple[Change, ...]

    @property
    def example(self) -> Path:
        return EXAMPLES / self.name


PROJECTS = (
    Project(
        "digits",
        "Train a small network on handwritten digits",
        (
            Change(
                "worse",
                "Learn more carefully",
                "params.json",
                '"learning_rate": 0.01',
                '"learning_rate": 0.001',
                is_good=False,
            ),
            Change(
                "better",
                "Give it more units",
                "params.json",
                '"hidden_units": 24',
                '"hidden_units": 64',
                is_good=True,
            ),
        ),
    ),
    Project(
        "distributed",
        "Train on several machines, and search for the best step",
        (
            Change(
                "faster",
                "Take larger steps",
                CONFIG,
                "LEARNING_RATE: 0.3",
                "LEARNING_RATE: 3",
                is_good=False,
                workflow="grpc",
            ),
        ),
    ),
)
"""The examples' README.md have the figures."""


def without(config: str, workflows: Collection[str]) -> str:
    """Return a config without some of its workflows, word for word where it has none of them."""
    content = yaml.safe_load(config)
    kept = {name: workflow for name, workflow in content["workflows"].items() if name not in workflows}
    return config if kept == content["workflows"] else yaml.safe_dump({**content, "workflows": kept}, sort_keys=False)


class People:
    """Somebody with a clone of a project's repository."""

    def __init__(self, hub: DevHub, ada: Account, project: Project, clone: Path) -> None:
        self._hub, self._ada, self.project, self.clone = hub, ada, project, clone
        self._repository: Repository | None = None

    @property
    def repository(self) -> Repository:
        if self._repository is None:
            raise RuntimeError("nobody has created the repository yet")
        return self._repository

    def create(self, left_out: Collection[str] = ()) -> str:
        """Create the repository, push the example to its default branch without some workflows; return the commit."""
        self._repository = self._hub.create_repository("acme", self.project.name, private=False)
        self._hub.add_collaborator(self._repository, self._ada.login)
        shutil.copytree(self.project.example, self.clone)
        config = self.clone / CONFIG
        config.write_text(without(config.read_text(), left_out))
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("remote", "add", "origin", self._hub.clone_url(self._repository))
        self._make_it_adas()
        return self._push("main", self.project.first)

    def propose(self, change: Change) -> tuple[Pull, str]:
        """Push a branch with the change and open a pull request for it."""
        self._git("switch", "--quiet", "--create", change.branch, "main")
        file = self.clone / change.path
        file.write_text(_changed(file, change))
        sha = self._push(change.branch, change.title)
        pull = self._hub.open_pull(
            self.repository, head=change.branch, base="main", title=change.title, body=f"`{change.new}`", by=self._ada
        )
        return pull, sha

    def propose_from_outside(self, change: Change, login: str) -> tuple[Pull, str]:
        """Let somebody who may not write here fork the repository, and propose the change from there."""
        stranger, fork = self._hub.add_user(login), self._hub.fork(self.repository, login)
        files = {change.path: _changed(self.project.example / change.path, change)}
        sha = self._hub.commit_files(fork, files, branch=change.branch, message=change.title)
        pull = self._hub.open_pull(
            self.repository, change.branch, "main", change.title, f"`{change.new}`", head_repository=fork, by=stranger
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
            ["git", *arguments], cwd=self.clone, env=environment, check=True, capture_output=True, text=True
        )
        return result.stdout.strip()


def _changed(file: Path, change: Change) -> str:
    text = file.read_text()
    if change.old not in text:
        raise ValueError(f"{change.path} does not hold {change.old}: the example and the demo differ")
    return text.replace(change.old, change.new)
