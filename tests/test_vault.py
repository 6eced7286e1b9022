"""Encryption at rest: opens with the right key, for the scope and name that it was locked for, and not otherwise."""

import os
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.vault import CannotUnlock, KeyMalformed, Vault


def key() -> str:
    return b64encode(os.urandom(32)).decode()


VAULT = Vault([key()])


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_what_was_locked_is_unlocked(value: str) -> None:
    assert VAULT.unlock("acme/digits", "token", VAULT.lock("acme/digits", "token", value)) == value


def test_nothing_of_the_value_is_to_be_seen_and_nothing_repeats() -> None:
    first, second = (VAULT.lock("acme", "token", "hunter2") for _ in range(2))
    assert b"hunter2" not in first
    assert first != second, "that two secrets are the same is not told either"


@pytest.mark.parametrize(("scope", "name"), [("acme", "token"), ("acme/other", "token"), ("acme/digits", "password")])
def test_a_row_that_was_moved_does_not_open(scope: str, name: str) -> None:
    locked = VAULT.lock("acme/digits", "token", "hunter2")
    with pytest.raises(CannotUnlock):
        VAULT.unlock(scope, name, locked)


def test_a_single_changed_bit_is_noticed() -> None:
    locked = VAULT.lock("acme", "token", "hunter2")
    for at in range(len(locked)):
        with pytest.raises(CannotUnlock):
            VAULT.unlock("acme", "token", locked[:at] + bytes([locked[at] ^ 1]) + locked[at + 1 :])


@pytest.mark.parametrize("size", [0, 1, 5, 13, 20])
def test_what_was_cut_off_is_noticed(size: int) -> None:
    with pytest.raises(CannotUnlock):
        VAULT.unlock("acme", "token", VAULT.lock("acme", "token", "hunter2")[:size])


def test_a_second_key_opens_what_was_locked_before() -> None:
    old, new = key(), key()
    locked = Vault([old]).lock("acme", "token", "hunter2")

    assert Vault([new, old]).unlock("acme", "token", locked) == "hunter2"
    with pytest.raises(CannotUnlock):
        Vault([new]).unlock("acme", "token", locked)
    with pytest.raises(CannotUnlock):
        Vault([old]).unlock("acme", "token", Vault([new, old]).lock("acme", "token", "hunter2"))


def test_both_alphabets_of_base64_give_the_same_key() -> None:
    raw = b"\xfb\xff" * 16
    locked = Vault([b64encode(raw).decode()]).lock("acme", "token", "hunter2")
    assert Vault([urlsafe_b64encode(raw).decode()]).unlock("acme", "token", locked) == "hunter2"


KEY = b64encode(b"7" * 32).decode()


@pytest.mark.parametrize("bad", ["", "hunter2", "a" * 44, KEY[:-4], KEY + "AAAA", KEY.rstrip("="), "é" * 44])
def test_a_malformed_key_is_refused_without_being_told(bad: str) -> None:
    with pytest.raises(KeyMalformed, match="32 random bytes in base64") as refused:
        Vault([bad])
    assert not bad or bad not in str(refused.value)


def test_a_vault_needs_a_key() -> None:
    with pytest.raises(KeyMalformed):
        Vault([])
