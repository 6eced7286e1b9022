"""Archives: good ones come out whole, hostile ones are stopped while they are unpacked."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.storage.errors import Refused
from bot.storage.tree import Tree
from bot.storage.unpacking import is_archive, unpack

LIMIT = 1_000_000
Run = Callable[[str, bytes], Path]


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Unpack an archive of that name and content; return the directory."""
    into = tmp_path / "outside" / "data"
    into.mkdir(parents=True)

    def run(name: str, content: bytes) -> Path:
        archive = tmp_path / "archive"
        archive.write_bytes(content)
        unpack(archive, name, Tree(into, LIMIT), LIMIT)
        return into

    return run


def tar(*members: tuple[tarfile.TarInfo, bytes], end: bool = True) -> bytes:
    """Return a tar of these members, as they are."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
        size = buffer.tell()
    return buffer.getvalue() if end else buffer.getvalue()[:size]


def member(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644
) -> tuple[tarfile.TarInfo, bytes]:
    """Return one member of a tar."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mode = len(content), kind, target, mode
    return info, content


def zipped(*members: tuple[str, bytes, int]) -> bytes:
    """Return a zip of names, contents and Unix modes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr, info.compress_type = 3, mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()


GOOD = tar(
    member("./", kind=tarfile.DIRTYPE),
    member("./train/a.txt", b"a"),
    member("run.sh", b"#!", mode=0o4755),
    member("latest", kind=tarfile.SYMTYPE, target="train"),
    member("b.txt", kind=tarfile.LNKTYPE, target="train/a.txt"),
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.tar", GOOD),
        ("d.TAR.GZ", gzip.compress(GOOD)),
        ("d.tgz", gzip.compress(GOOD)),
        ("d.tar.bz2", bz2.compress(GOOD)),
        ("d.tar.xz", lzma.compress(GOOD)),
        ("d.tar", gzip.compress(GOOD)),
        (
            "d.zip",
            zipped(
                ("train/", b"", stat.S_IFDIR | 0o755),
                ("train/a.txt", b"a", stat.S_IFREG | 0o600),
                ("run.sh", b"#!", stat.S_IFREG | 0o4755),
                ("latest", b"train", stat.S_IFLNK | 0o777),
                ("b.txt", b"a", 0),
            ),
        ),
    ],
)
def test_a_good_archive_comes_out_readable_by_everybody_and_without_special_bits(
    name: str, content: bytes, unpacked: Run
) -> None:
    assert is_archive(name)
    data = unpacked(name, content)
    assert {path.name for path in data.iterdir()} == {"train", "run.sh", "latest", "b.txt"}
    assert (data / "latest/a.txt").read_bytes() == (data / "b.txt").read_bytes() == b"a"
    assert stat.S_IMODE((data / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((data / "train/a.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE((data / "train").stat().st_mode) == 0o755


@pytest.mark.parametrize("name", ["train.bin", "train.gz", "notes.txt", "zip", "a.tar.zst"])
def test_what_is_no_archive_by_name_stays_as_it_is(name: str) -> None:
    assert not is_archive(name)


SYMLINK, HARDLINK = tarfile.SYMTYPE, tarfile.LNKTYPE
HOSTILE = {
    "a path upwards": (tar(member("../evil", b"x")), "no name for a file"),
    "a path upwards from below": (tar(member("a/../../evil", b"x")), "no name for a file"),
    "an absolute path": (tar(member("/tmp/evil", b"x")), "no name for a file"),
    "a link out": (tar(member("out", kind=SYMLINK, target="../..")), "leads outside"),
    "an absolute link": (tar(member("out", kind=SYMLINK, target="/etc/passwd")), "leads outside"),
    "a chain of links out": (
        tar(
            member("a/b/c", b"x"),
            member("up", kind=SYMLINK, target="a/b"),
            member("out", kind=SYMLINK, target="up/../../.."),
        ),
        "leads outside",
    ),
    "a link that makes a harmless one lead out": (
        tar(member("d/l", kind=SYMLINK, target=".."), member("e", kind=SYMLINK, target="d/l/../x")),
        "leads outside",
    ),
    "a file through a link": (
        tar(member("out", kind=SYMLINK, target="."), member("out/evil", b"x")),
        "twice",
    ),
    "a hard link to a file of the machine": (tar(member("out", kind=HARDLINK, target="/etc/passwd")), "no name"),
    "a hard link upwards": (tar(member("out", kind=HARDLINK, target="../archive")), "no name"),
    "a hard link to a link": (
        tar(member("l", kind=SYMLINK, target="x"), member("out", kind=HARDLINK, target="l")),
        "no file before it",
    ),
    "a device": (tar(member("null", kind=tarfile.CHRTYPE)), "device"),
    "a pipe": (tar(member("pipe", kind=tarfile.FIFOTYPE)), "device"),
    "the same file twice": (tar(member("a", b"1"), member("a", b"2")), "twice"),
    "a file that is a folder": (tar(member("a", b"1"), member("a/b", b"2")), "both a file and a folder"),
    "a very deep path": (tar(member("d/" * 101 + "x", b"1")), "too deep"),
    "a very long name": (tar(member("n" * 256, b"1")), "no name"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_tar_is_refused_and_nothing_is_outside(case: str, unpacked: Run, tmp_path: Path) -> None:
    content, reason = HOSTILE[case]
    with pytest.raises(Refused, match=reason):
        unpacked("d.tar", content)
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (zipped(("../evil", b"x", 0)), "no name for a file"),
        (zipped(("/tmp/evil", b"x", 0)), "no name for a file"),
        (zipped(("out", b"../..", stat.S_IFLNK | 0o777)), "leads outside"),
        (zipped(("null", b"", stat.S_IFCHR | 0o666)), "device"),
        (zipped(("bomb", b"\0" * (LIMIT + 1), 0)), "more than 1\\.0 MB"),
    ],
)
def test_a_hostile_zip_is_refused(content: bytes, reason: str, unpacked: Run, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=reason):
        unpacked("d.zip", content)
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["data"]


def test_a_bomb_is_stopped_while_it_is_unpacked(unpacked: Run, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="more than 1\\.0 MB"):
        unpacked("bomb.tgz", gzip.compress(tar(member("bomb", b"\0" * 50 * LIMIT))))
    assert (tmp_path / "outside/data/bomb").stat().st_size <= LIMIT


def test_a_zip_that_lies_about_its_sizes_is_still_counted(unpacked: Run) -> None:
    bomb = zipped(("bomb", b"\0" * 5 * LIMIT, 0))
    honest = struct.pack("<L", 5 * LIMIT)
    assert bomb.count(honest) == 2
    with pytest.raises(Refused):
        unpacked("d.zip", bomb.replace(honest, struct.pack("<L", 10)))


def test_a_sparse_file_counts_as_what_it_claims_to_be(unpacked: Run) -> None:
    # GNU's old format (tar(5)): one piece of 0 bytes at the end of a file of a terabyte.
    header = bytearray(tarfile.TarInfo("sparse").tobuf(tarfile.GNU_FORMAT)[:512])
    header[156:157] = b"S"
    header[386:410] = b"%011o\0%011o\0" % (0, 0)
    header[483:495] = b"\x80" + (1 << 40).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(Refused, match="more than 1\\.0 MB"):
        unpacked("d.tar", bytes(header) + b"\0" * 1024)


def test_a_header_that_claims_to_be_huge_is_not_read_into_memory(unpacked: Run) -> None:
    info = tarfile.TarInfo("huge")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    with pytest.raises(Refused, match="header of the archive is too large"):
        unpacked("d.tar", info.tobuf() + b"\0" * 1024)


def test_an_xz_that_wants_four_gigabytes_of_memory_is_refused(unpacked: Run) -> None:
    content = bytearray(lzma.compress(GOOD, check=lzma.CHECK_NONE))
    # The block's header (xz file format, 3.1): size, flags, the filter's number, its size, the dictionary's size.
    assert content[12:16] == b"\x02\x00\x21\x01"
    content[16] = 40
    content[20:24] = struct.pack("<L", zlib.crc32(content[12:20]))
    with pytest.raises(Refused, match="memory"):
        unpacked("d.tar.xz", bytes(content))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.tar", b"this is no tar at all"),
        ("d.zip", b"this is no zip at all"),
        ("d.tgz", gzip.compress(GOOD)[:-20]),
        ("d.tgz", gzip.compress(GOOD)[:-8] + b"\0" * 8),
        ("d.tar.bz2", bz2.compress(GOOD)[:-10]),
        ("d.tar.xz", lzma.compress(GOOD)[:-30]),
        ("d.tar", GOOD[:1500]),
        ("d.tar", tar(member("a", b"1"), member("b", b"2"))[:1024]),
        ("d.tar", tar(member("a", b"1"))[:1024] + b"garbage where a header belongs".ljust(512, b"!") + GOOD),
        ("d.zip", zipped(("a", b"1" * 1000, 0)).replace(b"PK\x03\x04", b"PK\x03\x05")),
    ],
)
def test_a_damaged_archive_is_never_half_a_dataset(name: str, content: bytes, unpacked: Run) -> None:
    with pytest.raises(Refused, match="damaged"):
        unpacked(name, content)
