"""Files that Git LFS keeps: asked for at the repository's own server, checked, and kept beside its git cache.

The batch API: github.com/git-lfs/git-lfs, docs/api/batch.md. No git-lfs is needed, and nothing in a repository
(`.lfsconfig`) says where to ask: it is always the repository itself.
"""

import hashlib
import itertools
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from bot.clock import Clock, SystemClock
from bot.core.lfs import LARGEST, SMALLEST, Pointer, read_pointer
from bot.forge.bare import held
from bot.forge.credentials import USER_AGENT
from bot.forge.git import basic
from bot.forge.git_command import MIB, Denied, Git, GitError
from bot.forge.submodules import PartUnavailable

LARGEST_FILES = 4096 * MIB
"""Bytes that all LFS files of one commit may have, each counted as often as it lies there."""
MOST_FILES = 10_000
_BATCH = 100
_LONGEST = 1800.0
"""Seconds that all of them may take."""
_TIMEOUTS = (10.0, 60.0)
"""Seconds to connect, and between bytes."""
_TYPE = "application/vnd.git-lfs+json"
_LARGEST_ANSWER = 4 * MIB
_CHUNK = MIB
_BUSY = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Needed:
    """A file that a commit needs: `path` is one of its places, `count` how many there are."""

    pointer: Pointer
    path: str
    count: int


def needed(git: Git, sha: str) -> list[Needed]:
    """Return what the pointers among a commit's files mean. The commit is here, and its files are counted."""
    paths: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for entry in git.entries(sha):
        if entry.kind == "blob" and entry.mode != "120000" and SMALLEST <= entry.size <= LARGEST:
            counts[entry.name] += 1
            paths.setdefault(entry.name, entry.path.decode(errors="replace"))
    found = ((name, read_pointer(content)) for name, content in _contents(git, list(paths)))
    return [Needed(pointer, paths[name], counts[name]) for name, pointer in found if pointer is not None]


class Objects:
    """The LFS files of one repository, by their sha256, below `directory`."""

    def __init__(self, directory: Path, web_url: str) -> None:
        self.directory, self._web_url = directory, web_url
        self._clock: Clock = SystemClock()

    def fetch(self, url: str, token: str | None, wanted: Sequence[Needed]) -> None:
        """Make them all local, from the repository at `url`, which lies on our own GitHub.

        Raises PartUnavailable, Denied (the token is dead), and GitError where later may differ.
        """
        missing = {one.pointer.oid: one for one in wanted if not self._has(one.pointer)}
        if not missing:
            return
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        give_up = self._clock.monotonic() + _LONGEST
        with held(self.directory.with_suffix(".lock"), "LFS files", self._clock), requests.Session() as session:
            for leftover in self.directory.glob("*.part"):
                leftover.unlink()  # of a worker that is dead, or we would not have the lock
            download = _Download(session, url, token, self._web_url)
            for some in _split([one for one in missing.values() if not self._has(one.pointer)]):
                for one, action in download.ask(some):
                    if self._clock.monotonic() > give_up:
                        raise GitError("the files of LFS took too long", is_retryable=True)
                    self._keep(one, download.content(one, action))

    def _has(self, pointer: Pointer) -> bool:
        try:
            return (self.directory / pointer.oid).stat().st_size == pointer.size
        except FileNotFoundError:
            return False

    def _keep(self, one: Needed, chunks: Iterable[bytes]) -> None:
        """Write a file under its name when it is whole, and what its pointer says."""
        unfinished = self.directory / f"{one.pointer.oid}.part"
        try:
            size, oid = _write(unfinished, chunks, one.pointer.size)
            if (size, oid) == (one.pointer.size, one.pointer.oid):
                unfinished.rename(self.directory / oid)
                return
            unfinished.unlink()
        except OSError as error:
            raise GitError(
                f"the LFS file `{one.path}` could not be kept: {error.strerror}", is_retryable=True
            ) from None
        raise GitError(f"the LFS file `{one.path}` arrived damaged", is_retryable=True)


