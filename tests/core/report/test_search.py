"""A search as it runs: told at its milestones, not at each trial; and its end."""

from dataclasses import replace

from bot.core.report import SearchFacts, desired_checks
from bot.core.report.renderer import reproduction
from bot.core.search import Goal
from bot.core.states import State
from bot.core.trials import Trial, TrialState
from tests.core.report import examples as e
from tests.core.report import scenes as s
from tests.core.report.words import RENDERER


def facts(*values: float | None, asked: int = 30, goal: Goal = Goal.MINIMIZE) -> SearchFacts:
    """Return a search whose trials ended with these values, in this order; None for one that failed."""
    states = [TrialState.FAILED if value is None else TrialState.COMPLETE for value in values]
    pairs = zip(values, states, strict=True)
    return SearchFacts(goal, "custom:/loss", asked, tuple(s.trial(n, *pair) for n, pair in enumerate(pairs)))


def shown(search: SearchFacts) -> int:
    return len(search.seen(is_done=False).ended)


def check(trials: tuple[Trial, ...], state: State = State.RUNNING) -> tuple[str, str]:
    """Return the headline and the digest of a search's check."""
    view = desired_checks(e.commit(s.search(state, trials, metrics_read=state.is_final)), RENDERER)[1]
    return view.headline, view.digest()


def test_a_new_best_and_every_tenth_of_the_trials_are_milestones() -> None:
    assert shown(facts(0.5)) == 1
    assert shown(facts(0.5, 0.6)) == 1
    assert shown(facts(0.5, 0.6, 0.7)) == 3
    assert shown(facts(0.5, 0.6, 0.7, None)) == 3
    assert shown(facts(0.5, 0.6, 0.7, None, 0.4)) == 5
    assert shown(facts(0.5, 0.4, goal=Goal.MAXIMIZE)) == 1


def test_what_runs_is_not_counted() -> None:
    running = replace(s.trial(7, None), state=TrialState.RUNNING, ended_at=None)
    one = facts(0.5)
    assert shown(replace(one, trials=(*one.trials, running))) == 1


def test_trials_that_end_in_another_order_are_seen_in_that_order() -> None:
    late, early = s.trial(0, 0.1), s.trial(1, 0.5)
    trials = (replace(late, ended_at=early.ended_at and early.ended_at + 1), early)
    assert [one.number for one in SearchFacts(Goal.MINIMIZE, "custom:/loss", 30, trials).seen(is_done=False).ended] == [
        1,
        0,
    ]


def test_a_long_search_is_edited_a_few_times_and_has_one_headline_while_it_runs() -> None:
    trials = tuple(s.trial(n, 1.0 + (n * 37 % 100) / 100) for n in range(300))
    told = {shown(SearchFacts(Goal.MINIMIZE, "custom:/loss", 300, trials[:count])) for count in range(301)}
    assert len(told) == 12
    (before, _), (after, _) = check(trials[:100]), check(trials[:290])
    assert before == after


def test_between_two_milestones_nothing_is_told() -> None:
    assert check(s.losses(10)) == check(s.losses(11))
    assert check(s.losses(9)) != check(s.losses(10))


def test_its_end_shows_every_trial() -> None:
    search = facts(0.5, 0.6)
    assert len(search.seen(is_done=True).ended) == 2
    assert search.seen(is_done=True).counts == {"complete": 2}


def test_the_best_is_the_highest_where_the_goal_says_so() -> None:
    best = facts(0.5, 0.9, 0.1, goal=Goal.MAXIMIZE).seen(is_done=True).best
    assert best is not None
    assert best.value == 0.9


def test_a_metric_is_called_by_its_last_name() -> None:
    def label(metric: str) -> str:
        return SearchFacts(Goal.MINIMIZE, metric, 3).seen(is_done=True).label

    assert [label("custom:/loss"), label("tensorflow:val/loss"), label("logged:")] == ["loss", "val/loss", "logged:"]


def test_fewer_trials_than_asked_for_are_told() -> None:
    title = desired_checks(e.commit(s.search(State.STOPPED, s.losses(12))), RENDERER)[1].title
    assert title.endswith(" of 12 trials, 30 asked")


def test_the_best_trial_can_be_run_again() -> None:
    lines = reproduction(s.SEARCHED, e.commit(s.SEARCHED)).split("\n")
    assert lines[-1] == "python train.py --lr 0.024999999999999998 --units 64"
    assert "export units=64" in lines


def test_the_trials_of_somebody_s_own_tuner_cannot() -> None:
    assert s.SEARCHED.search is not None
    own = replace(s.SEARCHED, command="python tune.py", search=replace(s.SEARCHED.search, is_declared=False))
    assert reproduction(own, e.commit(own)).endswith(f"git checkout {e.SHA}\npython tune.py")


def test_a_parameter_never_becomes_a_second_command() -> None:
    evil = Trial(0, {"lr": "$(reboot); x", "a b": "y"}, TrialState.COMPLETE, 0.5)
    lines = reproduction(s.search(State.STOPPED, (evil,), command="train {lr}"), e.commit()).split("\n")
    assert lines[-1] == "train '$(reboot); x'"
    assert [line for line in lines if line.startswith("export lr")] == ["export lr='$(reboot); x'"]
    assert not any(line.startswith("export a b") for line in lines)
