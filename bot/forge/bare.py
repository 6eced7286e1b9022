"""A bare repository of ours that holds single commits, filled on purpose or not at all.

What is whole is marked by a ref of ours, the last thing that a fetch writes. Works with git 2.34 and newer.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from bot.clock import Clock, SystemClock
from bot.forge.git_command import LONG, MIB, CodeTooLarge, CommitAbsent, Git, GitError, Origin, make

MOST_ENTRIES = 500_000
"""Files, folders and links that one commit may unfold to; as many as a dataset may have."""
_FALLBACK_DEPTH = 50
"""How far back from a branch's head a commit is looked for when the server does not serve bare SHAs."""
_SHA = re.compile(r"[0-9a-f]{40}")
_REF = re.compile(r"refs/[^\x00-\x20\x7f~^:?*\[\\]+")


class Bare:
    """Any thread and any process may use it: it has a lock. `name` is what people call it."""

    def __init__(self, directory: Path, origin: Origin, name: str) -> None:
        self.directory = directory
        self._origin, self._name = origin, name
        # Waiting for another process's lock is real waiting, whatever clock the rest of the program has.
        self._clock: Clock = SystemClock()

    @property
    def git(self) -> Git:
        """git for what needs no lock: looking at what is here."""
        return Git(self.directory, self._origin)

    def is_marked(self, kind: str, sha: str) -> bool:
        """Tell whether a commit (`commits`: without its files' contents; `code`: whole) is here."""
        if not _SHA.fullmatch(sha):
            raise GitError(f"{sha!r} is not a full commit SHA")
        return (self.directory / "refs" / kind / sha).is_file()

    def fetch_commit(self, sha: str, ref: str | None = None) -> None:
        """See `GitCache.fetch_commit`."""
        if not self.is_marked("commits", sha):
            with self.locked() as git:
                self._fetch_commit(git, sha, ref)

    def fetch_newest(self, ref: str) -> str:
        """Make the newest commit of a ref local; return its SHA. Raises CommitAbsent when there is no such ref."""
        if not _REF.fullmatch(ref):
            raise GitError(f"{ref!r} is not a full ref name")
        with self.locked() as git:
            git.fetch(f"+{ref}:refs/newest", depth=1, is_filtered=True)
            sha = git.run("rev-parse", "refs/newest^{commit}").decode().strip()
            git.run("update-ref", f"refs/commits/{sha}", sha)
        return sha

    def fetch_code(self, sha: str, max_bytes: int) -> None:
        """Make every file of the commit local. Raises CodeTooLarge beyond `max_bytes`, else as `fetch_commit`."""
        if self.is_marked("code", sha):
            return
        with self.locked() as git:
            self._fetch_commit(git, sha, None)
            git.fetch_objects(git.missing(sha), max_bytes, LONG)
            if git.missing(sha):
                raise GitError(f"the server did not send all files of {sha}", is_retryable=True)
            check_size(git, sha, max_bytes)
            git.run("update-ref", f"refs/code/{sha}", sha)

    @contextlib.contextmanager
    def locked(self) -> Iterator[Git]:
        """Hold the repository's lock, made if need be; yield a git that holds it, too."""
        self.directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with held(self.directory.with_suffix(".lock"), self._name, self._clock) as lock:
            if not self.directory.is_dir():
                make(self.directory)
            # Whoever left this is dead, or we would not have the lock; git would refuse to fetch for ever.
            (self.directory / "shallow.lock").unlink(missing_ok=True)
            yield Git(self.directory, self._origin, lock)

    def _fetch_commit(self, git: Git, sha: str, ref: str | None) -> None:
        if self.is_marked("commits", sha):
            return
        try:
            git.fetch(f"+{sha}:refs/commits/{sha}", depth=1, is_filtered=True)
        except CommitAbsent as error:
            if ref is None:
                raise
            _fetch_by_ref(git, sha, ref, is_filtered="unadvertised" not in str(error))


def _fetch_by_ref(git: Git, sha: str, ref: str, is_filtered: bool) -> None:
    """Fetch `ref`, with all contents where the server would not serve those by SHA either."""
    if not _REF.fullmatch(ref):
        raise GitError(f"{ref!r} is not a full ref name")
    git.fetch(f"+{ref}:refs/newest", depth=_FALLBACK_DEPTH, is_filtered=is_filtered)
    if git.size(sha) is None:
        raise CommitAbsent(f"commit {sha} is not among the newest {_FALLBACK_DEPTH} of {ref}")
    git.run("update-ref", f"refs/commits/{sha}", sha)


def check_size(git: Git, sha: str, max_bytes: int) -> int:
    """Return the bytes of a commit's files. Raises CodeTooLarge: a small download can unfold to very much."""
    total = 0
    with contextlib.closing(git.entries(sha)) as entries:
        for count, entry in enumerate(entries, start=1):
            total += entry.size
            if total > max_bytes:
                raise CodeTooLarge(f"the files of this commit have more than {max_bytes / MIB:.0f} MB")
            if count > MOST_ENTRIES:
                raise CodeTooLarge(f"this commit has more than {MOST_ENTRIES} files and folders")
    return total


@contextlib.contextmanager
def held(path: Path, name: str, clock: Clock) -> Iterator[int]:
    """Hold the lock file at `path`, waited for as long as a fetch may take; yield its descriptor."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        give_up = clock.monotonic() + LONG
        while not _take(lock):
            if clock.monotonic() > give_up:
                raise GitError(f"another fetch of {name} does not end", is_retryable=True)
            clock.sleep(0.02)
        yield lock
    finally:
        os.close(lock)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
