"""Fetches what a run asked for: `python -P -m bot.storage.fetch`, started by the supervisor of an attempt.

stdin: one JSON object, as `request` says, and the end. stdout, one JSON object a line:

    {"progress": "mnist: 120 of 512 MB"}      at most once a second
    {"done": [{"name", "path", "lock", "uri", "etag", "version_id", "bytes"}…]}
    {"failed": "a sentence"}                  the user's fault
    {"error": "a sentence"}                   the platform's; with `"may_retry": true` where it may not come again

and nothing after one of the last three. `path` of a dataset is a directory to mount read-only, also when it holds a
single file. It stays for as long as somebody holds `flock(LOCK_SH)` on `lock`, and for `cache.GRACE` seconds after
this program has named it: lock it at once, for the whole run. The workspace has no lock; a git workspace has its
commit as `version_id`. The program may be killed at any moment.
"""

import contextlib
import errno
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.backends import checkout
from bot.clock import SystemClock
from bot.storage import content, git
from bot.storage.cache import Cache
from bot.storage.content import Content
from bot.storage.errors import Missing, Refused, Unavailable
from bot.storage.output import Output, shown
from bot.storage.request import Fetch, Request
from bot.storage.s3 import SCHEME, Store


def main() -> None:
    """Do what stdin asks for. The status is 0 whatever was said; what counts is the last line."""
    os.umask(0o022)
    request = Request.from_json(json.loads(sys.stdin.buffer.read()))
    output = Output(sys.stdout.fileno(), request.secrets)
    with contextlib.ExitStack() as held:
        output.end(outcome(request, output, held))
        # Threads that still wait for a server are of no interest any more.
        os._exit(0)


def outcome(request: Request, output: Output, held: contextlib.ExitStack) -> dict[str, Any]:
    """Fetch everything; return the last word. The datasets' locks are `held`."""
    label = "fetching"
    try:
        cache = Cache(request.cache_dir, request.cache_bytes, SystemClock())
        held.callback(cache.close)
        cache.sweep()
        done = []
        for fetch in request.fetches:
            label = fetch.label
            done.append(_Fetching(fetch, request, cache, output).run())
        # The first may have come hours before the last.
        cache.refresh()
        return {"done": done}
    except Refused as reason:
        return {"failed": f"{label}: {reason}"}
    except Unavailable as reason:
        return {"error": f"{label}: {reason}", "may_retry": not isinstance(reason, Missing)}
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if full else os.strerror(error.errno or 0)
        return {"error": f"{label}: {why}", "may_retry": True}
    except Exception as error:
        # The type and the place are enough to find it; a message might quote what it is about.
        sys.stderr.write("".join(traceback.format_tb(error.__traceback__)) + type(error).__name__ + "\n")
        return {"error": f"{label}: an unexpected {type(error).__name__}; supervisor.log says where"}


class _Fetching:
    """One fetch of a request."""

    def __init__(self, fetch: Fetch, request: Request, cache: Cache, output: Output) -> None:
        self._fetch, self._request, self._cache, self._output = fetch, request, cache, output
        self._name = fetch.name or "workspace"

    def run(self) -> dict[str, Any]:
        """Do it, and return what is said of it."""
        self._output.progress(f"{self._name}: looking")
        facts = self._dataset() if self._fetch.name else self._workspace()
        return {"name": self._fetch.name, "uri": self._output.clean(_without_user(self._fetch.uri)), **facts}

    def _dataset(self) -> dict[str, Any]:
        store, found = self._look()

        def fill(into: Path, publish: Callable[[int], None]) -> None:
            self._write(store, found, into, publish)

        elsewhere = self._output.counter(f"{self._name} (another experiment fetches it)", found.size)
        entry = self._cache.entry(found.identity, found.size, fill, elsewhere)
        # With the new one it may be too much, and nobody else may come for long.
        self._cache.trim()
        return {
            "path": str(entry.path),
            "lock": str(entry.lock),
            "etag": found.etag,
            "version_id": found.version_id,
            "bytes": entry.size,
        }

    def _workspace(self) -> dict[str, Any]:
        workspace = self._request.workspace
        _empty(workspace)
        if self._fetch.uri.startswith(SCHEME):
            store, found = self._look()
            self._write(store, found, workspace, lambda _: None)
            facts = {"etag": found.etag, "version_id": found.version_id, "bytes": found.size}
        else:
            facts = {"etag": None, "version_id": self._clone(workspace), "bytes": None}
        if self._request.owner is not None and os.geteuid() == 0:
            os.chown(workspace, *self._request.owner)
            checkout.give_to(workspace, *self._request.owner)
        return {"path": str(workspace), "lock": None, **facts}

    def _look(self) -> tuple[Store, Content]:
        fetch, request = self._fetch, self._request
        store = Store(request.endpoint_url, request.region, fetch.access_key_id, fetch.secret_access_key)
        return store, content.look(store, fetch, request.max_bytes)

    def _write(self, store: Store, found: Content, into: Path, publish: Callable[[int], None]) -> None:
        say = self._output.counter(self._name, found.size)

        def downloading(count: int) -> None:
            say(count)
            publish(count)

        unpacked = self._output.counter(f"{self._name}: unpacking")
        with self._cache.scratch() as scratch:
            content.write(store, found, into, scratch, self._request.max_bytes, downloading, unpacked)

    def _clone(self, workspace: Path) -> str:
        self._output.progress(f"{self._name}: fetching the repository")
        with self._cache.scratch() as scratch:
            return git.fetch_files(
                self._fetch, workspace, scratch, self._request.max_bytes, allow_private=self._request.allow_private
            )


def _empty(directory: Path) -> None:
    """Make the directory, or take out what an interrupted start has left there."""
    directory.mkdir(0o755, parents=True, exist_ok=True)
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _without_user(uri: str) -> str:
    """Return the address without a name or password that stands in it; the user of ssh is no secret."""
    try:
        parts = urlsplit(uri)
        if parts.scheme in ("http", "https", "git+https"):
            parts = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        return shown(parts.geturl())
    except ValueError:
        return ""


if __name__ == "__main__":
    main()
