"""What an S3 address stands for right now, and how its files are written into a directory."""

import hashlib
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.storage import unpacking
from bot.storage.errors import Refused
from bot.storage.output import megabytes
from bot.storage.request import Fetch
from bot.storage.s3 import Absent, Location, Object, Store, bare
from bot.storage.tree import MOST_ENTRIES, Tree

_LAYOUT = 1
"""Raised when the same objects would be laid out in another way."""


@dataclass(frozen=True)
class Content:
    """The objects of an address: one, or those of a folder. `size` is in bytes, as they lie in the bucket.

    `identity` is the same whenever the files would be the same, and is known only to who may read them.
    """

    location: Location
    objects: Sequence[Object]
    is_folder: bool
    identity: str

    @property
    def size(self) -> int:
        return sum(found.size for found in self.objects)

    @property
    def etag(self) -> str | None:
        return None if self.is_folder else self.objects[0].etag

    @property
    def version_id(self) -> str | None:
        return None if self.is_folder else self.objects[0].version_id


def look(store: Store, fetch: Fetch, max_bytes: int) -> Content:
    """Ask what there is, with the fetch's own credentials; check it against the etag that the config says.

    Raises Refused, also for what is larger than `max_bytes`; Unavailable.
    """
    location = Location.parse(fetch.uri)
    content = _folder(store, location, fetch) if _is_folder(location) else _object_or_folder(store, location, fetch)
    if content.size > max_bytes:
        size, most = megabytes(content.size), megabytes(max_bytes)
        raise Refused(f"{location} has {size} MB, more than the {most} MB that one fetch may have")
    return content


def write(
    store: Store,
    content: Content,
    into: Path,
    scratch: Path,
    max_bytes: int,
    downloading: Callable[[int], None],
    unpacked: Callable[[int], None],
) -> None:
    """Write the files into an empty directory: an archive's contents, else the objects under their own names.

    `scratch` is an empty directory for what is in the way only; the two callbacks are told bytes.
    Raises Refused, Unavailable, OSError.
    """
    bucket, name = content.location.bucket, _last_part(content.location.key)
    if not content.is_folder and unpacking.is_archive(name):
        archive = scratch / "archive"
        store.download(bucket, [(content.objects[0], archive)], downloading)
        unpacking.unpack(archive, name, Tree(into, max_bytes, unpacked), max_bytes)
    else:
        store.download(bucket, _places(content, Tree(into, max_bytes)), downloading)


def _is_folder(location: Location) -> bool:
    return not location.key or location.key.endswith("/")


def _object_or_folder(store: Store, location: Location, fetch: Fetch) -> Content:
    try:
        found = store.head(location, fetch.version_id)
    except Absent:
        version = f" of version {fetch.version_id}" if fetch.version_id else ""
        absent = Refused(f"there is no {location}{version}")
        try:
            # `s3://bucket/folder` without the last stroke means the folder, as it always did.
            return _folder(store, Location(location.bucket, f"{location.key}/"), fetch)
        except Refused:
            raise absent from None
    if fetch.etag is not None and bare(fetch.etag) != found.etag:
        raise Refused(f"its etag is {found.etag}, the config says {bare(fetch.etag)}")
    # Whoever may ask for the object's head may read it, so this needs no name of who asked.
    identity = _digest("object", store.endpoint_url, location.bucket, found.key, found.etag, found.size)
    return Content(location, [found], is_folder=False, identity=identity)


def _folder(store: Store, location: Location, fetch: Fetch) -> Content:
    for key, value in (("datasetEtag", fetch.etag), ("datasetVersionId", fetch.version_id)):
        if value is not None:
            raise Refused(f"`{key}` is for a single object, and {location} is a folder or a bucket")
    objects = list(itertools.islice(store.listing(location), MOST_ENTRIES + 1))
    if len(objects) > MOST_ENTRIES:
        raise Refused(f"{location} has more than {MOST_ENTRIES} objects")
    if not objects:
        raise Refused(f"there is nothing in {location}")
    listing = [(found.key, found.etag, found.size) for found in objects]
    # Whoever may list a folder may not be allowed to read it: only the same key gets what a key has fetched.
    identity = _digest("folder", store.endpoint_url, location.bucket, location.key, store.access_key, listing)
    return Content(location, objects, is_folder=True, identity=identity)


def _places(content: Content, tree: Tree) -> list[tuple[Object, Path]]:
    """A single object keeps its name, those of a folder their names below it."""
    key = content.location.key
    prefix = key if content.is_folder else key.removesuffix(_last_part(key))
    places = []
    for found in content.objects:
        name = found.key.removeprefix(prefix)
        if not name or (name.endswith("/") and found.size == 0):
            # An empty object that a web console makes to show a folder.
            tree.folder(name)
        else:
            places.append((found, tree.place(name, found.size)))
    return places


def _last_part(key: str) -> str:
    return key.rsplit("/", 1)[-1]


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps([_LAYOUT, *parts]).encode()).hexdigest()
