"""What a workspace is made of besides its commit's own files: submodules, and what Git LFS keeps."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.backends import checkout, pointers
from bot.backends.base import Capacity, Code, Module, from_json, to_json
from bot.backends.local import LocalBackend
from bot.backends.powers import Powers
from bot.clock import SystemClock
from bot.core.states import State
from tests.backends.lab import Lab, commit, git

CONTENT = b"weights" * 100
OID = hashlib.sha256(CONTENT).hexdigest()
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{OID}\nsize {len(CONTENT)}\n"


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    """A directory with one file of LFS."""
    directory = tmp_path / "lfs"
    directory.mkdir()
    (directory / OID).write_bytes(CONTENT)
    return directory


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    directory = tmp_path / "workspace"
    directory.mkdir()
    return directory


def look_up() -> None:
    """Nobody cancels."""


def test_pointers_become_files_wherever_they_stand_and_all_else_stays(workspace: Path, objects: Path) -> None:
    (workspace / "deep/er").mkdir(parents=True)
    for name in ("weights", "deep/er/weights"):
        (workspace / name).write_text(POINTER)
    (workspace / "weights").chmod(0o755)
    (workspace / "story").write_text(f"{POINTER}and more\n")
    pointers.fill(workspace, objects, look_up)
    assert (workspace / "weights").read_bytes() == (workspace / "deep/er/weights").read_bytes() == CONTENT
    assert (workspace / "weights").stat().st_mode & 0o777 == 0o755
    assert (workspace / "story").read_text() == f"{POINTER}and more\n"
    (workspace / "weights").write_bytes(b"")
    assert (objects / OID).read_bytes() == CONTENT, "a copy, not the file that others get, too"


def test_links_lead_nowhere(tmp_path: Path, workspace: Path, objects: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "weights").write_text(POINTER)
    (workspace / "link").symlink_to(outside / "weights")
    (workspace / "folder").symlink_to(outside)
    os.mkfifo(workspace / "pipe")
    pointers.fill(workspace, objects, look_up)
    assert (outside / "weights").read_text() == POINTER


def test_a_file_that_is_not_there_is_said_not_to_be(workspace: Path, objects: Path) -> None:
    (workspace / "weights").write_text(POINTER.replace(OID, "0" * 64))
    with pytest.raises(FileNotFoundError):
        pointers.fill(workspace, objects, look_up)


@pytest.mark.parametrize("path", ["link/inside", "link", "file", "none", "a/../a", "", "/etc"])
def test_a_submodule_has_its_place_in_a_directory_of_the_workspace(workspace: Path, path: str) -> None:
    (workspace / "a/b").mkdir(parents=True)
    (workspace / "file").touch()
    (workspace / "link").symlink_to("/etc")
    assert checkout.place_of(str(workspace), "a/b") == f"{workspace}/a/b"
    with pytest.raises(NotADirectoryError):
        checkout.place_of(str(workspace), path)


@pytest.fixture
def lab(tmp_path: Path, objects: Path) -> Iterator[Lab]:
    """A laboratory whose code has a submodule in a submodule, and files of LFS in all three."""
    inner = commit(tmp_path / "inner", {"inner.txt": "inner\n", "weights": POINTER})
    outer = commit(tmp_path / "outer", {"outer.txt": "outer\n", "weights": POINTER})
    outer = with_link(tmp_path / "outer", outer, "vendor/inner", inner.sha)
    top = commit(tmp_path / "top", {"weights": POINTER})
    top = with_link(tmp_path / "top", top, "lib", outer.sha)
    modules = (Module("lib", outer.git_dir, outer.sha), Module("lib/vendor/inner", inner.git_dir, inner.sha))
    code = replace(top, submodules=True, lfs=True, modules=modules, objects=str(objects))
    data_dir, capacity = tmp_path / "data", Capacity(cpus=2, memory_mb=4096, gpus=0)
    lab = Lab(
        data_dir,
        lambda: LocalBackend(data_dir, capacity, SystemClock(), True, bwrap="/nonexistent/bwrap", powers=Powers()),
        code,
    )
    yield lab
    lab.close()


def with_link(directory: Path, code: Code, path: str, sha: str) -> Code:
    tree = ["-C", str(directory / "work"), f"--git-dir={code.git_dir}", f"--work-tree={directory / 'work'}"]
    git(*tree, "update-index", "--add", "--cacheinfo", f"160000,{sha},{path}")
    git(*tree, "commit", "--quiet", "-m", "Link")
    return replace(code, sha=git(*tree, "rev-parse", "HEAD"))


@pytest.mark.service
def test_a_run_finds_its_submodules_and_its_large_files(lab: Lab) -> None:
    names = "weights lib/outer.txt lib/weights lib/vendor/inner/inner.txt lib/vendor/inner/weights"
    printed = lab.prints(f"wc -c {names}; find . -name .git")
    sizes = {words[1]: int(words[0]) for line in printed.splitlines() if len(words := line.split()) == 2}
    assert sizes.pop("total") == 3 * len(CONTENT) + len("outer\ninner\n")
    assert [size for name, size in sizes.items() if name.endswith("weights")] == [len(CONTENT)] * 3
    assert ".git" not in printed


@pytest.mark.service
def test_a_submodule_at_a_place_that_is_none_is_the_commits_own_fault(lab: Lab) -> None:
    misplaced = replace(lab.code, modules=(replace(lab.code.modules[0], path="weights"),))
    end = lab.run("true", code=misplaced).seen[-1]
    assert (end.state, end.reason) == (State.FAILED, "there is no place for the submodule `weights`")


def test_an_order_keeps_all_of_its_code(tmp_path: Path) -> None:
    code = Code("/git", "1" * 40, submodules=True, lfs=True, modules=(Module("lib", "/lib", "2" * 40),), objects="/lfs")
    lab = Lab(tmp_path, lambda: None, code)  # type: ignore[arg-type,return-value] # nothing is run
    spec = lab.spec("true")
    assert from_json(to_json(spec)) == spec
    old = to_json(spec)
    old["code"] = {"git_dir": "/git", "sha": "1" * 40}
    assert from_json(old).code == Code("/git", "1" * 40)
