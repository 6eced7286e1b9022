"""`hyperparameters.run` with a search that the config declares."""

import re

import pytest

from bot.core.config import Registry, SearchParams
from bot.core.search import Goal, Pruner, Sampler, Search, parse
from bot.core.series import Source
from tests.core.config.files import accepted, only_step, read, told

SEARCH = """\
version: 2
workflows:
  tune:
    steps:
      - name: learning-rate
        command: hyperparameters.run
        timeout: 9h
        params:
          command: python train.py --lr {lr} --units {units}
          machineType: small
          container: pytorch/pytorch
          registryPassword: secret:registry
          search:
            space:
              lr: loguniform(1e-4, 1e-1)
              units: choice([32, 64])
              optimizer: [adam, sgd, "1e-3"]
              net.depth: int(1, 8)
            metric: tensorflow:validation/loss
            goal: minimize
            trials: 30
            parallel: 4
            sampler: random
            pruner: median
            timeout: 2h
            seed: 7
"""


def search_of(text: str) -> Search:
    params = only_step(accepted(text)).params
    assert isinstance(params, SearchParams)
    assert params.search is not None
    return params.search


def test_every_key_of_a_search() -> None:
    assert search_of(SEARCH) == Search(
        space={
            "lr": parse("loguniform(1e-4, 1e-1)"),
            "units": parse("choice([32, 64])"),
            "optimizer": parse('choice(["adam", "sgd", 0.001])'),
            "net.depth": parse("int(1, 8)"),
        },
        metric_source=Source.TENSORFLOW,
        metric="validation/loss",
        goal=Goal.MINIMIZE,
        trials=30,
        parallel=4,
        sampler=Sampler.RANDOM,
        pruner=Pruner.MEDIAN,
        timeout_seconds=7200,
        seed=7,
    )


def test_its_workers_are_as_many_as_trials_run_at_a_time() -> None:
    params = only_step(accepted(SEARCH)).params

    assert isinstance(params, SearchParams)
    assert (params.tuning_command, params.server) == (None, None)
    assert params.command == "python train.py --lr {lr} --units {units}"
    assert (params.worker.count, params.worker.machine_type, params.worker.container) == (4, "small", "pytorch/pytorch")
    assert params.worker.command is None
    assert params.worker.registry == Registry(password="secret:registry")
    assert params.timeout_seconds == 9 * 3600


STEP = """\
version: 2
workflows:
  tune:
    steps:
      - name: lr
        command: hyperparameters.run
        params:
          command: python train.py {lr}
          PARAMS
          search:
            space:
              lr: uniform(0, 1)
              SPACE
            metric: custom:/loss
            goal: minimize
            trials: 4
            SEARCH
"""
"""Room for more: in the params (line 9), the space (line 13), the search (line 17)."""


def step(params: str = "", space: str = "", search: str = "") -> str:
    return STEP.replace("PARAMS", params).replace("SPACE", space).replace("SEARCH", search)


