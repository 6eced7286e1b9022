"""Files handed out without trusting what is in them."""

import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from flask import Response

_BLOCK = 256 * 1024


def as_attachment(blocks: Iterable[bytes]) -> Response:
    """Return bytes to be saved, never shown: what an experiment wrote could be a page with scripts of its own.

    The file's name is the address's last part: a name that an experiment chose stays out of the headers.
    """
    response = Response(blocks, mimetype="application/octet-stream")
    response.headers["Content-Disposition"] = "attachment"
    return response


def download(file: BinaryIO) -> Response:
    """Return what an open file holds now, even if it grows meanwhile; it is closed with the response."""
    length = os.fstat(file.fileno()).st_size
    response = as_attachment(_blocks(file, length))
    response.call_on_close(file.close)
    response.content_length = length
    return response


def _blocks(file: BinaryIO, left: int) -> Iterator[bytes]:
    while left > 0 and (block := file.read(min(left, _BLOCK))):
        left -= len(block)
        yield block
