"""The journal: what a crash leaves of it, what a later version may find."""

from pathlib import Path

import pytest

from bot.backends.journal import Journal, Story, TaskStory, UnknownJournal
from bot.backends.processes import Process
from bot.clock import ManualClock
from bot.core.states import Observation, State

SOMEBODY = Process(4242, 99, "a-boot")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def read(path: Path) -> Story:
    story = Story()
    story.read(path)
    return story


def test_what_was_written_is_read(path: Path, clock: ManualClock) -> None:
    journal = Journal(path, clock)
    journal.begin("a-1", SOMEBODY)
    journal.see(State.RUNNING, processes=[vars(SOMEBODY)], marker="m")
    clock.advance(2)
    journal.see(State.FAILED, "exit code 3", task="worker-0", exit_code=3, peak_memory_mb=7)
    journal.note(progress="half of it", facts={"ports": {"1": 2}})
    journal.see(State.FAILED, "exit code 3")
    story = read(path)
    start = clock.now() - 2_000_000
    assert story.seen == [
        Observation(State.RUNNING, start),
        Observation(State.FAILED, start + 2_000_000, "exit code 3"),
    ]
    assert (story.supervisor, story.processes, story.marker) == (SOMEBODY, [SOMEBODY], "m")
    assert story.tasks == {"worker-0": TaskStory(Observation(State.FAILED, start + 2_000_000, "exit code 3"), 3, 7)}
    assert (story.is_started, story.is_over, story.facts) == (True, True, {"ports": {"1": 2}})


def test_an_error_that_may_not_come_again_says_so(path: Path, clock: ManualClock) -> None:
    Journal(path, clock).see(State.ERROR, "the machine was restarted", may_retry=True)
    [seen] = read(path).seen
    assert seen.may_retry


def test_what_is_waited_for_is_past_with_the_next_state(path: Path, clock: ManualClock) -> None:
    journal = Journal(path, clock)
    journal.note(progress="half of it")
    assert read(path).progress == "half of it"
    journal.see(State.PROVISIONED)
    assert read(path).progress == ""


def test_an_interrupted_story_goes_on_with_the_next_supervisor(path: Path, clock: ManualClock) -> None:
    journal = Journal(path, clock)
    journal.begin("a-1", SOMEBODY)
    journal.see(State.RUNNING, processes=[vars(SOMEBODY)])
    journal.note(interrupted=True)
    story = read(path)
    assert (story.is_interrupted, story.interruptions, story.processes) == (True, 1, [])
    journal.begin("a-1", SOMEBODY)
    assert not read(path).is_interrupted


def test_reading_goes_on_where_it_ended(path: Path, clock: ManualClock) -> None:
    journal = Journal(path, clock)
    journal.begin("a-1", SOMEBODY)
    story = read(path)
    assert not story.read(path)
    journal.see(State.PROVISIONING)
    assert story.read(path)
    assert [o.state for o in story.seen] == [State.PROVISIONING]


def test_a_line_is_read_when_its_end_is_there(path: Path, clock: ManualClock) -> None:
    Journal(path, clock).begin("a-1", SOMEBODY)
    with path.open("a") as file:
        file.write('{"state":"running",')
    story = read(path)
    assert story.seen == []
    with path.open("a") as file:
        file.write('"at":5}\n')
    assert story.read(path)
    assert story.seen == [Observation(State.RUNNING, 5)]


def test_writing_goes_on_after_a_torn_line(path: Path, clock: ManualClock) -> None:
    Journal(path, clock).begin("a-1", SOMEBODY)
    whole = path.read_bytes()
    for torn in (b'{"state":"run', b"x" * 200_000):
        path.write_bytes(whole + torn)
        Journal(path, clock).close()
        assert path.read_bytes() == whole
    path.write_bytes(b"never a whole line")
    assert not read(path).is_started
    Journal(path, clock).close()
    assert path.read_bytes() == b""


def test_a_clock_that_was_set_back_does_not_turn_the_story_round(path: Path) -> None:
    late, early = ManualClock(2_000_000), ManualClock(1_000_000)
    Journal(path, late).see(State.PROVISIONING)
    Journal(path, early).see(State.ERROR)
    assert [o.at for o in read(path).seen] == [2_000_000, 2_000_000]


def test_an_unknown_format_is_refused(path: Path) -> None:
    path.write_text('{"journal": 3}\n')
    with pytest.raises(UnknownJournal, match=r"has format 3, this version knows 2: another version"):
        read(path)


@pytest.mark.parametrize("line", ["{", "null", "[]", '{"state": "dancing"}', "{}", '"state"', "\x00"])
def test_a_strange_line_is_passed_over(path: Path, clock: ManualClock, line: str) -> None:
    journal = Journal(path, clock)
    journal.begin("a-1", SOMEBODY)
    with path.open("a") as file:
        file.write(line + "\n")
    journal.see(State.RUNNING)
    assert [o.state for o in read(path).seen] == [State.RUNNING]
