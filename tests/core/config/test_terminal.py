"""What `experiment-ci check-config` prints, whole."""

from bot.core.config import load, render_terminal
from tests.core.config.files import PATH, files, read, sound


def test_mistakes_with_their_lines() -> None:
    text = sound(step="timeout: 10", params="modelType: onnx")

    assert (
        render_terminal(read(text), text)
        == """\
.ps_project/config.yaml:8:18: error: A duration is expected here
  8 |         timeout: 10
    |                  ^
  hint: Write `90s`, `10m`, `9h` or `1h30m`: a number needs its unit.

.ps_project/config.yaml:11:22: warning: `onnx` is an old spelling of `ONNX`
  11 |           modelType: onnx
     |                      ^
  hint: Write `ONNX`.

.ps_project/config.yaml: 1 error and 1 warning
"""
    )


def test_a_sound_file_with_what_it_means() -> None:
    text = """\
version: 2
workflows:
  train:
    triggers:
      branches: {only: [main, release/.*]}
      paths: {ignore: docs/.*}
      events: [pull-requests, pushes]
    steps:
      - name: digits
        command: experiment.run_single_node
        params: {command: python train.py}
        checks:
          tensorflow:accuracy: {target: 0.9.., aggregate: max, precision: 3}
          custom:loss: {target: 0.1..0.5, aggregate: /loss, round: up, only-pulls: true}
      - name: big
        command: experiment.run_multi_node
        params: {workerCommand: a, workerCount: 2, parameterServerCommand: a, parameterServerCount: 1}
"""

    assert (
        render_terminal(read(text), text)
        == """\
.ps_project/config.yaml, version 2: no problems

workflow train (pushes, pull-requests)
  branches: only main, release/.*
  paths: ignore docs/.*
  step digits: single node
    gate tensorflow:accuracy: max in 0.9.. (3 decimals, rounded down)
    gate custom:loss: /loss in 0.1..0.5 (2 decimals, rounded up, on pull requests only)
  step big: multi node, gRPC
"""
    )


def test_a_search_a_matrix_and_a_permission_are_told_with_what_they_mean() -> None:
    text = """\
version: 2
permissions: {pull-requests: {storage: write}}
workflows:
  tune:
    steps:
      - name: lr
        command: hyperparameters.run
        params:
          command: python train.py
          search:
            space:
              lr: loguniform(1e-4, 1e-1)
              units: [32, 64]
            metric: tensorflow:loss
            goal: minimize
            trials: 30
            parallel: 4
            pruner: asha
      - name: seeds
        command: experiment.run_single_node
        matrix: {seed: [1, 2, 3]}
        params: {command: python train.py}
"""

    assert (
        render_terminal(read(text), text)
        == """\
.ps_project/config.yaml, version 2: no problems

workflow tune (pushes, pull-requests, merge-queue, command)
  step lr: hyperparameter search
    minimize tensorflow:loss: 30 trials, 4 at a time, sampler tpe, pruner asha
      lr: loguniform(0.0001, 0.1)
      units: choice([32, 64])
  step seeds: single node, 3 runs: seed=1 …
pull requests may write to /storage, where the default branch says so
"""
    )


def test_a_problem_in_a_params_file_names_that_file_and_shows_no_line_of_another() -> None:
    text = sound().replace("params:", "paramsFile: a.yaml").replace("          command: python train.py\n", "")
    loaded = load(text.encode(), PATH, files({"a.yaml": "comand: x\n"}))

    assert render_terminal(loaded, text).startswith(
        "a.yaml:1:1: error: Unknown key `comand`\n  hint: Did you mean `command`?\n"
    )


def test_a_long_line_is_cut_around_the_place() -> None:
    text = sound(params=f"experimentEnv: {{A: {'x' * 500}, 1B: y}}")
    line, caret = render_terminal(read(text), text).split("\n")[1:3]

    assert len(line) < 120
    assert line[caret.index("^")] == "1"


def test_a_file_cannot_command_the_terminal() -> None:
    text = "version: 2\nworkflows: \x1b]0;owned\x07 \u202e\t{\n"

    shown = render_terminal(read(text), text)

    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\u202e" not in shown
    assert "]0;owned" in shown


def test_an_empty_file_has_no_line_to_show() -> None:
    assert render_terminal(read(""), "") == (
        ".ps_project/config.yaml:1:1: error: The file is empty\n  1 | \n    | ^\n  hint: Begin with `version: 2`.\n\n"
        ".ps_project/config.yaml: 1 error\n"
    )
