"""Buckets and objects, by boto3, with the credentials that were given or none: never with those of this machine."""

import collections
import contextlib
import errno
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from bot.storage.errors import Missing, Refused, Unavailable
from bot.storage.output import shown

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

SCHEME = "s3://"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
"""No ARN: one would choose the server that is asked."""
_TRIES, _CONNECT, _READ = 3, 10, 15
"""Attempts of a request, seconds each may wait: a server that is away is given up after 50 of them."""
_DOWNLOADS, _THREADS, _QUEUED = 3, 4, 200
"""Attempts for a stream that breaks (each with the tries above), requests at once, files handed over at once."""
_ABSENT = {"404", "NoSuchKey", "NoSuchBucket", "NoSuchVersion", "NotFound"}
_DENIED = {
    *("401", "403", "AccessDenied", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
    *("ExpiredToken", "InvalidToken", "AuthorizationHeaderMalformed", "Unauthorized", "UnauthorizedAccess"),
}


@dataclass(frozen=True)
class Location:
    """A place in a bucket; the key is empty for all of it and ends with `/` for a folder."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Read `s3://bucket/key`. Raises Refused."""
        bucket, _, key = uri.removeprefix(SCHEME).partition("/")
        if not uri.startswith(SCHEME) or not _BUCKET.fullmatch(bucket) or len(key.encode()) > 1024:
            raise Refused(f"{shown(uri)} is not an address of the form s3://bucket/path")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{shown(self.key)}"


class Object(NamedTuple):
    """An object as it is now. The etag is without quotes; the size is in bytes."""

    key: str
    etag: str
    size: int
    version_id: str | None = None


class Absent(Refused):
    """There is no such object."""


class Store:
    """What one set of credentials may see of an S3 server."""

    def __init__(self, endpoint_url: str | None, region: str, access_key: str | None, secret_key: str | None) -> None:
        """`endpoint_url` None is AWS. Without a key the requests are unsigned, as public buckets want them.

        Raises Refused for half a pair of keys, Unavailable when boto3 is not installed.
        """
        self.endpoint_url, self.access_key = endpoint_url, access_key
        self._client = client(endpoint_url, region, access_key, secret_key)

    def head(self, location: Location, version_id: str | None = None) -> Object:
        """Return the object. Raises Absent, Refused, Unavailable."""
        version: dict[str, Any] = {"VersionId": version_id} if version_id else {}
        with explained(f"{location} of version {shown(version_id)}" if version_id else location):
            answer = self._client.head_object(Bucket=location.bucket, Key=location.key, **version)
            return Object(
                location.key, bare(answer["ETag"]), answer["ContentLength"], version_id or answer.get("VersionId")
            )

    def listing(self, location: Location) -> Iterator[Object]:
        """Yield all objects whose keys begin with the location's. Raises Refused, Unavailable."""
        with explained(location):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=location.bucket, Prefix=location.key)
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield Object(entry["Key"], bare(entry.get("ETag", "")), entry["Size"])

    def download(self, bucket: str, wanted: Iterable[tuple[Object, Path]], tick: Callable[[int], None]) -> None:
        """Write each object to its path, a few at a time and large ones in parallel parts, in constant memory.

        `tick` is told how many bytes have come so far. An object that is another by now is refused.
        Raises Refused, Unavailable.
        """
        from s3transfer.manager import TransferConfig, TransferManager  # noqa: PLC0415

        config = TransferConfig(
            max_request_concurrency=_THREADS,
            max_submission_concurrency=2,
            max_io_queue_size=100,
            num_download_attempts=_DOWNLOADS,
        )
        count = _Counter(tick)
        with explained(Location(bucket, "")), TransferManager(self._client, config) as manager:
            running: collections.deque[Any] = collections.deque()
            for found, path in wanted:
                version = {"VersionId": found.version_id} if found.version_id else {}
                running.append(manager.download(bucket, found.key, str(path), version, [_watcher(found, count)]))
                if len(running) >= _QUEUED:
                    running.popleft().result()
            for transfer in running:
                transfer.result()


