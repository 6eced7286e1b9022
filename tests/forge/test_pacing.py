"""The pacer, in seconds that a manual clock makes pass."""

from hypothesis import given
from hypothesis import strategies as st

from bot.clock import ManualClock
from bot.forge.pacing import Pacer

OURS, THEIRS = 1, 2


def write_for(pacer: Pacer, clock: ManualClock, seconds: float, *, is_progress: bool = False) -> list[float]:
    """Write as often as the pacer lets us for so long; return when, in seconds from the start."""
    start, times = clock.monotonic(), []
    while (left := start + seconds - clock.monotonic()) > 0:
        wait = pacer.may_write(OURS, is_progress=is_progress)
        if wait:
            clock.sleep(min(wait, left))
            continue
        pacer.wrote(OURS)
        times.append(clock.monotonic() - start)
    return times


def test_each_write_is_a_second_after_the_one_before() -> None:
    clock = ManualClock()
    times = write_for(Pacer(clock), clock, seconds=15)
    assert times == list(range(15))


def test_what_comes_after_a_quiet_time_goes_at_once() -> None:
    clock = ManualClock()
    pacer = Pacer(clock)
    write_for(pacer, clock, seconds=30)
    clock.advance(0.9)
    assert pacer.may_write(OURS) == 0


@given(st.lists(st.floats(min_value=0, max_value=90), min_size=1, max_size=400))
def test_never_more_than_seventy_in_any_minute(pauses: list[float]) -> None:
    clock = ManualClock()
    pacer, times = Pacer(clock), []
    for pause in pauses:
        clock.advance(pause if pause > 45 else pause / 100)
        while wait := pacer.may_write(OURS):
            clock.advance(wait)
        pacer.wrote(OURS)
        times.append(clock.monotonic())

    assert all(later - earlier >= 59.999 for earlier, later in zip(times, times[70:], strict=False))


def test_four_hundred_and_fifty_in_an_hour_and_then_the_hour_is_waited_for() -> None:
    clock = ManualClock()
    pacer = Pacer(clock)

    assert len(write_for(pacer, clock, seconds=3600)) == 450
    assert write_for(pacer, clock, seconds=5) == [0, 1, 2, 3, 4]


def test_progress_stops_early_so_that_final_states_find_room() -> None:
    clock = ManualClock()
    pacer = Pacer(clock)

    assert len(write_for(pacer, clock, seconds=1800, is_progress=True)) == 300
    assert pacer.may_write(OURS, is_progress=True) > 1700
    assert pacer.may_write(OURS) == 0


def test_a_limit_with_a_time_is_obeyed_to_the_second() -> None:
    clock = ManualClock()
    pacer = Pacer(clock)

    assert pacer.limited(OURS, after=90) == 90

    clock.advance(89.9)
    assert pacer.may_write(OURS) > 0
    assert pacer.may_read(OURS) > 0
    clock.advance(0.1)
    assert pacer.may_write(OURS) == pacer.may_read(OURS) == 0


def test_a_shorter_limit_never_shortens_a_longer_one() -> None:
    pacer = Pacer(ManualClock())
    pacer.limited(OURS, after=900)

    assert pacer.limited(OURS, after=5) == 900


class Kept:
    """What one process leaves for the next."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock, self._until = clock, dict[int, float]()

    def left(self, installation: int) -> float:
        return self._until.get(installation, 0.0) - self._clock.now() / 1e6

    def keep(self, installation: int, seconds: float) -> None:
        self._until[installation] = self._clock.now() / 1e6 + seconds


def test_the_next_process_obeys_what_the_one_before_was_told() -> None:
    clock = ManualClock()
    windows = Kept(clock)
    Pacer(clock, windows=windows).limited(OURS, after=90)
    clock.advance(60)

    pacer = Pacer(clock, windows=windows)
    assert 29.9 < pacer.closed_for(OURS) < 30.1
    assert pacer.closed_for(THEIRS) == 0
    clock.advance(30.1)
    assert pacer.closed_for(OURS) == 0


def test_a_clock_that_was_put_back_silences_nobody_for_longer_than_a_day() -> None:
    clock = ManualClock()
    windows = Kept(clock)
    windows.keep(OURS, 365 * 86_400)

    assert Pacer(clock, windows=windows).closed_for(OURS) == 86_400


def test_a_limit_without_a_time_doubles_from_a_minute_until_github_answers_again() -> None:
    clock = ManualClock()
    pacer, closed = Pacer(clock), []
    for _ in range(8):
        closed.append(pacer.limited(OURS, after=0))
        clock.advance(closed[-1])
    pacer.answered(OURS)

    assert closed == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert pacer.limited(OURS, after=0) == 60


def test_failures_pause_a_little_longer_each_time() -> None:
    clock = ManualClock()
    pacer, pauses = Pacer(clock), []
    for _ in range(8):
        pauses.append(pacer.failed(OURS))
        clock.advance(pauses[-1])

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_one_installations_trouble_never_slows_another() -> None:
    clock = ManualClock()
    pacer = Pacer(clock)
    write_for(pacer, clock, seconds=3600)
    pacer.limited(OURS, after=3600)
    pacer.failed(OURS)

    assert pacer.may_write(THEIRS) == pacer.may_read(THEIRS) == pacer.closed_for(THEIRS) == 0
