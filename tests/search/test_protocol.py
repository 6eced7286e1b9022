"""The tuner as its supervisor knows it: a child process that speaks JSON lines, and may die at any moment."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from tensorboardX import SummaryWriter

from bot.core.gates import DOCUMENT
from bot.core.search import Choice, FloatRange, Pruner, Search
from bot.core.series import Source
from tests.search.stage import search

pytestmark = pytest.mark.service

PATIENCE = 60
"""Seconds until a silent tuner is a failure: imports on a busy machine take many."""


class Supervisor:
    """Starts a tuner in `run_dir`, hears it, and answers as the real one does."""

    def __init__(
        self, run_dir: Path, definition: Search, parallel: int = 2, resumed: bool = False, modules: str = ""
    ) -> None:
        """`modules` is a directory whose modules come before all others."""
        self.run_dir = run_dir
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bot.search"],
            cwd=run_dir,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{modules}:{Path(__file__).parents[2]}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        words = ["train", *(f"--{name}={{{name}}}" for name in definition.space)]
        hello = {"search": definition.to_json(), "command": words, "parallel": parallel}
        self.tell({**hello, "resumed": resumed, "user": None})

    def tell(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # one that was killed hears nothing more
            self.process.stdin.write(json.dumps(message).encode() + b"\n")

    def ended(self, number: int, exit_code: int | None = 0, reason: str = "") -> None:
        self.tell({"ended": {"trial": number, "exit_code": exit_code, "reason": reason}})

    def heard(self) -> Iterator[dict[str, Any]]:
        """Yield its words until it falls silent; kill one that says nothing for long."""
        assert self.process.stdout is not None
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        try:
            for line in self.process.stdout:
                yield json.loads(line)
        finally:
            timer.cancel()

    def artifacts(self, number: int) -> Path:
        path = self.run_dir / "artifacts" / "trials" / str(number)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def lines(self) -> list[dict[str, Any]]:
        """Return what stands in the file `trials`, whole lines only."""
        data = (self.run_dir / "trials").read_bytes()
        return [json.loads(line) for line in data.splitlines(keepends=True) if line.endswith(b"\n")]


@contextmanager
def supervisor(*args: Any, **options: Any) -> Iterator[Supervisor]:
    one = Supervisor(*args, **options)
    with one.process:
        try:
            yield one
        finally:
            one.process.kill()


def x_of(order: dict[str, Any]) -> float:
    return float(json.loads(order["env"]["PARAMS"])["x"])


def test_a_search_of_event_files_finds_the_better_ones_and_stops_the_worse(tmp_path: Path) -> None:
    definition = search(
        space={"x": FloatRange(-1, 1), "how": Choice(("a b", "$(reboot)"))}, trials=8, pruner=Pruner.MEDIAN
    )
    with supervisor(tmp_path, definition) as one:
        for message in one.heard():
            if "run" in message:
                order = message["run"]
                params = json.loads(order["env"]["PARAMS"])
                assert order["argv"] == ["train", f"--x={params['x']!r}", f"--how={params['how']}"]
                number, is_bad = order["trial"], order["trial"] >= 6
                with SummaryWriter(str(one.artifacts(number))) as writer:
                    for step in range(5):
                        writer.add_scalar("loss", 50 if is_bad else x_of(order) ** 2 + 1 / (step + 1), step)
                if not is_bad:
                    one.ended(number)
            elif "stop" in message:
                assert message["stop"]["trial"] in (6, 7)
                one.ended(message["stop"]["trial"], 143, message["stop"]["reason"])
            else:
                assert message == {"end": {"state": "stopped", "reason": ""}}
        assert one.process.wait(10) == 0
        last = {line["number"]: line for line in one.lines()}
    assert [last[number]["state"] for number in range(8)] == ["complete"] * 6 + ["pruned"] * 2
    assert last[3]["value"] == pytest.approx(last[3]["params"]["x"] ** 2 + 0.2)
    assert last[3]["step"] == 4
    assert last[7]["reason"].startswith("pruned at step ")


def test_a_search_of_documents(tmp_path: Path) -> None:
    definition = search(metric_source=Source.CUSTOM, metric="/loss", trials=3)
    with supervisor(tmp_path, definition, parallel=1) as one:
        for message in one.heard():
            if "run" in message:
                number = message["run"]["trial"]
                (one.artifacts(number) / DOCUMENT).write_text(json.dumps({"loss": number} if number else {}))
                one.ended(number)
        told = [(line["number"], line["state"], line["value"], line["reason"]) for line in one.lines()]
    assert told[1::2] == [
        (0, "failed", None, f"`/loss` is not in {DOCUMENT}"),
        (1, "complete", 1.0, ""),
        (2, "complete", 2.0, ""),
    ]


@pytest.mark.parametrize("how", ["end of input", "SIGTERM"])
def test_it_ends_at_once_and_quietly_when_nobody_needs_it(tmp_path: Path, how: str) -> None:
    with supervisor(tmp_path, search()) as one:
        words = one.heard()
        next(words)
        next(words)
        children = psutil.Process(one.process.pid).children(recursive=True)
        assert one.process.stdin is not None
        if how == "SIGTERM":
            one.process.send_signal(signal.SIGTERM)
        else:
            one.process.stdin.close()
        assert one.process.wait(5) == 0
        assert [*words] == []
        assert [line["state"] for line in one.lines()] == ["running", "running"]
        psutil.wait_procs(children, timeout=5)
        assert not any(child.is_running() for child in children)


def test_files_that_it_cannot_use_are_an_error_of_the_platform(tmp_path: Path) -> None:
    (tmp_path / "trials").write_text("{}\n")
    with supervisor(tmp_path, search()) as one:
        (message,) = one.heard()
        assert message["end"]["state"] == "error"
        assert "none of ours" in message["end"]["reason"]
        assert one.process.wait(10) == 0


def test_without_optuna_it_says_what_to_install(tmp_path: Path) -> None:
    # A module of that name that cannot be found is what a missing extra looks like.
    (tmp_path / "optuna.py").write_text("raise ModuleNotFoundError('No module named optuna', name='optuna')\n")
    with supervisor(tmp_path, search(), modules=str(tmp_path)) as one:
        (message,) = one.heard()
        assert message == {
            "end": {"state": "error", "reason": "searches need Optuna: pip install 'experiment-ci[search]'"}
        }


@pytest.mark.slow
def test_killed_again_and_again_it_runs_every_trial_once_to_its_end(tmp_path: Path) -> None:
    kills, trials, chance = 20, 40, random.Random(54)  # noqa: S311
    definition = search(metric_source=Source.LOGGED, trials=trials, parallel=3)
    finished: set[int] = set()
    for life in range(kills + 1):
        with supervisor(tmp_path, definition, parallel=3, resumed=life > 0) as one:
            _live(one, finished, None if life == kills else chance)
            before = finished
            finished = {line["number"] for line in one.lines() if line["state"] == "complete"}
            assert before <= finished
    lines = one.lines()
    assert sorted(line["number"] for line in lines if line["state"] == "complete") == [*range(trials)]
    assert all(line["state"] in ("running", "complete") for line in lines)
    assert len([line for line in lines if line["state"] == "running"]) > trials + kills // 2, "kills that interrupt"
    assert len({json.dumps([line["number"], line["params"]]) for line in lines}) == trials
    assert len({json.dumps(line["params"]) for line in lines}) == trials


def _live(one: Supervisor, finished: set[int], chance: random.Random | None) -> None:
    """Answer a tuner until it ends, or until it is killed: at the latest some milliseconds after its first word."""
    for message in one.heard():
        if "end" in message:
            assert message == {"end": {"state": "stopped", "reason": ""}}
            continue
        if chance is not None:
            threading.Timer(chance.uniform(0, 0.03), one.process.kill).start()
            pause, chance = chance.uniform(0, 0.005), None
            time.sleep(pause)
        order = message["run"]
        assert order["trial"] not in finished
        assert any(line["number"] == order["trial"] for line in one.lines()), "written before it was said"
        _log(one, order)
        one.ended(order["trial"])


def _log(one: Supervisor, order: dict[str, Any]) -> None:
    path = one.run_dir / "measurements" / "points"
    path.parent.mkdir(exist_ok=True)
    what = {"at": 1, "source": "logged", "task": f"worker-{order['slot']}", "trial": order["trial"], "name": "loss"}
    with path.open("a") as file:
        file.write(json.dumps({**what, "step": 0, "value": x_of(order)}) + "\n")
