"""Bare repositories: git's own HTTP backend before them, git's plumbing behind.

Nothing of the user's or the machine's git configuration has a say here, and no hook runs.
"""

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

_FIELDS = "%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%aI%x1f%cn%x1f%ce%x1f%cI%x1f%B"

# refs/pull is ours to keep, not anybody's to push.
_CONFIGURATION = """
[uploadpack]
    allowFilter = true
    allowAnySHA1InWant = true
[core]
    hooksPath = /dev/null
[receive]
    hideRefs = refs/pull
[gc]
    auto = 0
"""


class GitError(Exception):
    """git refused; the message is its own."""


@dataclass(frozen=True)
class Link:
    """A symbolic link, to be committed: `{"config.yaml": Link("/etc/hostname")}`."""

    target: str


@dataclass(frozen=True)
class Signature:
    """Who wrote or committed, and when (seconds since 1970)."""

    name: str
    email: str
    at: int


@dataclass(frozen=True)
class Commit:
    """A commit, with the paths that it changed against its first parent (none for merges)."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    modified: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return self.message.split("\n", 1)[0]


@dataclass(frozen=True)
class Difference:
    """How far a branch is from another: commits, lines added and removed, files changed."""

    commits: int
    additions: int
    deletions: int
    changed_files: int


@dataclass(frozen=True)
class CgiAnswer:
    """What `git http-backend` answered."""

    status: int
    headers: dict[str, str]
    body: bytes


class Git:
    """One bare repository."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, default_branch: str) -> "Git":
        """Make an empty repository that answers as GitHub's do: any SHA and blobless fetches allowed."""
        path.mkdir(parents=True)
        git = cls(path)
        git.run("init", "--quiet", "--bare", "--template=", f"--initial-branch={default_branch}", ".")
        with (path / "config").open("a", encoding="utf-8") as config:
            config.write(_CONFIGURATION)
        return git

    def configure(self, key: str, value: str) -> None:
        self.run("config", key, value)

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Return what `git <arguments>` printed; raises GitError with its complaint."""
        command = ["git", *arguments]
        done = subprocess.run(command, cwd=self.path, env=environment(), input=stdin, capture_output=True, check=False)
        if done.returncode != 0:
            raise GitError(done.stderr.decode(errors="replace").strip() or f"git ended with {done.returncode}")
        return done.stdout

    def line(self, *arguments: str, stdin: bytes = b"") -> str:
        return self.run(*arguments, stdin=stdin).decode(errors="replace").strip()

    def refs(self) -> dict[str, str]:
        """Return every branch and tag with the object that it names (for an annotated tag: the tag object)."""
        lines = self.line("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags").splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def resolve(self, name: str) -> str | None:
        """Return the commit that a branch, a tag or a (full or short) SHA names; None when there is none."""
        if name.startswith("-") or ".." in name:
            return None
        for candidate in (name, f"refs/heads/{name}", f"refs/tags/{name}"):
            try:
                return self.line("rev-parse", "--quiet", "--verify", "--end-of-options", f"{candidate}^{{commit}}")
            except GitError:
                continue
        return None

    def branches(self) -> dict[str, str]:
        """Return the tip of every branch."""
        prefix = "refs/heads/"
        return {ref.removeprefix(prefix): sha for ref, sha in self.refs().items() if ref.startswith(prefix)}

    def tip(self, branch: str) -> str | None:
        return self.branches().get(branch)

    def is_ancestor(self, older: str, newer: str) -> bool:
        try:
            self.run("merge-base", "--is-ancestor", older, newer)
        except GitError:
            return False
        return True

    def log(self, *revisions: str, limit: int, skip: int = 0) -> list[Commit]:
        """Return at most `limit` commits of `git log <revisions>`, newest first, with what they changed."""
        part = (f"--max-count={limit}", f"--skip={skip}")
        flags = ("-z", "--name-status", "--no-renames", *part, f"--format=%x1e{_FIELDS}%x1d")
        output = self.run("log", *flags, *revisions, "--").decode(errors="replace")
        return [_commit(record) for record in output.split("\x1e")[1:]]

    def commit(self, sha: str) -> Commit:
        """Return the commit that `sha` is, or that the annotated tag `sha` names."""
        return self.log(f"{sha}^{{commit}}", limit=1)[0]

    def difference(self, base: str, head: str) -> Difference:
        """Return what `head` has beyond `base`, lines counted from their merge base."""
        lines = self.line("diff", "--numstat", f"{base}...{head}").splitlines()
        counts = [line.split("\t")[:2] for line in lines]
        added, removed = ([int(c[i]) for c in counts if c[i].isdigit()] for i in (0, 1))
        commits = int(self.line("rev-list", "--count", f"{base}..{head}"))
        return Difference(commits, sum(added), sum(removed), len(lines))

    def write(
        self,
        branch: str,
        parent: str | None,
        files: Mapping[str, str | bytes | Link | None],
        who: Signature,
        message: str,
    ) -> None:
        """Commit `files` (None deletes) on top of `parent` as the new tip of `branch`."""
        text = message.encode()
        stamp = f"{who.name} <{who.email}> {who.at} +0000"
        head = f"commit refs/heads/{branch}\nauthor {stamp}\ncommitter {stamp}\ndata {len(text)}\n"
        parts = [head.encode(), text, b"\n"]
        if parent is not None:
            parts.append(f"from {parent}\n".encode())
        parts += [_change(path, content) for path, content in files.items()]
        self.run("fast-import", "--quiet", "--force", stdin=b"".join([*parts, b"\n"]))

    def merge(self, base: str, head: str, who: Signature, message: str) -> str:
        """Return a new merge commit of two commits; raises GitError when they conflict."""
        tree = self.line("merge-tree", "--write-tree", base, head).splitlines()[0]
        stamp = f"{who.name} <{who.email}> {who.at} +0000"
        text = f"tree {tree}\nparent {base}\nparent {head}\nauthor {stamp}\ncommitter {stamp}\n\n{message}\n"
        return self.line("hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode())

    def http(self, path: str, request: Mapping[str, str], body: IO[bytes], user: str | None) -> CgiAnswer:
        """Answer one request of the smart HTTP protocol, through `git http-backend`.

        `path` is what follows the repository's URL; `request` has the CGI variables of the request.
        """
        variables = environment() | dict(request)
        variables |= {"GIT_PROJECT_ROOT": str(self.path), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": f"/{path}"}
        if user is not None:
            # http-backend takes pushes only from somebody.
            variables["REMOTE_USER"] = user
        done = subprocess.run(
            ["git", "http-backend"], cwd=self.path, env=variables, stdin=body, capture_output=True, check=False
        )
        return _cgi_answer(done.stdout)


def environment() -> dict[str, str]:
    """Return the variables that git gets: none that could bring configuration or ask a question."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
    }


