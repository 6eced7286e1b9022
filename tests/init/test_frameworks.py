"""What `init` makes of a small repository of each kind: which command, which gates, what is to be looked at."""

from pathlib import Path

import pytest

from tests.init import repositories
from tests.init.repositories import EVERY, Made, make


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """What came of the repository that the test's parameter names."""
    return make(tmp_path, EVERY[request.param])


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("made", [name], indirect=True)


@pytest.mark.parametrize("made", EVERY, indirect=True)
def test_there_is_never_a_problem_in_what_is_written(made: Made) -> None:
    [workflow] = made.config.workflows
    [step] = workflow.steps
    assert (workflow.name, step.name, step.kind, step.gates) == ("train", "fit", "experiment.run_single_node", ())
    assert made.command == made.proposal.command


@pytest.mark.parametrize("made", EVERY, indirect=True)
def test_all_examples_can_be_used_at_once(made: Made) -> None:
    train = made.examples.workflows[0]
    assert train.triggers.branches is not None
    assert len(train.steps[0].matrix) > 1
    assert train.steps[0].gates
    params = train.steps[0].params
    assert params.timeout_seconds == 7200
    assert params.datasets
    assert params.secret_names()


@pytest.mark.parametrize("made", EVERY, indirect=True)
def test_no_line_of_an_explanation_is_too_long(made: Made) -> None:
    for line in made.text.splitlines():
        assert len(line) <= 118 or "command:" in line.lower()


@of("TORCH")
def test_pytorch_with_argparse_and_tensorboard(made: Made) -> None:
    assert made.command == "python3 train.py --data data/faces", "the README says what --data is"
    assert made.proposal.frameworks == ("PyTorch",)
    assert made.gates == {
        "tensorflow:validation/loss": "min ..0.5",
        "tensorflow:validation/accuracy": "max 0.9..",
        "tensorflow:train/loss": "min ..0.5",
    }, "held-out data first, and no gate for the learning rate"
    assert made.comment("puts its curves") == (
        "LOOK: is this how it is trained? It is called train.py; it calls backward(); it uses PyTorch;"
        " it takes --epochs, --lr, --batch-size. The README has: python train.py --data data/faces --epochs 20"
        " LOOK: only what is below /artifacts is read and kept; train.py:14 puts its curves into runs."
        ' Let it be SummaryWriter("/artifacts/logs"), or add to the command: && cp -r runs /artifacts/'
    )


@of("TORCH")
def test_examples_have_the_repositorys_own_names(made: Made) -> None:
    train, tune = made.examples.workflows
    step = train.steps[0]
    assert [dataset.uri for dataset in step.params.datasets] == ["s3://acme-data/faces.tar.gz"]
    assert [cell.values for cell in step.matrix] == [{"seed": "1"}, {"seed": "2"}, {"seed": "3"}]
    assert 'Add to the command: --seed "$seed"' in made.comment("once for each value")
    assert train.triggers.paths is not None
    assert train.triggers.paths.ignore == ("docs/.*", r".*\.md")
    assert "packages of requirements.txt" in made.comment("How large its machine is")
    search = tune.steps[0].params.search  # type: ignore[union-attr]
    assert search is not None
    assert {name: str(one) for name, one in search.space.items()} == {
        "lr": "loguniform(0.0001, 0.01)",
        "batch_size": "choice([32, 64, 128])",
    }
    assert tune.steps[0].params.command == (  # type: ignore[union-attr]
        "python3 train.py --data data/faces --lr {lr} --batch-size {batch_size}"
    )
    assert (search.objective, search.goal, search.pruner) == ("tensorflow:validation/loss", "minimize", "median")


@of("TORCH_WITH_LOGDIR")
def test_an_option_for_the_directory_is_given(made: Made) -> None:
    assert made.command == "python3 train.py --logdir /artifacts/logs --output-dir /artifacts"
    assert made.proposal.lost == ()
    assert made.gates == {"tensorflow:val_acc": "max 0.9.."}


@of("KERAS")
def test_keras_has_runs_of_its_own_and_a_prefix(made: Made) -> None:
    assert made.gates == {
        "tensorflow:validation/epoch_loss": "min ..0.5",
        "tensorflow:validation/epoch_accuracy": "max 0.9..",
        "tensorflow:validation/epoch_auc": "max 0.9..",
    }
    assert 'Let it be TensorBoard(log_dir="/artifacts/logs")' in made.comment("puts its curves")
    assert "cp -r logs /artifacts/" in made.comment("puts its curves")


@of("TENSORFLOW_WRITERS")
def test_one_name_in_several_runs_gets_the_runs_name(made: Made) -> None:
    assert made.gates == {"tensorflow:test/loss": "min ..0.5", "tensorflow:test/accuracy": "max 0.9.."}


