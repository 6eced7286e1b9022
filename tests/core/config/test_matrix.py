"""`matrix` and `report` of a step."""

import pytest

from bot.core.config import Reporting
from tests.core.config.files import accepted, only_step, read, sound, told

MATRIX = """\
version: 2
workflows:
  train:
    steps:
      - name: digits
        command: experiment.run_single_node
        matrix:
          lr: [0.1, 1e-2]
          seed: [1, 2]
          exclude:
            - {lr: 0.1, seed: 2}
          include: {lr: 1, seed: 3}
        report: each
        params: {command: python train.py}
"""


def test_a_step_becomes_a_run_for_each_cell() -> None:
    step = only_step(accepted(MATRIX))

    assert [(cell.label, dict(cell.values)) for cell in step.matrix] == [
        ("lr=0.1, seed=1", {"lr": "0.1", "seed": "1"}),
        ("lr=1e-2, seed=1", {"lr": "1e-2", "seed": "1"}),
        ("lr=1e-2, seed=2", {"lr": "1e-2", "seed": "2"}),
        ("lr=1, seed=3", {"lr": "1", "seed": "3"}),
    ]
    assert step.report is Reporting.EACH


def test_without_a_matrix_a_step_is_one_run_with_one_check() -> None:
    step = only_step(accepted(sound()))

    assert (step.matrix, step.report) == ((), Reporting.STEP)


def test_version_1_has_it_at_the_top_level() -> None:
    step = only_step(accepted("version: 1\ntype: single\nworker: {command: a}\nmatrix: {seed: [1, 2]}\nreport: each\n"))

    assert [cell.label for cell in step.matrix] == ["seed=1", "seed=2"]
    assert step.report is Reporting.EACH


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            sound(step="matrix: [1]"),
            ["8:17 error: A mapping is expected here | Write `lr: [0.1, 0.01]` lines."],
        ),
        (
            sound(step="matrix: {}"),
            ["8:17 error: The matrix has no cell | Name at least one value, like `seed: [1, 2]`."],
        ),
        (
            sound(step="matrix: {seed: []}"),
            ["8:24 error: The list is empty | Name at least one value, or delete the key."],
        ),
        (
            sound(step="matrix: {seed: [1, null]}"),
            ["8:28 error: Text or a number is expected here | Put lists and mappings in quotes."],
        ),
        (
            sound(step="matrix: {seed: [1, 2, 1]}"),
            ["8:31 error: `1` stands here a second time | Keep one of them."],
        ),
        (
            sound(step="matrix: {net-depth: [1]}"),
            [
                "8:18 error: `net-depth` cannot be a variable's name | A value becomes a variable of its name: use"
                " letters, digits and `_`, no digit first.",
            ],
        ),
        (
            sound(step="matrix: {MATRIX: [1]}"),
            ["8:18 error: `MATRIX` is taken: it holds all values as JSON | Choose another name."],
        ),
        (
            sound(step="matrix: {token: ['secret:a']}"),
            ["8:26 error: A secret cannot be a value of a matrix | Put it into `experimentEnv`."],
        ),
        (
            sound(step="matrix: {a: [1, 2], exclude: [{a: 3}]}"),
            ["8:39 error: No cell has these values: nothing is excluded | Name values as they stand in the lists."],
        ),
        (
            sound(step="matrix: {a: [1, 2], include: [{a: 3}, [4]]}"),
            ["8:47 error: A mapping of values is expected here | Write `- {lr: 0.1, seed: 1}`."],
        ),
        (
            sound(step="matrix: {a: [1, 2], include: {b: 3}}"),
            ["8:38 error: An included cell has other names | Give a value to each of `a`, and to no other."],
        ),
        (
            sound(step=f"matrix: {{a: [{', '.join(map(str, range(17)))}], b: [{', '.join(map(str, range(17)))}]}}"),
            [
                "8:17 error: The matrix has more than 256 cells | Choose fewer values; for a wide search take"
                " `hyperparameters.run`.",
            ],
        ),
        (
            sound(step=f"matrix: {{a: [{', '.join(map(str, range(21)))}]}}\n        report: each"),
            [
                "9:17 error: 21 cells are too many for a check each: 20 at most | Write `report: step`, or choose"
                " fewer values.",
            ],
        ),
        (
            sound(step="report: each"),
            ["8:9 error: `report` has no meaning without `matrix` | Delete it, or write a `matrix`."],
        ),
        (
            sound(step="matrix: {lr: [1]}", params="experimentEnv: {lr: 2}"),
            [
                "8:18 error: `lr` stands in `matrix` and in `experimentEnv` | Delete it from one of them: which of two"
                " values counts would be a guess.",
            ],
        ),
        (
            sound(params="matrix: {a: 1}"),
            ["11:11 error: `matrix` does not belong here | Put `matrix` one level up, beside the step's `command`."],
        ),
        (
            sound(workflow="matrix: {a: 1}"),
            ["4:5 error: `matrix` does not belong here | Put it into a step, beside its `command`."],
        ),
        (
            "version: 2\nworkflows: {a: {steps: [{name: b, command: hyperparameters.run, matrix: {a: 1},"
            " params: {tuningCommand: a, workerCommand: b, workerCount: 2}}]}}\n",
            [
                "2:65 error: A search has no `matrix` | Put the values into the search's `space` by `choice([…])`, or"
                " write several steps.",
            ],
        ),
        (
            sound(
                step=f"report: each\n        matrix: {{a: [{'x' * 40}]}}\n        checks:"
                " {tensorflow:" + "m" * 90 + ": {target: 1.., aggregate: max}}"
            )
            .replace("name: digits", f"name: {'s' * 60}")
            .replace("train:", f"{'t' * 60}:"),
            [
                "10:18 error: The check's name is longer than 255 bytes | Shorten the workflow's, the step's or the"
                " metric's name.",
            ],
        ),
    ],
)
def test_a_matrix_that_cannot_be_run_is_a_mistake_with_its_place(text: str, problems: list[str]) -> None:
    loaded = read(text)

    assert told(loaded) == problems
    assert loaded.config is None


def test_one_commit_starts_a_thousand_runs_at_most() -> None:
    steps = "".join(
        f"      - {{name: s{n}, command: experiment.run_single_node, params: {{command: a}}, matrix: *wide}}\n"
        for n in range(4)
    )
    values = ", ".join(map(str, range(250)))
    text = MATRIX.replace(
        "        matrix:\n          lr: [0.1, 1e-2]\n          seed: [1, 2]\n          exclude:\n"
        "            - {lr: 0.1, seed: 2}\n          include: {lr: 1, seed: 3}\n        report: each\n",
        f"        matrix: &wide {{a: [{values}]}}\n",
    )

    assert told(read(text + steps)) == [
        "2:1 error: 1,250 runs, more than 1,000 of one commit | Make the matrices smaller.",
    ]
