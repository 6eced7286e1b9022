"""The reading process: asked over a socket, killed when it is slow, started anew, and never a reason to raise."""

import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import psutil
import pytest
from tensorboard.compat.proto import event_pb2, summary_pb2

from bot.core.gates import DOCUMENT, Gate, Range, Source
from bot.core.series import Point, Series
from bot.metrics.pictures import PictureStore
from bot.metrics.process import ChildProcess, NoAnswer
from bot.metrics.reader import MetricsReader, Reading, Root
from tests.metrics.writing import record, several, simple, write

pytestmark = pytest.mark.service


@pytest.fixture
def reader() -> Iterator[MetricsReader]:
    with closing(MetricsReader()) as reader:
        yield reader


def losses(*values: float) -> list[bytes]:
    return [simple("loss", step, value) for step, value in enumerate(values)]


def values(reading: Reading) -> dict[str, list[float]]:
    return {one.name: [point.number for point in one.points] for one in reading.series}


def child() -> psutil.Process:
    """Return the reading process that was started last: plays in this process may keep one of their own."""
    children = [one for one in psutil.Process().children() if "bot.metrics.child" in one.cmdline()]
    return max(children, key=psutil.Process.create_time)


class TestReading:
    def test_points_documents_and_a_cursor_for_the_next_time(self, reader: MetricsReader, tmp_path: Path) -> None:
        write(tmp_path / "train", *losses(2, 1))
        (tmp_path / DOCUMENT).write_text('{"a": 1}')
        first = reader.read([tmp_path])
        assert values(first) == {"train/loss": [2, 1]}
        assert (first.documents, first.problems, first.is_complete) == ({DOCUMENT: '{"a":1}'}, (), True)
        write(tmp_path / "train", *losses(2, 1, 0.5))
        assert values(reader.read([tmp_path], first.cursor)) == {"train/loss": [0.5]}

    def test_many_points_come_whole(self, reader: MetricsReader, tmp_path: Path) -> None:
        # More than one answer carries: the reader asks until it has all.
        tags = [summary_pb2.Summary.Value(tag=f"tag{place}", simple_value=place) for place in range(500)]
        write(tmp_path, *[several(step, *tags) for step in range(120)])
        reading = reader.read([tmp_path])
        assert reading.is_complete
        assert {one.tag for one in reading.series} == {f"tag{place}" for place in range(500)}
        assert all([point.step for point in one.points] == list(range(120)) for one in reading.series)

    def test_a_folder_that_is_not_there_holds_nothing(self, reader: MetricsReader, tmp_path: Path) -> None:
        reading = reader.read([tmp_path, tmp_path / "model", tmp_path.with_name("nowhere")])
        assert (reading.series, reading.documents, reading.problems, reading.is_complete) == ((), {}, (), True)

    def test_no_folder_is_no_data(self, reader: MetricsReader) -> None:
        assert reader.read([]).is_complete

    def test_for_what_left_nothing_no_process_is_started(self, tmp_path: Path) -> None:
        with closing(MetricsReader()) as reader:
            before = psutil.Process().children()
            assert reader.read([tmp_path, tmp_path.with_name("nowhere")], {"files": {}}).cursor == {"files": {}}
            assert psutil.Process().children() == before


class TestRoots:
    def test_a_model_path_among_the_artifacts_is_read_once_and_its_document_stands(
        self, reader: MetricsReader, tmp_path: Path
    ) -> None:
        write(tmp_path / "model", *losses(1))
        (tmp_path / DOCUMENT).write_text("1")
        (tmp_path / "model" / DOCUMENT).write_text("2")
        reading = reader.read([tmp_path, tmp_path / "model"])
        assert (values(reading), reading.documents) == ({"model/loss": [1]}, {DOCUMENT: "2"})

    def test_another_tree_gives_its_name_to_its_runs(self, reader: MetricsReader, tmp_path: Path) -> None:
        write(tmp_path / "artifacts", *losses(1))
        write(tmp_path / "storage" / "models" / "abc", *losses(2))
        reading = reader.read([tmp_path / "artifacts", Root(tmp_path / "storage", "models/abc")])
        assert values(reading) == {"./loss": [1], "abc/loss": [2]}

    @pytest.mark.parametrize("below", ["link", "link/train", "../secret", "/etc"])
    def test_a_model_path_through_a_link_is_a_problem(self, reader: MetricsReader, tmp_path: Path, below: str) -> None:
        write(tmp_path / "secret" / "train", *losses(1))
        (tmp_path / "artifacts").mkdir()
        (tmp_path / "artifacts" / "link").symlink_to(tmp_path / "secret")
        reading = reader.read([tmp_path / "artifacts", Root(tmp_path / "artifacts", below)])
        assert (reading.series, len(reading.problems)) == ((), 1)

    def test_a_path_below_an_earlier_one_does_not_follow_links_either(
        self, reader: MetricsReader, tmp_path: Path
    ) -> None:
        write(tmp_path / "secret", *losses(1))
        (tmp_path / "artifacts").mkdir()
        (tmp_path / "artifacts" / "link").symlink_to(tmp_path / "secret")
        reading = reader.read([tmp_path / "artifacts", tmp_path / "artifacts" / "link"])
        assert (reading.series, len(reading.problems)) == ((), 1)


