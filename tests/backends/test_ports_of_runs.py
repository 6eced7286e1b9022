"""The ports of a run: by the machine's own port, and by the backend, whatever network the run is in."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.backends.base import Capacity, Opening
from bot.backends.local import LocalBackend
from bot.backends.openings import listen
from bot.clock import SystemClock
from tests.backends.lab import Lab, commit, eventually, powers

pytestmark = [pytest.mark.service, pytest.mark.slow]

SERVER = "echo hello > page; exec python3 -m http.server --bind 127.0.0.1 6006"


@pytest.fixture(params=["private", "shared"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lab]:
    if not powers().nat:
        pytest.skip(f"attempts cannot have a network of their own here: {powers().no_nat}")

    def make() -> LocalBackend:
        capacity = Capacity(2, 4096, 0)
        return LocalBackend(
            tmp_path / "data", capacity, SystemClock(), grace=0.5, network=request.param, powers=powers()
        )

    lab = Lab(tmp_path / "data", make, commit(tmp_path / "code"))
    yield lab
    lab.close()


def read(lab: Lab, attempt_id: str, port: int) -> bytes:
    with lab.backend.open_port(attempt_id, port) as connection:
        connection.sendall(b"GET /page HTTP/1.0\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(4096), b""))


def answers(lab: Lab, attempt_id: str, port: int) -> bool:
    try:
        return read(lab, attempt_id, port).endswith(b"hello\n")
    except OSError:
        return False


def test_a_port_is_reached_through_the_backend_and_at_the_machine(lab: Lab) -> None:
    attempt_id = lab.submit(SERVER, ports=(Opening(18_444, 6006),))
    eventually(lambda: answers(lab, attempt_id, 6006))
    at = lab.report(attempt_id).facts["ports"]["6006"]
    with urllib.request.urlopen(f"http://127.0.0.1:{at}/page", timeout=5) as page:
        assert page.read() == b"hello\n"
    with pytest.raises(ConnectionError):
        lab.backend.open_port(attempt_id, 22)
    lab.backend.cancel(attempt_id, "seen")
    lab.end_of(attempt_id)
    with pytest.raises(ConnectionError):
        lab.backend.open_port(attempt_id, 6006)


def test_a_taken_port_is_replaced_by_a_free_one(lab: Lab) -> None:
    with listen(0) as taken:
        wanted = taken.getsockname()[1]
        attempt_id = lab.submit(SERVER, ports=(Opening(wanted, 6006),))
        eventually(lambda: answers(lab, attempt_id, 6006))
        assert lab.report(attempt_id).facts["ports"]["6006"] != wanted
