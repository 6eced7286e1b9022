"""A directory filled under strangers' names, whatever they come from."""

import io
from pathlib import Path

import pytest

from bot.storage.errors import Refused
from bot.storage.tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path, max_bytes=10, most_entries=4)


def test_folders_above_a_file_are_made_once_and_count(tree: Tree, tmp_path: Path) -> None:
    tree.file("a/b/x", io.BytesIO(b"1"))
    tree.file("a/b/y", io.BytesIO(b"2"))
    assert (tmp_path / "a/b/y").read_bytes() == b"2"
    with pytest.raises(Refused, match="more than 4 files and folders"):
        tree.folder("c")


def test_all_files_together_have_a_limit(tree: Tree) -> None:
    tree.file("a", io.BytesIO(b"123456"))
    with pytest.raises(Refused, match="most that one fetch may have"):
        tree.file("b", io.BytesIO(b"123456"))


def test_a_place_for_somebody_elses_file_counts_before_it_is_written(tree: Tree, tmp_path: Path) -> None:
    assert tree.place("a/b", 10) == tmp_path / "a/b"
    with pytest.raises(Refused):
        tree.place("c", 1)


@pytest.mark.parametrize("name", ["", ".", "./", "a/"])
def test_the_directory_itself_is_no_file(name: str, tree: Tree) -> None:
    with pytest.raises(Refused, match="no file's name"):
        tree.file(name, io.BytesIO(b""))


@pytest.mark.parametrize("name", ["..", "../x", "a/../x", "/x", "a//x", "a\0b", "/"])
def test_a_name_that_could_mean_another_place_is_refused(name: str, tree: Tree) -> None:
    with pytest.raises(Refused, match="no name for a file"):
        tree.place(name, 0)


def test_links_stand_only_when_all_is_written(tree: Tree, tmp_path: Path) -> None:
    tree.symbolic_link("link", "file")
    assert list(tmp_path.iterdir()) == []
    tree.file("file", io.BytesIO(b"1"))
    tree.finish()
    assert (tmp_path / "link").read_bytes() == b"1"


def test_links_in_a_circle_are_only_useless(tree: Tree, tmp_path: Path) -> None:
    tree.symbolic_link("a", "b")
    tree.symbolic_link("b", "a")
    tree.finish()
    assert (tmp_path / "a").is_symlink()
