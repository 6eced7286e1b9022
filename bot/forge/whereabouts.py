"""Where the submodules of a stranger's commit may be fetched from.

A pull request writes `.gitmodules`. It must not make the bot show it what its author cannot read, nor speak to the
machines around the bot: the token is for the repository itself and nothing else; the rest is read as anybody would.
"""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from bot.core.addresses import is_host, is_number, is_public
from bot.forge.git_command import GitError, Origin, version

_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>[^/].*)")
_PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~+-]+)+")
_OLD_SCHEMES = ("ssh", "git+ssh", "git", "http")
"""How else a repository on our own GitHub may be written; it is fetched like all there."""
_PINNING = (2, 37)
"""The first git that can be told which address a name has (http.curloptResolve)."""

LookUp = Callable[[str, int], list[str]]


class Refused(Exception):
    """The URL is not fetched from; the message says why, for whoever wrote it."""


@dataclass(frozen=True)
class Whereabouts:
    """A repository: its URL in one spelling, with no credential in it; and whether it lies on our own GitHub."""

    url: str
    is_ours: bool

    @property
    def repository(self) -> tuple[str, str] | None:
        """Owner and name in lower case, of a repository on our own GitHub."""
        if not self.is_ours:
            return None
        owner, name = self.url.removesuffix(".git").lower().split("/")[-2:]
        return owner, name


def resolve(url: str, parent: str, web_url: str) -> Whereabouts:
    """Return where a submodule lies whose URL stands in the `.gitmodules` of the repository at `parent`.

    Raises Refused.
    """
    if any(character <= " " or character >= "\x7f" for character in url) or len(url) > 2000:
        raise Refused("its URL cannot be read")
    parts = _split(_joined(parent, url) if url.startswith(("./", "../")) else url)
    ours = urlsplit(web_url)
    if _is_ours(parts, ours):
        return _on_github(parts.path.removeprefix(ours.path), web_url)
    if parts.scheme != "https":
        raise Refused("only submodules at https:// URLs are fetched")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise Refused("its URL must have no credentials, query or fragment")
    if not _PATH.fullmatch(parts.path.rstrip("/")) or not is_host(parts.hostname or ""):
        raise Refused("its URL cannot be read")
    return Whereabouts(f"https://{parts.netloc.lower()}{parts.path.rstrip('/')}", is_ours=False)


def origin_elsewhere(url: str, look_up: LookUp | None = None) -> Origin:
    """Return what git needs to fetch from a host that is not ours: pinned to a public address, without redirects.

    Raises Refused for hosts that are none, GitError when the name cannot be looked up.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    found = (look_up or _look_up)(host, port)
    if not found or not all(is_public(address) for address in found):
        raise Refused(f"{host} is an address of the bot's machine or its networks")
    config = {"http.followRedirects": "false"}
    if not is_number(host):
        if version() < _PINNING:
            raise GitError("submodules from other hosts need git 2.37 or newer on the bot's machine")
        numbers = ",".join(f"[{address}]" if ":" in address else address for address in found)
        config["http.curloptResolve"] = f"{host}:{port}:{numbers}"
    return Origin(url, config, uses_proxy=False)


def _split(url: str) -> SplitResult:
    if "://" not in url and (match := _SCP.fullmatch(url)):
        url = f"ssh://{match['host']}/{match['path']}"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise Refused("its URL cannot be read") from None
    return parts


def _is_ours(parts: SplitResult, ours: SplitResult) -> bool:
    if not parts.path.startswith(ours.path + "/"):
        return False
    if parts.scheme == ours.scheme:
        return parts.netloc.rpartition("@")[2].lower() == ours.netloc.lower() and "@" not in parts.netloc
    has_usual_port = parts.port is None or parts.scheme == "ssh"
    return parts.scheme in _OLD_SCHEMES and has_usual_port and parts.hostname == ours.hostname


def _on_github(path: str, web_url: str) -> Whereabouts:
    names = path.strip("/").removesuffix(".git").split("/")
    if len(names) != 2 or not _PATH.fullmatch("/" + "/".join(names)):
        raise Refused("its URL names no repository")
    return Whereabouts(f"{web_url}/{names[0]}/{names[1]}.git", is_ours=True)


def _joined(parent: str, url: str) -> str:
    """Join as git does: `..` takes away a part of the path, never the host (git-submodule(1), `add`)."""
    base = urlsplit(parent)
    path = [part for part in base.path.split("/") if part]
    for part in url.split("/"):
        if part == ".." and not path:
            raise Refused("its URL leads out of its host")
        if part == "..":
            path.pop()
        elif part not in ("", "."):
            path.append(part)
    return f"{base.scheme}://{base.netloc}/{'/'.join(path)}"


def _look_up(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno == socket.EAI_NONAME:
            raise Refused(f"there is no host {host}") from None
        raise GitError(f"the name {host} cannot be looked up", is_retryable=True) from None
    except UnicodeError:
        raise Refused("its URL cannot be read") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
