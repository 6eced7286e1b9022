"""Where a trial's values come from, read from the files that trials really leave."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bot.core.gates import DOCUMENT
from bot.core.series import Source
from bot.metrics.reader import MetricsReader
from bot.search.values import NoValue, Values, artifacts, values_of
from tests.metrics.writing import NAME, simple, write
from tests.search.stage import search


@pytest.fixture(scope="module")
def reader() -> Iterator[MetricsReader]:
    with closing(MetricsReader()) as reader:
        yield reader


def begun(source: Source, metric: str, run_dir: Path, reader: MetricsReader) -> Values:
    values = values_of(search(metric_source=source, metric=metric), run_dir, reader)
    values.begin(3)
    return values


@pytest.mark.service
class TestScalars:
    def test_new_points_come_once_and_the_last_one_is_the_value(self, tmp_path: Path, reader: MetricsReader) -> None:
        values = begun(Source.TENSORFLOW, "loss", tmp_path, reader)
        assert values.news(3) == []
        points = [simple("loss", 0, 2), simple("other", 0, 7), simple("loss", 1, 1)]
        write(artifacts(tmp_path, 3), *points)
        assert values.news(3) == [(0, 2), (1, 1)]
        write(artifacts(tmp_path, 3), *points, simple("loss", 2, 0.25))
        assert values.news(3) == [(2, 0.25)]
        assert values.news(3) == []
        assert values.final(3) == 0.25

    def test_the_last_one_is_that_of_the_highest_step(self, tmp_path: Path, reader: MetricsReader) -> None:
        write(artifacts(tmp_path, 3), simple("loss", 9, 0.5), simple("loss", 4, 0.1))
        assert begun(Source.TENSORFLOW, "loss", tmp_path, reader).final(3) == 0.5

    def test_a_run_can_be_named(self, tmp_path: Path, reader: MetricsReader) -> None:
        for run, value in (("train", 1), ("eval", 2)):
            write(artifacts(tmp_path, 3) / run, simple("loss", 0, value))
        assert begun(Source.TENSORFLOW, "eval/loss", tmp_path, reader).final(3) == 2
        values = begun(Source.TENSORFLOW, "loss", tmp_path, reader)
        assert values.news(3) == []
        with pytest.raises(NoValue, match=r"several of its runs logged `loss`.*`eval/loss`, `train/loss`"):
            values.final(3)

    def test_another_name_is_told(self, tmp_path: Path, reader: MetricsReader) -> None:
        write(artifacts(tmp_path, 3), simple("Loss", 0, 1))
        with pytest.raises(NoValue, match="no scalar `loss`; there are `Loss`"):
            begun(Source.TENSORFLOW, "loss", tmp_path, reader).final(3)

    def test_nothing_at_all_is_told(self, tmp_path: Path, reader: MetricsReader) -> None:
        with pytest.raises(NoValue, match=r"no scalar `loss`$"):
            begun(Source.TENSORFLOW, "loss", tmp_path, reader).final(3)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_what_is_no_number_is_no_value(self, tmp_path: Path, reader: MetricsReader, value: float) -> None:
        write(artifacts(tmp_path, 3), simple("loss", 0, 1), simple("loss", 1, value))
        with pytest.raises(NoValue, match="the last value of `loss` is not a finite number"):
            begun(Source.TENSORFLOW, "loss", tmp_path, reader).final(3)

    def test_a_file_that_was_not_read_whole_is_no_value(self, tmp_path: Path, reader: MetricsReader) -> None:
        write(artifacts(tmp_path, 3), simple("loss", 0, 1))
        (artifacts(tmp_path, 3) / f"{NAME}.2").symlink_to("/etc/passwd")
        with pytest.raises(NoValue, match="link"):
            begun(Source.TENSORFLOW, "loss", tmp_path, reader).final(3)

    def test_a_trial_that_begins_again_begins_anew(self, tmp_path: Path, reader: MetricsReader) -> None:
        values = begun(Source.TENSORFLOW, "loss", tmp_path, reader)
        write(artifacts(tmp_path, 3), simple("loss", 5, 1))
        assert values.news(3) == [(5, 1)]
        values.begin(3)
        write(artifacts(tmp_path, 3), simple("loss", 1, 9))
        assert values.news(3) == [(1, 9)]
        assert values.final(3) == 9


@pytest.mark.service
class TestDocuments:
    def left(self, tmp_path: Path, reader: MetricsReader, text: str | None, pointer: str = "/loss/last") -> float:
        artifacts(tmp_path, 3).mkdir(parents=True)
        if text is not None:
            (artifacts(tmp_path, 3) / DOCUMENT).write_text(text)
        values = begun(Source.CUSTOM, pointer, tmp_path, reader)
        assert values.news(3) == []
        return values.final(3)

    def test_a_number_is_the_value(self, tmp_path: Path, reader: MetricsReader) -> None:
        assert self.left(tmp_path, reader, '{"loss": {"last": -2}}') == -2

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (None, f"it left no {DOCUMENT}"),
            ("{}", f"`/loss/last` is not in {DOCUMENT}"),
            ('{"loss": [1]}', f"`/loss/last` is not in {DOCUMENT}"),
            ('{"loss": {"last": "1"}}', "`/loss/last` is not a number"),
            ('{"loss": {"last": true}}', "`/loss/last` is not a number"),
            ('{"loss": {"last": NaN}}', "`/loss/last` is not a number"),
            ('{"loss": {"last": 1' + "0" * 320 + "}}", "not a"),
            ("nonsense", f"{DOCUMENT} is no JSON"),
        ],
    )
    def test_everything_else_is_a_sentence(
        self, tmp_path: Path, reader: MetricsReader, text: str | None, told: str
    ) -> None:
        with pytest.raises(NoValue, match=told):
            self.left(tmp_path, reader, text)


class TestWhatWasSent:
    """The sidecar has one file for all; no process is needed to read it."""

    @pytest.fixture
    def unasked(self) -> Iterator[MetricsReader]:
        with closing(MetricsReader()) as reader:
            yield reader

    def sent(self, run_dir: Path, *points: tuple[int | None, int, float | str], name: str = "loss") -> None:
        (run_dir / "measurements").mkdir(exist_ok=True)
        with (run_dir / "measurements" / "points").open("a") as file:
            for trial, step, value in points:
                what = {"source": "logged", "task": "worker-0", "trial": trial, "name": name}
                file.write(json.dumps({"at": 1, **what, "step": step, "value": value}) + "\n")

    def test_each_trial_has_its_own(self, tmp_path: Path, unasked: MetricsReader) -> None:
        values = begun(Source.LOGGED, "loss", tmp_path, unasked)
        values.begin(4)
        assert values.news(3) == []
        self.sent(tmp_path, (3, 0, 2.0), (4, 0, 7.0), (None, 0, 8.0), (9, 0, 8.0), (3, 1, 1.0))
        self.sent(tmp_path, (3, 2, 99.0), name="accuracy")
        assert values.news(3) == [(0, 2.0), (1, 1.0)]
        self.sent(tmp_path, (3, 2, 0.5))
        assert values.news(3) == [(2, 0.5)]
        assert (values.final(3), values.final(4)) == (0.5, 7.0)

    def test_what_an_interrupted_try_sent_is_not_counted(self, tmp_path: Path, unasked: MetricsReader) -> None:
        self.sent(tmp_path, (3, 0, 2.0))
        values = begun(Source.LOGGED, "loss", tmp_path, unasked)
        with pytest.raises(NoValue, match="it sent no metric `loss`"):
            values.final(3)
        self.sent(tmp_path, (3, 0, 4.0))
        assert values.final(3) == 4.0

    def test_a_value_that_is_no_number_is_no_value(self, tmp_path: Path, unasked: MetricsReader) -> None:
        values = begun(Source.LOGGED, "loss", tmp_path, unasked)
        self.sent(tmp_path, (3, 0, 2.0), (3, 1, "nan"))
        with pytest.raises(NoValue, match="not a finite number"):
            values.final(3)
