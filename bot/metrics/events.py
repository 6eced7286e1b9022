"""TensorBoard event files, read by TensorBoard's own record reader from a descriptor that is already open.

A file may grow while it is read, and is read on from a byte offset: the reader is given a file system of its own
(TensorBoard's `register_filesystem`) that shows nothing but the rest of that one descriptor. No path is opened again.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any
from zlib import crc32

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorboard.compat.proto import event_pb2, types_pb2
from tensorboard.compat.tensorflow_stub import errors
from tensorboard.compat.tensorflow_stub.io import gfile
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import PyRecordReader_New, masked_crc32c
from tensorboard.util import tensor_util

from bot.core.series import Point

LARGEST_FILE = 1 << 28
"""Bytes of an event file: 256 MiB. `_ordinal` has room for no more."""

LARGEST_RECORD = 1 << 20
"""Bytes of a record. Larger ones are pictures and graphs: their checksum alone, in Python, would take seconds."""

TAG_LENGTH = 200

_SCHEME = "open-event-file"
_FRAME = 16
"""Bytes that frame a record: its length (8), the length's checksum (4), and after it the data's checksum (4)."""


class Damaged(Exception):
    """The file cannot be read on; the message is the end of a sentence that begins with its name."""


@dataclass(frozen=True)
class Logged:
    """One scalar of an event file."""

    tag: str
    point: Point


@dataclass(frozen=True)
class Step:
    """One record: the offset after it, and the scalars in it."""

    offset: int
    scalars: tuple[Logged, ...]


class EventFile:
    """An open event file. `salt` is text that names it for ever; `tags` are those known to be scalar tensors.

    Writers of the tensor form may say what a tag is once only, in its first record: `tags` is to be kept
    and handed in again with the offset.
    """

    def __init__(self, descriptor: int, salt: str, tags: set[str]) -> None:
        self._descriptor = descriptor
        self._salt = crc32(salt.encode()) >> 1
        self.tags = tags
        self.size = os.fstat(descriptor).st_size

    def steps(self, offset: int) -> Iterator[Step]:
        """Yield the whole records from `offset` on. A last one that is still being written is left for later.

        Raises Damaged at a record that no checksum vouches for.
        """
        reader = None
        while (length := self._announced(offset)) is not None:
            scalars: tuple[Logged, ...] = ()
            if length > LARGEST_RECORD:
                reader = None
            else:
                reader = reader or self._reader_at(offset)
                scalars = tuple(self._scalars(self._record(reader, offset), offset))
            offset += _FRAME + length
            yield Step(offset, scalars)

    def _announced(self, offset: int) -> int | None:
        """Return the length of the record at `offset`, None when it is not all there yet."""
        head = os.pread(self._descriptor, 12, offset)
        if len(head) < 12:
            return None
        length, checksum = struct.unpack("<QI", head)
        is_whole = offset + _FRAME + length <= self.size
        # Records that TensorBoard's reader gets to see are checked by it, the length too.
        if (not is_whole or length > LARGEST_RECORD) and masked_crc32c(head[:8]) != checksum:
            raise Damaged(f"is damaged at byte {offset} and was not read further")
        return int(length) if is_whole else None

    def _reader_at(self, offset: int) -> Any:
        gfile.register_filesystem(_SCHEME, _Rest(self._descriptor, offset, self.size))
        return PyRecordReader_New(f"{_SCHEME}://".encode())

    def _record(self, reader: Any, offset: int) -> bytes:
        try:
            reader.GetNext()
        except (errors.DataLossError, errors.OutOfRangeError) as error:
            raise Damaged(f"is damaged at byte {offset} and was not read further") from error
        return bytes(reader.record())

    def _scalars(self, record: bytes, offset: int) -> Iterator[Logged]:
        try:
            event = event_pb2.Event.FromString(record)
        except DecodeError as error:
            raise Damaged(f"holds no event at byte {offset} and was not read further") from error
        for place, value in enumerate(event.summary.value):
            number = self._number(value)
            if number is not None:
                point = Point.of(event.step, _microseconds(event.wall_time), number, self._ordinal(offset, place))
                yield Logged(clean(value.tag), point)

    def _number(self, value: Any) -> float | None:
        """Return the scalar, in the form of TensorFlow 1 (`simple_value`) or 2 (a tensor marked as scalar)."""
        form = value.WhichOneof("value")
        if form == "simple_value":
            return _shortest(np.float32(value.simple_value))
        if form != "tensor":
            return None
        if value.metadata.plugin_data.plugin_name == "scalars":
            self.tags.add(clean(value.tag))
        return _tensor_number(value.tensor) if clean(value.tag) in self.tags else None

    def _ordinal(self, offset: int, place: int) -> int:
        # 31 bits of the file, 28 of the byte, 4 of the place in the record: a positive 64-bit integer. Two values
        # of one tag in one record beyond the sixteenth would be taken for one; no writer does that.
        return self._salt << 32 | offset << 4 | min(place, 15)


class _Rest:
    """What TensorBoard's `gfile` asks of a file system, for one descriptor from `start` to `end`."""

    def __init__(self, descriptor: int, start: int, end: int) -> None:
        self._descriptor, self._start, self._end = descriptor, start, end

    def exists(self, _name: str) -> bool:
        return True

    def read(
        self, _name: str, _binary: bool = True, size: int | None = None, continue_from: int | None = None
    ) -> tuple[bytes, int]:
        offset = self._start if continue_from is None else continue_from
        left = self._end - offset
        data = os.pread(self._descriptor, left if size is None else min(size, left), offset)
        return data, offset + len(data)


_NUMBERS = {
    types_pb2.DT_HALF,
    types_pb2.DT_FLOAT,
    types_pb2.DT_DOUBLE,
    types_pb2.DT_INT8,
    types_pb2.DT_INT16,
    types_pb2.DT_INT32,
    types_pb2.DT_INT64,
    types_pb2.DT_UINT8,
    types_pb2.DT_UINT16,
}


def _tensor_number(tensor: Any) -> float:
    """Return the tensor's one number, NaN when it is anything else: a gate on it then fails instead of missing it."""
    # The shape first: a tensor of one stored value may claim to be a terabyte of repetitions of it.
    is_scalar = len(tensor.tensor_shape.dim) <= 8 and all(dim.size == 1 for dim in tensor.tensor_shape.dim)
    if not is_scalar or tensor.dtype not in _NUMBERS or len(tensor.tensor_content) > 16:
        return float("nan")
    try:
        return _shortest(tensor_util.make_ndarray(tensor).reshape(())[()])
    except (ValueError, TypeError, OverflowError):
        return float("nan")


def _shortest(number: Any) -> float:
    """Return the float of the fewest digits that the number's own precision tells apart.

    A logged accuracy of 0.29 is the 32-bit number 0.28999999166; rounded down it would become 0.28.
    """
    return float(str(number))


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000) if isfinite(seconds) and 0 <= seconds < 1e12 else 0


@lru_cache(maxsize=4096)
def clean(name: str) -> str:
    """Return a run's or tag's name without what cannot be stored or shown: control characters, halves, excess."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return shown if len(shown) <= TAG_LENGTH else f"{shown[: TAG_LENGTH - 1]}…"
