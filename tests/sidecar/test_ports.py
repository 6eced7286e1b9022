"""A run's ports are reached through the sidecar: whole, in both directions, and by the bot alone."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.backends.openings import listen
from bot.sidecar import ports
from tests.sidecar.beside import PATIENCE, Beside, beside, until

pytestmark = pytest.mark.service


@contextmanager
def server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve connections as a run would, each in a thread; the value is the port."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

        def talk(connection: socket.socket) -> None:
            with connection:
                serve(connection)

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def shout(connection: socket.socket) -> None:
    """Answer, in capitals and only when all has been said."""
    connection.sendall(everything(connection).upper())


def everything(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(1 << 16):
        received += chunk
    return received


def asked(connection: socket.socket, question: bytes) -> bytes:
    with connection:
        connection.sendall(question)
        connection.shutdown(socket.SHUT_WR)
        return everything(connection)


def test_a_question_and_its_answer_pass_with_half_a_connection_closed(tmp_path: Path) -> None:
    with server(shout) as port, beside(tmp_path, ports=[[port, port]]) as sidecar:
        question = b"abc" * 500_000
        assert asked(sidecar.door(port), question) == question.upper()


def test_only_the_bot_may_open_the_socket(tmp_path: Path) -> None:
    with beside(tmp_path, ports=[[5000, 5001]]) as sidecar:
        made = tmp_path / "ports/5001.sock"
        assert made.stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "ports").stat().st_mode & 0o777 == 0o700
        assert sidecar.word["ports"] == {}


def test_a_run_that_does_not_listen_is_a_closed_connection(tmp_path: Path) -> None:
    with beside(tmp_path, ports=[[5001, 5001]]) as sidecar, sidecar.door(5001) as connection:
        assert connection.recv(1) == b""


def test_a_host_s_port_is_forwarded_or_another_free_one(tmp_path: Path) -> None:
    with server(shout) as port, server(shout) as taken:
        with beside(tmp_path, ports=[[taken, port]], host_ports=True) as sidecar:
            opened = sidecar.word["ports"][str(port)]
            assert opened not in {taken, port}
            assert asked(socket.create_connection(("127.0.0.1", opened)), b"abc") == b"ABC"
        with beside(tmp_path, ports=[[opened, port]], host_ports=True) as sidecar:
            assert sidecar.word["ports"] == {str(port): opened}


def test_a_config_cannot_have_a_port_of_the_system(tmp_path: Path) -> None:
    with beside(tmp_path, ports=[[80, 5001]], host_ports=True) as sidecar:
        assert sidecar.word["ports"]["5001"] >= 1024


def test_where_run_and_host_share_the_port_the_run_listens_itself(tmp_path: Path) -> None:
    with beside(tmp_path, ports=[[5001, 5001]], host_ports=True) as sidecar:
        assert sidecar.word["ports"] == {"5001": 5001}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 5001))


def test_a_socket_of_an_earlier_sidecar_is_replaced_and_a_link_not_followed(tmp_path: Path) -> None:
    (tmp_path / "ports").mkdir()
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "ports/5001.sock").symlink_to(tmp_path / "victim")
    with beside(tmp_path, ports=[[5001, 5001]]):
        assert (tmp_path / "victim").read_text() == "kept"
        assert (tmp_path / "ports/5001.sock").is_socket()


def test_who_does_not_read_is_not_written_for_without_end(tmp_path: Path) -> None:
    sent = 0

    def pour(connection: socket.socket) -> None:
        nonlocal sent
        connection.settimeout(2)
        try:
            while sent < 256 << 20:
                sent += connection.send(b"x" * (1 << 16))
        except OSError:
            return

    with server(pour) as port, beside(tmp_path, ports=[[port, port]]) as sidecar, sidecar.door(port) as connection:
        assert connection.recv(1) == b"x"
        before = 0
        until(lambda: sent > 0)
        while sent != before:
            before = sent
            time.sleep(0.5)
        assert sent < 32 << 20
        assert memory(sidecar) < 100 << 20


def memory(sidecar: Beside) -> int:
    status = Path(f"/proc/{sidecar.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) << 10


def test_more_connections_than_allowed_wait_for_their_turn(tmp_path: Path) -> None:
    served = []

    def remember(connection: socket.socket) -> None:
        served.append(connection)
        everything(connection)

    with server(remember) as port, beside(tmp_path, ports=[[port, port]]) as sidecar:
        doors = [sidecar.door(port) for _ in range(ports.CONNECTIONS + 5)]
        until(lambda: len(served) == ports.CONNECTIONS)
        time.sleep(0.2)
        assert len(served) == ports.CONNECTIONS
        for door in doors[:5]:
            door.close()
        until(lambda: len(served) == ports.CONNECTIONS + 5)
        for door in doors:
            door.close()


def test_silence_ends_a_connection_and_talk_keeps_it() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    async def play() -> None:
        run = await asyncio.start_server(echo, "127.0.0.1", 0)
        door = ports.Door(listen(0), run.sockets[0].getsockname()[1])
        accepting = asyncio.create_task(ports.serve(door, idle=1.0).accept())
        reader, writer = await asyncio.open_connection(*door.listener.getsockname())
        for _ in range(4):
            await asyncio.sleep(0.4)
            writer.write(b"x")
            assert await reader.readexactly(1) == b"x"
        assert await asyncio.wait_for(reader.read(1), PATIENCE) == b""
        writer.close()
        accepting.cancel()
        run.close()
        door.listener.close()

    asyncio.run(play())


def test_open_connections_do_not_hold_up_the_end(tmp_path: Path) -> None:
    with server(shout) as port, beside(tmp_path, ports=[[port, port]]) as sidecar:
        with sidecar.door(port) as connection:
            began = time.monotonic()
            sidecar.end()
            assert connection.recv(1) == b""
        assert time.monotonic() - began < PATIENCE / 2
