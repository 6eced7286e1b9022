"""What is read of a checkout, and what is left alone."""

import os
import subprocess
from pathlib import Path

import pytest

from bot.init import listing
from bot.init.guess import guess
from bot.init.listing import LARGEST_FILE
from bot.init.look import MOST_FILES, look
from bot.init.write import render_config
from tests.init.repositories import lay, loaded

TRAIN = "import torch\nif __name__ == '__main__':\n    loss.backward()\n"


def paths(root: Path) -> list[str]:
    return [script.path for script in look(root).scripts]


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)


def test_without_git_all_is_walked_but_what_others_made(tmp_path: Path) -> None:
    files = ["train.py", "a/b/deep.py", "node_modules/x.py", ".venv/x.py", "venv/lib/x.py", "a/build/x.py", ".git/x.py"]
    lay(tmp_path, dict.fromkeys(files, TRAIN))
    assert paths(tmp_path) == ["train.py", "a/b/deep.py"]
    assert not look(tmp_path).is_git


@pytest.mark.service
def test_git_names_the_files_that_the_bot_will_see(tmp_path: Path) -> None:
    lay(tmp_path, {"train.py": TRAIN, "b/ä.py": TRAIN, "untracked.py": TRAIN, ".github/x.py": TRAIN, "gone.py": TRAIN})
    git(tmp_path, "init", "--initial-branch", "trunk")
    git(tmp_path, "add", "train.py", "b", ".github", "gone.py")
    (tmp_path / "gone.py").unlink()
    repository = look(tmp_path)
    assert [script.path for script in repository.scripts] == ["train.py", ".github/x.py", "b/ä.py"]
    assert (repository.is_git, repository.branch, repository.left_out) == (True, "trunk", 1)


@pytest.mark.service
def test_a_repository_to_which_nothing_was_added_is_walked(tmp_path: Path) -> None:
    git(lay(tmp_path, {"train.py": TRAIN}), "init")
    assert paths(tmp_path) == ["train.py"]


@pytest.mark.service
def test_the_checkouts_own_settings_run_nothing(tmp_path: Path) -> None:
    root, trace = lay(tmp_path / "checkout", {"train.py": TRAIN}), tmp_path / "ran"
    git(root, "init")
    git(root, "add", ".")
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho ran >> {trace}\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "filter.x.clean", "diff.external"):
        git(root, "config", name, str(program))
    git(root, "config", "core.hooksPath", str(tmp_path))
    (root / ".gitattributes").write_text("* filter=x\n")
    (tmp_path / "post-index-change").symlink_to(program)
    git(root, "config", "extensions.partialClone", "origin")
    git(root, "config", "remote.origin.url", f"ext::{program}")
    git(root, "config", "protocol.ext.allow", "always")
    repository = look(root)
    assert (repository.is_git, [script.path for script in repository.scripts]) == (True, ["train.py"])
    assert not trace.exists(), "git would have run it"


@pytest.mark.service
def test_a_directory_of_a_repository_is_looked_at_alone(tmp_path: Path) -> None:
    lay(tmp_path, {"train.py": TRAIN, "inner/fit.py": TRAIN})
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    assert paths(tmp_path / "inner") == ["fit.py"]


def test_links_are_never_followed(tmp_path: Path) -> None:
    outside = lay(tmp_path / "outside", {"secret.py": TRAIN, "more/deep.py": TRAIN})
    root = lay(tmp_path / "inside", {"real/other.py": TRAIN})
    (root / "train.py").symlink_to(outside / "secret.py")
    (root / "more").symlink_to(outside / "more")
    (root / "loop").symlink_to(root)
    (root / "Makefile").symlink_to("/etc/passwd")
    assert paths(root) == ["real/other.py"]


@pytest.mark.service
def test_links_that_git_names_are_not_followed_either(tmp_path: Path) -> None:
    outside = lay(tmp_path / "outside", {"secret.py": TRAIN})
    root = lay(tmp_path / "inside", {"more/deep.py": TRAIN})
    (root / "train.py").symlink_to(outside / "secret.py")
    git(root, "init")
    git(root, "add", ".")
    # A directory that became a link after it was added.
    (root / "more" / "deep.py").rename(outside / "deep.py")
    (root / "more").rmdir()
    (root / "more").symlink_to(outside)
    repository = look(root)
    assert (repository.scripts, repository.left_out) == ((), 2)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.py")
    assert paths(tmp_path) == []