@of("SKLEARN")
def test_what_is_only_printed_is_to_be_written_down(made: Made) -> None:
    assert made.command == "python3 main.py"
    assert made.gates == {"custom:accuracy": "/accuracy 0.9..", "custom:f1": "/f1 0.8.."}
    assert made.comment("json.dump").startswith("LOOK: no metric was found")
    assert 'json.dump({"accuracy": …}, open("/artifacts/gradient-model-metadata.json", "w"))' in made.text


@of("XGBOOST")
def test_parameters_of_a_file_are_searched_by_the_variable(made: Made) -> None:
    assert made.command == "python3 src/train_model.py"
    tune = made.examples.workflows[1].steps[0].params
    assert list(tune.search.space) == ["train.eta", "train.max_depth"]  # type: ignore[union-attr]
    assert tune.command == "python3 src/train_model.py"  # type: ignore[union-attr]
    assert "let the code prefer them to params.yaml" in made.comment("variable PARAMS")
    assert "&& cp metrics.json /artifacts/gradient-model-metadata.json" in made.comment(
        "Are there any in metrics.json?"
    )


@of("LIGHTGBM")
def test_click(made: Made) -> None:
    assert made.command == "python3 lgbm/fit.py CHANGE-ME"
    assert "LOOK: table must be given and has no default" in made.comment("CHANGE-ME")
    assert [one.name for one in made.proposal.search.parameters] == ["learning_rate", "num_leaves"]  # type: ignore[union-attr]


@of("FLAX")
def test_jax_with_absl_and_the_training_in_a_module(made: Made) -> None:
    assert made.command == "python3 main.py --workdir /artifacts/logs"
    assert made.proposal.frameworks == ("JAX", "Flax")
    assert made.gates == {"tensorflow:eval_loss": "min ..0.5"}


@of("HUGGING_FACE")
def test_hugging_face_with_its_parser(made: Made) -> None:
    assert made.command == "python3 finetune.py --output_dir /artifacts --dataset_name CHANGE-ME"
    assert list(made.gates) == [
        "tensorflow:eval/loss",
        "tensorflow:eval/accuracy",
        "tensorflow:eval/f1",
        "tensorflow:train/loss",
    ]


@of("HUGGING_FACE_PLAIN")
def test_hugging_face_with_arguments_in_the_code(made: Made) -> None:
    assert 'TrainingArguments(output_dir="/artifacts", …)' in made.comment("puts its curves into results")
    assert made.examples.secret_names() == {"WANDB_API_KEY"}


@of("LIGHTNING")
def test_lightning_logs_by_itself(made: Made) -> None:
    assert list(made.gates) == ["tensorflow:val_loss", "tensorflow:val_acc", "tensorflow:train_loss"]
    assert 'Trainer(default_root_dir="/artifacts", …)' in made.comment("puts its curves into lightning_logs")


@of("LIGHTNING_CLI")
def test_lightnings_own_command_line(made: Made) -> None:
    assert made.command == "python3 main.py fit --trainer.default_root_dir /artifacts"


@of("HYDRA")
def test_hydras_values_are_overridden(made: Made) -> None:
    assert made.command == "python3 src/train.py hydra.run.dir=/artifacts"
    assert made.examples.workflows[1].steps[0].params.command == (  # type: ignore[union-attr]
        "python3 src/train.py hydra.run.dir=/artifacts optimizer.lr={optimizer.lr} model.dropout={model.dropout}"
        " model.hidden_dim={model.hidden_dim}"
    )
    assert 'Add to the command: seed="$seed"' in made.comment("once for each value")


@of("TYPER")
def test_a_subcommand_that_trains(made: Made) -> None:
    assert made.command == "python3 cli.py train CHANGE-ME"
    assert [one.option.flag for one in made.proposal.search.parameters] == ["--lr", "--layers"]  # type: ignore[union-attr]


@of("FIRE")
def test_fire(made: Made) -> None:
    assert made.command == "python3 run.py --output_dir /artifacts"


@of("SOURCES")
def test_a_console_script_runs_without_being_installed(made: Made) -> None:
    assert made.command == "PYTHONPATH=src python3 -c 'from faces.cli import train; train()'"
    assert made.gates == {"logged:val-error": "min ..0.1", "logged:loss": "min ..0.5"}


@of("PACKAGE")
def test_a_module_of_a_package(made: Made) -> None:
    assert made.command == "python3 -m faces.train"


@of("SCRIPTS")
def test_a_script_finds_the_package_beside_its_directory(made: Made) -> None:
    assert made.command == "PYTHONPATH=. python3 scripts/train.py"


@of("MAKEFILE")
def test_what_make_train_runs_is_taken_as_it_is(made: Made) -> None:
    assert made.command == "python3 src/learn.py --lr 0.1 --epochs 3 --output_dir /artifacts"
    assert made.proposal.others == ("make train", "make train-all")


