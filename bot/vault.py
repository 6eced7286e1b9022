"""Encryption of secrets at rest: AES-256-GCM, under a key that only the environment holds (`SECRETS_KEY`).

What is locked is bound to its scope and name as associated data: a row that was moved or swapped does not open.
docs/decisions/0052-secrets.md says why it is no Fernet.
"""

import os
from base64 import b64decode
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = b"\x01"
_NONCE = 12
_KEY = 32


class KeyMalformed(Exception):
    """A key is not 32 bytes in base64."""


class CannotUnlock(Exception):
    """None of the keys opens it: it was locked under another one, or it is not what was locked."""


class Vault:
    """Locks under the first key, unlocks under any: so keys are rotated."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises KeyMalformed. At least one key is needed."""
        self._keys = [AESGCM(_decoded(key)) for key in keys]
        if not self._keys:
            raise KeyMalformed("a vault needs a key")

    def lock(self, scope: str, name: str, value: str) -> bytes:
        """Return the value, encrypted for this scope and name alone."""
        nonce = os.urandom(_NONCE)
        return _FORMAT + nonce + self._keys[0].encrypt(nonce, value.encode(), _bound_to(scope, name))

    def unlock(self, scope: str, name: str, locked: bytes) -> str:
        """Return what was locked for this scope and name. Raises CannotUnlock."""
        nonce, body = locked[1 : 1 + _NONCE], locked[1 + _NONCE :]
        if locked[:1] != _FORMAT or len(nonce) != _NONCE:
            raise CannotUnlock("its format is unknown")
        for key in self._keys:
            try:
                return key.decrypt(nonce, body, _bound_to(scope, name)).decode()
            except InvalidTag:
                continue
        raise CannotUnlock("no key fits")


def _bound_to(scope: str, name: str) -> bytes:
    return f"experiment-ci secret\0{scope}\0{name}".encode()


def _decoded(key: str) -> bytes:
    try:
        data = b64decode(key.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        data = b""
    if len(data) != _KEY:
        raise KeyMalformed(f"a key is {_KEY} random bytes in base64")
    return data
