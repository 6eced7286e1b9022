"""Which version a file is of, whether it is ours, and that nothing makes the bot stumble."""

import pytest

from bot.core.config import CONFIG_PATHS, is_ours, load
from tests.core.config.files import no_files, read, sound, told


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name: x\n", "1:1 error: `version` is missing | Add `version: 2`."),
        ("worker: {}\n", "1:1 error: `version` is missing | Add `version: 1`."),
        ("verison: 2\n", "1:1 error: `version` is missing | Is `verison` meant to be `version`?"),
        (
            "command: python train.py\nname: x\n",
            "1:1 error: `version` is missing | This looks like an options file: name it by `paramsFile` in a step of a"
            " config of version 2.",
        ),
        (
            "version: 0\n",
            "1:10 error: `0` is not a version | Write `version: 2`; 1 is the older form, of one experiment a file.",
        ),
        (
            "version: 1.10\n",
            "1:10 error: `1.10` is not a version | Write `version: 2`; 1 is the older form, of one experiment a file.",
        ),
        (
            "version: [2]\n",
            "1:10 error: This is not a version | Write `version: 2`; 1 is the older form, of one experiment a file.",
        ),
        ("- version: 2\n", "1:1 error: The file is not a mapping | Begin with `version: 2`."),
        ("just text\n", "1:1 error: The file is not a mapping | Begin with `version: 2`."),
    ],
)
def test_a_file_of_no_version(text: str, problem: str) -> None:
    assert told(read(text)) == [problem]


def test_a_version_in_quotes_is_a_version() -> None:
    assert read(sound().replace("version: 2", "version: '2'")).config is not None


def test_errors_and_warnings_are_told_apart_and_a_warning_does_no_harm() -> None:
    loaded = read(sound(params="modelType: onnx", step="modelPath: /a"))

    assert [problem.line for problem in loaded.errors] == [8]
    assert [problem.line for problem in loaded.warnings] == [11]
    assert loaded.config is None
    assert read(sound(params="modelType: onnx")).config is not None


def test_the_paths_of_a_config_in_their_order() -> None:
    assert CONFIG_PATHS == (".ps_project/config.yaml", "config.yaml")


@pytest.mark.parametrize(
    ("text", "is_one_of_ours"),
    [
        (sound(), True),
        ("version: '2'\nworkflows: {}\n", True),
        ("version: 2\nworkflow: {}\n", True),
        ("version: 1\nworker: {}\n", True),
        ('{"version": 2, "workflows": 1}', True),
        ("# hello\nversion: 2 # ours\nworkflows:\n  a: [\n", True),
        ("version: 1\nworker:\n\tcommand: a\n", True),
        ("version: 2\nworkflows: {a: {}, a: {}}\n", True),
        # Python's own logging, docker compose, hydra, somebody's network, and files that say nothing.
        ("version: 1\nformatters: {}\nhandlers: {}\n", False),
        ("version: 2\nservices: {}\n", False),
        ("version: '3'\nworkflows: {}\n", False),
        ("version: 2\nworkers: 4\n", False),
        ("model: {version: 2, workflows: []}\n", False),
        ("workflows: {}\n", False),
        ("version: 1.0\nworker: {}\n", False),
        ("version: 2\n", False),
        ("- version: 2\n", False),
        ("", False),
        ("a: [\n", False),
        ("version: 1\nformatters: [\n", False),
        ("data:\n  version: 2\n  workflows: [\n", False),
        ("x: !!python/none\nversion: 2\n", False),
    ],
)
def test_a_root_config_is_ours_only_when_it_says_so(text: str, is_one_of_ours: bool) -> None:
    assert is_ours(text.encode()) is is_one_of_ours


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\x00" * 100, b"version: 2\nworkflows: \xff", b"[" * 100_000])
def test_bytes_that_are_no_text_do_no_harm(data: bytes) -> None:
    assert is_ours(data) is (data.startswith(b"version"))
    loaded = load(data, "config.yaml", no_files)
    assert loaded.config is None
    assert len(loaded.errors) == 1
