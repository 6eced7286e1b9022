"""Datagrams of DogStatsD become points; what is not understood is told once and changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.clock import ManualClock
from bot.sidecar.names import Workloads
from bot.sidecar.points import Points
from bot.sidecar.statsd import LARGEST, Statsd


class Taken:
    """A taker of datagrams, and its file."""

    def __init__(self, folder: Path) -> None:
        self._statsd = Statsd(Workloads("run7-1"), Points.open(folder, ManualClock()))
        self._file = folder / "measurements/points"

    def __call__(self, datagram: bytes) -> "Taken":
        self._statsd.take(datagram)
        return self

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._file.read_text().splitlines()]

    def values(self) -> list[tuple[str, int, float]]:
        return [(one["name"], one["step"], one["value"]) for one in self.lines() if "name" in one]

    def problems(self) -> list[str]:
        return [one["problem"] for one in self.lines() if "problem" in one]


@pytest.fixture
def take(tmp_path: Path) -> Taken:
    return Taken(tmp_path)


def test_a_counter_is_added_up(take: Taken) -> None:
    take(b"steps:2|c|#container_name:run7-1")(b"steps:3|c|#container_name:run7-1")(b"steps:-1|c|#container_name:run7-1")
    assert take.values() == [("steps", 0, 2), ("steps", 1, 5), ("steps", 2, 4)]


def test_a_sampled_counter_stands_for_more(take: Taken) -> None:
    assert take(b"steps:1|c|@0.1").values() == [("steps", 0, 10)]


def test_a_gauge_is_a_value_a_negative_one_too(take: Taken) -> None:
    assert take(b"loss:4|g")(b"loss:-3.5|g").values() == [("loss", 0, 4), ("loss", 1, -3.5)]


def test_a_datagram_may_hold_several_and_a_line_several_values(take: Taken) -> None:
    assert take(b"a:1|g\nb-2:1:2|c\n").values() == [("a", 0, 1), ("b-2", 0, 1), ("b-2", 1, 3)]


def test_the_tag_says_whose_it_is(take: Taken) -> None:
    take(b"a:1|g|#colour:red,container_name:run7-1.worker-2|c:abc|T17")(b"a:1|g|#container_name:run7-1.trial-5")
    assert [(line["task"], line["trial"]) for line in take.lines()] == [("worker-2", None), ("worker-0", 5)]


def test_another_experiments_metrics_are_refused(take: Taken) -> None:
    assert take(b"a:1|g|#container_name:run8-1").values() == []
    assert "'run8-1' is not a workload of this experiment" in take.problems()[0]


def test_what_the_client_tells_of_itself_is_passed_by(take: Taken) -> None:
    take(b"datadog.dogstatsd.client.metrics:1|c\n_e{5,4}:title|text\n_sc|up|0")
    assert take.lines() == []


@pytest.mark.parametrize(
    ("datagram", "sentence"),
    [
        (b"train.loss:1|g", "'train.loss' is not valid: letters, digits, _ and - only"),
        (b":1|g", "'' is not valid"),
        (b"../../x:1|g", "is not valid"),
        (b"a:1|ms", "of type 'ms'; only counters and gauges"),
        (b"a:one|g", "'one' is no number"),
        (b"a:|g", "'' is no number"),
        (b"a:nan|c", "beyond all numbers"),
        (b"a:1e999|c", "beyond all numbers"),
        (b"a:1|c|@0", "between 0 and 1"),
        (b"a:1|c|@nan", "between 0 and 1"),
        (b"a", "no metric of StatsD"),
        (b"a:1", "no metric of StatsD"),
        (b"a|g", "no metric of StatsD"),
        (b"\xff\x00\xfe|||:::", "no metric of StatsD"),
        (b"a:1|g\n" * LARGEST, "longer than 8192 bytes"),
    ],
)
def test_garbage_is_told_and_changes_nothing(take: Taken, datagram: bytes, sentence: str) -> None:
    take(datagram)
    assert take.values() == []
    (problem,) = take.problems()
    assert sentence in problem
    assert take(b"a:1|c").values() == [("a", 0, 1)]


def test_a_refused_counter_is_not_counted(take: Taken) -> None:
    assert take(b"a:1|c\na:inf|c\na:1|c").values() == [("a", 0, 1), ("a", 1, 2)]
