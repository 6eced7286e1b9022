"""The push gateway: as much of HTTP as a client needs to push metrics, and no more of anything.

A request has ten seconds and a length, known beforehand; whoever is slower or longer is cut off. One loop answers all
of them in turn, so that no number of clients takes more than their bytes.
"""

import asyncio
import http.client
import io
from http import HTTPStatus

from bot.sidecar.connections import close
from bot.sidecar.exposition import parse
from bot.sidecar.names import Refused, Workloads
from bot.sidecar.points import Points

CONNECTIONS = 64
"""Requests in flight."""

LARGEST_BODY = 256 << 10
"""Bytes of a body: a thousand metrics with their labels."""

LARGEST_HEAD = 16 << 10

PATIENCE = 10.0
"""Seconds that a request may take."""

_SKIPPED = 4 << 20
"""Bytes of a refused request that are read away."""
_TEXT = frozenset({"", "text/plain", "application/x-www-form-urlencoded"})
"""Content types that are taken for text: curl --data-binary, used in Prometheus' own examples, sends the last one."""


class _Answer(Exception):
    """The end of a request; the message is a sentence in ASCII."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Gateway:
    """Takes pushes of one attempt's workloads."""

    def __init__(self, workloads: Workloads, points: Points) -> None:
        self._workloads = workloads
        self._points = points

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which is one request. Raises TimeoutError, OSError and EOFError."""
        async with asyncio.timeout(PATIENCE):
            try:
                await self._take(reader)
                status, sentence = HTTPStatus.OK, ""
            except _Answer as answer:
                status, sentence = answer.status, str(answer)
                self._points.complain(f"a push of metrics was refused: {sentence}")
            writer.write(_response(status, sentence))
            if status is not HTTPStatus.OK:
                # Its sender may still be sending: cut off now, it would hear of a broken pipe instead.
                writer.write_eof()
                await _skip(reader)
            await close(writer)

    async def _take(self, reader: asyncio.StreamReader) -> None:
        target, length = _read_head(await _head(reader))
        if length > LARGEST_BODY:
            raise _Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {LARGEST_BODY >> 10} KiB")
        body = await reader.readexactly(length)
        try:
            push = parse(target, body)
            self._points.log(self._workloads.origin(push.workload), push.values, push.step)
        except Refused as error:
            raise _Answer(HTTPStatus.BAD_REQUEST, str(error)) from error


def warm_up() -> None:
    """Read a request, so that all which reading needs is loaded."""
    _read_head(b"PUT / HTTP/1.1\r\nContent-Length: 1\r\n\r\n")
    parse("/metrics/job/x", b'# TYPE a gauge\na{pod="b"} 1\n')


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise _Answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head of the request is too long") from error


def _read_head(head: bytes) -> tuple[str, int]:
    """Return the target and the length of the body. Raises _Answer."""
    request, _, rest = head.partition(b"\r\n")
    words = request.decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _Answer(HTTPStatus.BAD_REQUEST, "this is no request of HTTP/1.1")
    method, target, _ = words
    if method not in {"PUT", "POST"}:
        raise _Answer(HTTPStatus.METHOD_NOT_ALLOWED, "metrics are pushed by PUT or POST; what was pushed stays")
    try:
        headers = http.client.parse_headers(io.BytesIO(rest))
    except http.client.HTTPException as error:
        raise _Answer(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head of the request has too many lines"
        ) from error
    return target, _length(headers)


def _length(headers: http.client.HTTPMessage) -> int:
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in _TEXT or headers.get("Content-Encoding", "identity") != "identity":
        raise _Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "metrics are taken in Prometheus' text format, not compressed")
    length = headers.get("Content-Length", "")
    if "Transfer-Encoding" in headers or not (length.isascii() and length.isdigit() and len(length) < 16):
        raise _Answer(HTTPStatus.LENGTH_REQUIRED, "the request does not say how long its body is")
    return int(length)


async def _skip(reader: asyncio.StreamReader) -> None:
    left = _SKIPPED
    while left > 0 and (chunk := await reader.read(1 << 16)):
        left -= len(chunk)


def _response(status: HTTPStatus, sentence: str) -> bytes:
    # The sentence is the reason, too: urllib's exception, which the ancestor's client raises, shows nothing else.
    text = sentence.encode("ascii", "replace")
    head = f"HTTP/1.1 {status.value} ".encode() + (text or status.phrase.encode())
    fields = b"Content-Type: text/plain\r\nConnection: close\r\nContent-Length: %d" % len(text)
    return b"\r\n".join((head, fields, b"", text))
