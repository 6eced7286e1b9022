"""Files kept in a bucket."""

from pathlib import Path
from typing import Any

import pytest
import requests

from bot.storage.archive import Bucket
from bot.storage.errors import Refused, Unavailable

pytestmark = pytest.mark.service


@pytest.fixture
def kept(bucket: tuple[Any, str], moto: str) -> Bucket:
    return Bucket(f"s3://{bucket[1]}/bot", moto, "testing", "testing")


def test_a_file_is_kept_below_the_prefix_and_read_by_who_has_the_link(
    kept: Bucket, bucket: tuple[Any, str], tmp_path: Path
) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(b"weights")
    assert not kept.exists("run-1/model.onnx")
    kept.put("run-1/model.onnx", model)
    assert kept.exists("run-1/model.onnx")
    assert bucket[0].get_object(Bucket=bucket[1], Key="bot/run-1/model.onnx")["Body"].read() == b"weights"
    link = kept.presigned("run-1/model.onnx", 60)
    assert requests.get(link, timeout=10).content == b"weights"
    assert "X-Amz-Expires=60" in link


def test_a_prefix_is_deleted_and_its_neighbours_are_not(kept: Bucket, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"1")
    for key in ("run-1/a", "run-1/b/c", "run-10/a"):
        kept.put(key, file)
    assert kept.delete_prefix("run-1/") == 2
    assert [kept.exists(key) for key in ("run-1/a", "run-1/b/c", "run-10/a")] == [False, False, True]
    assert kept.delete_prefix("run-1/") == 0
    with pytest.raises(Refused):
        kept.delete_prefix("/")


def test_what_goes_wrong_is_said_without_the_key(moto: str, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"1")
    with pytest.raises(Refused, match="there is no s3://nowhere/x"):
        Bucket("s3://nowhere", moto, "testing", "testing").put("x", file)
    with pytest.raises(Unavailable, match="does not answer"):
        Bucket("s3://nowhere", "http://127.0.0.1:1", "testing", "testing").exists("x")
    with pytest.raises(Refused, match="only one of them"):
        Bucket("s3://nowhere", moto, "testing", "")
