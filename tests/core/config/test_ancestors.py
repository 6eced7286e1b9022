"""Files as the ancestor's users wrote them: they find their words again, or hear what to change."""

import pytest

from tests.core.config.files import read, told

TEMPLATE = """\
version: 2

workflows:
  experiment-workflow:
    steps:
      -
        name: "my-experiment"
        command: experiment.run_single_node
        params:
          command: python mnist.py
          container: tensorflow/tensorflow:1.13.1-gpu-py3
          experimentEnv:
            EPOCHS_EVAL: 5
          machineType: P4000
          modelPath: /artifacts
          modelType: Tensorflow
          name: mnist-cli-config-yaml
        checks: #[optional]
          onnx:loss:
            target: "0.0..0.5"
            aggregate: "mean"
          defaults: #[optional]
            precision: 3
    triggers:
        branches:
          ignore: irrelevant-branch
        tags:
          only:
            - v.*
            - latest
"""


def test_the_manuals_template_is_sound_once_its_triggers_are_indented_right() -> None:
    assert told(read(TEMPLATE)) == []


def test_as_printed_in_the_manual_its_triggers_fit_nothing() -> None:
    printed = TEMPLATE.replace("    triggers:", "      triggers:")

    assert told(read(printed)) == [
        "24:7 error: This is not valid YAML: the indentation fits nothing above | The items of one list, and the keys"
        " of one mapping, begin in the same column."
    ]


def test_the_manuals_summary_example_hears_of_each_key_that_stands_too_far_out() -> None:
    text = """\
version: 2
workflows:
  single-node:
    steps:
      -
        name: "single-node"
        command: experiment.run_single_node
        params:
          command: nvidia-smi
          machineType: "K80"
        modelType: "Tensorflow"
        modelPath: "/storage/models"
    checks:
      defaults:
        only-prs: true
      tensorflow:loss:
        target: ..0.025
        aggregation: max
"""

    assert [(problem.line, problem.hint) for problem in read(text).errors] == [
        (11, "Put it one level down, into the step's `params`."),
        (12, "Put it one level down, into the step's `params`."),
        (13, "Put it into a step, beside its `command`."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        # A version 1 of the manual: other spellings, no parameter servers.
        """\
version: 1
project: "fko0j2xs3mqqi"
experiment: "momo/perfect-runner"
type: "multi-grpc"
ports: "5000"
worker:
  container: "tensorflow/tensorflow:1.8.0-gpu"
  command: "nvidia-smi"
  machine-type: "K80"
  count: 2
model:
  type: TensorFlow
  path: "/storage/models"
checks:
  default:
    precision: 3
    round: up
    only-prs: true
  tensorflow:accuracy:
    target: 0.7..
    aggregation: mean
  tensorflow:loss:
    target: ..0.025
    aggregation: max
""",
        # One for Horovod, with a type that no manual names.
        """\
version: 1
type: "mpi"
filters:
  tags:
    only: 'v.*'
  branches:
    only: '.*'
master:
  container: "horovod/horovod:0.18.1"
  command: "mpirun --allow-run-as-root -np 1 --hostfile /generated/hostfile -mca btl ^openib python keras_mnist.py"
  machine-type: "p2.xlarge"
  count: 1
worker:
  container: "horovod/horovod:0.18.1"
  machine-type: "p2.xlarge"
  count: 2
""",
    ],
)
def test_other_spellings_only_warn(text: str) -> None:
    loaded = read(text)

    assert loaded.config is not None
    assert loaded.warnings
