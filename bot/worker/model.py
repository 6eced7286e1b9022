"""What a successful experiment left as its model: where it lies on this machine, and what is in it."""

import hashlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from bot.backends import artifacts
from bot.backends.base import Artifact, AttemptSpec, Mode
from bot.store.models import ARTIFACTS, STORAGE, ModelFile, joined

_BLOCK = 1 << 20
_SLICE = 64 << 20
"""Bytes that are read in one go: a fifth of a second or less, and others have their turn."""


@dataclass(frozen=True)
class Place:
    """A directory or a file `below` a directory of this machine that the bot made, which is the attempt's `root`."""

    root: str
    directory: Path
    below: str


@dataclass
class Contents:
    """The files of a model; `problems` are sentences about those that could not be taken."""

    files: list[ModelFile] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def place_of(spec: AttemptSpec, is_declared: bool, best_trial: int | None) -> Place | None:
    """Return where the model of an attempt lies, None when it has none.

    It has one where its config says so (`is_declared`: a `modelType`), or where the model path is a place of its own:
    all artifacts are a model only by declaration, all of the storage never. What lies in the workspace is gone, and so
    is what was written to a storage that the run could only see. Of a search it is the best trial's.
    """
    path = PurePosixPath(spec.env.get("PS_MODEL_PATH", ""))
    mine = Path(spec.run_dir) / ARTIFACTS
    known = {spec.artifacts: Place(ARTIFACTS, mine, ""), "/artifacts": Place(ARTIFACTS, mine, "")}
    if spec.keeps_storage:
        known["/storage"] = Place(STORAGE, Path(spec.storage_dir), "")
    for mount, place in known.items():
        if path.is_relative_to(mount) and ".." not in path.parts:
            below = path.relative_to(mount)
            is_whole = below == PurePosixPath()
            if is_whole and (place.root == STORAGE or not is_declared):
                return None
            return _of_trial(spec, place, below, best_trial)
    return None


def _of_trial(spec: AttemptSpec, place: Place, below: PurePosixPath, best_trial: int | None) -> Place | None:
    if place.root == ARTIFACTS and spec.mode is Mode.SEARCH:
        if best_trial is None:
            return None
        below = PurePosixPath("trials", str(best_trial)) / below
    return Place(place.root, place.directory, "" if below == PurePosixPath() else str(below))


def read(place: Place) -> Generator[None, None, tuple[Place, Contents]]:
    """Read a model slice by slice, links never followed; return its files, and its place as a directory.

    What changes while it is read has the checksum of what was read.
    """
    found = list(artifacts.find(place.directory, place.below))
    if not found:
        place, found = _as_one_file(place)
    contents = Contents()
    if len(found) >= artifacts.MOST_FILES:
        contents.problems.append(f"it has more than {artifacts.MOST_FILES} files; these are the first")
    for one in found:
        yield from _read_one(place, one, contents)
    return place, contents


def _read_one(place: Place, one: Artifact, contents: Contents) -> Iterator[None]:
    digest, size = hashlib.sha256(), 0
    try:
        with artifacts.open_one(place.directory, joined(place.below, one.path)) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
                if size % _SLICE < _BLOCK:
                    yield
    except OSError as error:
        contents.problems.append(f"{one.path} could not be read: {error.strerror or type(error).__name__}")
        return
    contents.files.append(ModelFile(one.path, size, digest.hexdigest()))


def _as_one_file(place: Place) -> tuple[Place, list[Artifact]]:
    """The path of a model may be that of its only file."""
    try:
        artifacts.open_one(place.directory, place.below).close()
    except FileNotFoundError:
        return place, []
    path = PurePosixPath(place.below)
    above = "" if path.parent == PurePosixPath() else str(path.parent)
    return Place(place.root, place.directory, above), [Artifact(path.name, 0)]
