"""Version 2: what a sound file means."""

import pytest

from bot.core.config import (
    Dataset,
    EventKind,
    GrpcParams,
    ModelType,
    MpiParams,
    Port,
    SearchParams,
    StepKind,
    load,
)
from bot.core.gates import Gate, IfNotFound, Range, Rounding, Source
from bot.core.patterns import Filter
from tests.core.config.files import PATH, accepted, only_step, read, single, sound, told


def test_the_least_that_runs() -> None:
    config = accepted(sound())

    assert (config.version, config.path, config.project) == (2, PATH, None)
    (workflow,) = config.workflows
    assert (workflow.name, workflow.line) == ("train", 3)
    assert workflow.triggers.events == frozenset(EventKind)
    assert (workflow.triggers.branches, workflow.triggers.tags, workflow.triggers.paths) == (None, None, None)
    step = only_step(config)
    assert (step.name, step.kind, step.line, step.gates) == ("digits", StepKind.SINGLE_NODE, 6, ())
    params = single(config)
    assert params.command == "python train.py"
    assert (params.artifacts, params.model_path, params.workdir) == ("/artifacts", "/artifacts", None)
    assert params.workspace.is_this_commit
    assert params.timeout_seconds is None


EVERYTHING = """\
version: 2
workflows:
  nightly train:
    triggers:
      branches:
        only: [main, 'release/.*']
      tags:
        ignore: beta-.*
      paths:
        only: src/.*
      events: [pushes, command]
    steps:
      - name: digits
        command: experiment.run_single_node
        timeout: 1h30m
        params:
          name: digits-net
          command: |
            pip install -r requirements.txt
            python train.py
          container: tensorflow/tensorflow:1.13.1-gpu-py3
          containerUser: me
          registryUsername: robot
          registryPassword: secret:registry
          registryUrl: https://registry.example.com
          machineType: GPU+
          ports: 5000, 8888:80
          workspace: https://github.com/octo/other.git
          workspaceRef: main
          workspaceUsername: octo
          workspacePassword: secret:workspace
          workingDirectory: /home/playground
          artifactDirectory: /storage/out
          clusterId: cl1
          projectId: pr1
          experimentEnv:
            EPOCHS: 5
            RATE: 1e-3
            TITLE: no
            MASK: 010
            AT: 5:30
            ON: true
            DAY: 2024-01-31
            TOKEN: secret:token
            NONE: ''
          modelType: ONNX
          modelPath: /artifacts/model
          isPreemptible: true
          tensorboard: false
          datasetUri: [s3://bucket/mnist.zip, s3://bucket]
          datasetName: [null, all]
          datasetAwsAccessKeyId: [secret:a, null]
          datasetAwsSecretAccessKey: [secret:b]
          datasetVersionId: [v1, v2]
          datasetEtag: [null, "1e5"]
        checks:
          defaults:
            precision: 3
            round: up
            aggregate: max
          tensorflow:train/loss:
            target: ..0.025
            only-pulls: true
          custom:f1:
            target: 1..-1e-3
            aggregate: /scores/0
            precision: 0
            round: down
            if-not-found: success
            comment-on-pr: false
"""


def test_every_key_of_a_single_node() -> None:
    config = accepted(EVERYTHING)
    params = single(config)

    assert params.command == "pip install -r requirements.txt\npython train.py\n"
    assert params.container == "tensorflow/tensorflow:1.13.1-gpu-py3"
    assert (params.machine_type, params.user, params.name) == ("GPU+", "me", "digits-net")
    assert (params.registry.username, params.registry.password) == ("robot", "secret:registry")
    assert params.ports == (Port(5000, 5000), Port(8888, 80))
    assert (params.workspace.source, params.workspace.ref) == ("https://github.com/octo/other.git", "main")
    assert (params.workdir, params.artifacts) == ("/home/playground", "/storage/out")
    assert (params.cluster_id, params.project_id) == ("cl1", "pr1")
    assert (params.model_type, params.model_path) == (ModelType.ONNX, "/artifacts/model")
    assert params.is_preemptible
    assert not params.tensorboard
    assert params.timeout_seconds == 5400
    assert params.datasets == (
        Dataset("s3://bucket/mnist.zip", "mnist", "secret:a", "secret:b", "v1", None),
        Dataset("s3://bucket", "all", None, None, "v2", "1e5"),
    )


def test_an_environment_variable_is_the_text_as_written() -> None:
    assert single(accepted(EVERYTHING)).env == {
        "EPOCHS": "5",
        "RATE": "1e-3",
        "TITLE": "no",
        "MASK": "010",
        "AT": "5:30",
        "ON": "true",
        "DAY": "2024-01-31",
        "TOKEN": "secret:token",
        "NONE": "",
    }