def client_environment(url: str, login: str, password: str, credentials: Path) -> dict[str, str]:
    """Return variables that let real git speak to `url` as `login`, with no secret in any argument.

    The password is written to the file `credentials`, readable by this user alone.
    """
    scheme, rest = url.split("://", 1)
    credentials.touch(mode=0o600)
    credentials.write_text(f"{scheme}://{login}:{password}@{rest}\n", encoding="utf-8")
    return {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": "2",
        # The empty one forgets the helpers of the machine.
        "GIT_CONFIG_KEY_0": "credential.helper",
        "GIT_CONFIG_VALUE_0": "",
        "GIT_CONFIG_KEY_1": "credential.helper",
        "GIT_CONFIG_VALUE_1": f"store --file={credentials}",
    }


def _commit(record: str) -> Commit:
    fields, _, changes = record.partition("\x1d")
    sha, tree, parents, author, mail, at, committer, its_mail, then, message = fields.split("\x1f", 9)
    names = [name.strip("\n") for name in changes.strip("\0\n").split("\0")]
    pairs = list(zip(names[::2], names[1::2], strict=False))
    return Commit(
        sha,
        tree,
        tuple(parents.split()),
        Signature(author, mail, _seconds(at)),
        Signature(committer, its_mail, _seconds(then)),
        message.rstrip("\n"),
        _paths(pairs, "A"),
        _paths(pairs, "D"),
        _paths(pairs, "MT"),
    )


def _paths(pairs: Iterable[tuple[str, str]], kinds: str) -> tuple[str, ...]:
    return tuple(path for kind, path in pairs if kind in kinds)


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _change(path: str, content: str | bytes | Link | None) -> bytes:
    """Return the line of `git fast-import` that puts or deletes one file."""
    quoted = '"' + path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if content is None:
        return f"D {quoted}\n".encode()
    mode = "100644"
    if isinstance(content, Link):
        mode, content = "120000", content.target
    data = content.encode() if isinstance(content, str) else content
    return f"M {mode} inline {quoted}\ndata {len(data)}\n".encode() + data + b"\n"


def _cgi_answer(output: bytes) -> CgiAnswer:
    head, _, body = output.partition(b"\r\n\r\n")
    pairs = [line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line]
    headers = dict(pairs)
    status = int(headers.pop("Status", "200 OK").split(" ", 1)[0])
    return CgiAnswer(status, headers, body)
