"""Version 1: one experiment a file."""

import pytest

from bot.core.config import EventKind, GrpcParams, ModelType, MpiParams, Port, StepKind
from bot.core.gates import Gate, Range, Source
from bot.core.patterns import Filter
from tests.core.config.files import accepted, only_step, read, single, told

SINGLE = """\
version: 1
project: fko0j2xs3mqqi
experiment: momo/perfect-run
type: single
ports: 5000
paths:
  workdir: /home/playground
  artifacts: /storage/out
model:
  type: Tensorflow
  path: /storage/models
worker:
  container: tensorflow/tensorflow:1.8.0-gpu
  command: nvidia-smi
  machine-type: K80
  count:
  dockerfile: {use: true, path: ./docker/Dockerfile}
filters:
  branches: {ignore: irrelevant-branch}
  tags: {only: [v.*, latest]}
  paths: {only: src/.*}
  events: pushes
checks:
  tensorflow:loss: {target: 0.0..0.5, aggregate: mean}
  defaults: {precision: 3}
timeout: 9h
"""


def test_every_key_of_a_single_node() -> None:
    config = accepted(SINGLE)
    params = single(config)

    assert (config.version, config.project) == (1, "fko0j2xs3mqqi")
    assert (params.name, params.command) == ("momo/perfect-run", "nvidia-smi")
    assert (params.container, params.machine_type) == ("tensorflow/tensorflow:1.8.0-gpu", "K80")
    assert params.ports == (Port(5000, 5000),)
    assert (params.workdir, params.artifacts) == ("/home/playground", "/storage/out")
    assert (params.model_type, params.model_path) == (ModelType.TENSORFLOW, "/storage/models")
    assert params.dockerfile == "docker/Dockerfile"
    assert params.timeout_seconds == 9 * 3600


def test_it_becomes_one_workflow_whose_step_is_named_by_its_type() -> None:
    config = accepted(SINGLE)
    (workflow,) = config.workflows
    step = only_step(config)

    assert (workflow.name, step.name, step.kind, step.line) == ("experiment", "single", StepKind.SINGLE_NODE, 4)
    assert step.gates == (Gate(Source.TENSORFLOW, "loss", Range(0.0, 0.5), "mean", 3),)
    assert workflow.triggers.branches == Filter(ignore=("irrelevant-branch",))
    assert workflow.triggers.tags == Filter(only=("v.*", "latest"))
    assert workflow.triggers.paths == Filter(only=("src/.*",))
    assert workflow.triggers.events == {EventKind.PUSHES}


GRPC = """\
version: 1
type: multi-grpc
worker: {command: python mnist.py, machine-type: K80, count: 2}
parameter-server: {command: python mnist.py, count: 1}
"""


def test_workers_and_parameter_servers() -> None:
    step = only_step(accepted(GRPC))

    assert (step.name, step.kind) == ("multi-grpc", StepKind.GRPC)
    assert isinstance(step.params, GrpcParams)
    assert step.params.worker.count == 2
    assert step.params.parameter_server is not None
    assert step.params.model_path is None


def test_a_master_and_workers_without_a_command_of_their_own() -> None:
    step = only_step(
        accepted("""\
version: 1
type: multi-mpi
master: {command: mpirun python a.py, count: 1}
worker: {count: 2}
""")
    )

    assert (step.name, step.kind) == ("multi-mpi", StepKind.MPI)
    assert isinstance(step.params, MpiParams)
    assert (step.params.master.command, step.params.worker.command) == ("mpirun python a.py", None)


def test_the_manuals_own_example_without_parameter_servers_is_taken_with_a_warning() -> None:
    loaded = read("version: 1\ntype: multi-grpc\nworker: {command: nvidia-smi, count: 2}\n")

    assert loaded.config is not None
    assert told(loaded) == [
        "2:1 warning: No parameter servers: the workers train among themselves | That suits collective strategies;"
        " otherwise describe the parameter servers."
    ]


def test_what_version_2_has_beside_it_version_1_has_at_the_top() -> None:
    more = "submodules: true\nlfs: true\nkeep-workspace: on-failure\npermissions: {pull-requests: {storage: write}}\n"
    config = accepted(SINGLE + more)
    params = single(config)

    assert (params.workspace.submodules, params.workspace.lfs, params.keep_workspace) == (True, True, True)
    assert config.pulls_write_storage
    assert not accepted(SINGLE).pulls_write_storage


@pytest.mark.parametrize(
    ("written", "meant"),
    [("singlenode", "single"), ("multinode", "multi-grpc"), ("grpc", "multi-grpc"), ("SingleNode", "single")],
)
def test_old_spellings_of_the_type_are_taken_with_a_warning(written: str, meant: str) -> None:
    text = GRPC if meant == "multi-grpc" else "version: 1\ntype: single\nworker: {command: nvidia-smi}\n"
    loaded = read(text.replace(f"type: {meant}", f"type: {written}"))

    assert loaded.config is not None
    assert only_step(loaded.config).name == meant
    assert told(loaded) == [f"2:7 warning: `{written}` is an old spelling of `{meant}` | Write `{meant}`."]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "version: 1\n",
            [
                "1:1 error: `type` is missing | Write `type: single`.",
                "1:1 error: `worker` is missing | Write `worker:` and what it has below it, indented.",
            ],
        ),
        (
            "version: 1\ntype: single\nworker: {machine-type: K80}\n",
            ["3:1 error: `command` of `worker` is missing | Add `command: python train.py`."],
        ),
        (
            "version: 1\ntype: single\nworker: {command: a, count: 2}\n",
            ["3:29 error: A single node is one machine | Write `count: 1`, or a type of several machines."],
        ),
        (
            GRPC.replace(", count: 1", ""),
            ["4:1 error: `count` of `parameter-server` is missing | Add `count: 2`."],
        ),
        (
            "version: 1\ntype: multi-mpi\nworker: {count: 2}\n",
            ["2:1 error: `master` is missing | Add `master:`; it alone runs its command."],
        ),
        (
            "version: 1\ntype: single\nworker: {command: a}\nmaster: {command: b}\n",
            [
                "4:1 error: `master` has no meaning for the type `single` | Delete it, or write `type: multi-mpi`.",
            ],
        ),
        (
            "version: 1\ntype: single\nworker: {command: a}\nworkflows: {}\ncommand: b\nworkdir: c\n",
            [
                "4:1 error: `workflows` does not belong here | That is a key of version 2: write `version: 2`.",
                "5:1 error: `command` does not belong here | Put it into `worker`.",
                "6:1 error: `workdir` does not belong here | Put it into `paths`.",
            ],
        ),
        (
            "version: 1\ntype: sngle\nworker: {command: a, machineType: K80}\n",
            [
                "2:7 error: One of `single`, `multi-grpc`, `multi-mpi` is expected here | Did you mean `single`?",
                "3:22 error: Unknown key `machineType` | Did you mean `machine-type`?",
            ],
        ),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(text: str, problems: list[str]) -> None:
    loaded = read(text)

    assert loaded.config is None
    assert told(loaded) == problems


def test_a_key_of_the_early_days_is_taken_with_a_warning() -> None:
    loaded = read(GRPC.replace("parameter-server", "parameter_server"))

    assert loaded.config is not None
    assert told(loaded) == [
        "4:1 warning: `parameter_server` is an old spelling of `parameter-server` | Write `parameter-server`."
    ]
