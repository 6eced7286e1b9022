"""A sidecar from its first word to its last: as whom it works, what it survives, what it leaves behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sidecar.beside import ATTEMPT, Beside, beside, until

pytestmark = pytest.mark.service

MINE = f"/metrics/job/{ATTEMPT}"


def status(sidecar: Beside, field: str) -> list[str]:
    text = Path(f"/proc/{sidecar.process.pid}/status").read_text()
    return next(line.split()[1:] for line in text.splitlines() if line.startswith(f"{field}:"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give up root")
def test_root_is_given_up_with_all_its_rights(tmp_path: Path) -> None:
    with beside(tmp_path, user=[4711, 4712], ports=[[5001, 5001]]) as sidecar:
        assert status(sidecar, "Uid") == ["4711"] * 4
        assert status(sidecar, "Gid") == ["4712"] * 4
        assert status(sidecar, "Groups") == []
        assert {int(status(sidecar, field)[0], 16) for field in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}
        assert (tmp_path / "generated/statsd.sock").stat().st_uid == 4711
        assert (tmp_path / "measurements/points").stat().st_uid == 0
        assert (tmp_path / "ports/5001.sock").stat().st_uid == 0
        assert sidecar.push(MINE, b"a 1\n")[0] == 200


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give up root")
def test_without_a_user_root_becomes_nobody_and_never_stays_root(tmp_path: Path) -> None:
    with beside(tmp_path) as sidecar:
        assert status(sidecar, "Uid") == ["65534"] * 4
    started = subprocess.run(
        [sys.executable, "-P", "-m", "bot.sidecar"],
        input=b'{"attempt":"a","ports":[],"user":[0,0],"every":5,"host_ports":false}\n',
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        check=False,
    )
    assert started.returncode == 1
    assert started.stdout == b""
    assert b"StillRoot" in started.stderr


def test_signals_for_the_run_do_not_end_it_the_end_of_its_input_does(tmp_path: Path) -> None:
    with beside(tmp_path) as sidecar:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            sidecar.process.send_signal(number)
        assert sidecar.push(MINE, b"a 1\n")[0] == 200
        assert [line["name"] for line in sidecar.end()] == ["a"]


def test_a_task_is_sampled_from_its_begin_to_its_end(tmp_path: Path) -> None:
    with beside(tmp_path) as sidecar, subprocess.Popen(["sleep", "60"]) as task:
        sidecar.tell(task="worker-0", trial=None, pid=task.pid)
        until(lambda: len(sidecar.lines()) >= 4)
        task.kill()
        task.wait()
        sidecar.tell(gone="worker-0")
        lines = sidecar.end()
    assert {line["source"] for line in lines} == {"system"}
    assert {line["name"] for line in lines} == {"cpuPercentage", "memoryUsage"}
    assert [line["step"] for line in lines if line["name"] == "memoryUsage"][:2] == [0, 1]


def test_lines_that_make_no_sense_are_passed_by(tmp_path: Path) -> None:
    with beside(tmp_path) as sidecar:
        assert sidecar.process.stdin is not None
        sidecar.process.stdin.write(b"nonsense\n[]\n1\n{}\n")
        sidecar.tell(task="worker-1", trial=None, pid=0)
        sidecar.tell(task="worker-1", trial=None, pid=-5)
        sidecar.tell(task="worker-1", trial=None, pid=1 << 40)
        sidecar.tell(task="worker-1", trial="x", pid=1)
        sidecar.tell(gone="worker-9")
        assert sidecar.push(MINE, b"a 1\n")[0] == 200
        sidecar.end()


def test_a_sidecar_started_again_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for _ in range(2):
        with beside(tmp_path) as sidecar:
            assert sidecar.push(f"{MINE}/step/1", b"a 1\n")[0] == 200
    assert len(sidecar.values()) == 2
