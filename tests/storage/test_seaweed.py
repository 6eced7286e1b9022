"""Against a real S3 server that asks for keys: who may read, who may not, and that much is fetched only once."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from bot.storage.archive import Bucket
from bot.storage.errors import Refused
from tests.storage.lab import MB, Lab, client, files

pytestmark = [pytest.mark.service, pytest.mark.slow]

ADA = {"access_key_id": "AKIAADA", "secret_access_key": "ada-secret-key"}
BOB = {"access_key_id": "AKIABOB", "secret_access_key": "bob-secret-key"}
IDENTITIES = {
    "identities": [
        {
            "name": "ada",
            "credentials": [{"accessKey": "AKIAADA", "secretKey": "ada-secret-key"}],
            "actions": ["Admin", "Read", "Write", "List"],
        },
        {
            "name": "bob",
            "credentials": [{"accessKey": "AKIABOB", "secretKey": "bob-secret-key"}],
            "actions": ["List:data"],
        },
    ]
}
LARGE = int(os.environ.get("LARGE_DATASET_MB", "200")) * MB


def free_ports(count: int) -> list[int]:
    """Return ports that nobody has, free at the same time."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(scope="module")
def weed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a seaweedfs that knows Ada, and Bob, who may only list."""
    directory = tmp_path_factory.mktemp("weed")
    (directory / "id.json").write_text(json.dumps(IDENTITIES))
    names = ["s3.port", "master.port", "volume.port", "filer.port", "s3.port.lance"]
    names += [f"{name}.grpc" for name in names[:4]]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    command = [
        *(str(Path(sys.executable).with_name("weed")), "server", f"-dir={directory}", "-ip=127.0.0.1"),
        *("-ip.bind=127.0.0.1", "-filer", "-s3", "-s3.config=id.json", "-s3.port.iceberg=0"),
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    with (
        (directory / "log").open("wb") as log,
        subprocess.Popen(command, cwd=directory, stdout=log, stderr=log) as server,
    ):
        try:
            url = f"http://127.0.0.1:{ports['s3.port']}"
            s3 = client(url, "AKIAADA", "ada-secret-key")
            make(s3, server, directory / "log")
            yield url
            s3.close()
        finally:
            # SIGTERM takes it minutes.
            server.kill()
    shutil.rmtree(directory)


def make(s3: Any, server: subprocess.Popen[bytes], log: Path) -> None:
    """Make the bucket `data`, as soon as the server does that."""
    give_up = time.monotonic() + 60
    while True:
        try:
            s3.create_bucket(Bucket="data")
            s3.put_object(Bucket="data", Key="set/a.txt", Body=b"a")
            return
        except Exception:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.2)


@pytest.fixture
def lab(tmp_path: Path, weed: str) -> Iterator[Lab]:
    yield Lab(tmp_path, weed)
    # Else pytest would keep it.
    shutil.rmtree(tmp_path)


def test_the_right_key_reads_and_no_other_does(lab: Lab) -> None:
    folder, one = {"uri": "s3://data/set/", "name": "set"}, {"uri": "s3://data/set/a.txt", "name": "set"}
    for asked in (folder, one):
        (done,) = lab.outcome({**asked, **ADA}).done
        assert files(Path(done["path"])) == {"a.txt": b"a"}
        # All of it is in the cache now, and still not for everybody.
        for wrong in ({}, {**ADA, "secret_access_key": "wrong"}, {**ADA, "access_key_id": "AKIANOBODY"}, BOB):
            said = lab.outcome({**asked, **wrong})
            assert said.failed.startswith("dataset set: access to s3://data/"), said
            assert "was denied" in said.failed


def test_etags_and_versions_of_a_real_server(lab: Lab, weed: str) -> None:
    s3 = client(weed, "AKIAADA", "ada-secret-key")
    s3.create_bucket(Bucket="versioned")
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    old, new = (s3.put_object(Bucket="versioned", Key="x.bin", Body=body) for body in (b"old", b"new"))
    s3.close()
    asked = {"uri": "s3://versioned/x.bin", "name": "x", **ADA}
    (done,) = lab.outcome({**asked, "version_id": old["VersionId"], "etag": old["ETag"]}).done
    assert files(Path(done["path"])) == {"x.bin": b"old"}
    said = lab.outcome({**asked, "etag": old["ETag"]})
    was, now = old["ETag"].strip('"'), new["ETag"].strip('"')
    assert said.failed == f"dataset x: its etag is {now}, the config says {was}"
    assert "of version 0000" in lab.outcome({**asked, "version_id": "0000"}).failed


@pytest.mark.long
def test_provisioning_much_twice_downloads_once(lab: Lab, weed: str, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        for _ in range(LARGE // MB):
            file.write(os.urandom(MB))
    Bucket("s3://data", weed, "AKIAADA", "ada-secret-key").put("large.bin", large)
    asked = {"uri": "s3://data/large.bin", "name": "large", **ADA}
    (first,) = lab.fetch(asked, max_bytes=LARGE, cache_bytes=2 * LARGE).done
    assert (Path(first["path"]) / "large.bin").stat().st_size == LARGE
    assert (Path(first["path"]) / "large.bin").read_bytes() == large.read_bytes()
    before = received()
    assert lab.fetch(asked, max_bytes=LARGE, cache_bytes=2 * LARGE).done == [first]
    assert received() - before < LARGE / 10


def received() -> int:
    """Return the bytes that this machine's own network has carried so far."""
    rows = Path("/proc/net/dev").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.split()[0] == "lo:")


def test_a_bucket_keeps_files_for_those_who_may(weed: str, tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(b"weights" * 1000)
    kept = Bucket("s3://data/kept", weed, "AKIAADA", "ada-secret-key")
    kept.put("run/model", file)
    assert kept.exists("run/model")
    assert requests.get(kept.presigned("run/model", 60), timeout=10).content == file.read_bytes()
    assert requests.get(f"{weed}/data/kept/run/model", timeout=10).status_code == 403
    with pytest.raises(Refused, match="was denied"):
        Bucket("s3://data/kept", weed, "AKIABOB", "bob-secret-key").put("run/other", file)
    assert kept.delete_prefix("run/") == 1
    assert not kept.exists("run/model")
