"""One reading after the other, each going on where the last one ended."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.core.gates import DOCUMENT
from bot.core.series import POINTS_PER_SERIES
from bot.metrics import scan
from bot.metrics.scan import Cursor, Place, Scan
from tests.metrics.writing import simple, tensor, write


class Reader:
    """Reads one folder again and again and keeps the cursor, as text, as a database would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cursor = "{}"
        self.problems: list[str] = []
        self.documents: dict[str, str] = {}
        self.is_complete = False

    def read(self, is_late: Callable[[], bool] = lambda: False) -> dict[str, list[Any]]:
        """Return the new values by full name."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            place = Place(descriptor, "", "", is_searched=True)
            answer = Scan(Cursor.from_json(json.loads(self.cursor)), is_late).answer([place])
        finally:
            os.close(descriptor)
        self.cursor = json.dumps(answer["cursor"])
        self.problems, self.documents = answer["problems"], answer["documents"]
        self.is_complete = answer["is_complete"]
        return {f"{one['run']}|{one['tag']}": [row[2] for row in one["points"]] for one in answer["series"]}


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def losses(*values: float, first: int = 0) -> list[bytes]:
    return [simple("loss", first + place, value) for place, value in enumerate(values)]


def test_a_second_reading_has_only_what_is_new(reader: Reader) -> None:
    write(reader.folder, *losses(4, 3))
    assert reader.read() == {"|loss": [4, 3]}
    assert reader.read() == {}
    write(reader.folder, *losses(4, 3, 2))
    assert reader.read() == {"|loss": [2]}
    assert (reader.is_complete, reader.problems) == (True, [])


def test_a_half_written_record_comes_with_the_next_reading_and_is_no_problem(reader: Reader) -> None:
    whole = b"".join(losses(4, 3))
    write(reader.folder, whole[:-5])
    assert reader.read() == {"|loss": [4]}
    assert reader.problems == []
    write(reader.folder, whole)
    assert reader.read() == {"|loss": [3]}


def test_the_folder_of_a_file_is_its_run(reader: Reader) -> None:
    write(reader.folder / "logs" / "train", *losses(1))
    write(reader.folder / "logs" / "validation", *losses(2))
    write(reader.folder / ".hidden", *losses(3))
    assert reader.read() == {"logs/train|loss": [1], "logs/validation|loss": [2], ".hidden|loss": [3]}


def test_several_files_of_a_run_are_one_series(reader: Reader) -> None:
    write(reader.folder, *losses(1), name="events.out.tfevents.1")
    write(reader.folder, *losses(2), name="events.out.tfevents.2")
    assert reader.read() == {"|loss": [1, 2]}


def test_a_file_is_not_forgotten_when_another_comes(reader: Reader) -> None:
    write(reader.folder, *losses(2), name="events.out.tfevents.2")
    reader.read()
    write(reader.folder, *losses(1), name="events.out.tfevents.1")
    assert reader.read() == {"|loss": [1]}


def test_tensors_are_known_again_after_a_pause(reader: Reader) -> None:
    first, second = tensor("loss", 1, 0.5), tensor("loss", 2, 0.25, is_marked=False)
    write(reader.folder, first)
    reader.read()
    write(reader.folder, first, second)
    assert reader.read() == {"|loss": [0.25]}


def test_names_that_are_no_text_are_read_like_others(reader: Reader) -> None:
    write(Path(os.fsdecode(os.fsencode(reader.folder) + b"/\xff")), *losses(1))
    assert reader.read() == {"\ufffd|loss": [1]}
    assert reader.read() == {}


def test_a_reading_that_is_late_hands_over_what_it_has_and_goes_on(reader: Reader) -> None:
    write(reader.folder, *losses(5, 4, 3))
    seen = []
    while not reader.is_complete:
        seen.append(reader.read(is_late=lambda: True))
    assert seen == [{"|loss": [5]}, {"|loss": [4]}, {"|loss": [3]}, {}]


def test_a_reading_from_the_beginning_gives_the_same_points(reader: Reader) -> None:
    write(reader.folder, *losses(1, 2, 3))
    first = reader.read()
    reader.cursor = "null"
    assert reader.read() == first


def test_a_cursor_of_another_version_begins_anew(reader: Reader) -> None:
    write(reader.folder, *losses(1))
    reader.cursor = '{"version": 9}'
    assert reader.read() == {"|loss": [1]}


class TestProblems:
    def test_damage_is_told_again_and_again(self, reader: Reader) -> None:
        write(reader.folder / "train", *(good := losses(1)), b"\0" * 20)
        for _ in range(2):
            reader.read()
            (problem,) = reader.problems
            assert problem.endswith(f"is damaged at byte {len(good[0])} and was not read further")

    def test_a_file_written_anew_is_remembered_as_a_loss(self, reader: Reader) -> None:
        write(reader.folder, *losses(1, 2, 3))
        reader.read()
        write(reader.folder, *losses(9))
        assert reader.read() == {"|loss": [9]}
        assert reader.read() == {}
        (problem,) = reader.problems
        assert problem.endswith("was written anew while it was read")

    def test_links_and_other_oddities_are_told(self, reader: Reader) -> None:
        write(reader.folder, *losses(1))
        (reader.folder / "b.tfevents").symlink_to("/etc/passwd")
        os.mkfifo(reader.folder / "c.tfevents")
        assert reader.read() == {"|loss": [1]}
        assert [problem.split()[0] for problem in reader.problems] == ["b.tfevents", "c.tfevents"]

    def test_a_name_cannot_break_out_of_its_sentence(self, reader: Reader) -> None:
        (reader.folder / "a\n\x1b[31m.tfevents").symlink_to("x")
        reader.read()
        assert all(problem.isprintable() for problem in reader.problems)

    def test_too_many_files(self, reader: Reader) -> None:
        for place in range(scan.FILES + 1):
            write(reader.folder, *losses(1), name=f"tfevents.{place:04}")
        assert len(reader.read()["|loss"]) == scan.FILES
        assert reader.problems == ["only the first 200 event files were read"]

    def test_too_many_metrics(self, reader: Reader) -> None:
        write(reader.folder, *[simple(f"tag{place}", 1, 1) for place in range(scan.SERIES + 1)])
        assert len(reader.read()) == scan.SERIES
        write(reader.folder, *[simple(f"tag{place}", 1, 1) for place in range(scan.SERIES + 1)], *losses(1))
        assert reader.read() == {}
        assert reader.problems == ["only the first 1000 metrics are kept"]


class TestLimitsOfPoints:
    """Limits that only a long training reaches: the cursor says that it was one."""

    def test_a_series_is_cut_and_others_go_on(self, reader: Reader) -> None:
        reader.cursor = json.dumps({"files": {}, "counts": {"": {"loss": POINTS_PER_SERIES - 1}}, "losses": []})
        write(reader.folder, *losses(1, 2, 3), simple("accuracy", 1, 0.5))
        assert reader.read() == {"|loss": [1], "|accuracy": [0.5]}

    def test_all_points_together(self, reader: Reader) -> None:
        counts = {f"tag{place}": scan.POINTS // 10 for place in range(10)}
        reader.cursor = json.dumps({"files": {}, "counts": {"": counts}, "losses": []})
        write(reader.folder, *losses(1))
        assert reader.read() == {}
        assert reader.problems == ["only the first 1000000 points are kept"]


class TestDocument:
    def test_it_is_read_whole_each_time(self, reader: Reader) -> None:
        for text in ('{"a":1}', '{"a":2}'):
            (reader.folder / DOCUMENT).write_text(text)
            reader.read()
            assert reader.documents == {DOCUMENT: text}

    def test_a_bad_one_is_a_problem_that_begins_with_its_name(self, reader: Reader) -> None:
        (reader.folder / DOCUMENT).write_text("{")
        reader.read()
        assert reader.documents == {}
        assert reader.problems == [
            f"{DOCUMENT} is no JSON: Expecting property name enclosed in double quotes (line 1, column 2)"
        ]

    def test_a_link_is_a_problem_too(self, reader: Reader) -> None:
        (reader.folder / DOCUMENT).symlink_to("/etc/passwd")
        reader.read()
        (problem,) = reader.problems
        assert problem.startswith(f"{DOCUMENT} could not be read")

    def test_one_that_is_too_large(self, reader: Reader) -> None:
        (reader.folder / DOCUMENT).write_text(" " * ((1 << 20) + 1))
        reader.read()
        assert reader.problems == [f"{DOCUMENT} is larger than 1 MiB and was not read"]

    def test_it_is_looked_for_at_the_top_only(self, reader: Reader) -> None:
        (reader.folder / "below").mkdir()
        (reader.folder / "below" / DOCUMENT).write_text("1")
        reader.read()
        assert reader.documents == {}