class _Download:
    """One conversation with one repository's LFS server. The token goes to our own GitHub, and nowhere else."""

    def __init__(self, session: requests.Session, url: str, token: str | None, web_url: str) -> None:
        self._session, self._token = session, token
        self._batch_url, self._web_url = f"{url}/info/lfs/objects/batch", web_url
        session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})

    def ask(self, wanted: Sequence[Needed]) -> Iterator[tuple[Needed, Mapping[str, Any]]]:
        """Yield for each file how it is to be downloaded."""
        by_oid = {one.pointer.oid: one for one in wanted}
        objects = [{"oid": one.pointer.oid, "size": one.pointer.size} for one in wanted]
        body = {"operation": "download", "transfers": ["basic"], "objects": objects, "hash_algo": "sha256"}
        headers = {"Accept": _TYPE, "Content-Type": _TYPE}
        if self._token is not None:
            headers["Authorization"] = f"Basic {basic(self._token)}"
        with self._request("POST", self._batch_url, headers, body=body) as answer:
            for item in _objects(answer):
                one = by_oid.pop(str(item.get("oid")), None)
                if one is not None:
                    yield one, _action(one, item)
        if by_oid:
            path = next(iter(by_oid.values())).path
            raise PartUnavailable(f"the LFS file `{path}` is not on the server: was it pushed?")

    def content(self, one: Needed, action: Mapping[str, Any]) -> Iterator[bytes]:
        """Yield a file's bytes, whoever has them: GitHub says where, and what to tell there."""
        href, given = str(action.get("href")), action.get("header")
        if not self._may_follow(href):
            raise PartUnavailable(f"the LFS file `{one.path}` is offered at a place that is not https://")
        headers = {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}
        if self._token is not None and not self._is_ours(href):
            secrets = (self._token, basic(self._token))
            headers = {n: value for n, value in headers.items() if not any(secret in value for secret in secrets)}
        with self._request("GET", href, headers, path=one.path) as answer:
            try:
                yield from answer.iter_content(_CHUNK)
            except requests.RequestException as error:
                raise _broken(error) from None

    def _request(
        self, method: str, url: str, headers: Mapping[str, str], path: str = "", body: Any = None
    ) -> requests.Response:
        def as_given(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # As `auth=`: else requests takes what a ~/.netrc says of the host.
            request.headers.update(headers)
            return request

        try:
            answer = self._session.request(
                method, url, json=body, auth=as_given, timeout=_TIMEOUTS, allow_redirects=False, stream=True
            )
        except (requests.RequestException, ValueError) as error:
            raise _broken(error) from None
        if answer.status_code != 200:
            answer.close()
            raise self._refusal(answer.status_code, path)
        return answer

    def _refusal(self, status: int, path: str) -> GitError:
        what = f"the LFS file `{path}`" if path else "what Git LFS keeps of this repository"
        if status in _BUSY:
            return GitError(f"{what} could not be fetched: status {status}", is_retryable=True)
        if status == 401 and self._token is not None and not path:
            return Denied(f"{what} could not be fetched: status {status}")
        return PartUnavailable(f"{what} cannot be fetched: the server answers {status}")

    def _may_follow(self, href: str) -> bool:
        return urlsplit(href).scheme == "https" or self._is_ours(href)

    def _is_ours(self, href: str) -> bool:
        here, ours = urlsplit(href), urlsplit(self._web_url)
        return (here.scheme, here.netloc) == (ours.scheme, ours.netloc)


def _write(path: Path, chunks: Iterable[bytes], max_bytes: int) -> tuple[int, str]:
    """Write to the disk itself, no more than `max_bytes`; return how many came (or one too many) and their sha256."""
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                break
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


def _action(one: Needed, item: Mapping[str, Any]) -> Mapping[str, Any]:
    actions = item.get("actions")
    action = actions.get("download") if isinstance(actions, dict) else None
    if not isinstance(action, dict):
        raise PartUnavailable(f"the LFS file `{one.path}` is not on the server: was it pushed?")
    return action


def _objects(answer: requests.Response) -> list[dict[str, Any]]:
    try:
        text = b"".join(itertools.islice(answer.iter_content(_CHUNK), _LARGEST_ANSWER // _CHUNK))
        found = json.loads(text)["objects"]
        return [item for item in found if isinstance(item, dict)]
    except requests.RequestException as error:
        raise _broken(error) from None
    except (ValueError, KeyError, TypeError):
        raise GitError("the answer of the LFS server cannot be read", is_retryable=True) from None


def _broken(error: Exception) -> GitError:
    # The type only: the exception carries the request, and that our token.
    return GitError(f"the LFS server was not reached ({type(error).__name__})", is_retryable=True)


def _split(wanted: Sequence[Needed]) -> Iterator[Sequence[Needed]]:
    for begin in range(0, len(wanted), _BATCH):
        yield wanted[begin : begin + _BATCH]


def _contents(git: Git, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the contents of small blobs, some thousands at a time."""
    for begin in range(0, len(names), 5000):
        some = names[begin : begin + 5000]
        output = git.run("cat-file", "--batch", data="".join(f"{name}\n" for name in some).encode())
        at = 0
        for name in some:
            head_end = output.index(b"\n", at)
            size = int(output[at:head_end].split()[2])
            yield name, output[head_end + 1 : head_end + 1 + size]
            at = head_end + 1 + size + 1
