"""A repository on somebody's server: how its URL is read, and what git is told so that it gets in.

All of it goes through the environment of one process: argv is public, and a config file stays.
"""

import base64
import os
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from bot.storage.errors import Refused
from bot.storage.request import Fetch

_PORTS = {"https": 443, "http": 80, "ssh": 22}
_SCP = re.compile(r"(?P<user>\w[\w.-]*)@(?P<host>[^:/@\s]+):(?P<path>[^-\s]\S*)")
_USER = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Remote:
    """Where a repository is. `url` has no password in it."""

    scheme: str
    host: str
    port: int
    url: str
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, fetch: Fetch, *, allow_private: bool) -> Self:
        """Read https://, ssh:// and git@host:path; http:// only where private addresses are allowed. Raises Refused.

        The fetch's own username and password go before those in its URL.
        """
        if any(character <= " " or character == "\x7f" for character in fetch.uri):
            raise Refused("its URL cannot be read")
        if match := _SCP.fullmatch(fetch.uri):
            return cls("ssh", match["host"], 22, fetch.uri, match["user"], fetch.password)
        try:
            parts = urlsplit(fetch.uri.removeprefix("git+"))
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise Refused("its URL cannot be read") from None
        if parts.scheme not in (("https", "ssh", "http") if allow_private else ("https", "ssh")):
            raise Refused("a workspace comes by https://, by ssh:// or git@host:path, or from s3://")
        if not parts.path.strip("/"):
            raise Refused("its URL names no repository")
        user = fetch.username or (unquote(parts.username) if parts.username else None)
        if parts.scheme == "ssh" and user and not _USER.fullmatch(user):
            raise Refused("its URL or `workspaceUsername` names no user for ssh")
        at = f"{user}@" if parts.scheme == "ssh" and user else ""
        url = f"{parts.scheme}://{at}{parts.netloc.rpartition('@')[2]}{parts.path}"
        password = fetch.password or (unquote(parts.password) if parts.password else None)
        return cls(parts.scheme, host, port or _PORTS[parts.scheme], url, user, password)

    @property
    def is_pinned_by_git(self) -> bool:
        """Whether git must be told the address of the host: it would look a name up again."""
        return self.scheme != "ssh" and ":" not in self.host and not self.host.rpartition(".")[2].isdigit()

    @contextmanager
    def access(self, addresses: Sequence[str]) -> Iterator[dict[str, str]]:
        """Yield what the environment of a `git fetch origin` needs, to get in at one of these addresses.

        Raises Refused for a password that this way of fetching has no use for.
        """
        with _key_file(self.password if self.scheme == "ssh" else None) as key:
            environment = {"GIT_ALLOW_PROTOCOL": self.scheme}
            if self.scheme == "ssh":
                environment |= {"GIT_SSH_VARIANT": "ssh", "GIT_SSH_COMMAND": self._ssh(addresses[0], key)}
            yield environment | _as_environment(self._config(addresses))

    def _config(self, addresses: Sequence[str]) -> dict[str, str]:
        config = {"remote.origin.url": self.url}
        if self.is_pinned_by_git:
            numbers = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
            config["http.curloptResolve"] = f"{self.host}:{self.port}:{numbers}"
        if self.scheme != "ssh" and (self.user or self.password):
            # Most servers take any name beside a token; GitHub's own documentation uses this one.
            user = self.user or "x-access-token"
            pair = base64.b64encode(f"{user}:{self.password or ''}".encode()).decode()
            config[f"http.{_origin(self.url)}/.extraHeader"] = f"Authorization: Basic {pair}"
        return config

    def _ssh(self, address: str, key: str | None) -> str:
        """Return the ssh command: one host, one key, and no file of this account."""
        alias = self.host if self.port == 22 else f"[{self.host}]:{self.port}"
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": "/dev/null",
            "CheckHostIP": "no",
            "HostName": address,
            "HostKeyAlias": alias,
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "IdentityFile": key or "none",
            "ConnectTimeout": "20",
            "ServerAliveInterval": "20",
        }
        return shlex.join(["ssh", "-F", "none", *(f"-o{name}={value}" for name, value in options.items())])


@contextmanager
def _key_file(key: str | None) -> Iterator[str | None]:
    """Yield the path of a private key that is on no disk, for ssh to read while we live."""
    if key is None:
        yield None
        return
    if not key.lstrip().startswith("-----BEGIN "):
        raise Refused("ssh takes a private key as `workspacePassword`, and this is none")
    with os.fdopen(os.memfd_create("key"), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(key.strip().encode() + b"\n")
        file.flush()
        yield f"/proc/{os.getpid()}/fd/{file.fileno()}"


def _as_environment(config: dict[str, str]) -> dict[str, str]:
    """Return settings as git takes them from its environment (git-config(1), GIT_CONFIG_COUNT)."""
    environment = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
