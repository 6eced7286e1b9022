"""Whose measurement it is follows from the workload id, and from nobody else's."""

import pytest

from bot.sidecar.names import Origin, Refused, Workloads


@pytest.fixture
def workloads() -> Workloads:
    return Workloads("run7.b-1")


@pytest.mark.parametrize(
    ("workload", "origin"),
    [
        ("run7.b-1", Origin("worker-0")),
        ("run7.b-1.worker-3", Origin("worker-3")),
        ("run7.b-1.parameter-server-0", Origin("parameter-server-0")),
        ("run7.b-1.trial-12", Origin("worker-0", 12)),
    ],
)
def test_an_id_names_a_task_or_a_trial(workloads: Workloads, workload: str, origin: Origin) -> None:
    assert workloads.origin(workload) == origin


@pytest.mark.parametrize(
    "workload",
    [
        *("", "run7.b-10", "run7.b", "run7", "run7.b-1.", "run7.b-1..", "run7.b-1.worker"),
        *("run7.b-1.worker-0.worker-0", "run7.b-1.-0", "run7.b-1.worker-00000"),
        *("run7.b-1/worker-0", "run7.b-1.Worker-0", "run7.b-1.worker-٣", "run7.b-1.trial--1", "run7.b-1.trial-9999999"),
        *("x.run7.b-1.worker-0", "run7.b-1.worker-0\n", "run7.b-1.../x-0"),
    ],
)
def test_everything_else_is_refused(workloads: Workloads, workload: str) -> None:
    with pytest.raises(Refused, match="is not a workload of this experiment"):
        workloads.origin(workload)


def test_a_task_measures_for_the_trial_that_it_runs(workloads: Workloads) -> None:
    workloads.begin(Origin("worker-1", 4))
    assert workloads.origin("run7.b-1.worker-1") == Origin("worker-1", 4)
    assert workloads.origin("run7.b-1.trial-4") == Origin("worker-1", 4)
    workloads.begin(Origin("worker-1", 5))
    assert workloads.origin("run7.b-1.worker-1") == Origin("worker-1", 5)
    assert workloads.origin("run7.b-1.trial-4") == Origin("worker-1", 4)