def client(endpoint_url: str | None, region: str, access_key: str | None, secret_key: str | None) -> "S3Client":
    """Return a client that knows nothing but what it is given. Raises as `Store`."""
    if bool(access_key) != bool(secret_key):
        raise Refused("an access key and its secret go together, and only one of them is given")
    try:
        import boto3  # noqa: PLC0415 - an extra, and half a second
        from botocore import UNSIGNED  # noqa: PLC0415
        from botocore.config import Config  # noqa: PLC0415
    except ImportError:
        message = "S3 needs boto3, which is not installed beside the bot: pip install 'experiment-ci[s3]'"
        raise Missing(message) from None
    config = Config(
        signature_version="s3v4" if access_key else UNSIGNED,
        connect_timeout=_CONNECT,
        read_timeout=_READ,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
        # Servers other than AWS know only a part of the checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]
    )
    with explained(None):
        return boto3.Session(region_name=region).client(
            "s3",
            endpoint_url=endpoint_url,
            # Without any, boto3 would look for this machine's own, and ask the cloud for them.
            aws_access_key_id=access_key or "anonymous",
            aws_secret_access_key=secret_key or "anonymous",
            config=config,
        )


@contextlib.contextmanager
def explained(location: Location | str | None) -> Iterator[None]:
    """Turn what boto3 raises into Absent, Refused or Unavailable, in our words: theirs may show what was signed."""
    from boto3.exceptions import Boto3Error  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError  # noqa: PLC0415
    from s3transfer.exceptions import RetriesExceededError, S3DownloadFailedError  # noqa: PLC0415

    where = "S3" if location is None else str(location)
    try:
        yield
    except ClientError as error:
        raise _answer(str(error.response.get("Error", {}).get("Code", "")), where) from None
    except S3DownloadFailedError:
        raise Refused(f"{where} was changed while it was fetched") from None
    except ParamValidationError:
        raise Refused(f"{where} cannot be an address") from None
    except (BotoCoreError, RetriesExceededError, Boto3Error) as error:
        raise Unavailable(f"the S3 server does not answer ({type(error).__name__})") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Unavailable(f"fetching broke off ({type(error).__name__})") from None


def bare(etag: str) -> str:
    """Return an etag without its quotes."""
    return etag.strip().removeprefix("W/").strip('"')


def _answer(code: str, where: str) -> Exception:
    """Return what an error code of S3 means for people."""
    if code in _ABSENT:
        return Absent(f"there is no {where}")
    if code in _DENIED:
        return Refused(f"access to {where} was denied: the key is wrong, or may not read it, or none was given")
    if code in ("412", "PreconditionFailed"):
        return Refused(f"{where} was changed while it was fetched")
    if code == "InvalidObjectState":
        return Refused(f"{where} is archived: it must be restored before it can be read")
    if code.startswith("5") or code in ("InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout"):
        return Unavailable(f"the S3 server does not answer ({code})")
    return Refused(f"the S3 server refuses to give {where} ({shown(code)})")


class _Counter:
    """Adds up what several threads report."""

    def __init__(self, tick: Callable[[int], None]) -> None:
        self._tick, self._total, self._lock = tick, 0, threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._total += count
            self._tick(self._total)


def _watcher(found: Object, count: _Counter) -> Any:
    from s3transfer.subscribers import BaseSubscriber  # noqa: PLC0415

    class Watcher(BaseSubscriber):
        def on_queued(self, future: Any, **_: Any) -> None:
            """With its etag, every request is for this very object."""
            future.meta.provide_transfer_size(found.size)
            future.meta.provide_object_etag(f'"{found.etag}"' if found.etag else None)

        def on_progress(self, future: Any, bytes_transferred: int, **_: Any) -> None:  # noqa: ARG002
            count.add(bytes_transferred)

    return Watcher()
