"""Which command is believed to train, and for which reasons."""

from pathlib import Path

import pytest

from bot.init.look import look
from bot.init.ranking import Candidate, Command, rank
from tests.init.repositories import lay

LEARNS = "import torch\nloss.backward()\n"
GUARD = "if __name__ == '__main__':\n    main()\n"


def ranked(root: Path, files: dict[str, str]) -> list[Candidate]:
    return list(rank(look(lay(root, files))))


def commands(root: Path, files: dict[str, str]) -> list[str]:
    return [candidate.command.shell() for candidate in ranked(root, files)]


def test_what_trains_goes_before_what_is_only_called_so(tmp_path: Path) -> None:
    assert commands(tmp_path, {"train.py": LEARNS, "scripts/train.py": GUARD, "main.py": LEARNS}) == [
        "python3 train.py",
        "python3 scripts/train.py",
        "python3 main.py",
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"main.py": GUARD},
        {"run.py": "app.run()\n"},
        {"train.py": "def train(): ...\n"},
        {"test_train.py": LEARNS},
        {"tests/train.py": LEARNS},
        {"evaluate.py": LEARNS},
        {"predict.py": LEARNS},
        {"setup.py": "setup()\n"},
        {"docs/conf.py": LEARNS},
    ],
    ids=lambda files: next(iter(files)),
)
def test_what_does_not_train(files: dict[str, str], tmp_path: Path) -> None:
    assert commands(tmp_path, files) == []


def test_the_reasons_are_told(tmp_path: Path) -> None:
    [candidate] = ranked(
        tmp_path,
        {
            "learn.py": "import sklearn.svm\np.add_argument('--epochs', type=int)\nm.fit()\nw.add_scalar('a', 1)\n",
            "README.md": "Say `python learn.py`:\n\n    python learn.py --epochs 3\n",
        },
    )
    assert candidate.reasons == (
        "it calls fit()",
        "it uses scikit-learn",
        "it takes --epochs",
        "it logs metrics",
        "README.md runs it",
    )


def test_a_training_in_another_module_counts(tmp_path: Path) -> None:
    [candidate] = ranked(tmp_path, {"main.py": f"import engine.loop\n{GUARD}", "engine/loop.py": LEARNS})
    assert candidate.reasons == ("it is called main.py", "what it imports trains", "it uses PyTorch")
    assert [script.path for script in candidate.reach.scripts] == ["main.py", "engine/loop.py"]


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"src/train.py": f"from net import Net\n{LEARNS}", "src/net.py": ""}, "python3 src/train.py"),
        ({"src/train.py": f"from net import Net\n{LEARNS}", "net.py": ""}, "PYTHONPATH=. python3 src/train.py"),
        ({"train.py": f"import net\n{LEARNS}", "src/net/__init__.py": ""}, "PYTHONPATH=src python3 train.py"),
        (
            {"a/train.py": f"import net, other\n{LEARNS}", "src/net.py": "", "other.py": ""},
            "PYTHONPATH=src:. python3 a/train.py",
        ),
        ({"net/__main__.py": f"from . import x\n{LEARNS}", "net/__init__.py": "", "net/x.py": ""}, "python3 -m net"),
        (
            {"src/net/train.py": f"from net.x import y\n{LEARNS}", "src/net/__init__.py": "", "src/net/x.py": ""},
            "PYTHONPATH=src python3 -m net.train",
        ),
        ({"net/train.py": LEARNS, "net/__init__.py": ""}, "python3 net/train.py"),
        (
            {"src/net/train.py": f"from . import x\ndist.init_process_group()\n{LEARNS}", "src/net/__init__.py": ""},
            "PYTHONPATH=src torchrun --standalone --nproc_per_node=1 -m net.train",
        ),
        ({"train.py": f"dist.init_process_group()\nmp.spawn(main)\n{LEARNS}"}, "python3 train.py"),
    ],
)
def test_python_finds_what_the_script_imports(files: dict[str, str], command: str, tmp_path: Path) -> None:
    assert commands(tmp_path, files) == [command]


@pytest.mark.parametrize(
    ("recipe", "command"),
    [
        ("python train.py --lr 0.1", "python3 train.py --lr 0.1"),
        ("@torchrun --nproc_per_node 2 ./train.py", "torchrun --nproc_per_node 2 ./train.py"),
        ("$(PYTHON) train.py", "python3 train.py"),
        (".venv/bin/python train.py --lr 0.1", "python3 train.py"),
        ("python train.py | tee log", "python3 train.py"),
        ("python train.py 'unclosed", "python3 train.py"),
        ("cd src && python train.py", "python3 train.py"),
    ],
)
def test_a_makefiles_line_is_used_where_it_is_one_plain_command(recipe: str, command: str, tmp_path: Path) -> None:
    first, *others = commands(
        tmp_path, {"train.py": LEARNS, "Makefile": f"train: data\n\t{recipe}\n\ndata:\n\tcurl x\n"}
    )
    assert (first, others) == (command, ["make train"])


def test_a_makefile_alone_and_a_shell_script_alone(tmp_path: Path) -> None:
    assert commands(tmp_path, {"Makefile": "train:\n\t./go\nTRAIN := x\ntrained := y\n"}) == ["make train"]
    assert commands(tmp_path, {"scripts/train.sh": "", "scripts/test.sh": ""}) == [
        "make train",
        "bash scripts/train.sh",
    ]


def test_console_scripts(tmp_path: Path) -> None:
    metadata = "[options.entry_points]\nconsole_scripts =\n    fit-train = fit.cli:go\n    fit-show = fit.cli:show\n"
    assert commands(tmp_path, {"setup.cfg": metadata, "fit/cli.py": "import torch\n", "fit/__init__.py": ""}) == [
        "python3 -c 'from fit.cli import go; go()'"
    ]
    lay(tmp_path, {"fit/cli.py": f"import torch\n{GUARD}"})
    assert commands(tmp_path, {}) == ["python3 -m fit.cli"]


def test_imports_in_circles_end(tmp_path: Path) -> None:
    files = {"train.py": f"import a\n{LEARNS}", "a.py": "import b\n", "b.py": "import a, train\nfrom .... import c\n"}
    [candidate] = ranked(tmp_path, files)
    assert [script.path for script in candidate.reach.scripts] == ["train.py", "a.py", "b.py"]


def test_a_command_for_a_shell_for_a_search_and_behind_another() -> None:
    command = Command(("python3", "a {b}.py"), "my src")
    assert command.shell() == "PYTHONPATH='my src' python3 'a {b}.py'"
    assert command.plain() == "env 'PYTHONPATH=my src' python3 'a {{b}}.py'"
    assert command.as_program() == "env 'PYTHONPATH=my src' python3 'a {b}.py'"
