"""Secrets of repositories and owners, locked: what a row holds opens only with a key from the settings."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import ColumnElement, Select, select, update
from sqlalchemy import delete as delete_from

from bot.core.secret import scope_of
from bot.store.database import Database, Transaction
from bot.store.schema import Secret
from bot.vault import CannotUnlock, Vault


class SecretsUnavailable(Exception):
    """An experiment cannot have its secrets. The message is for the person who pushed, and tells no value."""


class Secrets(Protocol):
    """The values that experiments may have, wherever they are kept."""

    def reveal(self, owner: str, name: str, wanted: Iterable[str]) -> dict[str, str]:
        """Return the values that a repository's experiment wants, by name. Raises SecretsUnavailable: not all are."""

    def known(self, owner: str, name: str, wanted: Iterable[str]) -> list[str]:
        """Return those of the values that are to be had now, for masking what a run left."""


class StoredSecrets:
    """Those in the database. `vault` opens them; None where the settings hold no key."""

    def __init__(self, database: Database, vault: Vault | None) -> None:
        self._database, self._vault = database, vault

    def reveal(self, owner: str, name: str, wanted: Iterable[str]) -> dict[str, str]:
        """See `Secrets.reveal`."""
        return reveal(self._database, self._vault, owner, name, wanted)

    def known(self, owner: str, name: str, wanted: Iterable[str]) -> list[str]:
        """See `Secrets.known`."""
        return known(self._database, self._vault, owner, name, wanted)


@dataclass(frozen=True)
class Stored:
    """A stored secret without its value; `locked` is that, encrypted. `updated_at` in UTC microseconds."""

    scope: str
    name: str
    locked: bytes = field(repr=False)
    updated_at: int


def put(tx: Transaction, scope: str, name: str, locked: bytes, now: int) -> bool:
    """Store a secret, over what was there. Return whether it is new."""
    changed = update(Secret).where(*_is(scope, name)).values(value=locked, updated_at=now)
    if tx.execute(changed.returning(Secret.id)).first() is not None:
        return False
    tx.add(Secret(scope=scope, name=name, value=locked, updated_at=now))
    tx.flush()
    return True


def delete(tx: Transaction, scope: str, name: str) -> bool:
    """Forget a secret. Return whether there was one."""
    return tx.execute(delete_from(Secret).where(*_is(scope, name)).returning(Secret.id)).first() is not None


def stored(tx: Transaction, scope: str | None = None) -> Sequence[Stored]:
    """Return the secrets of a scope, or all, in order of scope and name."""
    query = select(Secret).order_by(Secret.scope, Secret.name)
    return _stored(tx, query if scope is None else query.where(Secret.scope == scope))


def find(tx: Transaction, owner: str, repository: str, names: Iterable[str]) -> Mapping[str, Stored]:
    """Return by name those secrets of `names` that a repository has. Its own beat its owner's."""
    scopes = (scope_of(owner), scope_of(owner, repository))
    query = select(Secret).where(Secret.scope.in_(scopes), Secret.name.in_(list(names)))
    own_last = sorted(_stored(tx, query), key=lambda row: scopes.index(row.scope))
    return {row.name: row for row in own_last}


def _is(scope: str, name: str) -> tuple[ColumnElement[bool], ...]:
    return Secret.scope == scope, Secret.name == name


def _stored(tx: Transaction, query: Select[Secret]) -> list[Stored]:
    return [Stored(row.scope, row.name, row.value, row.updated_at) for row in tx.scalars(query)]


def reveal(database: Database, vault: Vault | None, owner: str, name: str, wanted: Iterable[str]) -> dict[str, str]:
    """Return the values of the secrets that a repository's experiment wants, by name.

    `vault` is None when the settings hold no key. Raises SecretsUnavailable, which names all that are missing.
    """
    names = sorted(set(wanted))
    if not names:
        return {}
    if vault is None:
        raise SecretsUnavailable(
            f"{_listed(names)} cannot be read: the bot has no SECRETS_KEY. Whoever runs the bot can set one"
            " (docs/settings.md)"
        )
    with database.read() as tx:
        found = find(tx, owner, name, names)
    _refuse_missing([n for n in names if n not in found], f"{owner}/{name}")
    return {n: _opened(vault, found[n]) for n in names}


def known(database: Database, vault: Vault | None, owner: str, name: str, wanted: Iterable[str]) -> list[str]:
    """Return the values of those secrets that can be opened now, for masking what a run left."""
    if vault is None:
        return []
    with database.read() as tx:
        found = find(tx, owner, name, wanted)
    values = []
    for row in found.values():
        with contextlib.suppress(CannotUnlock):
            values.append(vault.unlock(row.scope, row.name, row.locked))
    return values


def _refuse_missing(missing: Sequence[str], repository: str) -> None:
    if not missing:
        return
    how = "; ".join(f"experiment-ci secret set {name} --repo {repository}" for name in missing)
    verb = "is" if len(missing) == 1 else "are"
    raise SecretsUnavailable(
        f"there {verb} no {_listed(missing)} for {repository}; set {'it' if len(missing) == 1 else 'them'}: {how}"
    )


def _opened(vault: Vault, row: Stored) -> str:
    try:
        return vault.unlock(row.scope, row.name, row.locked)
    except CannotUnlock:
        raise SecretsUnavailable(
            f"{_listed([row.name])} of {row.scope} cannot be unlocked: it was stored under another SECRETS_KEY. Whoever"
            " runs the bot can bring that back, or the secret can be set again"
        ) from None


def _listed(names: Sequence[str]) -> str:
    return ("secret " if len(names) == 1 else "secrets ") + ", ".join(f"`{name}`" for name in names)
