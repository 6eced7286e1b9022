"""Who a process is: never only its pid."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bot.backends.processes import Process, everybody_below, with_environment


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "60"], env={"MARK": "of-the-test"}) as process:
        yield process
        process.kill()


def test_a_process_lives_until_it_ends_reaped_or_not(sleeper: "subprocess.Popen[bytes]") -> None:
    process = Process.of(sleeper.pid)
    assert process.is_alive()
    assert process.send(signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not process.is_alive()  # a zombie
    sleeper.wait()
    assert not process.is_alive()
    assert not process.send(signal.SIGKILL)
    with pytest.raises(ProcessLookupError):
        Process.of(sleeper.pid)


def test_another_process_of_the_same_pid_is_never_signalled(sleeper: "subprocess.Popen[bytes]") -> None:
    process = Process.of(sleeper.pid)
    for other in (replace(process, start=process.start - 1), replace(process, boot="another")):
        assert not other.is_alive()
        assert not other.send(signal.SIGKILL)
    assert sleeper.poll() is None


def test_processes_are_found_by_descent_and_by_mark(sleeper: "subprocess.Popen[bytes]") -> None:
    assert sleeper.pid in everybody_below(os.getpid())
    assert with_environment("MARK", "of-the-test") == [sleeper.pid]
    assert with_environment("MARK", "of-the") == []
    assert everybody_below(sleeper.pid) == set()


def test_identities_survive_json(sleeper: "subprocess.Popen[bytes]") -> None:
    process = Process.of(sleeper.pid)
    assert Process.from_json(vars(process)) == process
