"""A checkout as it lies there: which files it has, and what git says of it. It is only read, and nothing of it is run.

Its git is asked with settings of ours before its own: a repository's configuration can name programs.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bot.run.errors import CannotRun

_LIMIT = 60.0
_SETTINGS = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "protocol.allow=never", "safe.directory=*")
"""What a repository's owner is asked for (safe.directory) are these programs; none of them is run here."""
_QUIET = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_NO_REPLACE_OBJECTS": "1"}
_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>[^/].*)")
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}", re.ASCII)
_ELSEWHERE = ("https://localhost", "local")
"""Address and owner of a repository that has been pushed nowhere."""
_USUAL_BRANCHES = ("main", "master")
_SUBMODULE = b"160000"
UNTRACKED = ("--others", "--exclude-standard")
"""What makes `git ls-files` list what is neither tracked nor ignored."""


@dataclass(frozen=True)
class Checkout:
    """A directory with code. `branch` is the one it is on, empty for none; `head` its commit, `subject` what that says.

    `owner`, `name` and `web_url` are those of its `origin`, where that reads like GitHub's. `is_whole`: it is all that
    git keeps there, not a folder within.
    """

    root: Path
    name: str
    owner: str = _ELSEWHERE[1]
    web_url: str = _ELSEWHERE[0]
    branch: str = ""
    default_branch: str = _USUAL_BRANCHES[0]
    head: str = ""
    subject: str = ""
    is_whole: bool = False


@dataclass(frozen=True)
class Files:
    """What belongs to a checkout, as paths below its root; `submodules` with the commits that git knows of them."""

    paths: tuple[bytes, ...]
    submodules: Mapping[bytes, str] = field(default_factory=dict)


def look(place: Path) -> Checkout:
    """Return what is to be known of the checkout at `place`. Raises CannotRun where there is none."""
    if not place.is_dir():
        raise CannotRun(f"{place} is no directory")
    root = place.resolve()
    named = _text(git(root, "rev-parse", "--show-prefix", "HEAD"))
    if named is None and git(root, "rev-parse", "--show-prefix") is None:
        return Checkout(root, _as_name(root.name))
    prefix, _, head = (named or "").rpartition("\n")
    web_url, owner, name = _origin(root) or (*_ELSEWHERE, _as_name(root.name))
    branch = _text(git(root, "symbolic-ref", "--quiet", "--short", "HEAD")) or ""
    subject = _text(git(root, "log", "-1", "--no-show-signature", "--format=%s", "HEAD")) if head else ""
    default = _default_branch(root) or branch or _USUAL_BRANCHES[0]
    return Checkout(
        root, name, owner, web_url, branch, default, head, subject or "", is_whole=bool(head) and not prefix
    )


def files(root: Path) -> Files | None:
    """Return what is tracked, and what is neither tracked nor ignored. Raises CannotRun.

    None where there is no repository, or one that ignores this very directory.
    """
    tracked = git(root, "ls-files", "-z", "--stage")
    others = git(root, "ls-files", "-z", *UNTRACKED)
    if tracked is None or others is None or not (tracked or others):
        return None
    paths, submodules = dict[bytes, None](), dict[bytes, str]()
    for line in cut(tracked):
        head, _, path = line.partition(b"\t")
        mode, name, _ = head.split(b" ")
        if mode == _SUBMODULE:
            submodules[path] = name.decode()
        else:
            paths[path] = None
    return Files((*paths, *plain(others)), submodules)


def plain(output: bytes) -> list[bytes]:
    """Return the files that git listed. What ends with a slash is a repository that nobody made a submodule."""
    return [path for path in cut(output) if not path.endswith(b"/")]


def git(root: Path, *arguments: str) -> bytes | None:
    """Return what git says of a checkout; None where it says no. Only for what reads. Raises CannotRun."""
    # Run from a hook, git would find GIT_DIR and GIT_INDEX_FILE there, and speak of another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | _QUIET
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    command = ["git", *settings, "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT, check=False
        )
    except FileNotFoundError:
        raise CannotRun("git is missing: apt-get install git") from None
    except subprocess.TimeoutExpired:
        raise CannotRun(f"git {arguments[0]} took longer than {_LIMIT:g} s in {root}") from None
    return done.stdout if done.returncode == 0 else None


def _default_branch(root: Path) -> str | None:
    remote = _text(git(root, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD"))
    if remote:
        return remote.removeprefix("origin/")
    refs = [f"refs/heads/{branch}" for branch in _USUAL_BRANCHES]
    known = (_text(git(root, "for-each-ref", "--format=%(refname)", *refs)) or "").split("\n")
    return next((ref.removeprefix("refs/heads/") for ref in refs if ref in known), None)


def _origin(root: Path) -> tuple[str, str, str] | None:
    """Return address, owner and name of the repository that was cloned, without any credential."""
    url = _text(git(root, "config", "--get", "remote.origin.url")) or ""
    if "://" not in url and (match := _SCP.fullmatch(url)):
        url = f"ssh://{match['host']}/{match['path']}"
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port and parts.scheme.startswith("http") else ""
    except ValueError:
        return None
    names = parts.path.strip("/").removesuffix(".git").split("/")
    if not parts.hostname or len(names) != 2 or not all(map(_NAME.fullmatch, names)):
        return None
    scheme = "http" if parts.scheme == "http" else "https"
    return f"{scheme}://{parts.hostname}{port}", names[0], names[1]


def _as_name(folder: str) -> str:
    """Return a folder's name as GitHub would have it as a repository's."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder).strip(".-")[:100] or "checkout"


def cut(output: bytes) -> list[bytes]:
    """Return what git wrote with zero bytes in between."""
    return [part for part in output.split(b"\0") if part]


def _text(output: bytes | None) -> str | None:
    return None if output is None else output.decode(errors="replace").strip("\n")
