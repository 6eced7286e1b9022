"""Python, read as text. Nothing is imported, and no source brings the reader down."""

import textwrap
from dataclasses import replace

import pytest

from bot.core.series import Source
from bot.init.facts import Distributed, Option, Script
from bot.init.source import read_script


def read(source: str) -> Script:
    script = read_script("train.py", textwrap.dedent(source))
    assert script is not None
    return script


def options(source: str) -> dict[str, Option]:
    """The script's options by name, without what they have by default."""
    return {option.name: replace(option, name="") for option in read(source).options}


def test_argparse() -> None:
    assert options(
        """
        parser.add_argument("-l", "--learning-rate", type=float, default=1e-3)
        group.add_argument("--epochs", default=-3)
        parser.add_argument("--amp", action="store_true")
        parser.add_argument("--data", dest="where", required=True)
        parser.add_argument("source")
        parser.add_argument("target", nargs="?")
        parser.add_argument(name)
        """
    ) == {
        "learning_rate": Option("--learning-rate", "", 1e-3, is_number=True),
        "epochs": Option("--epochs", "", -3, is_number=True),
        "amp": Option("--amp", "", takes_value=False),
        "where": Option("--data", "", is_required=True),
        "source": Option("", "", is_required=True),
        "target": Option("", ""),
    }


def test_argparse_with_subcommands() -> None:
    script = read(
        """
        sub = parser.add_subparsers()
        train = sub.add_parser("train")
        train.add_argument("--lr", type=float)
        parser.add_argument("--verbose", action="store_true")
        """
    )
    assert script.commands == ("train",)
    assert [(option.name, option.command) for option in script.options] == [("lr", "train"), ("verbose", "")]


def test_click_and_absl() -> None:
    assert options(
        """
        @click.command()
        @click.option("--lr", "rate", default=0.1)
        @click.option("--shout/--whisper", default=True)
        @click.option("--name", required=True)
        @click.argument("path")
        def main(rate, shout, name, path): ...

        flags.DEFINE_integer("steps", 10, "how many")
        flags.DEFINE_bool("debug", False, "slowly")
        """
    ) == {
        "steps": Option("--steps", "", 10, is_number=True),
        "debug": Option("--debug", "", False, takes_value=False),
        "lr": Option("--lr", "", 0.1, is_number=True),
        "shout": Option("--shout", "", True, takes_value=False),
        "name": Option("--name", "", is_required=True),
        "path": Option("", "", is_required=True),
    }


def test_typer_and_fire_take_a_functions_parameters() -> None:
    source = "def main(data: str, lr: float = 0.1, *, big_one=3, loud: bool = False): ...\n"
    assert options(source + "typer.run(main)") == {
        "data": Option("", "", is_required=True),
        "lr": Option("--lr", "", 0.1, is_number=True),
        "big_one": Option("--big-one", "", 3, is_number=True),
        "loud": Option("--loud", "", False, takes_value=False),
    }
    assert options(source + "fire.Fire(main)")["data"] == Option("--data", "", is_required=True)
    assert options(source + "fire.Fire(main)")["big_one"].flag == "--big_one"
    assert options(source + "main()") == {}


def test_typer_with_annotated_types() -> None:
    assert options(
        """
        @app.command()
        def main(
            data: Annotated[str, typer.Option(help="where")],
            target: Annotated[str, typer.Argument()],
            lr: Annotated[float, typer.Option()] = 0.1,
            odd: Annotated = 1,
        ): ...
        """
    ) == {
        "data": Option("--data", "", is_required=True),
        "target": Option("", "", is_required=True),
        "lr": Option("--lr", "", 0.1, is_number=True),
        "odd": Option("--odd", "", 1, is_number=True),
    }


@pytest.mark.parametrize(
    ("source", "directory", "option"),
    [
        ("SummaryWriter()", "runs", ""),
        ('SummaryWriter("/artifacts/logs")', "/artifacts/logs", ""),
        ('SummaryWriter(log_dir="a/b")', "a/b", ""),
        ('SummaryWriter(os.path.join("a", "b"))', "a/b", ""),
        ('SummaryWriter(Path("a") / "b" / name)', "a/b/", ""),
        ('SummaryWriter(f"runs/{name}_{seed}")', "runs/", ""),
        ('SummaryWriter(f"run_{seed}")', "run_…", ""),
        ('SummaryWriter("a/%s" % name)', "a/", ""),
        ('SummaryWriter("a/{}".format(name))', "a/", ""),
        ('WHERE = "a"\nSummaryWriter(WHERE + "/b")', "a/b", ""),
        ('WHERE = "a"\nWHERE = "b"\nSummaryWriter(WHERE)', "", "WHERE"),
        ("SummaryWriter(args.logdir)", "", "logdir"),
        ('SummaryWriter(str(Path(args.out) / "tb"))', "/tb", "out"),
        ('SummaryWriter(args["out"])', "", "out"),
        ('SummaryWriter(os.environ.get("PS_MODEL_PATH", "out"))', "/artifacts", ""),
        ('SummaryWriter(os.environ["PS_MODEL_PATH"] + "/logs")', "/artifacts/logs", ""),
        ('SummaryWriter(os.getenv("LOGS", "logs"))', "logs", ""),
        ("SummaryWriter(choose())", "", ""),
        ('class A:\n  def __init__(self): self.d = "x"\n  def b(self): SummaryWriter(self.d)', "x", ""),
        ('keras.callbacks.TensorBoard("fit")', "fit", ""),
        ("a = a + 1\nb = b\nSummaryWriter(b)", "", ""),
    ],
)
def test_where_curves_go(source: str, directory: str, option: str) -> None:
    [curves] = read(source).curves
    assert (curves.directory, curves.option) == (directory, option)


