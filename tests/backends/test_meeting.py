"""What tasks are given to find each other, before any of them begins."""

import os
import socket
from pathlib import Path

import pytest

from bot.backends.base import AttemptSpec, Machine, Mode, TaskGroup
from bot.backends.meeting import Meeting
from bot.core.roles import MASTER, PARAMETER_SERVER, TUNER, WORKER

OWNER = (os.getuid(), os.getgid())
SMALL = Machine("small", cpus=1, memory_mb=1024)


def meeting(data_dir: Path, mode: Mode, *groups: TaskGroup) -> Meeting:
    run_dir = data_dir / "runs" / "abc" / "1"
    run_dir.mkdir(parents=True)
    spec = AttemptSpec("abc-1", groups, None, {}, 60.0, str(run_dir), str(data_dir / "storage"), mode=mode)
    Meeting.prepare(run_dir / "generated", OWNER)
    return Meeting(spec, run_dir, OWNER)


@pytest.mark.parametrize(
    ("machine", "slots"),
    [
        (Machine("half", cpus=0.5, memory_mb=1024), 1),
        (Machine("most", cpus=3.9, memory_mb=1024), 3),
        (Machine("gpus", cpus=8, memory_mb=1024, gpus=2), 2),
    ],
)
def test_a_host_of_mpi_has_a_slot_for_each_gpu_or_else_each_cpu(tmp_path: Path, machine: Machine, slots: int) -> None:
    made = meeting(tmp_path, Mode.MPI, TaskGroup(MASTER, 1, "mpirun x", SMALL), TaskGroup(WORKER, 2, "", machine))
    hostfile = tmp_path / "runs/abc/1/generated/hostfile"
    assert hostfile.read_text() == f"worker-0 slots={slots}\nworker-1 slots={slots}\n"
    assert made.command("master-0") == "mpirun x"
    assert "worker-1" in made.command("worker-1")


def test_ports_are_free_for_their_tasks_once_released(tmp_path: Path) -> None:
    groups = (TaskGroup(WORKER, 2, "w", SMALL), TaskGroup(PARAMETER_SERVER, 1, "p", SMALL, decides=False))
    made = meeting(tmp_path, Mode.GRPC, *groups)
    port = int(made.variables("worker-1")["MASTER_PORT"])
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(("127.0.0.1", port))
    made.release()
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert "RANK" not in made.variables("parameter-server-0")
    assert [made.variables(f"worker-{index}")["RANK"] for index in range(2)] == ["0", "1"]


def test_all_tasks_of_a_study_know_where_it_is(tmp_path: Path) -> None:
    made = meeting(tmp_path, Mode.STUDY, TaskGroup(TUNER, 1, "t", SMALL), TaskGroup(WORKER, 2, "w", SMALL))
    urls = {made.variables(task)["OPTUNA_STORAGE"] for task in ("tuner-0", "worker-0", "worker-1")}
    assert urls == {"sqlite:////generated/study/study.db"}


def test_a_single_task_meets_nobody(tmp_path: Path) -> None:
    made = meeting(tmp_path, Mode.SINGLE, TaskGroup(WORKER, 1, "w", SMALL))
    assert (made.variables("worker-0"), made.command("worker-0")) == ({}, "w")
