"""Archives written while they are sent: whole, safe to unpack, and never held in memory."""

import io
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from bot.web.zips import zipped


def opener(directory: Path, files: dict[str, bytes]) -> Callable[[str], BinaryIO]:
    for number, content in enumerate(files.values()):
        (directory / str(number)).write_bytes(content)
    places = {path: directory / str(number) for number, path in enumerate(files)}

    def open_one(path: str) -> BinaryIO:
        if path not in places:
            raise FileNotFoundError(path)
        return places[path].open("rb")

    return open_one


def test_every_file_comes_out_as_it_was(tmp_path: Path) -> None:
    files = {
        "model/weights.bin": os.urandom(700_000),
        "log.txt": b"epoch\n" * 9,
        "ä ö.txt": b"",
        "e": b"",
    }

    archive = b"".join(zipped(files, opener(tmp_path, files)))

    with zipfile.ZipFile(io.BytesIO(archive)) as unpacked:
        assert unpacked.testzip() is None
        assert {name: unpacked.read(name) for name in unpacked.namelist()} == files


def test_names_lead_nowhere_on_any_system(tmp_path: Path) -> None:
    files = {"..\\..\\evil.exe": b"1", "new\nline": b"2", ".._.._evil.exe": b"3"}

    archive = b"".join(zipped(files, opener(tmp_path, files)))

    with zipfile.ZipFile(io.BytesIO(archive)) as unpacked:
        assert unpacked.namelist() == [".._.._evil.exe", "new_line", ".._.._evil.exe_"]


def test_what_is_gone_meanwhile_is_named(tmp_path: Path) -> None:
    archive = b"".join(zipped(["gone", "here"], opener(tmp_path, {"here": b"1"})))

    with zipfile.ZipFile(io.BytesIO(archive)) as unpacked:
        assert unpacked.read("LEFT-OUT.txt") == b"gone"
        assert unpacked.read("here") == b"1"


def test_a_file_that_grows_is_taken_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 1_000_000)
    blocks = zipped(["log"], lambda _: path.open("rb"))
    taken = [next(blocks)]
    with path.open("ab") as file:
        file.write(b"y" * 1_000_000)
    taken += blocks

    with zipfile.ZipFile(io.BytesIO(b"".join(taken))) as unpacked:
        assert unpacked.read("log") == b"x" * 1_000_000


def test_a_large_file_needs_little_memory(tmp_path: Path) -> None:
    with (tmp_path / "weights").open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    sent = sum(len(block) for block in zipped(["weights"], lambda path: (tmp_path / path).open("rb")))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert sent > 0
    assert most < 4 << 20
