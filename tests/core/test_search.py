"""A declared search: what is frozen of it, and how a trial gets its parameters."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.search import Goal, Pruner, Sampler, Search, SpaceError, command, environment, parse, split
from bot.core.series import Source

SEARCH = Search(
    space={"lr": parse("loguniform(1e-4, 1e-1)"), "units": parse("choice([32, 64])")},
    metric_source=Source.CUSTOM,
    metric="/loss",
    goal=Goal.MINIMIZE,
    trials=30,
    parallel=4,
    sampler=Sampler.RANDOM,
    pruner=Pruner.ASHA,
    timeout_seconds=3600.0,
    seed=7,
)


def test_a_search_is_frozen_as_json_and_read_back() -> None:
    frozen = json.dumps(SEARCH.to_json())

    assert json.loads(frozen) == {
        "space": {"lr": "loguniform(0.0001, 0.1)", "units": "choice([32, 64])"},
        "metric": "custom:/loss",
        "goal": "minimize",
        "trials": 30,
        "parallel": 4,
        "sampler": "random",
        "pruner": "asha",
        "timeout_seconds": 3600.0,
        "seed": 7,
    }
    assert Search.from_json(json.loads(frozen)) == SEARCH


@pytest.mark.parametrize(
    "change",
    [{"goal": "best"}, {"space": {"lr": "lr"}}, {"metric": "loss"}, {"sampler": "cmaes"}, {"trials": "many"}],
)
def test_what_is_no_search_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Search.from_json({**SEARCH.to_json(), **change})


def test_parameters_take_the_places_of_their_names() -> None:
    params = {"lr": 1e-5, "units": 64, "opt": "adam", "fast": True}

    assert command("python 'my train.py' --lr={lr} --units {units} --opt={opt}-{fast}", params) == [
        "python",
        "my train.py",
        "--lr=1e-05",
        "--units",
        "64",
        "--opt=adam-true",
    ]


def test_a_value_stays_inside_its_word() -> None:
    assert command("echo {x}", {"x": "a b; rm -rf / $(id) {lr}"}) == ["echo", "a b; rm -rf / $(id) {lr}"]


def test_double_braces_are_braces() -> None:
    assert command("""train --json '{{"lr": {lr}}}'""", {"lr": 0.1}) == ["train", "--json", '{"lr": 0.1}']


def test_the_words_of_a_template_can_be_filled_later() -> None:
    words = split("python train.py --lr {lr}")

    assert words == ("python", "train.py", "--lr", "{lr}")
    assert command(words, {"lr": 2}) == ["python", "train.py", "--lr", "2"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("train --lr {rate}", "`{rate}` is no parameter of this search"),
        ("train --lr {}", "`{}` is no parameter of this search"),
        ("train --lr {lr", "`{` is no parameter of this search"),
        ("train --lr lr}", "`}` is no parameter of this search"),
        ("train --lr {lr:.3f}", "`{lr:.3f}` is no parameter of this search"),
        ("train --lr {lr.real}", "`{lr.real}` is no parameter of this search"),
        ("train 'a", "A quote of the command is never closed"),
        ("''", "The command is empty"),
        ("a\nb", "The command of a search is one line"),
        ("cd x && train", "No shell reads this command: `&&` would be a word like the others"),
        ("train | tee log", "No shell reads this command: `|` would be a word like the others"),
    ],
)
def test_a_command_that_no_trial_could_run(template: str, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        command(template, {"lr": 0.1})

    assert str(caught.value) == message


@given(st.text(max_size=40), st.text(max_size=20))
def test_no_value_changes_how_many_words_there_are(template: str, value: str) -> None:
    try:
        plain = command(template, {"a": ""})
    except SpaceError:
        return
    assert len(command(template, {"a": value})) == len(plain)


def test_a_trial_finds_its_parameters_in_variables_too() -> None:
    found = environment({"lr": 0.1, "units": 64, "opt": "adam", "fast": False, "net.depth": 3})

    assert found.pop("PARAMS") == '{"lr": 0.1, "units": 64, "opt": "adam", "fast": false, "net.depth": 3}'
    assert found == {"lr": "0.1", "units": "64", "opt": "adam", "fast": "false"}
