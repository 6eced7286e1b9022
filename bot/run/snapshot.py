"""What lies in a checkout, as a commit: in a store of our own, the checkout's own repository is not touched.

The store is the very cache that a bot would have filled from GitHub, so nothing has to be fetched afterwards. It has no
configuration: no filter of Git LFS, no line ends turned. What lies there is what runs.
"""

import hashlib
import os
import stat
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.backends.base import Module
from bot.backends.checkout import ENVIRONMENT
from bot.forge.bare import MOST_ENTRIES
from bot.forge.git import LARGEST_CODE
from bot.forge.git_command import MIB, GitError, make
from bot.run.checkout import UNTRACKED, Checkout, Files, cut, files, git, plain
from bot.run.errors import CannotRun

_LIMIT = 600.0
_DEEPEST = 6
_SETTINGS = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null", "gc.auto=0")
_NOBODY = {f"GIT_{who}_{what}": "experiment-ci" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
_NEVER = {f"GIT_{who}_DATE": "@0 +0000" for who in ("AUTHOR", "COMMITTER")}
"""The same files make the same commit, whenever that is."""


@dataclass(frozen=True)
class Snapshot:
    """The commit `sha` in the bare repository `store`. `is_head`: it is the very commit that the checkout is at.

    `modules` are the submodules that are checked out, parents before children, `absent` the paths of the others.
    """

    store: Path
    sha: str
    is_head: bool = False
    modules: tuple[Module, ...] = ()
    absent: tuple[str, ...] = ()


def take(checkout: Checkout, store: Path, leave_out: Path) -> Snapshot:
    """Make a commit of what lies in the checkout now. What lies below `leave_out` is ours. Raises CannotRun."""
    own = _Store(store, checkout.root)
    found = _tree(own, leave_out, 0)
    if checkout.is_whole and _has_tree(checkout, found.tree):
        sha = own.adopt(git(checkout.root, "cat-file", "commit", checkout.head) or b"")
        if sha == checkout.head:
            return Snapshot(store, sha, True, found.modules, found.absent)
    message = f"{checkout.subject}, and what is not committed" if checkout.is_whole else f"What lies in {checkout.name}"
    return Snapshot(store, own.commit(found.tree, message), False, found.modules, found.absent)


@dataclass(frozen=True)
class _Found:
    tree: str
    modules: tuple[Module, ...]
    absent: tuple[str, ...]


def _tree(store: "_Store", leave_out: Path, depth: int) -> _Found:
    """Write the tree of a checkout, those of its submodules with it."""
    if depth > _DEEPEST:
        raise CannotRun(f"the submodules of {store.root} lie too deep in each other")
    listed = files(store.root) or store.listed()
    paths = _present(store.root, _without(listed.paths, store.root, leave_out))
    links, modules, absent = dict[bytes, str](), list[Module](), list[str]()
    for path, sha in listed.submodules.items():
        name = os.fsdecode(path)
        if not (store.root / name / ".git").exists():
            links[path] = sha
            absent.append(name)
            continue
        inner = store.of_submodule(name)
        below = _tree(inner, leave_out, depth + 1)
        links[path] = inner.commit(below.tree, f"What lies in {name}")
        modules.append(Module(name, str(inner.directory), links[path]))
        modules += [Module(f"{name}/{one.path}", one.git_dir, one.sha) for one in below.modules]
        absent += [f"{name}/{one}" for one in below.absent]
    return _Found(store.tree(paths, links), tuple(modules), tuple(absent))


def _has_tree(checkout: Checkout, tree: str) -> bool:
    return (git(checkout.root, "rev-parse", f"{checkout.head}^{{tree}}") or b"").decode().strip() == tree


def _without(paths: Sequence[bytes], root: Path, leave_out: Path) -> list[bytes]:
    if not leave_out.is_relative_to(root):
        return list(paths)
    ours = os.fsencode(leave_out.relative_to(root)) + b"/"
    return [path for path in paths if not path.startswith(ours)]


def _present(root: Path, paths: Sequence[bytes]) -> list[bytes]:
    """Return the paths at which files and links lie. Raises CannotRun for more than a bot would take of a commit."""
    if len(paths) > MOST_ENTRIES:
        raise CannotRun(f"{root} has more than {MOST_ENTRIES} files; .gitignore says which are no code")
    sizes, found = Counter[str](), list[bytes]()
    folders = _Folders(os.fsencode(root))
    for path in paths:
        status = folders.status(path)
        # What is tracked may be gone, or be a folder or lie behind a link by now.
        if status is not None and (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            sizes[os.fsdecode(path).partition("/")[0]] += status.st_size
            found.append(path)
    if sizes.total() > LARGEST_CODE:
        most, size = sizes.most_common(1)[0]
        raise CannotRun(
            f"the files of {root} have {sizes.total() / MIB:.0f} MB, more than the {LARGEST_CODE / MIB:.0f} MB that a"
            f" bot takes; {size / MIB:.0f} MB of them are {most}. What is no code belongs into .gitignore, and a"
            " dataset into the config"
        )
    return found


class _Folders:
    """The folders of a checkout, each looked at once."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._known: dict[bytes, bool] = {b"": True}

    def status(self, path: bytes) -> os.stat_result | None:
        """Return what lies at a path; None where nothing does, or a link is on the way to it. Raises CannotRun."""
        try:
            return os.lstat(os.path.join(self._root, path)) if self._is_real(os.path.dirname(path)) else None  # noqa: PTH118, PTH120 - bytes
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise CannotRun(f"{os.fsdecode(path)} cannot be read: {error.strerror}") from None

    def _is_real(self, folder: bytes) -> bool:
        if folder not in self._known:
            is_real = self._is_real(os.path.dirname(folder))  # noqa: PTH120 - bytes
            mode = os.lstat(os.path.join(self._root, folder)).st_mode if is_real else 0  # noqa: PTH118 - bytes
            self._known[folder] = stat.S_ISDIR(mode)
        return self._known[folder]


class _Store:
    """A bare repository of ours that looks at somebody's files."""

    def __init__(self, directory: Path, root: Path) -> None:
        self.directory, self.root = directory, root
        try:
            directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not directory.is_dir():
                make(directory)
        except (GitError, OSError) as error:
            raise CannotRun(f"{directory} cannot be made: {error}") from None
        # Whoever left them is dead: there is one of us at a time.
        for lock in ("index.lock", "shallow.lock"):
            (directory / lock).unlink(missing_ok=True)

    def of_submodule(self, path: str) -> "_Store":
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:40]
        return _Store(self.directory / "modules" / f"{name}.git", self.root / path)

    def listed(self) -> Files:
        """List a directory that no repository knows; .gitignore files have their say."""
        none = {"GIT_INDEX_FILE": str(self.directory / "no-index")}
        return Files(tuple(plain(self._git("ls-files", "-z", *UNTRACKED, variables=none))))

    def tree(self, paths: Sequence[bytes], links: dict[bytes, str]) -> str:
        """Write the tree of these files as they are now. The index stays: what has not changed is not read again."""
        before = set(cut(self._git("ls-files", "-z")))
        self._git("update-index", "--force-remove", "-z", "--stdin", data=_joined(before - {*paths, *links}))
        self._git("update-index", "--add", "--remove", "--replace", "-z", "--stdin", data=_joined(paths))
        lines = [b"160000 %s\t%s" % (sha.encode(), path) for path, sha in links.items()]
        self._git("update-index", "--add", "--replace", "-z", "--index-info", data=_joined(lines))
        return self._git("write-tree").decode().strip()

    def commit(self, tree: str, message: str) -> str:
        """Return a commit without parents, marked as whole."""
        text = message.encode(errors="replace")
        sha = self._git("commit-tree", tree, data=text, variables=_NOBODY | _NEVER).decode().strip()
        return self._mark(sha)

    def adopt(self, commit: bytes) -> str:
        """Take over somebody's commit whose tree is here; its history stays where it is."""
        sha = self._git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", data=commit).decode().strip()
        known = self.directory / "shallow"
        lines = {*known.read_text().split(), sha} if known.exists() else {sha}
        known.write_text("".join(f"{line}\n" for line in sorted(lines)))
        return self._mark(sha)

    def _mark(self, sha: str) -> str:
        for kind in ("commits", "code"):
            self._git("update-ref", f"refs/{kind}/{sha}", sha)
        return sha

    def _git(self, *arguments: str, data: bytes = b"", variables: dict[str, str] | None = None) -> bytes:
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        command = ["git", f"--git-dir={self.directory}", f"--work-tree={self.root}", *settings, *arguments]
        environment = ENVIRONMENT | {"PATH": os.environ.get("PATH", ENVIRONMENT["PATH"])} | (variables or {})
        try:
            done = subprocess.run(
                command, input=data, cwd=self.root, env=environment, capture_output=True, timeout=_LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            raise CannotRun(f"git {arguments[0]} took longer than {_LIMIT:g} s in {self.root}") from None
        if done.returncode != 0:
            said = " ".join(done.stderr.decode(errors="replace").split())[-300:]
            raise CannotRun(f"the files of {self.root} cannot be taken: {said}")
        return done.stdout


def _joined(parts: Iterable[bytes]) -> bytes:
    return b"".join(part + b"\0" for part in parts)
