"""Facts that are made of other facts."""

from bot.core.report import TaskFacts, metrics_of
from bot.core.report.names import Names
from bot.core.report.overview import of_commit
from bot.core.series import Point, Series, Source
from bot.core.states import State
from tests.core.report import examples as e


def series(run: str, tag: str, *values: float) -> Series:
    return Series(Source.TENSORFLOW, run, tag, tuple(Point.of(step, 0, value) for step, value in enumerate(values)))


def test_a_metric_is_named_by_its_tag_where_that_is_enough() -> None:
    found = metrics_of([series("train", "loss", 2.0, 1.0), series("val", "loss", 3.0), series("val", "accuracy", 0.5)])
    assert [(one.name, one.last, one.step) for one in found] == [
        ("train/loss", 1.0, 1),
        ("val/loss", 3.0, 0),
        ("accuracy", 0.5, 0),
    ]


def test_a_series_without_points_is_no_metric() -> None:
    assert metrics_of([series("", "loss")]) == ()


def test_a_gate_finds_its_metric_with_and_without_the_run() -> None:
    gates = tuple(e.replace(e.PASSED, gate=e.replace(e.GATE_LOSS, metric=name)) for name in ("train/loss", "accuracy"))
    facts = e.replace(
        e.SUCCEEDED, gates=gates, metrics=metrics_of([series("train", "loss", 1.0), series("a", "accuracy", 0.5)])
    )
    (part,) = of_commit(e.commit(facts)).parts
    assert [row.metric and row.metric.name for row in part.gates] == ["loss", "accuracy"]
    assert part.ungated == ()


def test_names_that_read_alike_are_told_apart_the_same_way_each_time() -> None:
    first, second = ([Names().take(("a / b", "c"), "a / b", "c")], Names())
    names = [second.take(parts, *parts) for parts in (("a / b", "c"), ("a", "b / c"), ("experiments",))]
    assert names[0] == first[0] == "a / b / c"
    assert names[1].startswith("a / b / c ~")
    assert names[2].startswith("experiments ~")


def test_a_name_that_is_kept_goes_to_nobody_else() -> None:
    names = Names()
    names.keep(("cell",), "a", "b (1)")
    assert names.take(("step",), "a", "b (1)").startswith("a / b (1) ~")
    assert names.take(("cell",), "a", "b (1)") == "a / b (1)"


def test_the_culprit_is_the_task_that_the_reason_names() -> None:
    """One that failed because the first was gone may come before it."""
    tasks = (TaskFacts("worker-0", State.FAILED, 1), TaskFacts("parameter-server-0", State.FAILED, 139))
    facts = e.experiment(State.FAILED, tasks=tasks, exit_code=1, reason="parameter-server-0: killed by signal 11")
    assert facts.culprit is tasks[1]
    assert facts.last_exit == 139
    assert e.experiment(State.FAILED, tasks=tasks).culprit is tasks[0]
