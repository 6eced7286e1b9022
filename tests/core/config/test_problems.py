"""What is wrong with a file of version 2: each mistake with its place and what to write instead."""

import pytest

from bot.core.config import load
from tests.core.config.files import PATH, no_files, read, sound, told

TEXT = "Text is expected here"
MISTAKES = [
    # Keys
    (
        sound(workflow="triger: {branches: {only: main}}"),
        ["4:5 error: Unknown key `triger` | Did you mean `triggers`?"],
    ),
    (
        sound(workflow="checks: {}"),
        ["4:5 error: `checks` does not belong here | Put it into a step, beside its `command`."],
    ),
    (
        sound(step="modelType: Tensorflow"),
        ["8:9 error: `modelType` does not belong here | Put it one level down, into the step's `params`."],
    ),
    (
        sound(step="triggers: {}"),
        [
            "8:9 error: `triggers` does not belong here | Put `triggers` one level up, into the workflow beside its"
            " `steps`."
        ],
    ),
    (
        sound(params="timeout: 10m"),
        ["11:11 error: `timeout` does not belong here | Put `timeout` one level up, beside the step's `command`."],
    ),
    (
        sound(params="workerCount: 2"),
        ["11:11 error: Unknown key `workerCount` | See docs/config.md for the keys."],
    ),
    (
        sound(params="workspaceArchive: code.zip"),
        ["11:11 error: `workspaceArchive` does not belong here | The code is this commit, or what `workspace` names."],
    ),
    (
        sound().replace("command: python train.py", "command:"),
        ["10:11 error: `command` is empty | Write `command: python train.py`."],
    ),
    ("version: 2\n", ["1:1 error: `workflows` is missing | Write `workflows:` and what it has below it, indented."]),
    (
        "version: 2\nworkflows:\n",
        ["2:1 error: `workflows` is empty | Write `workflows:` and what it has below it, indented."],
    ),
    (
        "version: 2\nworkflows: {}\n",
        ["2:12 error: The mapping is empty | Name at least one of the workflows."],
    ),
    (
        "version: 2\nworkflows: [train]\n",
        [
            "2:12 error: A mapping is expected here | Write a name, a colon, and what it has below it, indented.",
        ],
    ),
    (
        "version: 2\nworkflows: {train: fast}\n",
        [
            "2:20 error: A mapping is expected here"
            " | Write `key: value` lines. Keys here are `steps`, `triggers`, `concurrency`."
        ],
    ),
    (
        "version: 2\nworkflows: {train: {steps: []}}\n",
        ["2:28 error: The list is empty | Name at least one of the steps, or delete the key."],
    ),
    (
        "version: 2\nworkflows: {train: {steps: {name: a}}}\n",
        ["2:28 error: A list is expected here | Begin each item with `- `."],
    ),
    (
        "version: 2\nworkflows: {train: {steps: [python train.py]}}\n",
        ["2:29 error: A step is a mapping | Write `- name: …` and, below `name`, `command: …`."],
    ),
    (
        "version: 2\nsteps: []\nworker: {}\nworkflows: {a: {steps: [{}]}}\n",
        [
            "2:1 error: `steps` does not belong here | Put `steps` into a workflow: `workflows:`, below it a name,"
            " below that `steps:`.",
            "3:1 error: `worker` does not belong here | That is a key of version 1.",
            "4:25 error: The step's `command` is missing | Write `command: experiment.run_single_node`.",
        ],
    ),
    # Commands and params
    (
        sound().replace("run_single_node", "run_singlenode"),
        ["7:18 error: Unknown command `experiment.run_singlenode` | Did you mean `experiment.run_single_node`?"],
    ),
    (
        sound().replace("experiment.run_single_node", "python train.py"),
        [
            "7:18 error: Unknown command `python train.py` | What is run in the shell belongs into `params`; here"
            " write `experiment.run_single_node`."
        ],
    ),
    (
        sound().replace("        command: e", "        comand: e"),
        ["6:9 error: The step's `command` is missing | Did you mean `command` by `comand`?"],
    ),
    (
        sound(step="paramsFile: a.yaml"),
        ["8:9 error: `params` and `paramsFile` exclude each other | Keep one of them."],
    ),
    (
        "version: 2\nworkflows: {a: {steps: [{name: b, command: experiment.run_single_node}]}}\n",
        ["2:25 error: `params` is missing | Write `params:` and, below it, `command: python train.py`."],
    ),
    (
        "version: 2\nworkflows: {a: {steps: [{name: b, command: experiment.run_multi_node, params: {}}]}}\n",
        [
            "2:71 error: `workerCommand` is missing | Add `workerCommand: python train.py`.",
            "2:71 error: `workerCount` is missing | Add `workerCount: 2`.",
        ],
    ),
    # Names
    (
        "version: 2\nworkflows:\n  a:\n    steps:\n"
        + "      - {name: b, command: experiment.run_single_node, params: {command: c}}\n" * 2,
        [
            "6:16 error: A second step is named `b` | Give each step of a workflow a name of its own: it names the"
            " check."
        ],
    ),
    (
        sound().replace("train:", "'a / b':"),
        [
            "3:3 error: A name cannot contain ` / ` | Checks are named `<workflow> / <step>`: use another separator.",
        ],
    ),
    (
        sound().replace("name: digits", 'name: "a\\nb"'),
        ["6:15 error: One line without blanks at its ends is expected here | Write it on one line."],
    ),
    (
        sound().replace("name: digits", f"name: {'a' * 101}"),
        ["6:15 error: The name is longer than 100 characters | Names become names of checks: shorten it."],
    ),
    (
        sound().replace("name: digits", "name: ' '"),
        ["6:15 error: Text is expected here, not nothing | Write a value, or delete the key."],
    ),
    (
        sound(step="checks: {'tensorflow:" + "m" * 99 + "': {target: 1.., aggregate: max}}")
        .replace("name: digits", f"name: {'s' * 100}")
        .replace("train:", f"{'t' * 100}:"),
        [
            "8:18 error: The check's name is longer than 255 bytes | Shorten the workflow's, the step's or the"
            " metric's name."
        ],
    ),
    # Values
    (
        sound(params="container: [a]"),
        ["11:22 error: Text is expected here | Write one value behind the colon, in quotes if it contains brackets."],
    ),
    (
        sound(params="isPreemptible: yes"),
        [
            "11:26 error: `true` or `false` is expected here | Write `true` or `false`; `yes`, `on` and `1` are only"
            " text."
        ],
    ),
    (
        sound(params="modelType: PyTorch"),
        ["11:22 error: One of `Tensorflow`, `ONNX`, `Custom` is expected here | Write one of them, in this spelling."],
    ),
    (
        sound(params="ports: 5000, 0"),
        ["11:18 error: `0` is not a port | Write `5000` or `8888:8888` (host:container), separated by commas."],
    ),
    (
        sound(params="artifactDirectory: out"),
        ["11:30 error: An absolute path is expected here | Begin it with `/`, like `/artifacts`."],
    ),
    (
        sound(params="workingDirectory: ../other"),
        ["11:29 error: A path cannot contain `..` | Write the path itself."],
    ),
    (
        sound(params="workspace: ./code"),
        [
            "11:22 error: `./code` is not a workspace | Write `none`, a git URL or `s3://…`; without the key it is"
            " this repository at this commit."
        ],
    ),
    (
        sound(params="workspaceRef: main"),
        [
            "11:11 error: `workspaceRef` without `workspace` | Name the repository by `workspace`, or delete the key:"
            " the code is this commit."
        ],
    ),
    (
        sound(params="workspace: https://octo:hunter2@example.com/a.git"),
        [
            "11:22 error: A password stands in the URL of the workspace | Write `workspaceUsername` and"
            " `workspacePassword: secret:<name>`, and revoke this one."
        ],
    ),
    (
        sound(params="workspace: https://github.com/octo/a\n          workspaceRef: --upload-pack=id"),
        ["12:25 error: The name of a branch, a tag or a commit is expected here | Write for example `main` or `v1.2`."],
    ),
    (
        sound(params="workspace: s3://bucket/code.zip\n          lfs: true"),
        ["12:11 error: `lfs` needs a git repository | Delete it."],
    ),
    (
        sound(params="keepWorkspace: always"),
        ["11:26 error: One of `never`, `on-failure` is expected here | Write one of them, in this spelling."],
    ),
    (
        sound(params="ports: 80:8080, 81:8080"),
        ["11:18 error: A port of the experiment stands here twice | Keep one of them."],
    ),
    (
        sound(params="experimentEnv: {TOKEN: 'secret:my token'}\n          registryPassword: 'secret:'"),
        [
            "11:34 error: `secret:my token` names no secret | Write `secret:<name>`: letters, digits, `_` and `-`,"
            " at most 100, no digit first.",
            "12:29 error: `secret:` names no secret | Write `secret:<name>`: letters, digits, `_` and `-`, at most"
            " 100, no digit first.",
        ],
    ),
    (
        sound(params="experimentEnv: {1A: x, B: [1], C: }"),
        [
            "11:27 error: Not a name for an environment variable | Use letters, digits and `_`, no digit first.",
            "11:37 error: A variable's value is text | Put lists and mappings in quotes, for example as JSON.",
            '11:44 error: This variable has no value | Write `""` for an empty one.',
        ],
    ),
    (
        sound(params="experimentEnv: FAST=1"),
        ["11:26 error: A mapping is expected here | Write `NAME: value` lines."],
    ),
    (
        sound(params="datasetUri: [data.zip, null, 's3://b/y z']"),
        [
            "11:24 error: A dataset's URI is expected here | Write `s3://bucket/path`.",
            "11:34 error: A dataset's URI is expected here | Write `s3://bucket/path`.",
            "11:40 error: A dataset's URI is expected here | Write `s3://bucket/path`.",
        ],
    ),
    (
        sound(params="datasetUri: [s3://a/x.zip, s3://b/x.tar.gz]"),
        ["11:38 error: Two datasets are named `x` | Give each a name of its own by `datasetName`."],
    ),
    (
        sound(params="datasetUri: s3://a/x.zip\n          datasetName: [../y]\n          datasetEtag: [a, b]"),
        [
            "11:23 error: `../y` cannot be a dataset's name | Give one by `datasetName`: letters, digits, `.`, `_` and"
            " `-`.",
            "13:11 error: `datasetEtag` has more entries than `datasetUri` | One for each URI.",
        ],
    ),
    (
        sound(step="timeout: 10"),
        ["8:18 error: A duration is expected here | Write `90s`, `10m`, `9h` or `1h30m`: a number needs its unit."],
    ),
    (
        sound(step="timeout: 8d"),
        ["8:18 error: The duration is not between 1 second and 7 days | Write for example `10m` or `9h`."],
    ),
    # Triggers
    (
        sound(workflow="triggers: {branches: {only: main, ignore: dev}}"),
        [
            "4:39 error: `only` and `ignore` exclude each other | Keep one: `only` selects what matches, `ignore`"
            " everything else."
        ],
    ),
    (
        sound(workflow="triggers: {only: main}"),
        ["4:16 error: `only` does not belong here | Say of what: put it below `branches`, `tags` or `paths`."],
    ),
    (
        sound(workflow="triggers: {branches: {only: [main, '*']}}"),
        [
            "4:40 error: `*` is not a regular expression: no argument for repetition operator: * | Patterns are"
            " regular expressions, not wildcards: write `.*` for anything, `\\.` for a dot."
        ],
    ),
    (
        sound(workflow="triggers: {branches: {only: '('}}"),
        [
            "4:33 error: `(` is not a regular expression: missing ): ( | RE2's syntax:"
            " https://github.com/google/re2/wiki/Syntax"
        ],
    ),
    (
        sound(workflow="triggers: {events: [push, command]}"),
        [
            "4:25 error: One of `pushes`, `pull-requests`, `merge-queue`, `command` is expected here | Did you mean"
            " `pushes`?"
        ],
    ),
    (
        sound(workflow="triggers: {events: []}"),
        ["4:24 error: The list is empty | Name at least one of the events, or delete the key."],
    ),
    # Permissions
    (
        sound() + "permissions: {storage: write}\n",
        ["12:15 error: `storage` does not belong here | Say whose: put it below `pull-requests`."],
    ),
    (
        sound() + "permissions: {pull-requests: {storage: all}}\n",
        ["12:40 error: One of `read`, `write` is expected here | Write one of them, in this spelling."],
    ),
    # Checks
    (
        sound(step="checks: {system:cpuPercent: {target: 1.., aggregate: max}}"),
        ["8:18 error: `cpuPercent` is not measured of a system | Did you mean `cpuPercentage`?"],
    ),
    (
        sound(step="checks: {tensorflow:loss: {}}"),
        [
            "8:18 error: `aggregate` is missing | Add `aggregate: mean`.",
            "8:18 error: `target` is missing | Add `target: 0.9..` (greater than 0.9).",
        ],
    ),
    (
        sound(step="checks: {TensorFlow:loss: {target: 1.., aggregate: max}}"),
        ["8:18 error: Unknown source `TensorFlow` | Did you mean `tensorflow`?"],
    ),
    (
        sound(step="checks: {loss: {target: 1.., aggregate: max}}"),
        ["8:18 error: `loss` is not `<source>:<metric>` | Write for example `tensorflow:loss`."],
    ),
    (
        sound(step="checks: {Defaults: {precision: 3}}"),
        ["8:18 error: `Defaults` is not `<source>:<metric>` | Did you mean `defaults`?"],
    ),
    (
        sound(step="checks: {tensorflow:loss: {target: 1.., aggregate: avrage}}"),
        [
            "8:60 error: Unknown aggregate `avrage` | Write one of `mean`, `stddev`, `max`, `min`, `var`, `median`.",
        ],
    ),
    (
        sound(step="checks: {custom:loss: {target: 1.., aggregate: mean}}"),
        [
            "8:56 error: `mean` is not a JSON pointer | For `custom` write where the number stands, like `/loss/mean`"
            " or `/loss/1`.",
        ],
    ),
    (
        sound(step="checks: {tensorflow:loss: {target: [0, 1], aggregate: max}}"),
        [
            "8:44 error: A range is expected here | Write `0.9..` (greater than), `..0.5` (less than) or `0.1..0.2`"
            " (between, both included)."
        ],
    ),
    (
        sound(step="checks: {tensorflow:loss: {target: 1.., aggregate: max, precision: 11, round: nearest}}"),
        [
            "8:76 error: A whole number from 0 to 10 is expected here | Write it in decimal digits.",
            "8:87 error: One of `down`, `up` is expected here | Write one of them, in this spelling.",
        ],
    ),
]


