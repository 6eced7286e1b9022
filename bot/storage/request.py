"""What the supervisor asks for: one JSON object on stdin."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, quote_plus, unquote, urlsplit


@dataclass(frozen=True)
class Fetch:
    """One thing to fetch. `name` is the dataset's, empty for the workspace; secrets are filled in already."""

    uri: str = field(repr=False)
    name: str
    ref: str | None = None
    version_id: str | None = None
    etag: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """How a sentence calls it."""
        return f"dataset {self.name}" if self.name else "workspace"

    @property
    def secrets(self) -> set[str]:
        """All that must not be seen, in the forms in which it could be."""
        user, password = _credentials_in(self.uri)
        user, password = self.username or user, self.password or password
        # A token may stand in the place of the user's name.
        plain = {password or user, self.password, self.secret_access_key, self.access_key_id}
        pair = f"{user or 'x-access-token'}:{password or ''}"
        forms = {base64.b64encode(pair.encode()).decode()}
        for secret in filter(None, plain):
            forms |= {secret, quote(secret, safe=""), quote_plus(secret), *secret.splitlines()}
        return {form for form in forms if form.strip()}


@dataclass(frozen=True)
class Request:
    """Everything that one start of the program shall do.

    `max_bytes` bounds each fetch, as downloaded and as unpacked; `cache_bytes` all that is kept. `endpoint_url` None
    is AWS. `owner` (uid, gid) gets the workspace when we are root. `allow_private` lets a git URL lead to addresses
    of this machine and its networks, and speak plain http.
    """

    fetches: tuple[Fetch, ...]
    cache_dir: Path
    workspace: Path
    max_bytes: int
    cache_bytes: int
    endpoint_url: str | None = None
    region: str = "us-east-1"
    owner: tuple[int, int] | None = None
    allow_private: bool = False

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the request. Raises KeyError, TypeError or ValueError for what is none."""
        owner = value.get("owner")
        return cls(
            fetches=tuple(Fetch(**fetch) for fetch in value["fetches"]),
            cache_dir=Path(value["cache_dir"]),
            workspace=Path(value["workspace"]),
            max_bytes=int(value["max_bytes"]),
            cache_bytes=int(value["cache_bytes"]),
            endpoint_url=value.get("endpoint_url"),
            region=value.get("region") or "us-east-1",
            owner=None if owner is None else (int(owner[0]), int(owner[1])),
            allow_private=bool(value.get("allow_private", False)),
        )

    @property
    def secrets(self) -> set[str]:
        return set().union(*(fetch.secrets for fetch in self.fetches))


def _credentials_in(uri: str) -> tuple[str | None, str | None]:
    """Return user and password of an http(s) URL; the user of ssh is no secret."""
    try:
        parts = urlsplit(uri.removeprefix("git+"))
    except ValueError:
        return None, None
    if parts.scheme not in ("http", "https"):
        return None, None
    return (unquote(parts.username) if parts.username else None, unquote(parts.password) if parts.password else None)
