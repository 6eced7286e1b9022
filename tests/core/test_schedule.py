"""Who may start now."""

from hypothesis import given
from hypothesis import strategies as st

from bot.core.schedule import Need, Room, choose


def need(attempt: int, repository: int = 1, cpus: float = 1, memory_mb: int = 100, gpus: int = 0) -> Need:
    return Need(attempt, repository, cpus, memory_mb, gpus)


ROOM = Room(cpus=2, memory_mb=1000, gpus=1)


def test_first_come_first_served() -> None:
    assert choose([need(1), need(2), need(3)], [], ROOM) == [1, 2]


def test_a_repository_with_nothing_running_goes_before_a_busy_one() -> None:
    assert choose([need(1), need(2), need(3, repository=2)], [], ROOM) == [1, 3]
    assert choose([need(2), need(3, repository=2)], [need(1)], ROOM) == [3]


def test_nothing_younger_overtakes_what_does_not_fit_yet() -> None:
    large = need(2, cpus=2)
    assert choose([large, need(3, cpus=0.5)], [need(1)], ROOM) == []


def test_memory_and_gpus_count_too() -> None:
    assert choose([need(1, gpus=1), need(2, gpus=1)], [], ROOM) == [1]
    assert choose([need(1, memory_mb=600), need(2, memory_mb=600)], [], ROOM) == [1]


NEEDS = st.builds(
    need,
    st.integers(1, 10_000),
    st.integers(1, 3),
    st.floats(0.1, 3),
    st.integers(1, 800),
    st.integers(0, 1),
)


@given(st.lists(NEEDS, max_size=8, unique_by=lambda n: n.attempt_id), st.lists(NEEDS, max_size=3))
def test_what_is_chosen_always_fits_beside_what_runs(waiting: list[Need], running: list[Need]) -> None:
    chosen = [n for n in waiting if n.attempt_id in choose(waiting, running, ROOM)]
    if chosen:
        together = chosen + running
        assert sum(n.cpus for n in together) <= ROOM.cpus + 1e-9
        assert sum(n.memory_mb for n in together) <= ROOM.memory_mb
        assert sum(n.gpus for n in together) <= ROOM.gpus


def limited(
    attempt: int, author: str, *, most: int | None = None, each: int | None = None, repository: int = 1
) -> Need:
    return Need(attempt, repository, 0.1, 1, 0, author, most, each)


def test_of_a_repository_no_more_run_than_its_default_branch_says() -> None:
    waiting = [limited(n, "ada", most=3) for n in range(5)]
    assert choose(waiting, [], ROOM) == [0, 1, 2]
    assert choose(waiting, [limited(9, "zoe", most=3)] * 2, ROOM) == [0]


def test_of_one_author_no_more_run_and_others_pass_by() -> None:
    waiting = [limited(n, "ada", each=1) for n in (1, 2)] + [limited(3, "zoe", each=1)]
    assert choose(waiting, [], ROOM) == [1, 3]


def test_who_is_at_his_limit_keeps_nobody_waiting() -> None:
    assert choose([limited(1, "ada", most=0), limited(2, "zoe", repository=2)], [], ROOM) == [2]


def test_a_backend_that_queues_by_itself_is_limited_too() -> None:
    assert choose([limited(n, "ada", most=2) for n in range(4)], [], None) == [0, 1]
