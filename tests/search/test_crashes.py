"""A search whose tuner dies after any byte it wrote: no trial is lost, none is run twice, no parameter changes."""

import json
from pathlib import Path

import pytest

from bot.clock import ManualClock
from bot.core.search import Choice, Pruner, Sampler
from bot.search.ledger import Ledger, LedgerError
from tests.search.stage import Stage, search

TRIALS = 5
DEFINITION = search(trials=TRIALS, pruner=Pruner.ASHA)


def finish(stage: Stage) -> None:
    """Play a tuner's life to the end of the search."""
    tuner = stage.tuner(DEFINITION)
    heard = 0
    while not tuner.is_over:
        number = stage.runs()[heard]
        stage.values.logged[number] = [(1, float(number)), (2, 0.5)]
        tuner.ended(number, number == 3, "")
        heard += 1


@pytest.fixture
def whole(stage: Stage) -> tuple[bytes, bytes]:
    """The files of a search that nothing has disturbed."""
    finish(stage)
    assert stage.states() == ["complete", "complete", "complete", "failed", "complete"]
    return (stage.run_dir / "trials").read_bytes(), (stage.run_dir / "study" / "steps").read_bytes()


def finished(data: bytes) -> list[int]:
    """Return the trials that the whole lines of `data` tell the end of."""
    lines = [json.loads(line) for line in data.splitlines(keepends=True) if line.endswith(b"\n")]
    return [line["number"] for line in lines if line["state"] != "running"]


def test_whatever_was_written_last_the_search_goes_on_from_there(stage: Stage, whole: tuple[bytes, bytes]) -> None:
    trials, steps = whole
    assert stage.ledger is not None
    undisturbed = [(one.number, one.params, one.state, one.value) for one in stage.ledger.trials]
    ends = [0, *(place + 1 for place, byte in enumerate(trials) if byte == ord("\n"))]
    assert len(ends) == 2 * TRIALS + 1
    for cut in (place for end in ends for place in (end, end + 20)):  # after a whole line, and within the next one
        (stage.run_dir / "trials").write_bytes(trials[:cut])
        # What only helps may be a step ahead, or be lost altogether.
        (stage.run_dir / "study" / "steps").write_bytes(steps if cut % 2 else b"")
        finish(stage)
        assert stage.end == {"state": "stopped", "reason": ""}
        assert [(one.number, one.params, one.state, one.value) for one in stage.ledger.trials] == undisturbed
        assert sorted(finished((stage.run_dir / "trials").read_bytes())) == [*range(TRIALS)]
        assert not set(stage.runs()) & set(finished(trials[:cut]))


def test_interrupted_trials_come_first_with_an_empty_directory(stage: Stage) -> None:
    tuner = stage.tuner(search(trials=4, parallel=3))
    tuner.ended(1, 0, "")
    assert stage.runs() == [0, 1, 2, 3]
    orders = {one["run"]["trial"]: one["run"]["argv"] for one in stage.said if "run" in one}
    stage.cleared.clear()
    stage.tuner(search(trials=4, parallel=3))
    assert stage.cleared == stage.runs() == [0, 2, 3]
    assert all(one["run"]["argv"] == orders[one["run"]["trial"]] for one in stage.said)


def test_more_were_interrupted_than_there_are_workers_now(stage: Stage) -> None:
    stage.tuner(search(trials=4, parallel=4))
    tuner = stage.tuner(search(trials=4, parallel=1))
    for number in range(4):
        assert stage.runs() == [*range(number + 1)]
        tuner.ended(number, 0, "")
    assert stage.end == {"state": "stopped", "reason": ""}


def test_a_search_that_is_over_ends_again_with_the_same_words(stage: Stage) -> None:
    finish(stage)
    stage.tuner(DEFINITION)
    assert stage.said == [{"end": {"state": "stopped", "reason": ""}}]


def test_a_grid_goes_on_with_its_next_cell(stage: Stage) -> None:
    grid = search(space={"a": Choice((1, 2, 3, 4))}, sampler=Sampler.GRID, trials=4, parallel=2)
    stage.tuner(grid).ended(0, 0, "")
    tuner = stage.tuner(grid)
    for number in (1, 2, 3):
        tuner.ended(number, 0, "")
    assert stage.ledger is not None
    assert [trial.params["a"] for trial in stage.ledger.trials] == [1, 2, 3, 4]


class TestTheFiles:
    def test_two_tuners_never_have_the_same_files(self, tmp_path: Path, clock: ManualClock) -> None:
        first = Ledger(tmp_path, clock)
        with pytest.raises(LedgerError, match="another tuner of this search is still running"):
            Ledger(tmp_path, clock)
        first.close()
        Ledger(tmp_path, clock).close()

    @pytest.mark.parametrize(
        ("line", "told"), [(b"{}\n", "none of ours"), (b"nonsense\n", "none of ours"), (None, "gaps")]
    )
    def test_a_file_that_somebody_changed_is_refused(
        self, stage: Stage, whole: tuple[bytes, bytes], line: bytes | None, told: str
    ) -> None:
        stage.die()
        path = stage.run_dir / "trials"
        path.write_bytes(whole[0] + line if line else b"".join(whole[0].splitlines(keepends=True)[5:]))
        with pytest.raises(LedgerError, match=told):
            Ledger(stage.run_dir, stage.clock)

    def test_a_line_that_only_helps_may_be_spoiled(self, stage: Stage, whole: tuple[bytes, bytes]) -> None:
        stage.die()
        (stage.run_dir / "study" / "steps").write_bytes(b"nonsense\n[]\n" + whole[1])
        ledger = Ledger(stage.run_dir, stage.clock)
        assert sorted(ledger.memories()) == [*range(TRIALS)]
        assert ledger.memories()[2].steps == {1: 2.0, 2: 0.5}
        ledger.close()

    def test_a_link_in_the_place_of_a_file_is_not_followed(self, tmp_path: Path, clock: ManualClock) -> None:
        (tmp_path / "trials").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(OSError, match="symbolic links"):
            Ledger(tmp_path, clock)
