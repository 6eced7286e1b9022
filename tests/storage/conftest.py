"""What the plays of this directory share: a machine with a cache, and moto, which speaks S3 over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.storage.lab import Lab, client


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of an S3 server in this process. It believes everybody."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(moto: str, request: pytest.FixtureRequest) -> Iterator[tuple[Any, str]]:
    """A client and an empty bucket of the test's own."""
    s3, name = client(moto, "testing", "testing"), f"data-{abs(hash(request.node.nodeid))}"
    s3.create_bucket(Bucket=name)
    yield s3, name
    s3.close()


@pytest.fixture
def lab(tmp_path: Path, moto: str) -> Lab:
    return Lab(tmp_path, moto)