class TestAccidents:
    def test_a_process_killed_while_idle_is_replaced(self, reader: MetricsReader, tmp_path: Path) -> None:
        write(tmp_path, *losses(2, 1))
        first = reader.read([tmp_path])
        child().kill()
        again = reader.read([tmp_path])
        assert (again.series, again.problems) == (first.series, ())

    def test_a_process_killed_at_work_is_replaced(self, reader: MetricsReader, tmp_path: Path) -> None:
        write(tmp_path, *losses(2, 1))
        reader.read([tmp_path])
        stopped = child()
        stopped.suspend()
        killer = threading.Timer(0.2, stopped.kill)
        killer.start()
        reading = reader.read([tmp_path])
        killer.join()
        assert (values(reading), reading.problems) == ({"./loss": [2, 1]}, ())

    def test_a_process_that_is_slow_is_killed_and_the_reading_says_so(self, tmp_path: Path) -> None:
        write(tmp_path, *losses(2, 1))
        with closing(MetricsReader(timeout=3.0)) as reader:
            cursor = reader.read([tmp_path]).cursor
            slow = child()
            slow.suspend()
            reading = reader.read([tmp_path], cursor)
            assert reading.problems == ("the metrics could not be read: it took longer than 3 s",)
            assert (reading.series, reading.cursor, reading.is_complete) == ((), cursor, False)
            assert not slow.is_running()
            assert values(reader.read([tmp_path])) == {"./loss": [2, 1]}

    def test_a_process_that_takes_long_to_start_costs_no_question_its_time(self, tmp_path: Path) -> None:
        write(tmp_path, *losses(2, 1))
        with closing(MetricsReader(timeout=3.0)) as reader:
            reader.start()
            starting = child()
            starting.suspend()
            waker = threading.Timer(4, starting.resume)
            waker.start()
            assert values(reader.read([tmp_path])) == {"./loss": [2, 1]}
            waker.join()

    def test_what_was_read_before_time_ran_out_is_kept(self, tmp_path: Path) -> None:
        # The largest records that are not passed by: half a minute of checksums.
        heavy = record(event_pb2.Event(graph_def=b"x" * 1_000_000).SerializeToString())
        write(tmp_path, *losses(2, 1), *[heavy] * 200)
        with closing(MetricsReader(timeout=3.0)) as reader:
            reading = reader.read([tmp_path])
        assert values(reading) == {"./loss": [2, 1]}
        assert not reading.is_complete
        assert reading.problems == ("the metrics could not be read: it took longer than 3 s",)

    def test_no_process_stays_after_close(self, tmp_path: Path) -> None:
        reader = MetricsReader()
        reader.start()
        process = child()
        reader.close()
        assert not process.is_running()

    def test_the_process_ends_when_its_owner_does(self) -> None:
        owner = subprocess.run([sys.executable, "-c", _SHORT_LIVED_OWNER], capture_output=True, text=True, check=False)
        assert owner.returncode == -signal.SIGKILL
        assert _is_gone_within(5, int(owner.stdout))

    def test_an_error_inside_is_an_answer(self) -> None:
        with closing(ChildProcess(timeout=10)) as process:
            with pytest.raises(NoAnswer, match="the reading process said KeyError"):
                process.ask({"kind": "dance"})
            assert process.ask({"kind": "read", "places": [], "cursor": None})["is_complete"] is True


