"""Files kept in a bucket: artifacts and models, for whoever has them on a disk that will not stay."""

from collections.abc import Iterator
from pathlib import Path

from bot.storage.errors import Refused
from bot.storage.s3 import Absent, Location, client, explained

_DELETED_AT_ONCE = 1000
"""The most keys that one DeleteObjects takes (S3 API reference)."""
_LONGEST_LINK = 7 * 24 * 3600
"""Seconds for which a signature of version 4 may hold (S3 user guide, presigned URLs)."""


class Bucket:
    """A place `s3://bucket/prefix`; keys are below the prefix. Safe for several threads.

    All methods raise `errors.Refused` (denied, no such bucket) and `errors.Unavailable` (the server is away).
    """

    def __init__(self, url: str, endpoint_url: str | None, access_key: str, secret_key: str, region: str = "us-east-1"):
        """`endpoint_url` None is AWS. Nothing is asked of the server yet. Raises also when boto3 is not installed."""
        place = Location.parse(url)
        self._bucket, self._prefix = place.bucket, f"{place.key.rstrip('/')}/" if place.key else ""
        self._client = client(endpoint_url, region, access_key, secret_key)

    def put(self, key: str, file: Path) -> None:
        """Upload a file, large ones in parallel parts. It is there whole or not at all, and replaces what was."""
        from boto3.exceptions import S3UploadFailedError  # noqa: PLC0415

        with explained(self._at(key)):
            try:
                self._client.upload_file(str(file), self._bucket, self._prefix + key)
            except S3UploadFailedError as error:
                # What S3 answered is underneath.
                raise error.__context__ or error from None

    def exists(self, key: str) -> bool:
        """Tell whether there is an object of that key."""
        try:
            with explained(self._at(key)):
                self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except Absent:
            return False
        return True

    def presigned(self, key: str, seconds: int) -> str:
        """Return a URL by which anybody may read the object for that time, a week at most. It is a secret till then."""
        with explained(self._at(key)):
            return self._client.generate_presigned_url(
                "get_object",
                Params={"Bucket": self._bucket, "Key": self._prefix + key},
                ExpiresIn=min(seconds, _LONGEST_LINK),
            )

    def delete_prefix(self, prefix: str) -> int:
        """Delete all objects whose keys begin so; return how many. An empty prefix is refused: that would be all."""
        if not prefix.strip("/"):
            raise Refused("deleting everything in a bucket is not done by an empty prefix")
        deleted = 0
        with explained(self._at(prefix)):
            for keys in self._pages(prefix):
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
                )
                if errors := answer.get("Errors"):
                    raise Refused(f"{len(errors)} objects of {self._at(prefix)} could not be deleted")
                deleted += len(keys)
        return deleted

    def _pages(self, prefix: str) -> Iterator[list[str]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix, PaginationConfig={"PageSize": _DELETED_AT_ONCE}
        )
        for page in pages:
            if keys := [entry["Key"] for entry in page.get("Contents", ())]:
                yield keys

    def _at(self, key: str) -> Location:
        return Location(self._bucket, self._prefix + key)
