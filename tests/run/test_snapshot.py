"""A checkout becomes a commit of ours: with all that lies there, and without a trace in its own repository."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bot.backends import checkout as supervisors
from bot.run.checkout import look
from bot.run.errors import CannotRun
from bot.run.snapshot import Snapshot, take
from tests.run.repository import Repository

pytestmark = pytest.mark.service

FILES = {"train.py": "print(1)", "data/big.bin": "1" * 1000, ".gitignore": "*.log\nenv/\n"}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "digits", FILES)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def snapshot(repository: Repository, home: Path) -> Snapshot:
    return take(look(repository.root), home / "git" / "1.git", home)


def contents(found: Snapshot, place: Path, sha: str = "", store: str = "") -> dict[str, str]:
    """What a supervisor's checkout of it has: paths, and what is in them (`→ …` for a link)."""
    place.mkdir(parents=True, exist_ok=True)
    command = supervisors.command(store or str(found.store), sha or found.sha, str(place))
    index = {"GIT_INDEX_FILE": str(place.with_suffix(".index"))}
    subprocess.run(command, env=supervisors.ENVIRONMENT | index, check=True, capture_output=True)
    return {
        str(path.relative_to(place)): f"→ {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in sorted(place.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def test_where_all_is_committed_it_is_that_very_commit(repository: Repository, home: Path, tmp_path: Path) -> None:
    repository.commit("A second one, so that it has a history")
    found = snapshot(repository, home)
    assert (found.sha, found.is_head) == (repository.head, True)
    assert contents(found, tmp_path / "out") == FILES


def test_what_lies_there_runs_and_what_is_ignored_does_not(repository: Repository, home: Path, tmp_path: Path) -> None:
    repository.write({"train.py": "print(2)", "new/odd\nname": "3", "noise.log": "4", "env/python": "5"})
    repository.git("rm", "--quiet", "--cached", "data/big.bin")
    (repository.root / "link").symlink_to("train.py")
    (repository.root / ".git" / "info" / "exclude").write_text("private\n")
    repository.write({"private": "6"})

    found = snapshot(repository, home)

    assert not found.is_head
    assert contents(found, tmp_path / "out") == {
        **FILES,
        "train.py": "print(2)",
        "new/odd\nname": "3",
        "link": "→ train.py",
    }


def test_nothing_of_the_repository_changes_and_nothing_of_it_is_run(
    repository: Repository, home: Path, tmp_path: Path
) -> None:
    program, trace = tmp_path / "program", tmp_path / "it-ran"
    program.write_text(f"#!/bin/sh\ntouch {trace}\ncat\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "filter.x.clean", "filter.x.process", "core.hooksPath"):
        repository.git("config", key, str(program))
    repository.write({"train.py": "print(2)", "new.py": "print(3)", ".gitattributes": "*.py filter=x\n"})
    os.utime(repository.root / "data" / "big.bin", ns=(1, 1))  # git would want to look again, and remember
    before = repository.everything()

    snapshot(repository, home)

    assert repository.everything() == before
    assert not trace.exists()


def test_the_same_files_are_the_same_commit_and_are_not_read_again(repository: Repository, home: Path) -> None:
    repository.write({"new.py": "print(3)"})
    first = snapshot(repository, home)
    assert snapshot(repository, home) == first
    repository.write({"new.py": "print(4)"})
    second = snapshot(repository, home)
    assert second.sha != first.sha
    repository.write({"new.py": "print(3)"})
    assert snapshot(repository, home).sha == first.sha


def test_what_is_gone_or_has_become_something_else_is_no_stumbling_block(
    repository: Repository, home: Path, tmp_path: Path
) -> None:
    repository.write({"was-file": "1", "was-folder/x": "2", "behind/y": "3"})
    repository.commit("Second")
    snapshot(repository, home)
    for name in ("was-file", "was-folder/x", "behind/y", "data/big.bin"):
        (repository.root / name).unlink()
    for name in ("was-folder", "behind", "data"):
        (repository.root / name).rmdir()
    repository.write({"was-file/n": "4", "was-folder": "5"})
    (repository.root / "behind").symlink_to("/etc")
    os.mkfifo(repository.root / "pipe")

    assert contents(snapshot(repository, home), tmp_path / "out") == {
        ".gitignore": FILES[".gitignore"],
        "train.py": "print(1)",
        "was-file/n": "4",
        "was-folder": "5",
        "behind": "→ /etc",
    }


def test_line_ends_and_files_of_lfs_are_as_they_lie_there(repository: Repository, home: Path, tmp_path: Path) -> None:
    repository.write({"win.txt": "a\r\nb\r\n", "model.bin": "weights", ".gitattributes": "*.bin filter=lfs -text\n"})
    repository.git("config", "core.autocrlf", "true")
    found = contents(snapshot(repository, home), tmp_path / "out")
    assert found["model.bin"] == "weights"
    assert (tmp_path / "out" / "win.txt").read_bytes() == b"a\r\nb\r\n"


def test_a_directory_without_git(tmp_path: Path, home: Path) -> None:
    place = tmp_path / "plain"
    (place / "sub").mkdir(parents=True)
    for name in ("train.py", "noise.log", "sub/x"):
        (place / name).write_text(name)
    (place / ".gitignore").write_text("*.log\n")
    found = take(look(place), home / "git" / "1.git", home)
    assert set(contents(found, tmp_path / "out")) == {"train.py", "sub/x", ".gitignore"}


def test_a_directory_that_the_repository_around_it_ignores(repository: Repository, tmp_path: Path, home: Path) -> None:
    repository.write({"env/train.py": "print(1)"})
    found = take(look(repository.root / "env"), home / "git" / "1.git", home)
    assert contents(found, tmp_path / "out") == {"train.py": "print(1)"}


def test_what_we_keep_within_the_checkout_is_none_of_it(repository: Repository, tmp_path: Path) -> None:
    home = repository.root / "kept"
    home.mkdir()
    (home / "database").write_text("ours")
    found = take(look(repository.root), home / "git" / "1.git", home)
    assert found.is_head
    assert contents(found, tmp_path / "out") == FILES


def test_submodules_as_they_lie_there_and_the_name_of_one_that_is_not(
    repository: Repository, tmp_path: Path, home: Path
) -> None:
    library = Repository(tmp_path / "library", {"lib.py": "one = 1"})
    for name in ("lib", "other"):
        repository.git("submodule", "--quiet", "add", str(library.root), name)
    repository.commit("With submodules")
    repository.git("submodule", "--quiet", "deinit", "--force", "other")
    (repository.root / "lib" / "lib.py").write_text("one = 2")

    found = snapshot(repository, home)

    assert found.absent == ("other",)
    [module] = found.modules
    assert module.path == "lib"
    assert contents(found, tmp_path / "out", module.sha, module.git_dir) == {"lib.py": "one = 2"}
    tree = subprocess.run(
        ["git", f"--git-dir={found.store}", "ls-tree", found.sha, "lib", "other"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert f"160000 commit {module.sha}\tlib" in tree
    assert "\tother" in tree


def test_more_than_a_bot_takes_is_refused_before_it_is_read(repository: Repository, home: Path) -> None:
    with (repository.root / "data" / "huge.bin").open("wb") as file:
        file.truncate(3 << 30)  # a hole: it takes no room
    with pytest.raises(CannotRun, match=r"have 3072 MB, more than the 2048 MB .* 3072 MB of them are data"):
        snapshot(repository, home)


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_named(repository: Repository, home: Path) -> None:
    (repository.root / "train.py").chmod(0)
    with pytest.raises(CannotRun, match=r"train\.py"):
        snapshot(repository, home)


def test_a_snapshot_that_was_cut_off_is_taken_again(repository: Repository, home: Path) -> None:
    first = snapshot(repository, home)
    for lock in ("index.lock", "shallow.lock"):
        (first.store / lock).touch()
    repository.write({"new.py": "print(3)"})
    assert snapshot(repository, home) == replace(first, sha=snapshot(repository, home).sha, is_head=False)
