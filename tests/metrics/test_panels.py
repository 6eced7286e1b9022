"""Which curves a picture shows, and with which targets."""

import math
from typing import Any

from bot.core.gates import Gate, Range, Source
from bot.core.series import Point, Series
from bot.metrics.panels import Panel, arrange, beside


def series(tag: str, *values: float, run: str = "") -> Series:
    return Series(Source.TENSORFLOW, run, tag, tuple(Point.of(step, 0, value) for step, value in enumerate(values)))


def gate(metric: str, aggregate: str = "max", target: Range = Range(0.9, None), **more: Any) -> Gate:  # noqa: B008
    return Gate(Source.TENSORFLOW, metric, target, aggregate, **more)


def test_what_gates_look_at_comes_first_then_the_others_by_name() -> None:
    logged = [series("b", 1), series("a", 1), series("loss", 1), series("accuracy", 1)]
    assert [panel.title for panel in arrange(logged, [gate("accuracy"), gate("loss")])] == [
        "accuracy",
        "loss",
        "a",
        "b",
    ]


def test_there_are_six_at_most() -> None:
    assert len(arrange([series(f"tag{place}", 1) for place in range(9)], [])) == 6


def test_the_runs_of_a_tag_share_a_panel() -> None:
    (panel,) = arrange([series("loss", 2, run="validation"), series("loss", 1, run="train")], [gate("train/loss")])
    assert [curve.label for curve in panel.curves] == ["train", "validation"]
    assert (panel.low, panel.high) == (0.9, None)


def test_two_commits_are_told_apart_by_their_names_and_by_their_runs_where_there_are_several() -> None:
    ours = [series("loss", 1, run="train"), series("loss", 1, run="validation"), series("speed", 1, run="logs")]
    theirs = [series("loss", 1, run="train"), series("speed", 1, run="logs")]
    assert [(one.tag, one.run) for one in beside(ours, theirs, "main")] == [
        ("loss", "this commit train"),
        ("loss", "this commit validation"),
        ("speed", "this commit"),
        ("loss", "main train"),
        ("speed", "main"),
    ]


def test_a_target_in_another_unit_than_the_curve_is_not_shown() -> None:
    (panel,) = arrange([series("loss", 1)], [gate("loss", "stddev")])
    assert (panel.low, panel.high) == (None, None)


def test_a_gate_on_a_document_has_no_curve() -> None:
    assert arrange([], [Gate(Source.CUSTOM, "score", Range(0, 1), "/score")]) == ()


def test_what_is_not_finite_is_a_gap() -> None:
    (panel,) = arrange([series("loss", 1, math.nan, 3)], [])
    assert panel.curves[0].values == (1, None, 3)


def test_long_curves_are_thinned() -> None:
    (panel,) = arrange([series("loss", *range(5000))], [])
    assert len(panel.curves[0].steps) == 400


def test_a_panel_survives_the_way_to_the_drawing_process() -> None:
    panels = arrange([series("loss", 1, math.inf)], [gate("loss")])
    assert tuple(Panel.from_json(panel.to_json()) for panel in panels) == panels
