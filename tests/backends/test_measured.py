"""What a run measured counts only where all of it was taken."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.search import Goal, Search, Source
from bot.core.space import FloatRange
from bot.core.states import State
from bot.metrics import measurements
from tests.backends.lab import Lab, eventually
from tests.backends.modes import laboratory, run_dir, searching

pytestmark = [pytest.mark.service, pytest.mark.slow]

SEND = """
import os, socket
sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sender.connect(os.environ["DD_DOGSTATSD_URL"].removeprefix("unix://"))
for number in range(200):
    sender.send(f"loss:{number}|g|#container_name:{os.environ['PS_JOB_ID']}".encode())
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with laboratory(tmp_path, {"train.py": SEND}) as lab:
        yield lab


def sidecar_of(directory: Path) -> list[int]:
    return [
        int(link.parent.name)
        for link in Path("/proc").glob("[0-9]*/cwd")
        if _leads_to(link, directory) and b"bot.sidecar" in (link.parent / "cmdline").read_bytes()
    ]


def _leads_to(link: Path, directory: Path) -> bool:
    try:
        return link.readlink() == directory
    except OSError:
        return False


def test_measurements_say_themselves_that_they_are_not_whole(lab: Lab) -> None:
    attempt_id = lab.submit("echo begun; sleep 3")
    lab.wait_for_line(attempt_id, "begun")
    directory = run_dir(lab, attempt_id)
    eventually(lambda: bool(measurements.read(directory / measurements.FILE).series))
    [sidecar] = sidecar_of(directory)
    os.kill(sidecar, signal.SIGKILL)
    with (directory / measurements.FILE).open("a") as file:
        file.write('{"at": 1, "sour')  # what it was just writing
    assert lab.end_of(attempt_id).seen[-1].state is State.STOPPED
    assert "not whole" in " ".join(measurements.read(directory / measurements.FILE).problems)


def test_measurements_that_are_whole_say_nothing(lab: Lab) -> None:
    report = lab.run("sleep 1.5")
    found = measurements.read(run_dir(lab, report.id) / measurements.FILE)
    assert (found.problems, bool(found.series)) == ((), True)


def test_the_last_datagram_of_a_trial_is_its_value(lab: Lab) -> None:
    search = Search({"lr": FloatRange(0.0, 1.0)}, Source.LOGGED, "loss", Goal.MINIMIZE, 8, parallel=2)
    attempt_id = lab.submit("", **searching(lab, "python3 train.py", search))
    report = lab.end_of(attempt_id)
    assert report.seen[-1].state is State.STOPPED, report.seen[-1]
    lines = (run_dir(lab, attempt_id) / "trials").read_text().splitlines()
    ends = [trial for trial in map(json.loads, lines) if trial["state"] != "running"]
    assert [(trial["value"], trial["reason"]) for trial in ends] == [(199.0, "")] * 8