def test_the_gates_take_what_they_do_not_say_from_the_defaults() -> None:
    assert only_step(accepted(EVERYTHING)).gates == (
        Gate(Source.TENSORFLOW, "train/loss", Range(None, 0.025), "max", 3, Rounding.UP, only_pulls=True),
        Gate(
            Source.CUSTOM,
            "f1",
            Range(-0.001, 1.0),
            "/scores/0",
            0,
            Rounding.DOWN,
            if_not_found=IfNotFound.SUCCESS,
            comment_on_pr=False,
        ),
    )


def test_what_starts_a_workflow() -> None:
    triggers = accepted(EVERYTHING).workflows[0].triggers

    assert triggers.branches == Filter(only=("main", "release/.*"))
    assert triggers.tags == Filter(ignore=("beta-.*",))
    assert triggers.paths == Filter(only=("src/.*",))
    assert triggers.events == {EventKind.PUSHES, EventKind.COMMAND}


def test_a_branch_called_no_is_a_branch() -> None:
    triggers = accepted(sound(workflow="triggers: {branches: {only: [no, on, 1e3, 0x1F]}}")).workflows[0].triggers

    assert triggers.branches == Filter(only=("no", "on", "1e3", "0x1F"))


def test_several_machines_by_grpc() -> None:
    config = accepted("""\
version: 2
workflows:
  multi:
    steps:
      - name: grpc
        command: experiment.run_multi_node
        params:
          workerCommand: python worker.py
          workerContainer: tensorflow/tensorflow:1.13.1-gpu-py3
          workerMachineType: K80
          workerCount: 2
          parameterServerCommand: python ps.py
          parameterServerMachineType: C5
          parameterServerCount: 1
          parameterServerWorkingDirectory: /home
          parameterServerUseDockerfile: true
""")
    params = only_step(config).params

    assert isinstance(params, GrpcParams)
    assert (params.worker.command, params.worker.count, params.worker.machine_type) == ("python worker.py", 2, "K80")
    assert params.parameter_server is not None
    assert (params.parameter_server.command, params.parameter_server.workdir) == ("python ps.py", "/home")
    assert params.parameter_server.dockerfile == "Dockerfile"
    assert params.model_path is None


def test_several_machines_by_mpi_where_only_the_master_needs_a_command() -> None:
    config = accepted("""\
version: 2
workflows:
  multi:
    steps:
      - name: mpi
        command: experiment.run_mpi_multi_node
        params: {workerCount: 3, masterCount: 1, masterCommand: mpirun --hostfile /generated/hostfile python a.py}
""")
    params = only_step(config).params

    assert isinstance(params, MpiParams)
    assert (params.worker.command, params.worker.count) == (None, 3)
    assert params.master.command == "mpirun --hostfile /generated/hostfile python a.py"


def test_a_search_for_hyperparameters() -> None:
    config = accepted("""\
version: 2
workflows:
  tune:
    steps:
      - name: search
        command: hyperparameters.run
        params:
          tuningCommand: python tune.py
          workerCommand: python trial.py
          workerCount: 4
          hyperparameterServerMachineType: C5
""")
    params = only_step(config).params

    assert isinstance(params, SearchParams)
    assert (params.tuning_command, params.worker.command, params.worker.count) == (
        "python tune.py",
        "python trial.py",
        4,
    )
    assert params.server is not None
    assert params.server.machine_type == "C5"


def test_several_steps_and_workflows_keep_their_order() -> None:
    config = accepted("""\
version: 2
workflows:
  b:
    steps:
      - {name: two, command: experiment.run_single_node, params: {command: "true"}}
      - {name: one, command: experiment.run_single_node, params: {command: "true"}}
  a:
    steps:
      - {name: two, command: experiment.run_single_node, params: {command: "true"}}
""")

    assert [(w.name, w.line, [(s.name, s.line) for s in w.steps]) for w in config.workflows] == [
        ("b", 3, [("two", 5), ("one", 6)]),
        ("a", 7, [("two", 9)]),
    ]


OPTIONS_FILE = """\
apiKey: null
clusterId: null
command: python mnist.py
container: tensorflow/tensorflow:1.13.1-gpu-py3
datasetUri: null
experimentEnv:
  EPOCHS_EVAL: 5
ignoreFiles: null
isPreemptible: false
machineType: P4000
masterCommand: null
modelType: Tensorflow
projectId: pr64qlxl0
tags: null
tensorboard: false
tensorboard_set: null
workspace: none
workspaceArchive: null
workspaceUrl: null
"""
WITH_FILE = """\
version: 2
workflows:
  train:
    steps:
      - name: digits
        command: experiment.run_single_node
        paramsFile: ./params/mnist.yml
        timeout: 10m
"""


def test_an_options_file_of_the_ancestors_command_line_is_used_as_it_is() -> None:
    params = single(accepted(WITH_FILE, {"params/mnist.yml": OPTIONS_FILE}))

    assert (params.command, params.machine_type, params.env) == ("python mnist.py", "P4000", {"EPOCHS_EVAL": "5"})
    assert params.workspace.is_empty
    assert params.timeout_seconds == 600


