"""Writes event files record by record, in the form of TensorFlow 1 or 2, whole or spoiled."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.util import tensor_util

NAME = "events.out.tfevents.1700000000.host"


def record(data: bytes) -> bytes:
    """Frame bytes as TensorFlow does: length, its checksum, data, their checksum."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))


def simple(tag: str, step: int, value: float, at: float = 1.5) -> bytes:
    """Return the record of a scalar in the form of TensorFlow 1."""
    return _event(step, at, summary_pb2.Summary.Value(tag=tag, simple_value=value))


def tensor(tag: str, step: int, value: Any, dtype: Any = np.float32, is_marked: bool = True) -> bytes:
    """Return the record of a tensor, as TensorFlow 2 writes scalars; only the mark says that it is one."""
    proto = tensor_util.make_tensor_proto(np.array(value, dtype=dtype))
    return _event(step, 1.5, raw_tensor(tag, proto, is_marked))


def raw_tensor(tag: str, proto: Any, is_marked: bool = True) -> Any:
    metadata = summary_pb2.SummaryMetadata(
        plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="scalars" if is_marked else "")
    )
    return summary_pb2.Summary.Value(tag=tag, metadata=metadata if is_marked else None, tensor=proto)


def _event(step: int, at: float, *values: Any) -> bytes:
    event = event_pb2.Event(step=step, wall_time=at, summary=summary_pb2.Summary(value=values))
    return record(event.SerializeToString())


def several(step: int, *values: Any) -> bytes:
    """Return one record with several values."""
    return _event(step, 1.5, *values)


def write(folder: Path, *records: bytes, name: str = NAME) -> Path:
    """Write the records as an event file; folders are made as needed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(b"".join(records))
    return path
