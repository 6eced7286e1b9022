"""Which ends the platform repeats by itself, when, and how often."""

import pytest

from bot.core.retries import TRIES, due
from bot.core.states import MINUTE, SECOND, State, Transition


def end(state: State, *, may_retry: bool = True) -> Transition:
    return Transition(State.RUNNING, state, 1_000, "a reason", may_retry)


def test_an_error_of_the_platform_is_repeated_twice_and_not_at_once() -> None:
    assert [due(end(State.ERROR), retry) for retry in range(4)] == [
        1_000 + 30 * SECOND,
        1_000 + 2 * MINUTE,
        None,
        None,
    ]
    assert TRIES == 3


def test_an_error_that_would_come_again_stands() -> None:
    assert due(end(State.ERROR, may_retry=False), 0) is None


@pytest.mark.parametrize("state", [state for state in State if state is not State.ERROR])
def test_nothing_else_is_repeated_whatever_was_said_of_it(state: State) -> None:
    assert due(end(state), 0) is None
