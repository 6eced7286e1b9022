"""What the picture of a search shows, and that it can be drawn whatever the search was like."""

import math
import os
import random
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot.core.search import Choice, FloatRange, Goal, IntRange
from bot.core.trials import Trial, TrialState
from bot.metrics.importance import NotKnown, importances
from bot.metrics.pictures import PictureStore
from bot.metrics.reader import MetricsReader
from bot.metrics.searches import Axis, Scale, SearchPicture, arrange

SPACE = {"lr": FloatRange(1e-4, 1e-1, log=True), "units": Choice((32, 64)), "layers": IntRange(1, 3)}


def trial(number: int, value: float | None = 1.0, state: TrialState = TrialState.COMPLETE, **params: Any) -> Trial:
    return Trial(number, params or {"lr": 0.01, "units": 64, "layers": 2}, state, value)


def arranged(*trials: Trial, goal: Goal = Goal.MINIMIZE, **given: Any) -> SearchPicture:
    picture = arrange(trials, goal, "custom:/loss", **given)
    assert picture is not None
    return picture


class TestWhatIsShown:
    def test_the_axes_are_the_declared_ones_in_their_order(self) -> None:
        picture = arranged(trial(0), space=SPACE)
        assert picture.axes == (
            Axis("lr", 1e-4, 1e-1, log=True),
            Axis("units", options=("32", "64")),
            Axis("layers", 1, 3, is_whole=True),
        )
        assert picture.dots[0].places == (0.01, 1.0, 2.0)
        assert (picture.best, picture.label) == (0, "loss")

    def test_without_a_declaration_they_are_what_was_tried(self) -> None:
        picture = arranged(trial(0, lr=1e-4, act="relu", n=1), trial(1, lr=0.5, act="tanh", n=4, late=2.5))
        assert picture.axes == (
            Axis("lr", 1e-4, 0.5, log=True),
            Axis("act", options=("relu", "tanh")),
            Axis("n", 1, 4, is_whole=True),
            Axis("late", 2.5, 2.5),
        )
        assert picture.dots[0].places == (1e-4, 0.0, 1.0, None)

    def test_options_beyond_the_twelfth_share_a_place(self) -> None:
        picture = arranged(trial(0, a="v29"), space={"a": Choice(tuple(f"v{place}" for place in range(30)))})
        assert picture.axes[0].options[-2:] == ("v10", "others")
        assert picture.dots[0].places == (11.0,)

    def test_running_trials_and_searches_without_a_result_are_not_shown(self) -> None:
        running = trial(1, None, TrialState.RUNNING)
        assert arrange([running, trial(0, 0.5, TrialState.PRUNED)], Goal.MINIMIZE, "custom:/loss") is None
        assert [dot.number for dot in arranged(trial(0), running).dots] == [0]

    def test_the_best_one_is_shown_however_many_there_are(self) -> None:
        trials = [*(trial(number, 1.0) for number in range(5000)), trial(5000, 0.5)]
        picture = arranged(*trials)
        assert (len(picture.dots), picture.dots[-1].number, picture.best) == (2000, 5000, 5000)

    def test_it_survives_the_way_to_the_drawing_process(self) -> None:
        picture = arranged(trial(0), trial(1, None, TrialState.FAILED), space=SPACE)
        assert SearchPicture.from_json(picture.to_json()) == picture


class TestScales:
    def scale(self, *values: float, goal: Goal = Goal.MINIMIZE) -> Scale:
        return Scale.of(arranged(*(trial(number, value) for number, value in enumerate(values)), goal=goal))

    def test_values_of_several_magnitudes_are_logarithmic(self) -> None:
        scale = self.scale(0.001, 0.01, 1.0)
        assert (scale.is_log, scale.share(0.001), scale.share(1.0)) == (True, 0.0, 1.0)
        assert scale.share(math.sqrt(0.001)) == pytest.approx(0.5)

    def test_what_exploded_lies_beyond_and_the_best_never_does(self) -> None:
        values = [-place / 10 for place in range(10)]
        scale = self.scale(*values, 1e30)
        assert scale.low == -0.9
        assert scale.high < 3
        assert scale.share(1e30) == 1.0
        assert self.scale(*values, 1e30, goal=Goal.MAXIMIZE).high == 1e30

    def test_one_value_is_in_the_middle_of_some_paper(self) -> None:
        scale = self.scale(0.0)
        assert scale.share(0.0) == 0.5
        assert scale.limits[0] < 0 < scale.limits[1]


