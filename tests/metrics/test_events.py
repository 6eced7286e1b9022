"""Event files of both forms are read to the last whole record, on and on while they grow, whatever they contain."""

import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboardX import SummaryWriter

from bot.metrics.events import LARGEST_RECORD, Damaged, EventFile, Logged, clean
from tests.metrics.writing import raw_tensor, record, several, simple, tensor, write


@contextmanager
def opened(path: Path, tags: set[str] | None = None) -> Iterator[EventFile]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield EventFile(descriptor, path.name, set() if tags is None else tags)
    finally:
        os.close(descriptor)


def scalars(path: Path, offset: int = 0) -> list[Logged]:
    with opened(path) as file:
        return [scalar for step in file.steps(offset) for scalar in step.scalars]


def values(path: Path) -> list[tuple[str, int, float]]:
    return [(one.tag, one.point.step, one.point.number) for one in scalars(path)]


class TestForms:
    def test_every_point_of_a_tensorboardx_writer(self, tmp_path: Path) -> None:
        with SummaryWriter(str(tmp_path)) as writer:
            for step in range(500):
                writer.add_scalar("loss", 1 / (step + 1), step, walltime=step)
        (path,) = tmp_path.iterdir()
        points = [one.point for one in scalars(path)]
        assert [(point.step, point.at) for point in points] == [(step, step * 1_000_000) for step in range(500)]
        assert points[2].value == 0.33333334

    def test_what_else_a_writer_writes_is_passed_by(self, tmp_path: Path) -> None:
        with SummaryWriter(str(tmp_path)) as writer:
            writer.add_text("note", "hello", 1)
            writer.add_histogram("weights", np.arange(100), 1)
            writer.add_image("picture", np.zeros((3, 8, 8), np.uint8), 1)
            writer.add_scalar("loss", 0.5, 1)
        (path,) = tmp_path.iterdir()
        assert values(path) == [("loss", 1, 0.5)]

    @pytest.mark.parametrize(
        ("dtype", "value"),
        [(np.float32, 0.29), (np.float64, 0.123456789012), (np.float16, 0.5), (np.int32, 7), (np.int64, -3)],
    )
    def test_tensors_that_are_marked_as_scalars(self, tmp_path: Path, dtype: Any, value: float) -> None:
        assert values(write(tmp_path, tensor("loss", 4, value, dtype))) == [("loss", 4, value)]

    def test_a_tensor_without_a_mark_is_no_scalar(self, tmp_path: Path) -> None:
        assert values(write(tmp_path, tensor("loss", 1, 0.5, is_marked=False))) == []

    def test_a_tag_is_marked_once_for_all_its_tensors(self, tmp_path: Path) -> None:
        path = write(tmp_path, tensor("loss", 1, 0.5), tensor("loss", 2, 0.4, is_marked=False))
        assert values(path) == [("loss", 1, 0.5), ("loss", 2, 0.4)]

    def test_the_mark_is_remembered_by_whoever_reads_on(self, tmp_path: Path) -> None:
        path = write(tmp_path, tensor("loss", 1, 0.5), tensor("loss", 2, 0.4, is_marked=False))
        with opened(path) as first:
            offset = next(iter(first.steps(0))).offset
        with opened(path, first.tags) as second:
            assert [one.point.value for step in second.steps(offset) for one in step.scalars] == [0.4]

    def test_32_bit_values_are_the_decimals_that_were_logged(self, tmp_path: Path) -> None:
        # 0.29 is stored as 0.28999999166: rounded down, a gate would otherwise see 0.28.
        path = write(tmp_path, *[simple("accuracy", step, step / 100) for step in range(101)])
        assert [value for _, _, value in values(path)] == [step / 100 for step in range(101)]

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("form", [simple, tensor])
    def test_nan_and_infinities_are_points_too(self, tmp_path: Path, form: Any, value: float) -> None:
        ((_, _, read),) = values(write(tmp_path, form("loss", 1, value)))
        assert repr(read) == repr(value)