def test_huge_files_are_left_out(tmp_path: Path) -> None:
    lay(tmp_path, {"main.py": TRAIN})
    (tmp_path / "train.py").write_text(TRAIN + "#" * LARGEST_FILE)
    repository = look(tmp_path)
    assert [script.path for script in repository.scripts] == ["main.py"]
    assert repository.left_out == 1


@pytest.mark.slow
def test_only_so_many_files_are_read_the_nearest_first(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 5):
        (tmp_path / f"m{number}.py").touch()
    lay(tmp_path, {"zz.py": TRAIN, "deep/train.py": TRAIN})
    repository = look(tmp_path)
    assert (repository.read, repository.left_out) == (MOST_FILES, 7)
    assert "deep/train.py" not in [script.path for script in repository.scripts]


def test_only_so_much_is_read_of_all_of_them(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"m{number:02}.py").write_text("#" * LARGEST_FILE)
    repository = look(tmp_path)
    assert repository.read < 40
    assert repository.read + repository.left_out == 40


def test_names_that_no_config_can_hold(tmp_path: Path) -> None:
    for name in (b"tr\nain.py", b"train\x1b[31m.py", b"train\xff.py", "train\u202e.py".encode(), b"train \x07.sh"):
        (tmp_path / os.fsdecode(name)).write_text(TRAIN)
    repository = look(tmp_path)
    assert len(repository.scripts) == 4
    assert not guess(repository).is_found
    assert loaded(render_config(guess(repository))).problems == ()


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("train model.py", "python3 'train model.py'"),
        ("-train.py", "python3 ./-train.py"),
        ("train: {x}.py", "python3 'train: {x}.py'"),
        ("train #1.py", "python3 'train #1.py'"),
        ("train'$(id)'.py", "python3 'train'\"'\"'$(id)'\"'\"'.py'"),
        ('train"\\.py', "python3 'train\"\\.py'"),
        ("*train*.py", None),
        ("train é🙂.py", "python3 'train é🙂.py'"),
        ("train%s{lr}.py", "python3 'train%s{lr}.py'"),
    ],
)
def test_odd_names_are_quoted(name: str, command: str | None, tmp_path: Path) -> None:
    (tmp_path / name).write_text(
        "import torch, argparse\n" + TRAIN + "p.add_argument('--lr', type=float, default=0.1)\n"
    )
    proposal = guess(look(tmp_path))
    read = loaded(render_config(proposal))
    assert read.problems == ()
    assert read.config is not None
    assert command is None or read.config.workflows[0].steps[0].params.command == command  # type: ignore[union-attr]


def test_without_git_on_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    root = lay(tmp_path / "checkout", {"train.py": TRAIN})
    assert paths(root) == ["train.py"]


def test_what_lies_in_a_file_that_is_not_what_its_name_says(tmp_path: Path) -> None:
    rubbish = "\0\x1b[" * 100 + "[" * 5000
    names = ["pyproject.toml", "setup.cfg", "Makefile", "README.md", "Dockerfile", "params.json", "params.yaml", "a.py"]
    repository = look(lay(tmp_path, dict.fromkeys(names, rubbish)))
    assert repository.read == len(names)
    assert not guess(repository).is_found


def test_the_branch_is_the_remotes_default(tmp_path: Path) -> None:
    lay(tmp_path, {".git/HEAD": "ref: refs/heads/my/topic\n"})
    assert look(tmp_path).branch == "my/topic"
    lay(tmp_path, {".git/refs/remotes/origin/HEAD": "ref: refs/remotes/origin/master\n"})
    assert look(tmp_path).branch == "master"
    for odd in ("ref: refs/heads/a b\n", "ref: refs/heads/x: [y]\n", "ref: refs/heads/x/\n", "0" * 40 + "\n"):
        lay(tmp_path, {".git/HEAD": odd, ".git/refs/remotes/origin/HEAD": odd})
        assert look(tmp_path).branch == "main"


def test_a_walk_ends(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.txt").touch()
    names, _ = listing.names(tmp_path, most=10)
    assert len(names) == 10
