"""The files of another repository, as they are at a branch, a tag or a commit; nothing of git stays with them.

The same hardening as for the bot's own fetches (`bot.forge.git`): no configuration but ours, no hooks, no filters, no
submodules, no redirects. In addition the server is a stranger's choice (`addresses`), and so is the code: its trees
can be made to unfold for ever, so they are counted before they are written.
"""

import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from bot.backends import checkout
from bot.storage.addresses import look_up
from bot.storage.errors import Missing, Refused, Unavailable
from bot.storage.output import megabytes, shown
from bot.storage.remote import Remote
from bot.storage.request import Fetch
from bot.storage.tree import MOST_ENTRIES

_LOCAL, _LONG = 600.0, 1800.0
"""Seconds that a command may take: on our disk, and for a download."""
_REF = re.compile(r"(?!.*(\.\.|@\{|//|\.lock$|/$))[^\x00-\x20\x7f~^:?*\[\\/-][^\x00-\x20\x7f~^:?*\[\\]*")
_PINNING = (2, 37)
"""The first git that can be told which address a name has (http.curloptResolve)."""
_CHUNK = 1 << 16
_LONGEST = 400
"""Characters of what git complains of."""
_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""However we end, git does; its helpers follow it when their pipes break."""

_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "credential.helper": "",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "protocol.version": "2",
    "http.followRedirects": "false",
    # Falls silent, is given up.
    "http.lowSpeedLimit": "100",
    "http.lowSpeedTime": "60",
}
_ENVIRONMENT = {**checkout.ENVIRONMENT, "GIT_ASKPASS": "", "GIT_LITERAL_PATHSPECS": "1"}

_TOO_LARGE = re.compile(r"file too large|signal 25|file size limit", re.I)
_ANSWERS = (
    (re.compile(r"not our ref|unadvertised object|couldn't find remote ref|no such remote ref", re.I), "absent"),
    (re.compile(r"host key verification failed|no .* host key is known", re.I), "unknown host"),
    (re.compile(r"returned error: 3\d\d|unable to update url base from redirection", re.I), "moved"),
    (
        re.compile(
            r"authentication failed|could not read (username|password)|permission denied|repository .*not found"
            r"|returned error: 4(?!08|29)\d\d|does not appear to be a git repository",
            re.I,
        ),
        "denied",
    ),
)
_SENTENCES = {
    "absent": "its repository has no {ref}",
    "unknown host": "the key of {host} is not known here: it belongs into /etc/ssh/ssh_known_hosts",
    "moved": "its repository has moved: write the URL that it has now",
    "denied": "there is no such repository on {host}, or the credentials do not open it",
}


def fetch_files(fetch: Fetch, workspace: Path, scratch: Path, max_bytes: int, *, allow_private: bool) -> str:
    """Fill an empty workspace with the files at `fetch.ref` (default: the remote's HEAD) and return the commit's SHA.

    `scratch` is an empty directory. Raises Refused, Unavailable.
    """
    remote = Remote.parse(fetch, allow_private=allow_private)
    ref = fetch.ref or "HEAD"
    if not _REF.fullmatch(ref):
        raise Refused(f"{shown(ref)!r} is not a branch, a tag or a commit")
    addresses = look_up(remote.host, remote.port, allow_private=allow_private)
    git = _Git(scratch)
    if remote.is_pinned_by_git and not allow_private and git.version() < _PINNING:
        raise Missing("other repositories as workspaces need git 2.37 or newer on this machine")
    git.run("init", "--quiet", "--bare", "--template=", str(git.directory))
    with remote.access(addresses) as environment:
        git.fetch(ref, environment, max_bytes, remote.host)
    sha = git.run("rev-parse", "--verify", "--end-of-options", "refs/fetched^{commit}").decode().strip()
    _check_files(git.files(sha), max_bytes)
    git.check_out(sha, workspace)
    return sha


class _Git:
    """git on one bare repository in a directory that is thrown away."""

    def __init__(self, scratch: Path) -> None:
        self.directory = scratch / "git"
        self._index = scratch / "index"

    def version(self) -> tuple[int, ...]:
        text = self.run("version").decode()
        return tuple(int(number) for number in re.findall(r"\d+", text)[:2])

    def run(self, *arguments: str) -> bytes:
        """Run a command that needs no network; return its output."""
        status, output, errors = _execute(self._command(*arguments), _ENVIRONMENT, _LOCAL)
        if status != 0:
            raise Unavailable(f"git {arguments[0]} failed: {shown(errors, _LONGEST)}")
        return output

    def fetch(self, ref: str, access: Mapping[str, str], max_bytes: int, host: str) -> None:
        """Fetch one commit from `origin`, which `access` describes, as refs/fetched."""
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules")
        command = self._command("fetch", *options, "--depth=1", "origin", f"+{ref}:refs/fetched")
        # The only way to stop a download by its size; sh counts in blocks of 512 bytes.
        limited = ["/bin/sh", "-c", 'ulimit -f "$0" && exec "$@"', str(max_bytes // 512 + 1), *command]
        status, _, errors = _execute(limited, {**_ENVIRONMENT, **access}, _LONG)
        if status in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ) or (status and _TOO_LARGE.search(errors)):
            raise Refused(f"it is larger than the {megabytes(max_bytes)} MB that one fetch may have")
        if status != 0:
            raise _complaint(errors, ref, host)

    def files(self, sha: str) -> Iterator[int]:
        """Yield the size of each file, and 0 for each folder."""
        command = self._command("ls-tree", "-r", "-t", "-l", "-z", "--full-tree", sha)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_ENVIRONMENT) as process:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            try:
                for entry in _entries(process.stdout):
                    size = entry.split(b"\t", 1)[0].split()[-1]
                    yield 0 if size == b"-" else int(size)
            finally:
                process.kill()

    def check_out(self, sha: str, workspace: Path) -> None:
        """Write the commit's files, and nothing of git's."""
        command = [*_DIES_WITH_US, *checkout.command(str(self.directory), sha, str(workspace))]
        environment = {**checkout.ENVIRONMENT, "GIT_INDEX_FILE": str(self._index)}
        status, _, errors = _execute(command, environment, _LOCAL)
        if status != 0:
            raise Refused(f"its files cannot be written: {shown(errors, _LONGEST)}")

    def _command(self, *arguments: str) -> list[str]:
        settings = [part for key, value in _SETTINGS.items() for part in ("-c", f"{key}={value}")]
        return [*_DIES_WITH_US, "git", f"--git-dir={self.directory}", *settings, *arguments]


def _execute(command: list[str], environment: Mapping[str, str], timeout: float) -> tuple[int | None, bytes, str]:
    """Run to the end; return status (None: it took too long and was killed), output, and errors on one line."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, b"", "it took too long"
    except FileNotFoundError:
        raise Missing("git or setpriv (util-linux) is not installed on this machine") from None
    return done.returncode, done.stdout, " ".join(done.stderr.decode(errors="replace").split())


def _complaint(errors: str, ref: str, host: str) -> Exception:
    for pattern, kind in _ANSWERS:
        if pattern.search(errors):
            return Refused(_SENTENCES[kind].format(ref=shown(ref), host=host))
    return Unavailable(f"git could not fetch from {host}: {shown(errors, _LONGEST)}")


def _check_files(sizes: Iterator[int], max_bytes: int) -> None:
    """A small download can unfold to very much: identical files and folders are sent once."""
    total = 0
    for count, size in enumerate(sizes, start=1):
        total += size
        if count > MOST_ENTRIES:
            raise Refused(f"it has more than {MOST_ENTRIES} files and folders")
        if total > max_bytes:
            raise Refused(f"its files have more than the {megabytes(max_bytes)} MB that one fetch may have")


def _entries(stream: IO[bytes]) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read(_CHUNK):
        *entries, rest = (rest + chunk).split(b"\0")
        yield from entries