class TestGrowth:
    def test_a_record_cut_anywhere_waits_for_its_rest(self, tmp_path: Path) -> None:
        first, second = simple("loss", 1, 0.5), simple("loss", 2, 0.4)
        for cut in range(len(second)):
            path = write(tmp_path, first, second[:cut])
            with opened(path) as file:
                (step,) = file.steps(0)
            assert step.offset == len(first)
            write(tmp_path, first, second)
            assert [one.point.value for one in scalars(path, step.offset)] == [0.4]

    def test_a_place_in_the_file_has_the_same_ordinal_wherever_reading_began(self, tmp_path: Path) -> None:
        path = write(tmp_path, *[simple("loss", step, step) for step in range(10)])
        with opened(path) as file:
            offset = list(file.steps(0))[4].offset
        assert scalars(path)[5:] == scalars(path, offset)

    def test_ordinals_grow_along_a_file_and_differ_between_files(self, tmp_path: Path) -> None:
        records = [simple("loss", step, step) for step in range(10)]
        one, other = (write(tmp_path, *records, name=name) for name in ("a.tfevents", "b.tfevents"))
        ordinals = [logged.point.ordinal for logged in scalars(one)]
        assert ordinals == sorted(set(ordinals))
        assert set(ordinals).isdisjoint(logged.point.ordinal for logged in scalars(other))
        assert all(0 <= ordinal < 2**63 for ordinal in ordinals)

    def test_values_of_one_record_have_ordinals_of_their_own(self, tmp_path: Path) -> None:
        pair = [summary_pb2.Summary.Value(tag="loss", simple_value=value) for value in (1, 2)]
        first, second = scalars(write(tmp_path, several(1, *pair)))
        assert first.point.ordinal != second.point.ordinal

    def test_large_records_are_passed_by(self, tmp_path: Path) -> None:
        graph = event_pb2.Event(graph_def=b"x" * (LARGEST_RECORD + 1)).SerializeToString()
        path = write(tmp_path, simple("loss", 1, 0.5), record(graph), simple("loss", 2, 0.4))
        assert [value for _, _, value in values(path)] == [0.5, 0.4]


class TestHostility:
    @pytest.mark.parametrize("spoiled", [0, 9, 14, -1])
    def test_damage_ends_the_reading_where_it_begins(self, tmp_path: Path, spoiled: int) -> None:
        first, second = simple("loss", 1, 0.5), bytearray(simple("loss", 2, 0.4))
        second[spoiled] ^= 1
        path = write(tmp_path, first, bytes(second), simple("loss", 3, 0.3))
        with opened(path) as file:
            steps = file.steps(0)
            assert next(steps).offset == len(first)
            with pytest.raises(Damaged, match=f"damaged at byte {len(first)} "):
                next(steps)

    def test_a_record_that_is_no_event_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(Damaged, match="holds no event at byte 0 "):
            scalars(write(tmp_path, record(b"\xff" * 20)))

    def test_a_record_that_claims_exabytes_is_waited_for(self, tmp_path: Path) -> None:
        length = struct.pack("<Q", 2**62)
        path = write(tmp_path, length + struct.pack("<I", masked_crc32c(length)) + b"x" * 100)
        assert scalars(path) == []

    @pytest.mark.parametrize(
        "proto",
        [
            tensor_pb2.TensorProto(
                dtype=types_pb2.DT_FLOAT,
                float_val=[1.0],
                tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=[{"size": 2**40}]),
            ),
            tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[b"0.99"]),
            tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT),
            tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_content=b"12345"),
            tensor_pb2.TensorProto(dtype=types_pb2.DT_COMPLEX64, scomplex_val=[1, 1]),
            tensor_pb2.TensorProto(dtype=999),
        ],
        ids=["a terabyte", "text", "nothing", "half a number", "complex", "unknown"],
    )
    def test_a_scalar_that_is_none_is_nan(self, tmp_path: Path, proto: Any) -> None:
        ((_, _, value),) = values(write(tmp_path, several(1, raw_tensor("loss", proto))))
        assert math.isnan(value)

    @pytest.mark.parametrize("at", [math.nan, math.inf, -1.0, 1e300])
    def test_a_time_that_is_none_is_the_beginning_of_time(self, tmp_path: Path, at: float) -> None:
        (scalar,) = scalars(write(tmp_path, simple("loss", 1, 0.5, at)))
        assert scalar.point.at == 0

    @given(st.binary(max_size=300))
    def test_any_bytes_are_read_or_refused(self, tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
        path = write(tmp_path_factory.mktemp("any"), data)
        with opened(path) as file:
            try:
                steps = list(file.steps(0))
            except Damaged:
                steps = []
            assert steps == []

    @given(st.binary(max_size=300))
    def test_any_bytes_in_a_proper_frame_are_read_or_refused(
        self, tmp_path_factory: pytest.TempPathFactory, data: bytes
    ) -> None:
        path = write(tmp_path_factory.mktemp("any"), record(data))
        with opened(path) as file:
            try:
                offsets = [step.offset for step in file.steps(0)]
            except Damaged:
                offsets = [file.size]
            assert offsets == [file.size]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("train/loss", "train/loss"),
        ("a\nb\0c\x1b[31m", "a\ufffdb\ufffdc\ufffd[31m"),
        ("\u202eevil", "\ufffdevil"),
        ("\udc80", "\ufffd"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_names_are_fit_to_be_stored_and_shown(name: str, shown: str) -> None:
    assert clean(name) == shown
