"""Archives from strangers into a tree. Names decide what is an archive, as they did for the configs we are heir to.

An archive is data, and a hostile one is made to be expensive: what it unpacks to is counted while it is written, its
headers while they are read, and memory is bounded for as long as this takes.
"""

import bz2
import contextlib
import gzip
import lzma
import os
import resource
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from bot.storage.errors import Refused
from bot.storage.output import shown
from bot.storage.tree import Tree

_ZIP = ".zip"
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz", ".tbz2", ".tar.gz2", ".tar.xz", ".txz")
"""The ancestor's list. How a tar is really compressed, its first bytes say."""
_MEMORY = 1 << 30
"""Bytes that unpacking may take beyond what the process has: xz may ask for four times that, bzip2 for more."""
_LARGEST_READ = 4 << 20
"""Bytes that tarfile may ask for at once: it reads a whole header, of whatever size that claims to have."""
_HEADERS = 1 << 30
"""Bytes of headers, padding and skipped data that a tar may have beside its files."""
_LARGEST_TARGET = 4096

_DAMAGES = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
    *(EOFError, struct.error, ValueError, RuntimeError),
)


def is_archive(name: str) -> bool:
    """Tell whether an object of this name is unpacked."""
    return name.lower().endswith((_ZIP, *_TAR))


def unpack(archive: Path, name: str, tree: Tree, max_bytes: int) -> None:
    """Unpack a file, of a kind that `name` tells, into the tree. `max_bytes` as the tree's.

    Raises Refused for what is unsafe, too large or damaged; OSError for a disk that cannot take it.
    """
    try:
        with _bounded_memory():
            if name.lower().endswith(_ZIP):
                _unzip(archive, tree)
            else:
                with _decompressed(archive) as stream:
                    _untar(_Stream(stream, max_bytes + _HEADERS), tree)
            tree.finish()
    except MemoryError:
        raise Refused("unpacking it takes more memory than may be used") from None
    except NotImplementedError:
        raise Refused("it is compressed in a way that is not known here") from None
    except _DAMAGES as error:
        raise Refused(f"the archive is damaged: {shown(str(error))}") from None
    except OSError as error:
        # gzip and bz2 complain of their data by an OSError too, one without a number.
        if error.errno is None:
            raise Refused(f"the archive is damaged: {shown(str(error))}") from None
        raise


def _unzip(archive: Path, tree: Tree) -> None:
    with zipfile.ZipFile(archive) as source:
        for member in source.infolist():
            # Only Unix says what kind of file it is.
            mode = member.external_attr >> 16 if member.create_system == 3 else 0
            if member.flag_bits & 1:
                raise Refused(f"{shown(member.filename)} is encrypted")
            if member.is_dir():
                tree.folder(member.filename)
            elif stat.S_ISLNK(mode):
                with source.open(member) as target:
                    tree.symbolic_link(member.filename, os.fsdecode(target.read(_LARGEST_TARGET)))
            elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                with source.open(member) as content:
                    tree.file(member.filename, content, is_executable=bool(mode & 0o100))
            else:
                raise Refused(f"{shown(member.filename)} is a device or a pipe")


def _untar(stream: "_Stream", tree: Tree) -> None:
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r:") as source:
        while (member := source.next()) is not None:
            _take(source, member, tree)
            # tarfile would keep them all.
            cast(Any, source).members.clear()
    if stream.last_read.strip(b"\0") or not stream.last_read:
        # tarfile takes a broken header, or none, for the end.
        raise Refused("the archive is damaged: it breaks off")
    stream.skip_rest()


def _take(source: tarfile.TarFile, member: tarfile.TarInfo, tree: Tree) -> None:
    if member.isdir():
        tree.folder(member.name)
    elif member.issym():
        tree.symbolic_link(member.name, member.linkname)
    elif member.islnk():
        tree.hard_link(member.name, member.linkname)
    elif member.isreg() and (content := source.extractfile(member)) is not None:
        with content:
            tree.file(member.name, content, is_executable=bool(member.mode & 0o100))
    else:
        raise Refused(f"{shown(member.name)} is a device or a pipe")


class _Stream:
    """A decompressed tar as tarfile reads it: forwards, in bounded pieces, and not without end."""

    def __init__(self, source: IO[bytes], limit: int) -> None:
        self._source, self._limit = source, limit
        self._position = 0
        self.last_read = b""

    def read(self, size: int) -> bytes:
        if size > _LARGEST_READ:
            raise Refused("a header of the archive is too large")
        self.last_read = self._source.read(size)
        self._position += len(self.last_read)
        if self._position > self._limit:
            raise Refused("it unpacks to more than may be taken")
        return self.last_read

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position < self._position:
            raise ValueError("a member that lies before its header")
        while (missing := position - self._position) > 0 and self.read(min(missing, _LARGEST_READ)):
            pass

    def skip_rest(self) -> None:
        """Read to the end: only there the checksums stand."""
        while self.read(_LARGEST_READ):
            pass


@contextlib.contextmanager
def _decompressed(archive: Path) -> Iterator[IO[bytes]]:
    with archive.open("rb") as file:
        head = file.read(6)
        file.seek(0)
        if head.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=file) as stream:
                yield cast("IO[bytes]", stream)
        elif head.startswith(b"BZh"):
            with bz2.BZ2File(file) as bzip2:
                yield bzip2
        elif head == b"\xfd7zXZ\0":
            with lzma.LZMAFile(file) as xz:
                yield xz
        else:
            yield file


@contextlib.contextmanager
def _bounded_memory() -> Iterator[None]:
    """Bound the address space, the only thing that stops a library that asks for as much as a header tells it to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + _MEMORY
    if soft != resource.RLIM_INFINITY:
        limit = min(limit, soft)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
