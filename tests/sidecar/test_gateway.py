"""The push gateway takes what its own run measures, and lets nobody keep it from that."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sidecar.gateway import CONNECTIONS, LARGEST_BODY
from tests.sidecar.beside import ATTEMPT, Beside, beside, until

pytestmark = pytest.mark.service

MINE = f"/metrics/job/{ATTEMPT}"


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Beside]:
    with beside(tmp_path) as sidecar:
        yield sidecar


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    """One for many plays that must leave nothing behind."""
    with beside(tmp_path_factory.mktemp("run")) as sidecar:
        yield sidecar


def raw(sidecar: Beside, request: bytes) -> bytes:
    """Send these bytes and return all that comes back."""
    with sidecar.connect() as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


def test_pushes_of_tasks_and_trials_are_written_down(sidecar: Beside) -> None:
    sidecar.tell(task="worker-1", trial=3, pid=1)
    for path in (f"{MINE}/step/7", f"{MINE}.worker-2", f"{MINE}.trial-3/name/loss/step/8"):
        assert sidecar.push(path, b"loss 0.5\n") == (200, "OK")
    lines = [(one["task"], one["trial"], one["step"]) for one in sidecar.lines()]
    assert lines == [("worker-0", None, 7), ("worker-2", None, 0), ("worker-1", 3, 8)]


def test_a_refusal_is_a_sentence_for_the_client_and_for_the_report(sidecar: Beside) -> None:
    status, reason = sidecar.push(MINE, b'{"train loss"} 1\n')
    assert status == 400
    assert reason == "the metric name 'train loss' is not valid: letters, digits, _ and : only, and no digit first"
    assert sidecar.problems() == [f"a push of metrics was refused: {reason}"]
    assert sidecar.values() == []


def test_another_run_s_id_is_refused(shared: Beside) -> None:
    for job in ("run8-1", f"{ATTEMPT}0", f"{ATTEMPT}%2F..%2Fx", f"{ATTEMPT}.worker-0.worker-1"):
        status, reason = shared.push(f"/metrics/job/{job}", b"loss 1\n")
        assert (status, "is not a workload of this experiment" in reason) == (400, True)


def test_ten_thousand_names_are_a_thousand(sidecar: Beside) -> None:
    for first in range(0, 10_000, 500):
        body = b"".join(b"m%d 1\n" % number for number in range(first, first + 500))
        status, reason = sidecar.push(f"{MINE}/step/1", body)
        assert status == (200 if first < 1000 else 400)
    assert "may have 1000 metrics" in reason
    assert len(sidecar.values()) == 1000


def test_a_huge_body_is_refused_with_the_reason(shared: Beside) -> None:
    status, reason = shared.push(MINE, b"a 1\n" * (LARGEST_BODY // 4 + 1))
    assert (status, reason) == (413, "the body is larger than 256 KiB")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (f"PUT {MINE} HTTP/1.1\r\n\r\n", 411),
        (f"PUT {MINE} HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 411),
        (f"PUT {MINE} HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n", 411),
        (f"PUT {MINE} HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na 1\n\r\n0\r\n\r\n", 411),
        (f"PUT {MINE} HTTP/1.1\r\nContent-Length: 4\r\nContent-Type: application/json\r\n\r\na 1\n", 415),
        (f"PUT {MINE} HTTP/1.1\r\nContent-Length: 4\r\nContent-Encoding: gzip\r\n\r\na 1\n", 415),
        (f"DELETE {MINE} HTTP/1.1\r\n\r\n", 405),
        ("GET /metrics HTTP/1.1\r\n\r\n", 405),
        ("PUT /../../../etc/passwd HTTP/1.1\r\nContent-Length: 4\r\n\r\na 1\n", 400),
        ("nonsense\r\n\r\n", 400),
        ("PUT  /x HTTP/1.1\r\n\r\n", 400),
        (f"PUT {MINE} SPDY/3\r\n\r\n", 400),
        (f"PUT {MINE} HTTP/1.1\r\n" + "X: 1\r\n" * 200 + "Content-Length: 4\r\n\r\na 1\n", 431),
        (f"PUT /{'x' * 20_000} HTTP/1.1\r\n\r\n", 431),
    ],
)
def test_what_is_no_push_is_answered_and_changes_nothing(shared: Beside, request_: str, status: int) -> None:
    assert raw(shared, request_.encode()).startswith(b"HTTP/1.1 %d " % status)
    assert shared.values() == []


def test_a_sentence_cannot_become_a_header(shared: Beside) -> None:
    answer = raw(shared, b"PUT /metrics/job/a%0D%0AX-Evil:%201 HTTP/1.1\r\nContent-Length: 4\r\n\r\na 1\n")
    assert b"\r\nX-Evil" not in answer
    assert b"'a\\r\\nX-Evil: 1' is not a workload" in answer


def test_clients_that_never_finish_hold_up_nobody_else_for_long(sidecar: Beside) -> None:
    slow = [sidecar.connect() for _ in range(CONNECTIONS - 1)]
    for connection in slow:
        connection.sendall(b"PUT /metrics/job/")
    began = time.monotonic()
    assert sidecar.push(MINE, b"a 1\n")[0] == 200
    assert time.monotonic() - began < 5
    for connection in slow:
        connection.close()


def test_many_processes_that_push_at_once_are_all_heard(sidecar: Beside) -> None:
    def push(number: int) -> None:
        assert sidecar.push(f"{MINE}.worker-{number}/step/0", b"a 1\n")[0] == 200

    pushing = [threading.Thread(target=push, args=(number,)) for number in range(2 * CONNECTIONS)]
    for thread in pushing:
        thread.start()
    for thread in pushing:
        thread.join()
    assert len(sidecar.values()) == 2 * CONNECTIONS


def test_a_push_under_way_at_the_end_is_still_taken(sidecar: Beside) -> None:
    head = f"PUT {MINE} HTTP/1.1\r\nContent-Length: 4\r\n\r\n".encode()
    with sidecar.connect() as connection:
        connection.sendall(head)
        assert sidecar.push(MINE, b"b 1\n")[0] == 200
        assert sidecar.process.stdin is not None
        sidecar.process.stdin.close()
        time.sleep(0.3)
        connection.sendall(b"a 1\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    sidecar.end()
    assert [name for name, _, _ in sidecar.values()] == ["b", "a"]


def test_datagrams_just_before_the_end_are_still_taken(sidecar: Beside) -> None:
    for number in range(100):
        sidecar.send(b"a:%d|g" % number)
    sidecar.end()
    assert [value for _, _, value in sidecar.values()] == list(range(100))


def test_datagrams_before_a_trial_s_end_are_that_trial_s(sidecar: Beside) -> None:
    sidecar.tell(task="worker-0", trial=1, pid=1)
    until(lambda: sidecar.push(f"{MINE}.trial-1", b"up 1\n")[0] == 200)
    sidecar.send(b"a:1|g")
    sidecar.tell(gone="worker-0")
    sidecar.tell(task="worker-0", trial=2, pid=1)
    sidecar.send(b"a:2|g")
    lines = [one for one in sidecar.end() if one.get("name") == "a"]
    assert [one["trial"] for one in lines if one["value"] == 1] == [1]