def test_a_problem_in_a_params_file_points_into_that_file() -> None:
    loaded = read(WITH_FILE, {"params/mnist.yml": "comand: python a.py\nmachineType: [a]\n"})

    assert loaded.config is None
    assert {problem.path for problem in loaded.problems} == {"params/mnist.yml"}
    assert told(loaded) == [
        "1:1 error: Unknown key `comand` | Did you mean `command`?",
        "1:1 error: `command` is missing | Write `command: python train.py`.",
        "2:14 error: Text is expected here | Write one value behind the colon, in quotes if it contains brackets.",
    ]


def test_a_params_file_that_is_not_there_is_said_where_it_is_named() -> None:
    assert told(read(WITH_FILE)) == [
        "7:21 error: `params/mnist.yml` cannot be read: no such file in this commit | `paramsFile` names a regular"
        " file of the same commit, from the repository's root."
    ]


def test_a_broken_params_file_is_said_in_its_own_line() -> None:
    loaded = read(WITH_FILE, {"params/mnist.yml": "command: [\n"})

    assert [(p.path, p.line) for p in loaded.errors] == [("params/mnist.yml", 1)]


@pytest.mark.parametrize("path", ["/etc/passwd", "../secrets.yaml", "a/../../b", "a\\b", "dir/", "a//b", "a/./b", "''"])
def test_only_files_of_the_commit_are_asked_for(path: str) -> None:
    asked: list[str] = []

    def read_file(path: str) -> bytes:
        asked.append(path)
        return b"command: python train.py"

    loaded = load(WITH_FILE.replace("./params/mnist.yml", path).encode(), PATH, read_file)

    assert [problem.line for problem in loaded.errors] == [7]
    assert asked == []


def test_aliases_and_merge_keys_save_repetition() -> None:
    config = accepted("""\
version: 2
workflows:
  small:
    steps: &steps
      - name: digits
        command: experiment.run_single_node
        params: &small {command: python train.py, machineType: C3}
  big:
    steps:
      - name: digits
        command: experiment.run_single_node
        params: {<<: *small, machineType: C7}
  same: {steps: *steps}
""")

    machines = [workflow.steps[0].params for workflow in config.workflows]
    assert [getattr(params, "machine_type", None) for params in machines] == ["C3", "C7", "C3"]


def test_no_password_is_in_a_repr() -> None:
    shown = repr(accepted(EVERYTHING))

    for secret in ("secret:registry", "secret:workspace", "secret:a", "secret:b"):
        assert secret not in shown


def test_the_secrets_of_an_experiment_and_of_a_config_by_name() -> None:
    config = accepted(EVERYTHING)

    assert single(config).secret_names() == {"token", "workspace", "registry", "a", "b"}
    assert config.secret_names() == {"token", "workspace", "registry", "a", "b"}
    assert accepted(sound(params="name: secret:a")).secret_names() == set()


def test_each_group_of_machines_may_have_a_registry_of_its_own() -> None:
    config = accepted("""\
version: 2
workflows:
  multi:
    steps:
      - name: mpi
        command: experiment.run_mpi_multi_node
        params:
          workerCount: 3
          workerRegistryPassword: secret:one
          masterCount: 1
          masterCommand: mpirun a
          masterRegistryUsername: secret:two
""")

    assert config.secret_names() == {"one", "two"}


@pytest.mark.parametrize(("storage", "may_write"), [("write", True), ("read", False), ("null", False)])
def test_runs_of_pull_requests_read_storage_unless_the_config_lets_them_write(storage: str, may_write: bool) -> None:
    text = sound() + f"permissions: {{pull-requests: {{storage: {storage}}}}}\n"

    assert accepted(text).pulls_write_storage is may_write
    assert not accepted(sound()).pulls_write_storage


def test_more_of_the_repository_and_the_workspace_of_a_failure() -> None:
    plain = single(accepted(sound()))
    asked = single(accepted(sound(params="submodules: true\n          lfs: true\n          keepWorkspace: on-failure")))

    assert (plain.workspace.submodules, plain.workspace.lfs, plain.keep_workspace) == (False, False, False)
    assert (asked.workspace.submodules, asked.workspace.lfs, asked.keep_workspace) == (True, True, True)
    assert asked.workspace.is_this_commit


@pytest.mark.parametrize(
    "url",
    ["https://github.com/octo/a.git", "ssh://git@example.com/a", "git@github.com:octo/a.git", "s3://bucket", "none"],
)
def test_where_code_may_come_from(url: str) -> None:
    assert single(accepted(sound(params=f"workspace: {url}"))).workspace.source == url


def test_gates_on_what_a_run_sent_and_on_what_was_measured_of_it() -> None:
    rules = "{logged:loss: {target: ..1, aggregate: min}, system:worker-1/gpuTemp: {target: ..90, aggregate: max}}"
    gates = only_step(accepted(sound(step=f"checks: {rules}"))).gates

    assert [(gate.source, gate.metric) for gate in gates] == [
        (Source.LOGGED, "loss"),
        (Source.SYSTEM, "worker-1/gpuTemp"),
    ]