@of("DISTRIBUTED_TORCH")
def test_torch_distributed_alone_and_as_several_tasks(made: Made) -> None:
    assert made.command == "torchrun --standalone --nproc_per_node=1 train.py"
    several = made.examples.workflows[1].steps[0]
    assert several.kind == "experiment.run_multi_node"
    assert [(role.command, role.count) for role in several.params.roles()] == [("python3 train.py", 2)]
    assert "RANK, WORLD_SIZE and MASTER_ADDR" in made.comment("can be several tasks")


@of("DISTRIBUTED_IF_ASKED")
def test_a_process_group_that_is_only_joined_when_there_is_one(made: Made) -> None:
    assert made.command == "python3 train.py"
    assert made.examples.workflows[1].name == "distributed"


@of("DVC")
def test_what_dvc_runs_is_taken_as_it_is(made: Made) -> None:
    assert made.command == "python3 src/train.py data/features model.pkl"
    assert "dvc.yaml runs it to train" in made.told
    assert list(made.examples.workflows[1].steps[0].params.search.space) == ["train.n_estimators"]  # type: ignore[union-attr]


@of("ARGUMENTS")
def test_arguments_of_which_nothing_is_known(made: Made) -> None:
    assert made.command == "python3 train.py CHANGE-ME CHANGE-ME"


@of("REINFORCEMENT")
def test_stable_baselines(made: Made) -> None:
    assert made.gates == {"tensorflow:rollout/ep_rew_mean": "max 100.."}
    assert 'Let it be tensorboard_log="/artifacts/logs"' in made.comment("puts its curves into ./tb/")
    assert "cp -r tb /artifacts/" in made.comment("puts its curves into ./tb/")


@of("TRACKER")
def test_what_only_a_tracker_is_told_is_to_be_sent_here_too(made: Made) -> None:
    assert made.gates == {"logged:val_loss": "min ..0.5"}
    assert made.comment("add_metrics").endswith('gradient_utils.metrics.add_metrics({"val_loss": …}, step=…)')


@of("PARAMETER_SERVERS")
def test_parameter_servers(made: Made) -> None:
    roles = made.examples.workflows[1].steps[0].params.roles()
    assert [(role.command, role.count) for role in roles] == [("python3 train.py", 2), ("python3 train.py", 1)]


@of("MIRRORED")
def test_tensorflow_workers_have_no_servers(made: Made) -> None:
    assert len(made.examples.workflows[1].steps[0].params.roles()) == 1
    assert "TF_CONFIG" in made.comment("can be several tasks")


@pytest.mark.parametrize(
    ("made", "command"),
    [
        ("MPI", "mpirun --hostfile /generated/hostfile -np 2 python3 -m mpi4py train.py"),
        ("HOROVOD", "mpirun --hostfile /generated/hostfile -np 2 python3 train.py"),
    ],
    indirect=["made"],
)
def test_mpi(made: Made, command: str) -> None:
    assert made.command == "python3 train.py"
    several = made.examples.workflows[1].steps[0]
    assert several.kind == "experiment.run_mpi_multi_node"
    assert several.params.roles()[0].command == command


@of("NOTHING")
def test_nothing_that_trains_is_said_clearly(made: Made) -> None:
    assert made.command == "python3 train.py"
    assert not made.proposal.is_found
    assert made.comment("LOOK: nothing").startswith(
        "LOOK: nothing was found that trains. Write here what you would type"
    )
    assert "analysis.ipynb is a notebook" in made.text
    assert "  training      nothing! The config has `python3 train.py` in its place.\n" in made.told


def test_an_empty_directory_gets_the_template(tmp_path: Path) -> None:
    made = make(tmp_path, {})
    assert made.command == "python3 train.py"
    assert made.examples


@pytest.mark.parametrize("name", ["digits", "distributed"])
def test_our_own_examples(name: str) -> None:
    root = Path(__file__).parents[2] / "examples" / name
    made = repositories.make(root, {})
    assert made.command == "python3 train.py"
    assert made.proposal.lost == ()
    assert {"tensorflow:loss", "tensorflow:accuracy"} <= set(made.gates)
    assert made.proposal.search is not None


def test_a_makefiles_own_directory_for_curves_is_left_and_told(tmp_path: Path) -> None:
    made = make(tmp_path, {**repositories.TORCH_WITH_LOGDIR, "Makefile": "train:\n\tpython train.py --logdir runs\n"})
    assert made.command == "python3 train.py --logdir runs --output-dir /artifacts"
    assert "see that train.py:11 puts its curves there" in made.comment("only what is below /artifacts")


def test_a_document_of_which_the_numbers_are_not_known(tmp_path: Path) -> None:
    source = 'import torch\nloss.backward()\nsave(results, "/artifacts/gradient-model-metadata.json")\n'
    made = make(tmp_path, {"train.py": source})
    assert made.comment("gradient-model-metadata.json").startswith("LOOK: which numbers does it write")
    assert made.gates == {"custom:accuracy": "/accuracy 0.9.."}
