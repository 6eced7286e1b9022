"""Everything that there is, and how it is found."""

import itertools
import re
import threading
from typing import Literal

from bot.devhub.model.accounts import Account, App, Installation
from bot.devhub.model.repositories import Comment, Pull, Repository

_RESERVED = """
acting-as api app app-manifests apps avatars installation meta organizations orgs rate_limit repos repositories settings
user users
"""
"""First parts of our own URLs: an owner of that name would hide behind them."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


class World:
    """All accounts and repositories, found by name or id. Names are compared as GitHub does: without case.

    `app` is the one App that this GitHub knows. Registering another replaces it: ask for it each time.
    """

    app: App

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.accounts: dict[str, Account] = {}
        self.repositories: dict[int, Repository] = {}
        self.installations: dict[int, Installation] = {}
        self._names: dict[str, int] = {}
        self._ids = itertools.count(1001)

    def new_id(self) -> int:
        return next(self._ids)

    def account(self, login: str, kind: Literal["User", "Organization", "Bot"] = "User") -> Account:
        """Return the account of that name; whoever is mentioned for the first time joins."""
        if kind != "Bot" and (not _NAME.fullmatch(login) or login.lower() in _RESERVED.split()):
            raise ValueError(f"{login!r} cannot be the name of an account")
        if login.lower() not in self.accounts:
            self.accounts[login.lower()] = Account(self.new_id(), login, kind)
        return self.accounts[login.lower()]

    def add(self, repository: Repository) -> None:
        self._check_name(repository.owner, repository.name)
        self.repositories[repository.id] = repository
        self._names[repository.full_name.lower()] = repository.id

    def move(self, repository: Repository, owner: Account, name: str) -> None:
        """Give a new owner or name; the old address goes on leading to it, as GitHub's redirects do."""
        self._check_name(owner, name)
        repository.owner, repository.name = owner, name
        self._names[repository.full_name.lower()] = repository.id

    def remove(self, repository: Repository) -> None:
        """Forget a repository, and every name that led to it."""
        repository.is_deleted = True
        del self.repositories[repository.id]
        self._names = {name: number for name, number in self._names.items() if number != repository.id}

    def _check_name(self, owner: Account, name: str) -> None:
        """Raise ValueError for no name, or one that a repository has; one that had it once gives it up."""
        if not _NAME.fullmatch(name) or name.endswith(".git"):
            raise ValueError(f"{name!r} cannot be the name of a repository")
        known = self.find(owner.login, name)
        if known is not None and known.full_name.lower() == f"{owner.login}/{name}".lower():
            raise ValueError(f"{known.full_name} exists already")

    def find(self, owner: str, name: str) -> Repository | None:
        """Return the repository that has, or had, this name."""
        found = self._names.get(f"{owner}/{name}".lower())
        return None if found is None else self.repositories.get(found)

    def installation_on(self, repository: Repository) -> Installation | None:
        return next((i for i in self.installations.values() if i.covers(repository)), None)

    def installation_of(self, account: Account) -> Installation | None:
        return next((i for i in self.installations.values() if i.account is account), None)

    def covered(self, installation: Installation) -> list[Repository]:
        """Return the repositories that an installation reaches."""
        return [repository for repository in self.repositories.values() if installation.covers(repository)]

    def pull_of_comment(self, repository: Repository, comment_id: int) -> tuple[Pull, Comment] | None:
        for pull in repository.pulls.values():
            for comment in pull.comments:
                if comment.id == comment_id:
                    return pull, comment
        return None
