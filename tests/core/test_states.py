"""The states: one table, one way, one function that advances."""

from hypothesis import given
from hypothesis import strategies as st

from bot.core.states import ANCESTOR_CODES, FINAL, TRANSITIONS, WAY, Observation, State, advance, deadline


def seen(*states: State) -> list[Observation]:
    return [Observation(state, at) for at, state in enumerate(states, start=1)]


def test_a_quick_success_passes_all_eight_states_each_at_its_own_time() -> None:
    steps = advance(State.CREATED, seen(*WAY[1:]))

    assert [step.target for step in steps] == list(WAY[1:])
    assert [step.at for step in steps] == [1, 2, 3, 4, 5, 6, 7]


def test_a_journal_read_again_changes_nothing() -> None:
    steps = advance(State.RUNNING, seen(State.PROVISIONING, State.PROVISIONED, State.RUNNING))

    assert steps == []


def test_states_that_nobody_saw_are_filled_in_so_that_the_rows_tell_a_whole_story() -> None:
    steps = advance(State.PROVISIONING, [Observation(State.STOPPED, 9, "exit code 0")])

    assert [step.target for step in steps] == [
        State.PROVISIONED,
        State.NETWORK_SETUP,
        State.RUNNING,
        State.NETWORK_TEARDOWN,
        State.STOPPED,
    ]
    assert {step.at for step in steps} == {9}
    assert [step.reason for step in steps] == ["", "", "", "", "exit code 0"]


def test_only_the_end_itself_says_that_it_may_be_tried_again() -> None:
    steps = advance(State.NETWORK_SETUP, [Observation(State.ERROR, 9, "lost", may_retry=True)])
    assert [step.may_retry for step in steps] == [True]
    steps = advance(State.PENDING, [Observation(State.RUNNING, 9), Observation(State.ERROR, 9, "lost", may_retry=True)])
    assert [step.may_retry for step in steps] == [False] * 4 + [True]


def test_a_run_that_fails_is_torn_down_first() -> None:
    steps = advance(State.RUNNING, [Observation(State.FAILED, 5, "exit code 3")])

    assert [step.target for step in steps] == [State.NETWORK_TEARDOWN, State.FAILED]


def test_what_never_ran_is_cancelled_where_it_stands() -> None:
    assert [step.target for step in advance(State.PENDING, seen(State.CANCELLED))] == [State.CANCELLED]


def test_the_first_end_stands() -> None:
    steps = advance(State.RUNNING, seen(State.CANCELLED, State.STOPPED, State.FAILED))

    assert [step.target for step in steps] == [State.CANCELLED]


def test_the_table_knows_every_state_and_only_final_ones_lead_nowhere() -> None:
    assert set(TRANSITIONS) == set(State) == set(ANCESTOR_CODES)
    assert {state for state, targets in TRANSITIONS.items() if not targets} == FINAL
    assert len(set(ANCESTOR_CODES.values())) == 11


@given(st.sampled_from(State), st.lists(st.sampled_from(State), max_size=8))
def test_whatever_is_observed_every_step_is_in_the_table(start: State, sightings: list[State]) -> None:
    current = start
    for step in advance(start, seen(*sightings)):
        assert step.source is current
        assert step.target in TRANSITIONS[current]
        current = step.target


def test_every_unfinished_state_has_a_deadline_before_github_calls_its_check_stale() -> None:
    fortnight = 14 * 24 * 3_600_000_000
    for state in set(State) - FINAL:
        due = deadline(state, 1000, timeout=60_000_000)
        assert due is not None
        assert 1000 < due < fortnight
    assert all(deadline(state, 1000, 0) is None for state in FINAL)
