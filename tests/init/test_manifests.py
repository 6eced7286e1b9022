"""What stands around the code."""

import pytest

from bot.init.facts import Entry, Mention, Recipe
from bot.init.manifests import (
    read_buckets,
    read_entries,
    read_mentions,
    read_parameters,
    read_recipes,
    read_stages,
)


def test_targets_of_a_makefile() -> None:
    text = "X = 1\ntrain: a b\n\t@echo one\n\n\t-two\n# no\n\ttrain-big:\nfit:;\ntrain := x\ntest:\n\tpytest\n"
    assert read_recipes(text) == (Recipe("train", ("echo one", "two", "train-big:")), Recipe("fit", ()))


def test_stages_of_dvc() -> None:
    text = "stages:\n  train:\n    cmd: python a.py\n  prepare: {cmd: b}\n  train2: {cmd: [a, b]}\n  3: x\n"
    assert list(read_stages("dvc.yaml", text)) == [Recipe("train", ("python a.py",), "dvc.yaml")]
    for odd in ("stages: 1", "[]", "stages: {train: 1}", "a: [", ""):
        assert list(read_stages("dvc.yaml", odd)) == []


def test_commands_in_a_readme_and_a_dockerfile() -> None:
    text = (
        "Use `python` well.\n$ python train.py\n    CUDA=1 python -m a.b\n`torchrun x.py`\npythonic\n" + "python " * 99
    )
    assert [one.command for one in read_mentions("README.md", text)] == [
        "python train.py",
        "CUDA=1 python -m a.b",
        "torchrun x.py",
    ]
    assert list(read_mentions("Dockerfile", 'FROM x\nCMD ["python", "train.py"]\n')) == [
        Mention("Dockerfile", '["python", "train.py"]')
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[project.scripts]\ngo = "a.b:main"\nodd = 1\nworse = "a b:c"\n'),
        ("pyproject.toml", '[tool.poetry.scripts]\ngo = "a.b:main"\n[project]\nname = "x"\n'),
        ("setup.cfg", "[options.entry_points]\nconsole_scripts =\n  go = a.b:main\n  nothing\n"),
    ],
)
def test_console_scripts(name: str, text: str) -> None:
    assert list(read_entries(name, text)) == [Entry("go", "a.b", "main")]


@pytest.mark.parametrize(
    "text", ["[", "a = {", "[project]\nscripts = 1", "tool = 1", "[a]\n[a]\n", "x = " + "[" * 9999]
)
def test_metadata_that_cannot_be_read(text: str) -> None:
    assert list(read_entries("pyproject.toml", text)) == []
    assert list(read_entries("setup.cfg", text)) == []


def test_parameters() -> None:
    read = read_parameters("params.yaml", "a: {lr: 1e-3, deep: {n: 010}}\nname: x\nlist: [1]\nnone:\ntrue: true\n")
    assert read is not None
    assert read.values == (("a.lr", 1e-3), ("a.deep.n", 10), ("name", "x"), ("true", True))
    read = read_parameters("p.json", '{"lr": 0.1, "n": {"m": 2}, "list": [], "nan": NaN}')
    assert read is not None
    assert read.values[:2] == (("lr", 0.1), ("n.m", 2))


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "[" * 9999, '{"a": ' * 9999, "a: &a [*a]", "1e999", "\0", '{"a": 1e999}']
)
def test_parameters_that_cannot_be_read(text: str) -> None:
    for name in ("p.json", "p.yaml"):
        read = read_parameters(name, text)
        assert read is None or read.path == name


def test_buckets() -> None:
    text = "s3://one/a.tar.gz, 's3://two' s3://one/a.tar.gz f's3://no/{x}' s3://no$x s3://three/b/. (s3://four/c)"
    assert read_buckets(text) == ("s3://one/a.tar.gz", "s3://two", "s3://three/b/", "s3://four/c")
