"""`experiment-ci up`: what dies is started again; when it ends, nothing is left but running experiments."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bot.clock import ManualClock
from bot.devhub import DevHub
from bot.up import PARTS, Processes, when_told_to_end
from tests.scenarios.processes import CLOCK, Bot, eventually

CONFIG = """\
version: 2
workflows:
  train:
    steps:
      - name: fit
        command: experiment.run_single_node
        params: {command: "for i in $(seq 600); do echo one more; sleep 0.1; done"}
"""


def wait_until_dead(pid: int) -> None:
    """Wait for an end that our own child made, without asking how: that is `tend`'s."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_the_dead_are_started_again_at_most_once_a_second(clock: ManualClock) -> None:
    both = Processes({"PATH": os.environ["PATH"]}, clock)  # without settings each ends at once
    both.start()
    first = both.pids
    assert list(first) == list(PARTS)
    for pid in first.values():
        wait_until_dead(pid)

    both.tend()
    assert both.pids == {}
    clock.advance(1)
    both.tend()

    assert list(both.pids) == list(PARTS)
    assert not set(first.values()) & set(both.pids.values())
    both.stop()
    assert both.pids == {}


@pytest.fixture
def handlers() -> Iterator[None]:
    """Whatever a play does to them, the signals' handlers are as before."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_closed_terminal_is_an_end_unless_nohup_keeps_it_away() -> None:
    heard: list[int] = []
    when_told_to_end(lambda number, _frame: heard.append(number))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.raise_signal(number)
    assert heard == [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what nohup does
    when_told_to_end(lambda number, _frame: heard.append(number))
    signal.raise_signal(signal.SIGHUP)
    assert heard[3:] == []


@pytest.mark.parametrize("environ", [{}, {"EXPERIMENT_CI_UP": str(os.getpid())}], ids=["alone", "with its parent"])
def test_a_part_that_has_nobody_to_miss_goes_on(environ: dict[str, str]) -> None:
    program = "import os; from bot.up import follow; follow(os.environ); print(os.environ.get('EXPERIMENT_CI_UP'))"
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "None\n"


def test_a_part_whose_parent_is_gone_already_ends() -> None:
    program = "import os; from bot.up import follow; follow(os.environ); print('still here')"
    done = subprocess.run(
        [sys.executable, "-c", program], env={"EXPERIMENT_CI_UP": "1"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "")


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Bot]:
    with DevHub(tmp_path / "hub", CLOCK) as hub:
        bot = Bot(tmp_path, hub)
        yield bot
        bot.close()


@pytest.mark.service
@pytest.mark.slow
def test_who_is_killed_is_back_and_who_is_told_to_end_ends_within_seconds(bot: Bot) -> None:
    bot.start()
    assert eventually(bot.is_ready, 30.0)
    for part in PARTS:
        killed = bot.pids[part]
        os.kill(killed, signal.SIGKILL)
        wait_until_dead(killed)
        assert eventually(lambda part=part, killed=killed: bot.pids.get(part) not in (None, killed), 10.0, bot.tend)
    assert eventually(bot.is_ready, 30.0, bot.tend)

    begin = CLOCK.monotonic()
    bot.close()
    assert CLOCK.monotonic() - begin < 10
    assert eventually(lambda: bot.left() == [], 5.0), bot.left()


@pytest.mark.service
@pytest.mark.slow
def test_however_it_is_ended_nothing_is_left_but_the_run_which_goes_on(bot: Bot) -> None:
    supervisor: psutil.Process | None = None
    for number, status in ((signal.SIGINT, 0), (signal.SIGKILL, -signal.SIGKILL)):
        up = subprocess.Popen([sys.executable, "-m", "bot", "up"], env=bot.environ, start_new_session=True)
        assert eventually(bot.is_ready, 30.0)
        supervisor = supervisor or trained(bot)

        up.send_signal(number)

        assert up.wait(20) == status
        run = {supervisor.pid, *(child.pid for child in supervisor.children(recursive=True))}
        assert eventually(lambda run=run: {int(line.split(":")[0]) for line in bot.left()} <= run, 20.0), bot.left()
        before = len(log_of(bot))
        assert eventually(lambda before=before: len(log_of(bot)) > before, 5.0), number
    supervisor.terminate()
    assert eventually(lambda: bot.left() == [], 20.0), bot.left()


def trained(bot: Bot) -> psutil.Process:
    """Push something that trains for ever; return its supervisor when it has begun."""
    bot.hub.commit_files(bot.hub.create_repository("acme", "digits"), {".ps_project/config.yaml": CONFIG})
    assert eventually(lambda: "one more" in log_of(bot), 30.0)
    [journal] = bot.data.glob("runs/*/1/journal")
    return psutil.Process(json.loads(journal.read_text().splitlines()[0])["supervisor"]["pid"])


def log_of(bot: Bot) -> str:
    return "".join(log.read_text() for log in bot.data.glob("runs/*/1/worker-0/log"))
