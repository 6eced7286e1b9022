"""Ports that are found for tasks stay theirs until they listen on them."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.backends.ports import Held, PortsExhausted, free_ports


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    with closing(free_ports(3, tmp_path)) as found:
        yield found


def test_ports_are_none_that_the_kernel_gives_away(held: Held) -> None:
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert len(set(held.ports)) == 3
    assert not any(low <= port <= high or port < 10_000 for port in held.ports)


def test_a_held_port_can_be_bound_by_nobody_and_a_released_one_by_its_task(held: Held) -> None:
    port = held.ports[0]
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))
    held.release()
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_no_other_supervisor_takes_a_port_before_the_attempt_is_over(held: Held, tmp_path: Path) -> None:
    """Released is not free: its task may not listen yet, or listen again."""
    port = held.ports[0]
    held.release()
    other = Held()
    assert not other.take(port, tmp_path)
    held.close()
    with closing(other):
        assert other.take(port, tmp_path)


def test_a_port_that_somebody_listens_on_is_not_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, closing(Held()) as nothing:
        assert not nothing.take(server.getsockname()[1], tmp_path)
        assert nothing.ports == ()


def test_more_than_there_can_be_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PortsExhausted, match="70000 free ports are wanted"):
        free_ports(70_000, tmp_path)