@pytest.mark.parametrize(("text", "problems"), MISTAKES)
def test_a_mistake_is_said_where_it_stands_with_what_to_write(text: str, problems: list[str]) -> None:
    loaded = read(text)

    assert told(loaded) == problems
    assert loaded.config is None


WARNINGS = [
    (
        sound(step="checks: {tensorflow:loss: {target: 1.., aggregation: max, only-prs: true}}"),
        [
            "8:49 warning: `aggregation` is an old spelling of `aggregate` | Write `aggregate`.",
            "8:67 warning: `only-prs` is an old spelling of `only-pulls` | Write `only-pulls`.",
        ],
    ),
    (
        sound(step="checks: {default: {precision: 3}, tensorflow:loss: {target: 1.., aggregate: max}}"),
        ["8:18 warning: `default` is an old spelling of `defaults` | Write `defaults`."],
    ),
    (
        sound(params="modelType: TensorFlow"),
        ["11:22 warning: `TensorFlow` is an old spelling of `Tensorflow` | Write `Tensorflow`."],
    ),
    (
        sound(params="workspaceUrl: https://github.com/octo/a"),
        ["11:11 warning: `workspaceUrl` is an old spelling of `workspace` | Write `workspace`."],
    ),
    (
        sound(params="apiKey: 123"),
        [
            "11:11 warning: `apiKey` is ignored | It is not needed; a key in a repository is known to all its"
            " readers: delete and revoke it."
        ],
    ),
    (
        sound(params="registryPassword: hunter2"),
        [
            "11:11 warning: `registryPassword` stands here in plain text | Everyone who can read the repository can"
            " read it: revoke it, and write `secret:<name>`."
        ],
    ),
    (
        sound(workflow="triggers: {branches: {only: feature/*}, paths: {only: [src/, docs/.*]}}"),
        [
            "4:33 warning: `/*` is a number of slashes here, not a wildcard | For everything below a directory write"
            " `src/.*`.",
            "4:60 warning: No name ends with a slash | Patterns match whole names: write `src/.*` for everything below"
            " `src/`.",
        ],
    ),
]