def test_the_least_that_searches() -> None:
    found = search_of(step())

    assert (found.parallel, found.sampler, found.pruner) == (1, Sampler.TPE, Pruner.NONE)
    assert (found.timeout_seconds, found.seed) == (None, None)
    assert (found.metric_source, found.metric) == (Source.CUSTOM, "/loss")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            step(space="units: int(8, 1)"),
            [
                "13:22 error: The range is empty: its low end is not below its high end | Write the lower number"
                " first.",
            ],
        ),
        (
            step(space="units: loguniform(0, 1)"),
            [
                "13:22 error: A logarithmic range begins above 0 | Write for example `loguniform(1e-4, 1e-1)`.",
            ],
        ),
        (
            step(space="units: []"),
            ["13:22 error: There is nothing to choose from | Write for example `choice([32, 64])`."],
        ),
        (
            step(space="units: [1, [2]]"),
            [
                "13:22 error: A value to choose is text or a number | Write `[32, 64]`; put what has brackets in"
                " quotes.",
            ],
        ),
        (
            step(space="units: {low: 1}"),
            [
                "13:22 error: A distribution is expected here | Write for example `loguniform(1e-4, 1e-1)` or"
                " `[32, 64]`.",
            ],
        ),
        (
            step(space="1units: int(1, 8)"),
            [
                "13:15 error: `1units` cannot be a parameter's name | Use letters, digits, `_`, `.` and `-`, at most"
                " 64, a letter first.",
            ],
        ),
        (
            step(space="PARAMS: int(1, 8)").replace("python train.py {lr}", "a"),
            ["13:15 error: `PARAMS` is taken: it holds all parameters as JSON | Choose another name."],
        ),
        (
            step(search="parallel: 5"),
            ["17:23 error: More trials at the same time than trials in all | Write at most `parallel: 4`."],
        ),
        (
            step(search="parallel: 65"),
            ["17:23 error: A whole number from 1 to 64 is expected here | Write it in decimal digits."],
        ),
        (
            step(search="sampler: grid"),
            [
                "12:19 error: A grid cannot count the values of `lr` | Write `quniform(low, high, step)`,"
                " `int(low, high)` or `choice([…])`, or take another sampler.",
            ],
        ),
        (
            step(search="sampler: bayes"),
            [
                "17:22 error: One of `tpe`, `random`, `grid` is expected here | Write one of them, in this spelling.",
            ],
        ),
        (
            step().replace("custom:/loss", "custom:loss"),
            [
                "14:21 error: `loss` is not a JSON pointer | For `custom` write where the number stands, like"
                " `custom:/loss`.",
            ],
        ),
        (
            step().replace("custom:/loss", "system:cpuPercentage"),
            [
                "14:21 error: What the search improves is expected here | Write `tensorflow:<scalar>`,"
                " `logged:<metric>` or `custom:/<pointer>`.",
            ],
        ),
        (
            step().replace("trials: 4", "trials: 10001"),
            ["16:21 error: A whole number from 1 to 10000 is expected here | Write it in decimal digits."],
        ),
        (
            step().replace("            goal: minimize\n", ""),
            ["10:11 error: `goal` is missing | Write `goal: minimize`."],
        ),
        # The command
        (
            step().replace("{lr}", "{rate}"),
            [
                "8:20 error: `{rate}` is no parameter of this search | Placeholders are `{name}` with a parameter of"
                " `space`; write `{{` and `}}` for braces.",
            ],
        ),
        (
            step().replace("{lr}", "&& python report.py"),
            [
                "8:20 error: No shell reads this command: `&&` would be a word like the others | Put it into a script,"
                " or write `sh -c '…'` and read the parameters from the variables.",
            ],
        ),
        (
            step().replace("          command: python train.py {lr}\n", ""),
            ["7:9 error: `command` is missing | Add `command: python train.py --lr {lr}`."],
        ),
        (
            step(params="experimentEnv: {lr: 1}"),
            [
                "12:15 error: `lr` stands in `space` and in `experimentEnv` | Delete it from one of them: which of two"
                " values counts would be a guess.",
            ],
        ),
        # One form or the other
        (
            step(params="tuningCommand: python tune.py"),
            ["9:11 error: `search` and `tuningCommand` exclude each other | Keep one of them."],
        ),
        (
            step(params="workerCount: 2"),
            ["9:11 error: `workerCount` has no meaning beside `search` | Write `parallel` in `search`."],
        ),
        (
            step(params="hyperparameterServerMachineType: small"),
            [
                "9:11 error: `hyperparameterServerMachineType` has no meaning beside `search` | The workers of a"
                " declared search take `command`, `machineType`, … without a prefix.",
            ],
        ),
        (
            "version: 2\nworkflows: {a: {steps: [{name: b, command: hyperparameters.run, params: {}}]}}\n",
            [
                "2:65 error: `search` is missing | Declare what is tried by `search:`, or name the command that"
                " chooses the trials by `tuningCommand`.",
            ],
        ),
        (
            "version: 2\nworkflows: {a: {steps: [{name: b, command: hyperparameters.run, params: {tuningCommand: a,"
            " workerCommand: b, workerCount: 2, machineType: small}}]}}\n",
            [
                "2:126 error: `machineType` has no meaning without `search` | Beside `tuningCommand` write"
                " `workerMachineType`.",
            ],
        ),
        # What YAML makes of braces
        (
            "version: 2\nworkflows: {a: {steps: [{name: b, command: hyperparameters.run, params: {command: c,"
            " search: {space: {lr: uniform(0, 1)}, metric: custom:/a, goal: minimize, trials: 1}}}]}}\n",
            [
                "2:118 error: Inside braces a comma separates parameters | Write each parameter on a line of its own,"
                " or its distribution in quotes.",
            ],
        ),
        (
            "version: 2\nspace: {units: choice([32, 64])}\n",
            [
                "2:23 error: This is not valid YAML: a comma or a closing bracket is missing | Inside braces put"
                " `choice([…])` in quotes, or write `[…]` alone, or each parameter on a line of its own.",
            ],
        ),
    ],
)
def test_a_search_that_cannot_be_run_is_a_mistake_with_its_place(text: str, problems: list[str]) -> None:
    loaded = read(text)

    assert told(loaded) == problems
    assert loaded.config is None


def test_a_space_has_a_limit() -> None:
    loaded = read(step(space="\n".join(f"              p{n}: int(1, 2)" for n in range(50)).lstrip()))

    assert [problem.message for problem in loaded.errors] == ["More than 50 parameters"]


def test_what_all_trials_would_write_down_has_a_limit() -> None:
    words = ", ".join(f'"{"x" * 400}{n}"' for n in range(2))
    space = "\n".join(f"              p{n}: [{words}]" for n in range(10)).lstrip()
    loaded = read(re.sub(r"trials: \d+", "trials: 9000", step(space=space)))
    assert "are too much to write down" in " ".join(problem.message for problem in loaded.errors)


def test_a_grid_that_is_smaller_than_the_trials_ends_the_search_earlier_with_a_warning() -> None:
    text = step(search="sampler: grid\n            parallel: 4").replace("uniform(0, 1)", "int(1, 3)")
    loaded = read(text)

    assert told(loaded) == [
        "16:21 warning: The grid has 3 points: the search ends after 3 trials | Write `trials: 3`.",
    ]
    assert loaded.config is not None
    params = only_step(loaded.config).params
    assert isinstance(params, SearchParams)
    assert params.search is not None
    assert (params.search.trials, params.search.parallel, params.worker.count) == (3, 3, 3)


def test_a_pruner_without_anything_to_see_is_told() -> None:
    assert told(read(step(search="pruner: asha"))) == [
        "17:21 warning: `pruner: asha` stops nothing: `custom` has no values before the end | The document is read at"
        " a trial's end; measure `tensorflow:` or `logged:` to stop trials early.",
    ]