class TestConfinement:
    def test_it_knows_nothing_of_the_bots_environment(
        self, reader: MetricsReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GITHUB_WEBHOOK_SECRET", "hunter2")
        (tmp_path / "something").touch()
        reader.read([tmp_path])
        assert set(child().environ()) <= {"LANG", "MPLCONFIGDIR", "OPENBLAS_NUM_THREADS", "LC_CTYPE"}

    def test_it_holds_no_file_of_the_bot_and_no_folder_of_the_last_question(
        self, reader: MetricsReader, tmp_path: Path
    ) -> None:
        with (tmp_path / "database").open("w"):
            reader.read([tmp_path])
            assert child().open_files() == []
            held = {str(path.readlink()) for path in Path(f"/proc/{child().pid}/fd").iterdir()}
        assert not any(str(tmp_path) in one for one in held)

    def test_its_memory_and_files_are_limited(self, reader: MetricsReader, tmp_path: Path) -> None:
        (tmp_path / "something").touch()
        reader.read([tmp_path])
        process = child()
        assert process.rlimit(psutil.RLIMIT_AS) == (2 << 30, 2 << 30)
        assert process.rlimit(psutil.RLIMIT_FSIZE) == (16 << 20, 16 << 20)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can read as somebody else")
    def test_as_root_it_reads_and_draws_as_somebody_else(self, tmp_path: Path) -> None:
        write(tmp_path / "open", *losses(1)).chmod(0o644)
        write(tmp_path / "open" / "shut", *losses(2)).chmod(0o600)
        tmp_path.chmod(0o700)  # folders above are none of its concern: it is handed the open folder
        with closing(MetricsReader(user=65_534)) as reader:
            reading = reader.read([tmp_path / "open"])
            assert set(child().uids()) == {65_534}
            assert values(reading) == {"./loss": [1]}
            assert "could not be read: Permission denied" in reading.problems[0]
            assert reader.draw("title", reading.series, []) is not None


SERIES = [
    Series(Source.TENSORFLOW, "train", "$loss$", tuple(Point.of(step, 0, 1 / (step + 1)) for step in range(50))),
    Series(Source.TENSORFLOW, "", "nothing", (Point.of(0, 0, float("nan")),)),
]
GATES = [Gate(Source.TENSORFLOW, "$loss$", Range(None, 0.2), "min")]


@pytest.mark.slow
class TestPictures:
    def test_a_picture_is_a_png_of_known_width_and_always_the_same(self, reader: MetricsReader) -> None:
        picture = reader.draw("title $\\frac{1}{0}$", SERIES, GATES)
        assert picture is not None
        assert _size_of_png(picture) == (1600, 500)
        child().kill()
        assert reader.draw("title $\\frac{1}{0}$", SERIES, GATES) == picture

    def test_hostile_texts_and_values_are_drawn_all_the_same(self, reader: MetricsReader) -> None:
        tags = ["$\\frac{", "\u202e\0\n", "日本語" * 99, "</svg>", "x" * 10_000, "$$$"]
        steps = [-(2**63), 0, 1, 2, 3, 2**63 - 1]
        numbers = [1.7e308, -1.7e308, 5e-324, float("inf"), float("nan"), 0.0]
        points = tuple(Point.of(step, 0, number) for step, number in zip(steps, numbers, strict=True))
        series = [Series(Source.TENSORFLOW, run, tag, points) for tag in tags for run in ("a\0", "$b")]
        gates = [Gate(Source.TENSORFLOW, tag, Range(-1e308, 1e308), "max") for tag in tags]
        picture = reader.draw("\ud800 $", series, gates)
        assert picture is not None
        assert _size_of_png(picture)[0] == 1600

    def test_nothing_logged_is_no_picture(self, reader: MetricsReader) -> None:
        assert reader.draw("title", [], GATES) is None

    def test_the_store_names_a_picture_by_what_is_in_it(self, reader: MetricsReader, tmp_path: Path) -> None:
        store = PictureStore(tmp_path / "pictures", reader)
        name = store.draw("title", SERIES, GATES)
        assert name is not None
        assert sha256((tmp_path / "pictures" / f"{name}.png").read_bytes()).hexdigest() == name
        assert store.draw("title", SERIES, GATES) == name
        assert [file.name for file in (tmp_path / "pictures").iterdir()] == [f"{name}.png"]

    def test_a_picture_that_cannot_be_drawn_is_none(self, tmp_path: Path) -> None:
        with closing(MetricsReader(timeout=0.05)) as reader:
            assert PictureStore(tmp_path, reader).draw("title", SERIES, GATES) is None


def _size_of_png(data: bytes) -> tuple[int, int]:
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I", data[29:33])[0] == crc32(data[12:29])
    width, height = struct.unpack(">II", data[16:24])
    return width, height


_SHORT_LIVED_OWNER = """
import os, signal
from bot.metrics.process import ChildProcess
process = ChildProcess(timeout=10)
process.ask({"kind": "read", "places": [], "cursor": None})
print(process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _is_gone_within(seconds: float, pid: int) -> bool:
    end = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
