"""MPI over several hosts of one machine, without ssh: the user's plain `mpirun`, as an unprivileged user."""

import os
import re
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.core.states import State
from tests.backends.lab import Lab, eventually, processes_with
from tests.backends.modes import MPIRUN, inside, laboratory, left_over, mpi, needs_mpi, run_dir, with_our_environment

pytestmark = [pytest.mark.service, pytest.mark.slow]

TRAIN = """
import array, os, socket, sys
from mpi4py import MPI

world = MPI.COMM_WORLD
weight = 0.0
for step in range(3):
    gradient, mean = array.array("d", [weight - world.rank]), array.array("d", [0.0])
    world.Allreduce([gradient, MPI.DOUBLE], [mean, MPI.DOUBLE])
    weight -= mean[0] / world.size
print(f"rank {world.rank} of {world.size} on {socket.gethostname()}: {weight} {os.environ['COLOUR']}", flush=True)
if "failing.py" in sys.argv[0] and world.rank == 3:
    raise ValueError("no gradient")
world.Barrier()
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    needs_mpi()
    with laboratory(tmp_path, {"four-ranks.py": TRAIN, "failing.py": TRAIN}) as lab:
        lab.machine = replace(lab.machine, cpus=2)
        yield lab


def test_four_ranks_on_two_hosts_train_together(lab: Lab) -> None:
    """The hosts have names of their own; the config's variables reach the ranks; only the master runs its command."""
    report = lab.run("", **mpi(with_our_environment(lab), f"hostname; {MPIRUN} -np 4 python four-ranks.py"))
    first, _, log = lab.log(report.id, "master-0").partition("\n")
    assert report.seen[-1].state is State.STOPPED, log
    assert first == "master-0"
    # mpirun passes on what ranks print as it comes, a line's end perhaps after another's beginning.
    ranks = re.findall(r"rank \d of 4 on worker-\d: 1\.5 green", log)
    assert sorted(ranks) == [f"rank {rank} of 4 on worker-{rank // 2}: 1.5 green" for rank in range(4)]
    ends = {task.name: (task.seen[-1].state, task.seen[-1].reason) for task in report.tasks}
    assert ends == {
        "master-0": (State.STOPPED, ""),
        "worker-0": (State.STOPPED, "stopped when the master was done"),
        "worker-1": (State.STOPPED, "stopped when the master was done"),
    }
    eventually(lambda: left_over(lab, report.id, "four-ranks.py") == [])


@pytest.mark.parametrize("network", ["none", "shared"])
def test_it_needs_no_network_but_the_loopback(tmp_path: Path, network: str) -> None:
    needs_mpi()
    with laboratory(tmp_path, network=network) as lab:
        report = lab.run("", **mpi(lab, f"{MPIRUN} -np 2 hostname"))
        assert sorted(lab.log(report.id, "master-0").splitlines()) == ["worker-0", "worker-1"]
        assert report.seen[-1].state is State.STOPPED


def test_a_rank_that_raises_fails_the_attempt(lab: Lab) -> None:
    """Under `-m mpi4py`, which is mpi4py's own way to end the others too."""
    report = lab.run("", **mpi(with_our_environment(lab), f"{MPIRUN} -np 4 python -m mpi4py failing.py"))
    assert (report.seen[-1].state, report.seen[-1].reason) == (State.FAILED, "master-0: exit code 1")
    assert "ValueError: no gradient" in lab.log(report.id, "master-0")
    ends = {(task.seen[-1].state, task.seen[-1].reason) for task in report.tasks[1:]}
    assert ends == {(State.CANCELLED, "stopped because master-0 failed")}
    eventually(lambda: left_over(lab, report.id, "failing.py") == [])


def test_more_ranks_than_slots_is_what_open_mpi_says_it_is(lab: Lab) -> None:
    report = lab.run("", **mpi(lab, f"cat /generated/hostfile; {MPIRUN} -np 5 hostname"))
    log = lab.log(report.id, "master-0")
    assert log.startswith("worker-0 slots=2\nworker-1 slots=2\n")
    assert "not enough slots" in log
    assert (report.seen[-1].state, report.seen[-1].reason) == (State.FAILED, "master-0: exit code 1")


def test_a_rank_beyond_the_memory_of_its_host_is_its_hosts_failure(lab: Lab) -> None:
    lab.machine = replace(lab.machine, memory_mb=100)
    hog = 'if [ "$OMPI_COMM_WORLD_RANK" = 1 ]; then /usr/bin/python3 -c "bytearray(400 << 20)"; else sleep 7601; fi'
    report = lab.run("", **mpi(lab, f"{MPIRUN} -np 2 --map-by node sh -c '{hog}'"))
    assert report.seen[-1].state is State.FAILED
    assert report.seen[-1].reason.startswith("worker-1: ")
    assert "the 100 MB of `small`" in report.seen[-1].reason
    assert processes_with("7601") == []


def test_a_host_that_dies_ends_the_attempt(lab: Lab) -> None:
    attempt_id = lab.submit("", **mpi(lab, f"{MPIRUN} -np 2 --map-by node sh -c 'echo on; sleep 7602'"))
    eventually(lambda: lab.log(attempt_id, "master-0").count("on") == 2)
    # The oldest: it has a child of the same name for what it runs.
    os.kill(inside(lab, attempt_id, "/bin/sh\0/generated/mpi/host\0worker-1")[0], signal.SIGKILL)
    report = lab.end_of(attempt_id)
    assert (report.seen[-1].state, report.seen[-1].reason.partition(":")[0]) == (State.FAILED, "worker-1")
    eventually(lambda: left_over(lab, attempt_id, "7602") == [])
    assert not (run_dir(lab, attempt_id) / "generated").exists()
