"""Who asks: the App by its JWT, an installation by its token, a person, or nobody. All by the clock handed in."""

import secrets
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bot.clock import HOUR, SECOND, Clock
from bot.devhub.errors import ApiError, bad_credentials, suspended
from bot.devhub.manifest import allows
from bot.devhub.model import Account, App, Installation, Repository, World

_LONGEST_JWT = 600
"""Seconds that a JWT may reach into the future (GitHub: "Generating a JSON Web Token for a GitHub App")."""
_UNVERIFIED = {f"verify_{claim}": False for claim in ("exp", "iat", "nbf", "aud", "iss", "sub", "jti")}


@dataclass(frozen=True)
class Token:
    """An installation token: one hour, some permissions, all or some repositories (ids)."""

    text: str = field(repr=False)
    installation: Installation
    permissions: dict[str, str]
    repositories: frozenset[int] | None
    expires_at: int


@dataclass(frozen=True)
class Actor:
    """Who sends a request: exactly one of the fields, or none for a stranger."""

    app: App | None = None
    token: Token | None = None
    user: Account | None = None

    @property
    def name(self) -> str:
        """Return whose rate limit it is."""
        if self.token is not None:
            return f"installation {self.token.installation.id}"
        if self.app is not None:
            return f"app {self.app.id}"
        return "anonymous" if self.user is None else f"user {self.user.login}"

    def check_awake(self) -> None:
        """Raise 403 for an installation that is suspended: nothing is answered to it, whatever it asks."""
        if self.token is not None and self.token.installation.is_suspended:
            raise suspended()

    def reaches(self, repository: Repository) -> bool:
        """Tell whether the repository exists for this actor at all."""
        return not repository.is_private or self.is_at_home(repository)

    def is_at_home(self, repository: Repository) -> bool:
        """Tell whether the actor was let in, over and above what everybody may see."""
        if self.token is not None:
            chosen = self.token.repositories
            return self.token.installation.covers(repository) and (chosen is None or repository.id in chosen)
        return self.user is not None and repository.role_of(self.user) != "none"

    def may(self, repository: Repository, permission: str, level: str) -> bool:
        """Tell whether the actor, at home in the repository, holds `permission` at `level`."""
        if self.token is not None:
            granted = self.token.permissions, self.token.installation.permissions
            return all(allows(permissions, permission, level) for permissions in granted)
        if self.user is None:
            return False
        return level == "read" or repository.role_of(self.user) in {"write", "maintain", "admin"}


class Tokens:
    """Mints and knows installation tokens."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens: dict[str, Token] = {}

    def mint(
        self, installation: Installation, permissions: dict[str, str], repositories: frozenset[int] | None
    ) -> Token:
        expires = self._clock.now() // SECOND * SECOND + HOUR
        token = Token("ghs_" + secrets.token_hex(18), installation, permissions, repositories, expires)
        self._tokens[token.text] = token
        return token

    def find(self, text: str) -> Token | None:
        """Return the token, unless it is unknown or its hour is over."""
        token = self._tokens.get(text)
        return token if token is not None and self._clock.now() < token.expires_at else None

    def revoke(self, text: str) -> None:
        self._tokens.pop(text, None)

    def revoke_all(self, installation: Installation) -> None:
        """Make every token of an installation bad, as uninstalling does."""
        self._tokens = {text: token for text, token in self._tokens.items() if token.installation is not installation}


class Gate:
    """Turns an `Authorization` header into an Actor; raises ApiError for a bad one."""

    def __init__(self, world: World, tokens: Tokens, clock: Clock) -> None:
        self._world, self._tokens, self._clock = world, tokens, clock

    def actor(self, header: str | None) -> Actor:
        if not header:
            return Actor()
        scheme, _, credential = header.partition(" ")
        if scheme.lower() not in {"bearer", "token"}:
            raise bad_credentials()
        if credential.count(".") == 2:
            return Actor(app=self._app_of(credential))
        return self.of_secret(credential)

    def of_secret(self, secret: str) -> Actor:
        """Return whose token this is; raises 401 when it is nobody's (any more)."""
        token = self._tokens.find(secret)
        if token is not None:
            return Actor(token=token)
        for account in self._world.accounts.values():
            if secrets.compare_digest(account.token.encode(), secret.encode()):
                return Actor(user=account)
        raise bad_credentials()

    def _app_of(self, text: str) -> App:
        app, claims = self._world.app, self._claims(text)
        if str(claims.get("iss")) not in {str(app.id), app.client_id}:
            raise ApiError(404, "Integration not found")
        self._check_times(claims)
        return app

    def _claims(self, text: str) -> dict[str, Any]:
        """Return what a JWT says that one of the App's keys has signed."""
        for key in self._world.app.public_keys.values():
            try:
                return jwt.decode(text, key, algorithms=["RS256"], options=_UNVERIFIED)  # type: ignore[arg-type]
            except jwt.PyJWTError:
                continue
        raise ApiError(401, "A JSON web token could not be decoded")

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = self._clock.now() / SECOND
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int | float) or issued > now:
            raise ApiError(
                401,
                "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
            )
        if not isinstance(expires, int | float) or expires <= now:
            raise ApiError(
                401,
                "'Expiration time' claim ('exp') must be a numeric value representing the future time"
                " at which the assertion expires",
            )
        if expires > now + _LONGEST_JWT:
            raise ApiError(401, "'Expiration time' claim ('exp') is too far in the future")


def new_key_pair() -> tuple[str, str]:
    """Return a private and a public RSA key (PEM)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@cache
def key_pair() -> tuple[str, str]:
    """Return the pair that every devhub of this process begins with: making one takes 0.1 s and more."""
    return new_key_pair()
