"""The real server: what gunicorn and the door make of broken requests, and how it ends."""

import hashlib
import hmac
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.clock import ManualClock
from bot.web.serve import PATIENCE, why_not
from tests.web.stage import SECRET, delivery, signature

pytestmark = pytest.mark.service

ROOT = Path(__file__).parents[2]
SERVER = """
import sys
from pathlib import Path
from bot.clock import SystemClock
from bot.web.serve import serve
from tests.web.stage import Database, Stage

data_dir = Path(sys.argv[1])
url = f"sqlite:///{data_dir}/experiment-ci.sqlite3"
database = Database(url)
database.migrate(data_dir / "migrate.lock")
database.close()

def make():
    app = Stage(Database(url), SystemClock(), data_dir, "http://bot.example").app
    app.testing = False

    @app.get("/slow")
    def slow():
        SystemClock().sleep(1.5)
        return "slow but whole"

    @app.get("/broken")
    def broken():
        raise RuntimeError("broken")

    @app.get("/torn")
    def torn():
        def blocks():
            raise RuntimeError("torn before its first byte, where the server itself must answer")
            yield b""
        return blocks()

    return app

serve(make, "127.0.0.1", int(sys.argv[2]), silence=1)
"""


class Server:
    """A web process of its own, spoken to in bytes."""

    def __init__(self, data_dir: Path) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port: int = found.getsockname()[1]
        self.errors = data_dir / "stderr"
        with self.errors.open("w") as stderr:
            command = [sys.executable, "-c", SERVER, str(data_dir), str(self.port)]
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=stderr, start_new_session=True)
        self._wait()

    def _wait(self) -> None:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self.process.poll() is None, self.errors.read_text()
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the server does not listen")

    def say(self, data: bytes) -> bytes:
        """Send the bytes, say that no more will come, and return the whole answer."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as line:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
            answer = b""
            while block := line.recv(65_536):
                answer += block
        return answer

    def status(self, data: bytes) -> int:
        found = re.match(rb"HTTP/1\.1 (\d{3}) ", self.say(data))
        assert found, "no answer"
        return int(found[1])

    def stop(self) -> float:
        """Ask it to end; return how many seconds it took."""
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(20)
        return time.monotonic() - began


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


def post(body: bytes, **changed: str | None) -> bytes:
    headers = delivery(b"{}", **changed)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /webhook HTTP/1.1\r\nHost: bot\r\nConnection: close\r\n{lines}\r\n".encode("latin-1") + body


CHUNKED = {"Transfer_Encoding": "chunked"}


def test_a_delivery_is_taken_with_its_length_or_in_chunks(server: Server) -> None:
    with_length = post(b"{}", X_GitHub_Delivery="by-length", Content_Length="2")
    in_chunks = post(b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", X_GitHub_Delivery="in-chunks", **CHUNKED)

    assert server.status(with_length) == 202
    assert server.status(in_chunks) == 202
    assert b"accepted before" in server.say(in_chunks)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"zz\r\n",
        b"-1\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}",
        b"2\r\n{}XX0\r\n\r\n",
        b"2;\x00bad=\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}\r\n0\r\nBad Trailer\r\n\r\n",
        b"2\r\n{}\r\n0\r\nA: b",
        b"1" * 20_000,
        b"2\r\n{}\r\n0\r\n" + b"A: b\r\n" * 60_000 + b"\r\n",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_broken_chunks_are_the_senders_fault(server: Server, body: bytes) -> None:
    assert 400 <= server.status(post(body, **CHUNKED)) < 500


@pytest.mark.parametrize("length", ["abc", "-1", "1 1", "0x2", str(2**70), ""])
def test_odd_lengths_are_the_senders_fault(server: Server, length: str) -> None:
    assert 400 <= server.status(post(b"{}", Content_Length=length)) < 500


def test_headers_of_any_bytes_are_answered(server: Server) -> None:
    for value in ("\xff\xfe", "sha256=\x80", "é" * 1000):
        assert 400 <= server.status(post(b"{}", Content_Length="2", X_Hub_Signature_256=value)) < 500


def test_what_is_too_large_in_chunks_is_refused_as_too_large(server: Server) -> None:
    block = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    body = b" " * (26 * 0x100000)
    header = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()

    # Of the body only what is needed to know is read, so the connection may break while the rest is being sent.
    with socket.create_connection(("127.0.0.1", server.port), 10) as line:
        line.sendall(post(b"", X_Hub_Signature_256=header, **CHUNKED))
        for _ in range(26):
            line.sendall(block)
        line.sendall(b"0\r\n\r\n")
        answer = line.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "began", [b"POST /webhook HTTP/1.1\r\nHost: b", post(b"{", Content_Length="2"), post(b"2\r\n{", **CHUNKED)]
)
def test_whoever_falls_silent_is_given_up(server: Server, began: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as line:
        line.sendall(began)
        answer = line.recv(65_536)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


def test_tokens_of_addresses_reach_no_log(server: Server) -> None:
    for path in ("torn", "broken", "experiments/x"):
        request = f"GET /{path}?token=confidential HTTP/1.1\r\nHost: bot\r\nConnection: close\r\n\r\n"
        server.say(request.encode())
    server.say(b"GET /x?token=confidential AND NONSENSE\r\nHost: bot\r\n\r\n")

    told = server.errors.read_text()
    assert "/torn" in told  # the errors themselves are told
    assert "/broken" in told
    assert "NONSENSE" in told
    assert "confidential" not in told


@pytest.mark.slow
def test_told_to_end_it_finishes_what_it_began_within_ten_seconds(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with socket.create_connection(("127.0.0.1", server.port), 10) as line:
        line.sendall(b"GET /slow HTTP/1.1\r\nHost: bot\r\nConnection: close\r\n\r\n")
        time.sleep(0.3)
        took = server.stop()
        answer = line.recv(65_536)

    assert b"slow but whole" in answer
    assert took < 10
    assert server.process.returncode == 0


@pytest.mark.slow
def test_what_was_answered_is_there_after_a_kill(tmp_path: Path) -> None:
    server = Server(tmp_path)
    body = b'{"ref": "refs/heads/main"}'
    request = post(body, X_GitHub_Delivery="kept", X_Hub_Signature_256=signature(body), Content_Length=str(len(body)))
    assert server.status(request) == 202
    os.killpg(server.process.pid, signal.SIGKILL)  # the group is its own: master and worker
    server.process.wait()

    again = Server(tmp_path)

    assert b"accepted before" in again.say(request)
    again.stop()


def test_an_address_that_is_taken_is_waited_for_and_told() -> None:
    clock = ManualClock()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        before = clock.monotonic()
        assert why_not("127.0.0.1", port, clock) == "another program does already"
        assert PATIENCE <= clock.monotonic() - before < PATIENCE + 1
    assert why_not("127.0.0.1", port, clock) == ""


def test_an_address_of_another_machine_is_told_at_once() -> None:
    clock = ManualClock()
    before = clock.monotonic()
    assert why_not("192.0.2.1", 8080, clock) == "Cannot assign requested address"
    assert clock.monotonic() == before