def test_metrics_and_names_that_are_not_known_before_it_runs() -> None:
    script = read(
        """
        NAME = "test/acc"
        writer.add_scalar("loss", 1, 2)
        writer.add_scalar(tag=NAME, scalar_value=1)
        tf.summary.scalar("accuracy", 1, step=1)
        for part in parts:
            writer.add_scalar(f"{part}/loss", 1)
            writer.add_scalar(part, 1)
        logger.log("not lightning", 1)
        """
    )
    assert [(metric.source, metric.name, metric.at) for metric in script.metrics] == [
        (Source.TENSORFLOW, "loss", "train.py:3"),
        (Source.TENSORFLOW, "test/acc", "train.py:4"),
        (Source.TENSORFLOW, "accuracy", "train.py:5"),
    ]
    assert script.unnamed == ("train.py:7", "train.py:8")


def test_the_numbers_of_the_document_that_gates_point_into() -> None:
    script = read(
        """
        document = {"loss": {"last": x, "a/b": y}, "who": "me", "list": [1], **more, key: 1}
        json.dump(document, open("/artifacts/gradient-model-metadata.json", "w"))
        """
    )
    assert [metric.pointer for metric in script.metrics] == ["/loss/last", "/loss/a~1b"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("dist.init_process_group('gloo')", (Distributed.TORCH,)),
        ("tf.distribute.experimental.ParameterServerStrategy(r)", (Distributed.TENSORFLOW_SERVERS,)),
        ('c = json.loads(os.environ["TF_CONFIG"])["cluster"]["ps"]', (Distributed.TENSORFLOW_SERVERS,)),
        ('c = os.environ["TF_CONFIG"]', (Distributed.TENSORFLOW_WORKERS,)),
        ("from mpi4py import MPI", (Distributed.MPI,)),
        ("import horovod.keras as hvd", (Distributed.HOROVOD,)),
        ("tf.distribute.MirroredStrategy()", ()),
    ],
)
def test_several_tasks(source: str, found: tuple[Distributed, ...]) -> None:
    assert read(source).distributed == found


def test_what_looks_like_a_secret() -> None:
    script = read('import wandb\nos.environ["HF_TOKEN"]\nos.getenv("TRACKING_PASSWORD")\nx = "A TOKEN"\ny = "PATH"')
    assert script.secrets == ("HF_TOKEN", "TRACKING_PASSWORD", "WANDB_API_KEY")


@pytest.mark.parametrize(
    ("source", "is_runnable"),
    [
        ("if __name__ == '__main__':\n    main()", True),
        ("if '__main__' == __name__:\n    main()", True),
        ("main()", True),
        ("for epoch in range(3):\n    pass", True),
        ("def main(): ...", False),
        ("import sys\nsys.path.insert(0, 'src')\nlogging.basicConfig()", False),
        ('"""Only words."""', False),
    ],
)
def test_what_can_be_run(source: str, is_runnable: bool) -> None:
    assert read(source).is_runnable is is_runnable


@pytest.mark.parametrize(
    "source",
    [
        "(" * 100_000,
        "-" * 200_000 + "1",
        "a" + ".b" * 100_000,
        "1+" * 100_000 + "1",
        "f" + "()" * 100_000,
        "if a:\n pass\n" + "elif a:\n pass\n" * 15_000,
        "x = " + "9" * 100_000,
        "a\0b",
        "print 'two'",
        "\udcff",
        'f"' + '{f"' * 100,
    ],
    ids=lambda source: source[:8],
)
def test_a_hostile_source_is_no_script(source: str) -> None:
    assert read_script("train.py", source) is None


def test_names_that_lead_in_circles() -> None:
    deep = "a0 = '/x'\n" + "".join(f"a{n} = a{n - 1} + a{n - 1}\n" for n in range(1, 30))
    assert read(f"{deep}SummaryWriter(a29)").curves[0].directory == ""
    assert read("a = b\nb = a\nSummaryWriter(a)").curves[0].directory == ""


def test_a_source_that_warns_says_nothing() -> None:
    assert read_script("train.py", 'a = "\\d"\nb = 1 is 1\n') is not None
