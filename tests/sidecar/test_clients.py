"""The ancestor's own clients, unmodified from PyPI with the dependencies they ask for, beside a sidecar."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.metrics.measurements import FILE, read
from tests.sidecar.beside import ATTEMPT, PATIENCE, Beside, beside

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(300)]

CLIENTS = ("gradient-utils==0.5.0", "gradient-statsd==1.0.1")

ADD_METRICS = """
from gradient_utils.metrics import MetricsLogger, add_metrics
for step in range(3):
    add_metrics({"loss": 1 / (step + 1), "accuracy": step / 4}, step=step)
add_metrics({"best": 7})
logger = MetricsLogger(step=5)
logger.add_gauge("lr")
logger.add_counter("seen")
logger["lr"].set(0.1)
logger["seen"].inc(64)
logger.push_metrics()
"""

STATSD = """
import sys
from gradient_statsd import Client
client = Client(*sys.argv[1:])
client.increment("steps", 2)
client.increment("steps", 3)
client.decrement("steps", 1)
client.gauge("val-loss", 0.5)
client.gauge("val-loss", -0.25)
"""

BAD_STEP = """
from gradient_utils.metrics import add_metrics
add_metrics({"loss": 1}, step=0)
add_metrics({"loss": 1}, step=-1)
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python that has the clients; they ask for other versions of what we use ourselves."""
    folder = tmp_path_factory.mktemp("clients")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *CLIENTS]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"the clients cannot be installed here: {done.stderr[-300:]}")
    return str(folder / "bin/python")


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Beside]:
    """One that has DogStatsD's port, which another sidecar of this machine may have for a while."""
    give_up = time.monotonic() + PATIENCE
    for number in range(1000):
        with beside(tmp_path / str(number)) as sidecar:
            if sidecar.word["statsd"] == 8125 or time.monotonic() > give_up:
                yield sidecar
                return
        time.sleep(0.2)


def run(python: str, sidecar: Beside, code: str, *arguments: str, workload: str = ATTEMPT) -> str:
    """Run code as an experiment would, with the variables that a backend sets; return its complaints."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOSTNAME": "worker-0",
        "PS_JOB_ID": workload,
        "PAPERSPACE_METRIC_PUSHGATEWAY": f"http://{sidecar.word['pushgateway']}",
        "PAPERSPACE_METRIC_WORKLOAD_ID": workload,
        "PAPERSPACE_METRIC_WORKLOAD_TYPE": "experiment",
        "DD_DOGSTATSD_URL": f"unix://{sidecar.folder / sidecar.word['statsd_socket']}",
    }
    done = subprocess.run(
        [python, "-c", code, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stderr


def series(sidecar: Beside) -> dict[tuple[str, int | None, str], list[tuple[int, float]]]:
    """Return what the bot reads of it: task, trial and metric with steps and values."""
    found = read(sidecar.folder / FILE, tasks=["worker-0", "worker-1"])
    assert found.problems == ()
    return {
        (task, trial, one.tag): [(point.step, point.number) for point in one.points]
        for task, trial, one in found.series
    }


def test_add_metrics(python: str, sidecar: Beside) -> None:
    assert run(python, sidecar, ADD_METRICS) == ""
    assert series(sidecar) == {
        ("worker-0", None, "loss"): [(0, 1.0), (1, 0.5), (2, 1 / 3)],
        ("worker-0", None, "accuracy"): [(0, 0.0), (1, 0.25), (2, 0.5)],
        ("worker-0", None, "best"): [(0, 7.0)],
        ("worker-0", None, "lr"): [(5, 0.1)],
        ("worker-0", None, "seen_total"): [(5, 64.0)],
    }


def test_add_metrics_of_another_task_and_of_a_trial(python: str, sidecar: Beside) -> None:
    code = 'from gradient_utils.metrics import add_metrics; add_metrics({"loss": 1}, step=1)'
    assert run(python, sidecar, code, workload=f"{ATTEMPT}.worker-1") == ""
    assert run(python, sidecar, code, workload=f"{ATTEMPT}.trial-9") == ""
    assert list(series(sidecar)) == [("worker-1", None, "loss"), ("worker-0", 9, "loss")]


def test_a_refusal_is_an_exception_that_says_why(python: str, sidecar: Beside) -> None:
    assert "HTTP Error 400: the step '-1' is no integer >= 0" in run(python, sidecar, BAD_STEP)
    assert "is not a workload of this experiment" in run(python, sidecar, ADD_METRICS, workload="run8-1")


@pytest.mark.parametrize("arguments", [(), ("127.0.0.1",)], ids=["route", "host"])
def test_statsd(python: str, sidecar: Beside, arguments: tuple[str, ...]) -> None:
    assert run(python, sidecar, STATSD, *arguments) == ""
    sidecar.end()
    found = series(sidecar)
    assert found["worker-0", None, "val-loss"][-1][1] == -0.25
    assert found["worker-0", None, "steps"][-1][1] == 4
