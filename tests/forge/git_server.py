"""A small git server over HTTP for these tests: git's own `http-backend` behind Python's own server.

It serves the bare repositories below a directory, and can misbehave as real ones do.
"""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass
class GitServer:
    """What the server does and what it saw. `token` None lets everybody in, as into the `public` repositories.

    `lfs` are the files that it keeps for Git LFS, by their sha256; `href` is where it says that they are.
    """

    root: Path
    url: str = ""
    token: str | None = None
    serves_bare_shas: bool = True
    status: int | None = None
    requests: list[str] = field(default_factory=list)
    credentials: set[str | None] = field(default_factory=set)
    public: set[str] = field(default_factory=set)
    authorized: list[str] = field(default_factory=list)
    lfs: dict[str, bytes] = field(default_factory=dict)
    href: str = "{url}/lfs-files/{oid}"

    def lets_in(self, path: str, credential: str | None) -> bool:
        """Tell whether somebody with this `Authorization` may ask for a path."""
        owner, _, name = path.strip("/").partition("/")
        is_open = self.token is None or owner == "lfs-files" or f"{owner}/{name.split('.git')[0]}" in self.public
        return is_open or credential == f"Basic {self.token}"

    def author(self, owner: str, name: str) -> "Author":
        """Return a new repository, and a place to write commits for it."""
        bare = self.root / owner / f"{name}.git"
        _git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        for key in ("uploadpack.allowFilter", "http.receivepack"):
            _git("-C", str(bare), "config", key, "true")
        work = self.root / "authors" / owner / name
        _git("init", "--quiet", "--initial-branch=main", str(work))
        return Author(bare, work)


@dataclass(frozen=True)
class Author:
    """Somebody who commits and pushes."""

    bare: Path
    work: Path

    def commit(self, files: dict[str, str | bytes], message: str = "Work", ref: str = "refs/heads/main") -> str:
        """Write `files`, commit all that is in the working tree, push it to `ref`; return the SHA."""
        for path, content in files.items():
            target = self.work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return self.commit_tree(message, ref)

    def commit_tree(self, message: str = "Work", ref: str = "refs/heads/main") -> str:
        """Commit and push the working tree as it stands."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        self.git("push", "--quiet", "--force", str(self.bare), f"HEAD:{ref}")
        return self.git("rev-parse", "HEAD")

    def link(self, path: str, url: str, sha: str, *more: str) -> None:
        """Write down a submodule, to be committed by `commit_links`."""
        lines = [f'[submodule "{path}"]', f"path = {path}", f"url = {url}", *more, ""]
        with (self.work / ".gitmodules").open("a") as file:
            file.write("\n".join(lines))
        self.git("update-index", "--add", "--cacheinfo", f"160000,{sha},{path}")

    def commit_links(self) -> str:
        """Commit and push the submodules that were written down; return the SHA."""
        if (self.work / ".gitmodules").exists():
            self.git("add", ".gitmodules")
        self.git("commit", "--quiet", "-m", "Submodules")
        self.git("push", "--quiet", "--force", str(self.bare), "HEAD:refs/heads/main")
        return self.git("rev-parse", "HEAD")

    def make_tree(self, entries: str) -> str:
        """Write a tree of `<mode> <kind> <name>\\t<file>` lines; return its name."""
        return self.git("mktree", data=entries)

    def git(self, *arguments: str, data: str = "") -> str:
        """Run git in the working tree."""
        return _git("-C", str(self.work), *arguments, data=data)


def _git(*arguments: str, data: str = "") -> str:
    person = {"NAME": "Ada", "EMAIL": "ada@example.org", "DATE": "2024-05-01T12:00:00Z"}
    environment = {f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in person.items()}
    environment |= {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", *arguments]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, input=data)
    return done.stdout.strip()


@contextmanager
def serve(root: Path) -> Iterator[GitServer]:
    """Serve the repositories below `root` on a free port of 127.0.0.1."""
    state = GitServer(root)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self) -> None:
            body = self._body()
            state.requests.append(f"{self.command} {self.path}")
            credential = self.headers.get("Authorization")
            state.credentials.add(credential)
            if credential is not None:
                state.authorized.append(self.path)
            if state.status is not None:
                self._reply(state.status, {}, b"")
            elif not state.lets_in(self.path, credential):
                self._reply(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
            elif self.path.endswith("/info/lfs/objects/batch"):
                self._reply(200, {"Content-Type": "application/vnd.git-lfs+json"}, self._batch(json.loads(body)))
            elif self.path.startswith("/lfs-files/"):
                self._reply(200, {}, state.lfs[self.path.rpartition("/")[2]])
            else:
                self._backend(body)

        def _batch(self, asked: Any) -> bytes:
            objects = [{"oid": one["oid"], "size": one["size"]} for one in asked["objects"]]
            for one in objects:
                if one["oid"] in state.lfs:
                    href = state.href.format(url=state.url, oid=one["oid"])
                    one["actions"] = {"download": {"href": href, "header": {"X-Ticket": "1"}}}
                else:
                    one["error"] = {"code": 404, "message": "Object does not exist"}
            return json.dumps({"transfer": "basic", "objects": objects}).encode()

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _backend(self, body: bytes) -> None:
            url = urlsplit(self.path)
            environment = {
                "PATH": os.environ["PATH"],
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "PATH_INFO": url.path,
                "QUERY_STRING": url.query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            }
            if state.serves_bare_shas:  # protocol 2 serves any SHA, protocol 0 what a ref names
                environment["GIT_PROTOCOL"] = self.headers.get("Git-Protocol", "")
            # It ends with status 1 when it refuses, having written why: that is what the client shall see.
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=environment, stdout=subprocess.PIPE, check=False
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self._reply(int(headers.pop("Status", "200").split()[0]), headers, content)

        def _reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