class TestImportance:
    def test_what_makes_the_difference_weighs_most(self) -> None:
        chance = random.Random(1)  # noqa: S311
        trials = [
            trial(number, params["lr"] + chance.gauss(0, 0.01), **params)
            for number in range(60)
            for params in [{"lr": chance.uniform(0, 1), "a": chance.choice("xyz"), "n": chance.randint(1, 9)}]
        ]
        picture = arranged(*trials)
        shares = importances(picture)
        assert next(iter(shares)) == 0
        assert shares[0] > 0.7
        assert sum(shares.values()) == pytest.approx(1)

    def test_of_too_few_trials_nothing_is_said(self) -> None:
        pruned = [trial(number, 0.1, TrialState.PRUNED) for number in range(19, 60)]
        with pytest.raises(NotKnown, match="needs 20 complete trials, there are 19"):
            importances(arranged(*(trial(number) for number in range(19)), *pruned))

    def test_where_all_tried_the_same_nothing_stands_out(self) -> None:
        with pytest.raises(NotKnown, match="no parameter stands out"):
            importances(arranged(*(trial(number, float(number)) for number in range(30))))


@pytest.fixture(scope="module")
def reader() -> Iterator[MetricsReader]:
    with closing(MetricsReader()) as reader:
        yield reader


def size_of(picture: bytes | None) -> tuple[int, int]:
    assert picture is not None
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


@pytest.mark.slow
@pytest.mark.service
class TestPictures:
    def test_a_search_is_a_png_and_always_the_same(self, reader: MetricsReader, tmp_path: Path) -> None:
        trials = [trial(number, 1 / (number + 1)) for number in range(30)]
        picture = reader.draw_search("title", trials, Goal.MINIMIZE, "custom:/loss", SPACE)
        assert size_of(picture) == (1600, 1040)
        store = PictureStore(tmp_path, reader)
        name = store.draw_search("title", trials, Goal.MINIMIZE, "custom:/loss", SPACE)
        assert (tmp_path / f"{name}.png").read_bytes() == picture
        assert reader.draw_search("title", [], Goal.MINIMIZE, "custom:/loss", SPACE) is None

    @pytest.mark.parametrize("values", [(1.7e308, -1.7e308, 5e-324), (0.0, 0.0, 0.0), (-1e300, 1e300, 1.0)])
    @pytest.mark.parametrize("goal", Goal)
    def test_hostile_texts_and_values_are_drawn_all_the_same(
        self, reader: MetricsReader, values: tuple[float, ...], goal: Goal
    ) -> None:
        names = [
            "$\\frac{",
            "\u202e\0\n",
            "日本語" * 99,
            "</svg>",
            "x" * 10_000,
            "$$$",
            "\ud800",
            "",
            "o",
            "p",
            "q",
            "r",
        ]
        params: dict[str, Any] = {name: f"${name}" for name in names}
        numbers = {"big": 1.7e308, "small": -1.7e308, "tiny": 5e-324}
        trials = [trial(number, value, **params, **numbers, n=number) for number, value in enumerate(values)]
        states = [trial(9, None, TrialState.FAILED, n=-5e-324), trial(10, 3e307, TrialState.PRUNED, other="y")]
        assert size_of(reader.draw_search("\ud800 $", [*trials, *states], goal, "tensorflow:$\\frac{"))[0] == 1600

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can draw as somebody else")
    def test_as_root_somebody_else_draws(self) -> None:
        trials = [trial(number, 1 / (number + 1)) for number in range(30)]
        with closing(MetricsReader(user=65_534)) as reader:
            assert reader.draw_search("title", trials, Goal.MINIMIZE, "custom:/loss", SPACE)
