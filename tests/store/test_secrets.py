"""Stored secrets: whose they are, which wins, and what is said when one is not to be had."""

import os
from base64 import b64encode

import pytest

from bot.store import secrets
from bot.store.database import Database
from bot.store.secrets import SecretsUnavailable, known, reveal
from bot.vault import Vault


@pytest.fixture
def vault() -> Vault:
    return Vault([b64encode(os.urandom(32)).decode()])


def put(database: Database, vault: Vault, scope: str, name: str, value: str, now: int = 1000) -> bool:
    with database.write() as tx:
        return secrets.put(tx, scope, name, vault.lock(scope, name, value), now)


def test_a_secret_is_stored_and_replaced(database: Database, vault: Vault) -> None:
    assert put(database, vault, "acme/digits", "token", "first", 1000)
    assert not put(database, vault, "acme/digits", "token", "second", 2000)

    with database.read() as tx:
        [row] = secrets.stored(tx)
    assert (row.scope, row.name, row.updated_at) == ("acme/digits", "token", 2000)
    assert reveal(database, vault, "acme", "digits", ["token"]) == {"token": "second"}


def test_rows_come_in_order_and_by_scope(database: Database, vault: Vault) -> None:
    for scope, name in (("zeta", "a"), ("acme/digits", "b"), ("acme", "c"), ("acme/digits", "a")):
        put(database, vault, scope, name, "value")

    with database.read() as tx:
        assert [(row.scope, row.name) for row in secrets.stored(tx)] == [
            ("acme", "c"),
            ("acme/digits", "a"),
            ("acme/digits", "b"),
            ("zeta", "a"),
        ]
        assert [row.name for row in secrets.stored(tx, "acme/digits")] == ["a", "b"]


def test_a_deleted_secret_is_gone(database: Database, vault: Vault) -> None:
    put(database, vault, "acme", "token", "value")
    with database.write() as tx:
        assert secrets.delete(tx, "acme", "token")
        assert not secrets.delete(tx, "acme", "token")
        assert secrets.stored(tx) == []


def test_a_repositorys_own_secret_beats_its_owners(database: Database, vault: Vault) -> None:
    put(database, vault, "acme/digits", "token", "the repository's")
    put(database, vault, "acme", "token", "the owner's")
    put(database, vault, "acme", "bucket", "the owner's")

    assert reveal(database, vault, "Acme", "Digits", ["token", "bucket", "token"]) == {
        "token": "the repository's",
        "bucket": "the owner's",
    }
    assert reveal(database, vault, "acme", "letters", ["token"]) == {"token": "the owner's"}


def test_only_what_is_asked_for_is_opened(database: Database, vault: Vault) -> None:
    put(database, vault, "acme", "token", "value")
    assert reveal(database, vault, "acme", "digits", []) == {}
    assert reveal(database, None, "acme", "digits", []) == {}, "without secrets no key is needed"


def test_a_missing_secret_is_named_with_the_cure(database: Database, vault: Vault) -> None:
    put(database, vault, "acme/letters", "token", "another repository's")
    with pytest.raises(SecretsUnavailable) as missing:
        reveal(database, vault, "Acme", "digits", ["token"])
    assert str(missing.value) == (
        "there is no secret `token` for Acme/digits; set it: experiment-ci secret set token --repo Acme/digits"
    )


def test_all_that_are_missing_are_named_at_once(database: Database, vault: Vault) -> None:
    put(database, vault, "acme", "token", "value")
    with pytest.raises(SecretsUnavailable) as missing:
        reveal(database, vault, "acme", "digits", ["b", "token", "a"])
    assert str(missing.value) == (
        "there are no secrets `a`, `b` for acme/digits; set them: experiment-ci secret set a --repo acme/digits;"
        " experiment-ci secret set b --repo acme/digits"
    )


def test_without_a_key_the_reader_learns_who_can_help(database: Database) -> None:
    with pytest.raises(SecretsUnavailable, match=r"secret `token` cannot be read: the bot has no SECRETS_KEY"):
        reveal(database, None, "acme", "digits", ["token"])


def test_a_row_under_another_key_is_told_without_its_value(database: Database, vault: Vault) -> None:
    put(database, Vault([b64encode(os.urandom(32)).decode()]), "acme", "token", "hunter2")
    with pytest.raises(SecretsUnavailable, match=r"secret `token` of acme cannot be unlocked") as stuck:
        reveal(database, vault, "acme", "digits", ["token"])
    assert "hunter2" not in str(stuck.value)


def test_what_is_left_to_be_masked_is_what_still_opens(database: Database, vault: Vault) -> None:
    put(database, vault, "acme", "token", "hunter2")
    put(database, Vault([b64encode(os.urandom(32)).decode()]), "acme", "lost", "value")
    assert known(database, vault, "acme", "digits", ["token", "lost", "missing"]) == ["hunter2"]
    assert known(database, None, "acme", "digits", ["token"]) == []


def test_rows_that_were_swapped_in_the_database_do_not_open(database: Database, vault: Vault) -> None:
    """Who can write to the database alone cannot give one repository's secret to another's experiments."""
    with database.write() as tx:
        secrets.put(tx, "evil/fork", "token", vault.lock("acme/digits", "token", "hunter2"), 1000)
    with pytest.raises(SecretsUnavailable, match="cannot be unlocked"):
        reveal(database, vault, "evil", "fork", ["token"])


def test_no_value_is_to_be_seen_in_what_is_printed(database: Database, vault: Vault) -> None:
    put(database, vault, "acme", "token", "hunter2")
    with database.read() as tx:
        [row] = secrets.stored(tx)
    assert "locked" not in repr(row)
