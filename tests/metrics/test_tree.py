"""A tree that untrusted code wrote is walked without ever leaving it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.metrics.tree import DEPTH, Refused, Walk, folder, regular_file


@contextmanager
def root(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def found(path: Path) -> list[str]:
    with root(path) as descriptor:
        return list(Walk(descriptor, "tfevents").files())


def text(path: Path, name: str, largest: int = 100) -> str:
    with root(path) as descriptor, regular_file(descriptor, name, largest) as opened:
        return os.read(opened, 100).decode()


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "x.tfevents").write_text("secret")
    artifacts = tmp_path / "artifacts"
    (artifacts / "train").mkdir(parents=True)
    (artifacts / "train" / "b.tfevents").write_text("b")
    (artifacts / "train" / "a.tfevents").write_text("a")
    (artifacts / "model.bin").write_text("no event file")
    return artifacts


def test_files_are_found_in_order_of_their_names(artifacts: Path) -> None:
    (artifacts / "z.tfevents").write_text("z")
    assert found(artifacts) == ["z.tfevents", "train/a.tfevents", "train/b.tfevents"]
    assert text(artifacts, "train/a.tfevents") == "a"


def test_a_folder_that_is_a_link_is_not_searched(artifacts: Path) -> None:
    (artifacts / "link").symlink_to("../secret")
    assert found(artifacts) == ["train/a.tfevents", "train/b.tfevents"]


def test_a_loop_of_links_ends(artifacts: Path) -> None:
    (artifacts / "loop").symlink_to(".")
    assert len(found(artifacts)) == 2


@pytest.mark.parametrize("target", ["../secret/x.tfevents", "train/a.tfevents", "/etc/hostname", "nowhere"])
def test_a_file_that_is_a_link_is_refused(artifacts: Path, target: str) -> None:
    (artifacts / "c.tfevents").symlink_to(target)
    assert "c.tfevents" in found(artifacts)
    with pytest.raises(Refused):
        text(artifacts, "c.tfevents")


def test_a_second_name_of_a_file_is_refused(artifacts: Path) -> None:
    os.link(artifacts.parent / "secret" / "x.tfevents", artifacts / "c.tfevents")
    with pytest.raises(Refused, match="is a link or no regular file"):
        text(artifacts, "c.tfevents")


def test_a_fifo_is_refused_without_waiting_for_its_other_end(artifacts: Path) -> None:
    os.mkfifo(artifacts / "c.tfevents")
    with pytest.raises(Refused, match="is a link or no regular file"):
        text(artifacts, "c.tfevents")


def test_a_folder_swapped_for_a_link_after_it_was_seen_is_refused(artifacts: Path) -> None:
    (path, *_) = found(artifacts)
    (artifacts / "train").rename(artifacts / "away")
    (artifacts / "train").symlink_to("away")
    with pytest.raises(Refused):
        text(artifacts, path)


@pytest.mark.parametrize("path", ["../secret/x.tfevents", "train/../../secret/x.tfevents", "/etc/hostname"])
def test_no_path_leads_out(artifacts: Path, path: str) -> None:
    with pytest.raises(Refused):
        text(artifacts, path)


@pytest.mark.parametrize("below", ["link", "link/inner", "..", "train/../..", "/etc", "model.bin"])
def test_no_folder_leads_out(artifacts: Path, below: str) -> None:
    (artifacts / "link").symlink_to("../secret")
    (artifacts.parent / "secret" / "inner").mkdir()
    with root(artifacts) as descriptor, pytest.raises(OSError), folder(descriptor, below):  # noqa: PT011
        pass


@pytest.mark.parametrize("below", ["", ".", "train", "./train"])
def test_a_folder_below_is_opened(artifacts: Path, below: str) -> None:
    with root(artifacts) as descriptor, folder(descriptor, below) as opened:
        assert os.fstat(opened).st_ino == (artifacts / below).stat().st_ino


def test_a_file_too_large_is_refused(artifacts: Path) -> None:
    (artifacts / "c.tfevents").write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(Refused, match="is larger than 1 MiB and was not read"):
        text(artifacts, "c.tfevents", 1 << 20)


def test_depth_has_an_end_that_is_told(tmp_path: Path) -> None:
    deepest = tmp_path.joinpath(*["d"] * (DEPTH + 2))
    deepest.mkdir(parents=True)
    (deepest / "x.tfevents").touch()
    with root(tmp_path) as descriptor:
        walk = Walk(descriptor, "tfevents")
        assert list(walk.files()) == []
    assert walk.problems == ["/".join(["d"] * (DEPTH + 1)) + " is too deep and was not searched"]


def test_nothing_stays_open(artifacts: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    found(artifacts)
    text(artifacts, "train/a.tfevents")
    with pytest.raises(Refused):
        text(artifacts, "train/../x")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
