"""The files of attempts in a bucket, for whoever has his artifacts and models on a disk that will not stay.

`<ARCHIVE_URL>/<public id>/<attempt>/artifacts/<path>`, and `…/model/<path>` for a model outside the artifacts.
"""

from pathlib import Path
from typing import BinaryIO

from bot.storage.archive import Bucket

ARTIFACTS, MODEL = "artifacts", "model"
_LONGEST_KEY = 1024
"""Bytes of an object's key (S3 user guide, object key names)."""
_LINK = 900
"""Seconds for which a link that somebody has clicked is good."""


class KeptFiles:
    """Where attempts' files go. Methods raise `errors.Refused` and `errors.Unavailable`; any thread may call them."""

    def __init__(self, url: str, endpoint_url: str | None, access_key: str, secret_key: str) -> None:
        """`url` is `s3://bucket` or `s3://bucket/prefix`. Nothing is asked of the server yet."""
        self._url = url.rstrip("/")
        self._bucket = Bucket(self._url, endpoint_url, access_key, secret_key)

    def place(self, backend_id: str) -> str:
        """Return the address below which an attempt's files are."""
        public_id, _, number = backend_id.rpartition("-")
        return f"{self._url}/{public_id}/{number}"

    def takes(self, place: str, name: str) -> bool:
        """Tell whether a file of that name can be kept: S3 has a limit for names."""
        return len(f"{place}/{name}".encode()) <= _LONGEST_KEY

    def put(self, place: str, name: str, file: BinaryIO) -> None:
        """Upload an open file from its beginning. By its descriptor: a path could lead elsewhere by now."""
        self._bucket.put(self._key(place, name), Path(f"/proc/self/fd/{file.fileno()}"))

    def link(self, place: str, name: str) -> str | None:
        """Return an address by which a browser may read a file for some minutes; None when it is not there."""
        if not place.startswith(f"{self._url}/"):
            return None  # it was put where the settings no longer point
        key = self._key(place, name)
        return self._bucket.presigned(key, _LINK) if self._bucket.exists(key) else None

    def _key(self, place: str, name: str) -> str:
        return f"{place.removeprefix(f'{self._url}/')}/{name}"