@pytest.mark.parametrize(("text", "problems"), WARNINGS)
def test_what_the_manuals_write_otherwise_is_taken_with_a_warning(text: str, problems: list[str]) -> None:
    loaded = read(text)

    assert told(loaded) == problems
    assert loaded.config is not None


def test_a_warning_never_repeats_the_password() -> None:
    loaded = read(sound(params="registryPassword: hunter2"))

    assert "hunter2" not in str(loaded.problems)


def test_a_mistake_below_an_old_spelling_is_said_where_it_stands() -> None:
    loaded = read(sound(step="checks: {default: {precision: many}, custom:a: {target: 1, aggregation: b}}"))

    assert [(p.line, p.column) for p in loaded.errors] == [(8, 39)]


def test_both_spellings_of_one_key_are_a_mistake() -> None:
    loaded = read(sound(step="checks: {tensorflow:a: {target: 1, aggregate: max, aggregation: min}}"))

    assert [p.message for p in loaded.errors] == ["`aggregation` says again what `aggregate` says"]


def test_a_mistake_behind_an_alias_is_told_once() -> None:
    text = sound().replace("params:", "params: &p").replace("python train.py", "python train.py\n          bad: 1")
    twice = text + "  again: {steps: [{name: a, command: experiment.run_single_node, params: *p}]}\n"

    assert [p.line for p in read(twice).errors] == [11]


