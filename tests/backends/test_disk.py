"""What is on the disk, found out a little at a time and not to be led astray."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.backends.disk import Disk

BLOCK = 4096


def measured(disk: Disk) -> int:
    """Return what one whole round finds."""
    used, more = -1, disk.used(list, 0.0)
    while more != used:
        used, more = more, disk.used(list, 0.0)
    return more


def fill(path: Path, size: int = BLOCK) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


def test_everything_counts_once(root: Path) -> None:
    fill(root / "a/one", 10 * BLOCK)
    fill(root / "b/c/two", 3 * BLOCK)
    (root / "b/again").hardlink_to(root / "a/one")
    (root / "link").symlink_to("/usr")
    directories, links = 3, 1
    assert measured(Disk([str(root)])) == (10 + 3 + directories + links) * BLOCK


def test_no_link_is_followed_not_even_the_root(root: Path, tmp_path: Path) -> None:
    fill(root / "file", 5 * BLOCK)
    link = tmp_path / "link"
    link.symlink_to(root)
    assert measured(Disk([str(link)])) == 0


def test_empty_files_and_directories_count_and_holes_do_not(root: Path) -> None:
    for number in range(5):
        (root / f"empty-{number}").touch()
        (root / f"directory-{number}").mkdir()
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    assert measured(Disk([str(root)])) == 11 * BLOCK


def test_no_depth_is_too_deep(root: Path) -> None:
    depth = 2_100  # beyond the length of a path
    here = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    found = measured(Disk([str(root)]))
    subprocess.run(["rm", "-rf", root], check=True)  # pytest itself would lose its way
    assert found == (depth + 1) * BLOCK


def test_many_files_take_several_looks_and_what_was_known_stays_known(root: Path) -> None:
    for number in range(60):
        (root / str(number)).touch()
    disk = Disk([str(root)], at_once=50)
    assert disk.used(list, 0.0) == 50 * BLOCK
    assert disk.used(list, 1.0) == 60 * BLOCK
    (root / "late").touch()
    assert disk.used(list, 2.0) == 60 * BLOCK  # resting
    assert disk.used(list, 5.0) == 60 * BLOCK
    assert disk.used(list, 6.0) == 61 * BLOCK


@pytest.mark.parametrize("change", ["removed", "moved", "replaced by a link"])
def test_a_directory_that_changes_under_the_walk_leads_nowhere_else(root: Path, tmp_path: Path, change: str) -> None:
    inner = root / "a/b"
    for number in range(50):
        fill(inner / str(number), 1)
    disk = Disk([str(root)], at_once=30)
    disk.used(list, 0.0)  # now it is in the middle of b
    elsewhere = tmp_path / "elsewhere"
    changes: dict[str, Callable[[], object]] = {
        "removed": lambda: [[path.unlink() for path in inner.iterdir()], inner.rmdir()],
        "moved": lambda: inner.rename(elsewhere),
        "replaced by a link": lambda: [inner.rename(elsewhere), inner.symlink_to("/usr")],
    }
    changes[change]()
    assert disk.used(list, 1.0) <= 55 * BLOCK
    disk.used(list, 5.0)
    assert disk.used(list, 9.0) <= 55 * BLOCK


def test_of_shared_directories_only_what_changes_counts_whatever_time_it_says(root: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    fill(shared / "old", 10 * BLOCK)
    fill(shared / "touched", 2 * BLOCK)
    since = (shared / "touched").stat().st_ctime + 0.001
    time.sleep(0.05)
    disk = Disk([str(root)], [str(shared)], since)
    assert measured(disk) == 0
    fill(shared / "new", 3 * BLOCK)
    os.utime(shared / "new", (0, 0))
    with (shared / "touched").open("ab") as file:
        file.write(b"!")
    assert disk.used(list, 9.0) == (3 + 3) * BLOCK


def test_what_is_not_there_is_nothing(root: Path) -> None:
    assert measured(Disk([str(root / "none")])) == 0
    assert not Disk([str(root)]).has_become_full()
    assert not Disk([]).has_become_full()


def test_a_removed_file_counts_while_a_process_has_it_open(root: Path) -> None:
    fill(root / "file", 8 * BLOCK)
    ours = Disk([str(root)]).used(lambda: [os.getpid()], 0.0)  # with what pytest keeps like that
    with (root / "file").open():
        (root / "file").unlink()
        assert Disk([str(root)]).used(lambda: [os.getpid()], 0.0) == ours
    assert Disk([str(root)]).used(lambda: [os.getpid()], 0.0) == ours - 8 * BLOCK
