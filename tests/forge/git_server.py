"""A small git server over HTTP for these tests: git's own `http-backend` behind Python's own server.

It serves the bare repositories below a directory, and can misbehave as real ones do.
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass
class GitServer:
    """What the server does and what it saw. `token` None lets everybody in."""

    root: Path
    url: str = ""
    token: str | None = None
    serves_bare_shas: bool = True
    status: int | None = None
    requests: list[str] = field(default_factory=list)
    credentials: set[str | None] = field(default_factory=set)

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
            state.credentials.add(self.headers.get("Authorization"))
            if state.status is not None:
                self._reply(state.status, {}, b"")
            elif state.token is not None and self.headers.get("Authorization") != f"Basic {state.token}":
                self._reply(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
            else:
                self._backend(body)

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