def test_fifty_problems_are_told_and_the_rest_is_counted() -> None:
    text = sound(step="checks: {" + ", ".join(f"x{n}: {{}}" for n in range(40)) + "}", params="modelType: a")
    text += "".join(f"unknown{n}: 1\n" for n in range(80))

    loaded = read(text)

    assert len(loaded.problems) == 50
    assert loaded.problems[-1].message == "32 more problems are not shown"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("version: 2\nworkflows:\n" + "".join(f"  w{n}: {{steps: []}}\n" for n in range(21)), "More than 20 workflows"),
        (sound(step="checks: {" + ", ".join(f"custom:{n}: {{}}" for n in range(52)) + "}"), "More than 50 checks"),
        (sound(workflow="triggers: {tags: {only: [" + "a, " * 51 + "]}}"), "More than 50 patterns"),
        (sound(params="experimentEnv: {" + ", ".join(f"A{n}: b" for n in range(201)) + "}"), "More than 200 variables"),
    ],
)
def test_lists_have_limits(text: str, what: str) -> None:
    assert any(problem.message.startswith(what) for problem in read(text).errors)


def test_the_reason_of_an_unreadable_params_file_may_be_anything() -> None:
    def read_file(path: str) -> bytes:
        raise LookupError

    text = "version: 2\nworkflows: {a: {steps: [{name: b, command: hyperparameters.run, paramsFile: c}]}}\n"

    assert load(text.encode(), PATH, read_file).errors[0].message == "`c` cannot be read: it is not there"
    assert load(text.encode(), PATH, no_files).errors[0].message == "`c` cannot be read: no such file"
