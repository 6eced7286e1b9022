"""Where images come from: the host in a registry's URL, and whether a name says a host itself."""

import re

PUBLIC = "docker.io"
"""The registry of names without one."""
_ALSO_PUBLIC = frozenset({"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})
"""The public one has addresses of its own, which docker uses."""
_SCHEME = re.compile("^https?://")


def host_of(url: str | None) -> str:
    """Return the host of a registry's URL, of no URL that of the public one. What is no URL has no good host."""
    host = _SCHEME.sub("", url or PUBLIC).partition("/")[0]
    return PUBLIC if host in _ALSO_PUBLIC else host


def full_name(name: str, url: str | None) -> str:
    """Return an image's name with the host that it is pulled from, unless that is the public one."""
    first, _, rest = name.partition("/")
    says_host = bool(rest) and ("." in first or ":" in first or first == "localhost")
    host = host_of(url)
    return name if says_host or host == PUBLIC else f"{host}/{name}"
