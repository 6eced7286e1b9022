"""The names of images, as configs write them: `pytorch/pytorch:2.1`, `ghcr.io/acme/train@sha256:…`.

The grammar is that of the OCI's reference library. It is read strictly, since engines take more for a name than an
image in a registry: `dir:/var/lib/…` would be a directory of this machine.
"""

import re
from dataclasses import dataclass

from bot.core.registries import PUBLIC, host_of

LOCAL = "localhost"
"""The registry of images which lie on this machine only."""
_PART = "[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*"
_HOST = "[A-Za-z0-9][A-Za-z0-9-]*(?:[.][A-Za-z0-9][A-Za-z0-9-]*)*(?::[0-9]{1,5})?"
_REFERENCE = re.compile(
    f"(?:(?P<host>(?=[^/]*[.:]|{LOCAL}/){_HOST})/)?(?P<path>{_PART}(?:/{_PART})*)"
    "(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_LONGEST = 400


class ReferenceMalformed(Exception):
    """No image can have this name; the message says so to whoever wrote the config."""


@dataclass(frozen=True)
class Reference:
    """An image in a registry. `what` is `:tag` or `@digest`."""

    registry: str
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.repository}{self.what}"

    @property
    def repository(self) -> str:
        return f"{self.registry}/{self.path}"

    @property
    def spellings(self) -> frozenset[str]:
        """Return how engines write its repository: docker leaves out what is the same for all of its own."""
        if self.registry != PUBLIC:
            return frozenset({self.repository})
        return frozenset({self.repository, self.path, self.path.removeprefix("library/")})

    @property
    def is_local(self) -> bool:
        """Tell whether it can only be an image that somebody made on this machine."""
        return self.registry == LOCAL

    @staticmethod
    def of(name: str, registry_url: str | None = None) -> "Reference":
        """Return what a config's name means; without a registry in it, it is one of `registry_url`'s.

        Raises ReferenceMalformed.
        """
        match = _REFERENCE.fullmatch(name) if len(name) <= _LONGEST else None
        if match is None:
            raise ReferenceMalformed(f"`{name[:100]}` is not the name of an image")
        registry = match["host"] or _registry(registry_url)
        path = match["path"]
        if registry == PUBLIC and "/" not in path:
            path = f"library/{path}"
        return Reference(registry, path, f"@{match['digest']}" if match["digest"] else f":{match['tag'] or 'latest'}")


def _registry(url: str | None) -> str:
    host = host_of(url)
    if not re.fullmatch(_HOST, host):
        raise ReferenceMalformed(f"`{(url or '')[:100]}` is not the address of a registry")
    return host
