"""Workers and parameter servers: how they find each other, who decides, and how the others end."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.backends.base import Code, Fetch
from bot.core.states import State
from tests.backends.lab import Lab, eventually, processes_with
from tests.backends.modes import grpc, laboratory, left_over, run_dir, story, with_our_environment

pytestmark = [pytest.mark.service, pytest.mark.slow]

EXCHANGE = """
import grpc, json, os, struct, sys
from concurrent.futures import ThreadPoolExecutor

config = json.loads(os.environ["TF_CONFIG"])
own = config["task"]
weights = [0.0]

def push(gradient, context):
    weights[0] += struct.unpack("d", gradient)[0]
    return struct.pack("d", weights[0])

if own["type"] == "ps":
    server = grpc.server(ThreadPoolExecutor(2))
    handlers = {"Push": grpc.unary_unary_rpc_method_handler(push)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Parameters", handlers)])
    assert server.add_insecure_port(config["cluster"]["ps"][own["index"]])
    server.start()
    print("serving", flush=True)
    server.wait_for_termination()
else:
    # By its name, too: each task's host has the task's.
    port = config["cluster"]["ps"][0].rpartition(":")[2]
    with grpc.insecure_channel(f"parameter-server-0:{port}") as channel:
        push = channel.unary_unary("/Parameters/Push")
        seen = 0.0
        for _ in range(10):
            (seen,) = struct.unpack("d", push(struct.pack("d", 1.0), wait_for_ready=True, timeout=30))
        while seen < 20:  # until the other has done its part
            (seen,) = struct.unpack("d", push(struct.pack("d", 0.0), timeout=30))
    print(own["type"], own["index"], seen, flush=True)
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with laboratory(tmp_path, {"train.py": EXCHANGE}) as lab:
        yield lab


def test_workers_and_a_server_exchange_parameters(lab: Lab) -> None:
    changes = grpc(with_our_environment(lab), "python train.py", "python train.py", workers=2)
    report = lab.run("", **changes)
    logs = {task.name: lab.log(report.id, task.name) for task in report.tasks}
    assert logs == {
        "worker-0": "chief 0 20.0\n",
        "worker-1": "worker 0 20.0\n",
        "parameter-server-0": "serving\n",
    }
    assert report.seen[-1].state is State.STOPPED
    ends = {task.name: (task.seen[-1].state, task.seen[-1].reason, task.exit_code) for task in report.tasks}
    assert ends == {
        "worker-0": (State.STOPPED, "", 0),
        "worker-1": (State.STOPPED, "", 0),
        "parameter-server-0": (State.STOPPED, "stopped when the workers were done", None),
    }


def test_a_dead_parameter_server_fails_the_attempt_and_is_named(lab: Lab) -> None:
    begin = time.monotonic()
    report = lab.run("", **grpc(lab, "exec sleep 7501", "sleep 0.2; echo weights lost; exit 5"))
    assert time.monotonic() - begin < 60
    assert (report.seen[-1].state, report.seen[-1].reason) == (State.FAILED, "parameter-server-0: exit code 5")
    worker, server = report.tasks
    assert (server.seen[-1].state, server.seen[-1].reason, server.exit_code) == (State.FAILED, "exit code 5", 5)
    assert (worker.seen[-1].state, worker.seen[-1].reason) == (
        State.CANCELLED,
        "stopped because parameter-server-0 failed",
    )
    assert lab.log(report.id, "parameter-server-0") == "weights lost\n"
    assert processes_with("7501") == []


def test_a_parameter_server_may_end_early_when_all_is_well(lab: Lab) -> None:
    report = lab.run("", **grpc(lab, "sleep 0.3; echo done", "true"))
    assert report.seen[-1].state is State.STOPPED
    assert report.tasks[1].seen[-1].reason == ""
    assert lab.log(report.id) == "done\n"


def test_a_task_beyond_its_memory_is_named_though_another_ends_first(lab: Lab) -> None:
    """The worker ends with its server, faster than anybody looks at the server's memory."""
    lab.machine = replace(lab.machine, memory_mb=100)
    server = "/usr/bin/python3 -c 'x = bytearray(400 << 20)' & wait; echo gone > $STORAGE_DIR/gone; exec sleep 7502"
    report = lab.run("", **grpc(lab, "until [ -e $STORAGE_DIR/gone ]; do sleep 0.02; done; exit 1", server))
    assert report.seen[-1].state is State.FAILED
    assert report.seen[-1].reason.startswith("parameter-server-0: ")
    assert "the 100 MB of `small`" in report.seen[-1].reason
    assert report.tasks[0].seen[-1].state is not State.STOPPED


def test_what_takes_too_long_is_the_workers_failure(lab: Lab) -> None:
    report = lab.run("", timeout=0.4, **grpc(lab, "trap '' TERM; sleep 7503; sleep 7503", "exec sleep 7503"))
    ends = [(task.seen[-1].state, task.seen[-1].reason) for task in report.tasks]
    assert ends == [(State.FAILED, "timed out after 0.4s"), (State.CANCELLED, "")]
    assert (report.seen[-1].state, report.seen[-1].reason) == (State.FAILED, "timed out after 0.4s")
    assert processes_with("7503") == []


# Ports


def ports(lab: Lab, attempt_id: str) -> set[int]:
    """Return the ports that the attempt's tasks were given, from what its worker printed."""
    variables = dict(line.split("=", 1) for line in lab.log(attempt_id).splitlines() if "=" in line)
    cluster: dict[str, list[str]] = json.loads(variables["TF_CONFIG"])["cluster"]
    found = {int(address.rpartition(":")[2]) for addresses in cluster.values() for address in addresses}
    return found | {int(variables["MASTER_PORT"])}


def test_on_a_shared_network_no_port_is_given_twice(tmp_path: Path) -> None:
    """And every task can bind the ports that it was given: nobody has them any more."""
    binds = 'import os, socket; [socket.create_server(("127.0.0.1", int(os.environ["MASTER_PORT"])))]'
    worker = f"env; /usr/bin/python3 -c '{binds}' && echo bound && exec sleep 7504"
    with laboratory(tmp_path, network="shared") as lab:
        ids = [lab.submit("", **grpc(lab, worker, "exec sleep 7504")) for _ in range(2)]
        for attempt_id in ids:
            lab.wait_for_line(attempt_id, "bound")
        first, second = (ports(lab, attempt_id) for attempt_id in ids)
        assert len(first | second) == 6
        for port in first:
            with socket.socket() as other:
                other.bind(("127.0.0.1", port))  # only held, by a lock that other attempts respect


# The end, wherever it comes


def test_cancelling_while_several_tasks_are_provisioned(lab: Lab, tmp_path: Path) -> None:
    stuck = Code(stuck_repository(tmp_path), lab.code.sha)
    attempt_id = lab.submit("", code=stuck, **grpc(lab, "true", "true"))
    eventually(lambda: bool(processes_with(stuck.git_dir)))
    lab.backend.cancel(attempt_id, "changed my mind")
    report = lab.end_of(attempt_id)
    assert [seen.state for seen in report.seen] == [State.PROVISIONING, State.CANCELLED]
    eventually(lambda: left_over(lab, attempt_id, stuck.git_dir) == [])


def test_a_supervisor_killed_while_it_provisions_leaves_nothing(lab: Lab, tmp_path: Path) -> None:
    stuck = Code(stuck_repository(tmp_path), lab.code.sha)
    attempt_id = lab.submit("", code=stuck, **grpc(lab, "true", "true"))
    eventually(lambda: bool(processes_with(stuck.git_dir)))
    supervisor = story(lab, attempt_id).supervisor
    assert supervisor is not None
    assert supervisor.send(signal.SIGKILL)
    assert lab.end_of(attempt_id).seen[-1].state is State.ERROR
    eventually(lambda: left_over(lab, attempt_id, stuck.git_dir) == [])


@pytest.mark.parametrize("is_killed", [False, True], ids=["cancelled", "killed"])
def test_a_fetch_that_hangs_ends_with_its_attempt(lab: Lab, is_killed: bool) -> None:
    attempt_id = lab.submit("", fetches=(Fetch("s3://bucket/data", "data"),), **grpc(lab, "true", "true"))
    os.kill(program_of(lab, attempt_id, "bot.storage.fetch"), signal.SIGSTOP)
    supervisor = story(lab, attempt_id).supervisor
    assert supervisor is not None
    if is_killed:
        assert supervisor.send(signal.SIGKILL)
    else:
        lab.backend.cancel(attempt_id, "enough")
    end = State.ERROR if is_killed else State.CANCELLED
    assert [seen.state for seen in lab.end_of(attempt_id).seen] == [State.PROVISIONING, end]
    eventually(lambda: left_over(lab, attempt_id, f"{run_dir(lab, attempt_id)}") == [])


def test_cancelling_while_the_network_is_set_up(lab: Lab, tmp_path: Path) -> None:
    """It takes its time because the sidecar does not start: it is stopped while it imports."""
    stuck = Path(stuck_repository(tmp_path))
    attempt_id = lab.submit("", code=Code(str(stuck), lab.code.sha), **grpc(lab, "true", "true"))
    os.kill(program_of(lab, attempt_id, "bot.sidecar"), signal.SIGSTOP)
    give_a_commit(stuck, lab.code)
    eventually(lambda: lab.state(attempt_id) is State.NETWORK_SETUP)
    begin = time.monotonic()
    lab.backend.cancel(attempt_id, "too slow")
    report = lab.end_of(attempt_id)
    assert (report.seen[-1].state, report.seen[-1].reason) == (State.CANCELLED, "too slow")
    assert State.RUNNING not in [seen.state for seen in report.seen]
    assert time.monotonic() - begin < 8
    eventually(lambda: left_over(lab, attempt_id, "bot.sidecar-of-nobody") == [])


def test_cancelling_when_the_work_is_done_changes_nothing(tmp_path: Path) -> None:
    """The server takes its time to end, and is asked once more meanwhile."""
    stubborn = "trap 'echo asked' TERM; while :; do sleep 0.05; done"
    with laboratory(tmp_path, grace=2.0) as lab:
        attempt_id = lab.submit("", **grpc(lab, "sleep 0.1", stubborn))
        eventually(lambda: lab.state(attempt_id) is State.NETWORK_TEARDOWN)
        lab.backend.cancel(attempt_id, "too late")
        report = lab.end_of(attempt_id)
        assert report.seen[-1].state is State.STOPPED
        assert report.tasks[1].seen[-1].reason == "stopped when the workers were done"
        assert "asked" in lab.log(attempt_id, "parameter-server-0")
        eventually(lambda: left_over(lab, attempt_id, stubborn) == [])


def stuck_repository(directory: Path) -> str:
    """Return a repository that git waits at."""
    stuck = directory / "stuck.git"
    stuck.mkdir()
    os.mkfifo(stuck / "config")
    for name in ("objects", "refs"):
        (stuck / name).mkdir()
    (stuck / "HEAD").write_text("ref: refs/heads/main\n")
    return str(stuck)


def give_a_commit(stuck: Path, code: Code) -> None:
    """Let git go on, with the objects of another repository; once for each task."""
    alternates = stuck / "objects" / "info" / "alternates"
    alternates.parent.mkdir()
    alternates.write_text(f"{code.git_dir}/objects\n")
    config = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
    with (stuck / "config").open("w") as waiting:  # opens when somebody reads
        (stuck / "config").unlink()
        (stuck / "config").write_text(config)
        waiting.write(config)


def program_of(lab: Lab, attempt_id: str, module: str) -> int:
    """Wait for one of our programs beside the attempt."""
    found: list[int] = []

    def is_there() -> bool:
        found[:] = [pid for pid in processes_with(module) if works_in(pid, run_dir(lab, attempt_id))]
        return bool(found)

    eventually(is_there)
    return found[0]


def works_in(pid: int, directory: Path) -> bool:
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == directory
    except OSError:
        return False
