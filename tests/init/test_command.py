"""`experiment-ci init` at a terminal: what it writes, what it refuses, what it says."""

import subprocess
from pathlib import Path

import pytest

from bot.__main__ import main
from tests.init.repositories import NOTHING, TORCH, lay

Capture = pytest.CaptureFixture[str]
CONFIG = "version: 2\nworkflows: {a: {steps: [{name: a, command: experiment.run_single_node, params: {command: a}}]}}\n"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout without a config, and the working directory in it."""
    root = lay(tmp_path / "checkout", TORCH)
    monkeypatch.chdir(root)
    return root


def written(root: Path) -> Path:
    return root / ".ps_project" / "config.yaml"


def test_a_first_config_and_the_next_steps(checkout: Path, capsys: Capture) -> None:
    assert main(["init"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out == (
        f"""\
Looked at 3 files of {checkout}; nothing was run.
git knows no files here, so all that lie here were looked at. The bot sees what is committed.

Found
  training      python3 train.py --data data/faces
                it is called train.py; it calls backward(); it uses PyTorch; it takes --epochs, --lr, --batch-size
  frameworks    PyTorch
  metrics       tensorflow:validation/loss  (train.py:19)
                tensorflow:validation/accuracy  (train.py:20)
                tensorflow:train/loss  (train.py:18)
  to search     lr, batch_size
  datasets      s3://acme-data/faces.tar.gz

To do
  Let curves be written below /artifacts  (train.py:14: runs)

Wrote .ps_project/config.yaml. Next:
  1. Look at the lines marked LOOK: 28, 31, 47.
  2. experiment-ci check-config
  3. Commit .ps_project/config.yaml and push it: the checks appear on the commit.
"""
    )
    lines = written(checkout).read_text().splitlines()
    assert all("# LOOK:" in lines[number - 1] for number in (28, 31, 47))

    assert main(["check-config"]) == 0
    assert "no problems" in capsys.readouterr().out


def test_a_checkout_that_is_named(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "checkout"]) == 0
    assert main(["check-config", "checkout"]) == 0


def test_print_writes_nothing_and_tells_beside(checkout: Path, capsys: Capture) -> None:
    assert main(["init", "--print"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("# Which experiments")
    assert said.out.endswith("pruner: median\n")
    assert "Nothing was written." in said.err
    assert not written(checkout).parent.exists()


def test_nothing_to_train_with_is_told(tmp_path: Path, capsys: Capture) -> None:
    assert main(["init", str(lay(tmp_path, NOTHING))]) == 0
    said = capsys.readouterr().out
    assert "  training      nothing! The config has `python3 train.py` in its place.\n" in said
    assert "Write the command that trains." in said
    assert "marked LOOK" in said
    assert main(["check-config", str(tmp_path)]) == 0


def refused(capsys: Capture, *arguments: str) -> str:
    assert main(["init", *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    return line


def test_a_config_that_is_there_is_not_lost(checkout: Path, capsys: Capture) -> None:
    lay(checkout, {".ps_project/config.yaml": "mine\n"})
    assert refused(capsys) == (
        "experiment-ci: .ps_project/config.yaml is there already; --force writes over it,"
        " --print only shows what would be written"
    )
    assert written(checkout).read_text() == "mine\n"

    assert main(["init", "--print"]) == 0
    assert written(checkout).read_text() == "mine\n"
    assert main(["init", "--force"]) == 0
    assert main(["check-config"]) == 0


def test_a_config_of_ours_in_the_root(checkout: Path, capsys: Capture) -> None:
    lay(checkout, {"config.yaml": CONFIG})
    assert refused(capsys) == (
        "experiment-ci: config.yaml is a config of this bot's already;"
        " --force writes .ps_project/config.yaml, which is then read in its place"
    )
    assert main(["init", "--force"]) == 0
    assert (checkout / "config.yaml").read_text() == CONFIG


def test_somebody_elses_config_in_the_root_is_left_alone(checkout: Path) -> None:
    lay(checkout, {"config.yaml": "version: 1\nhandlers: {}\n"})
    assert main(["init"]) == 0


@pytest.mark.service
def test_a_directory_within_a_repository_is_not_where_a_config_is_read(checkout: Path, capsys: Capture) -> None:
    subprocess.run(["git", "init", "--quiet", checkout], check=True)
    assert refused(capsys, "docs") == (
        f"experiment-ci: docs lies in the repository {checkout}, and the bot reads the config in a repository's root:"
        f" experiment-ci init {checkout} (or --force, to write it here)"
    )
    assert main(["init", "docs", "--print"]) == 0
    assert main(["init"]) == 0


def test_links_are_not_written_through(checkout: Path, tmp_path: Path, capsys: Capture) -> None:
    outside = lay(tmp_path / "outside", {"config.yaml": "theirs\n"})
    (checkout / ".ps_project").symlink_to(outside)
    for arguments in ([], ["--force"]):
        line = refused(capsys, *arguments)
        assert "is there already" in line or "is a link or no directory" in line
    assert (outside / "config.yaml").read_text() == "theirs\n"

    (checkout / ".ps_project").unlink()
    (checkout / ".ps_project").mkdir()
    written(checkout).symlink_to(outside / "config.yaml")
    assert "is there already" in refused(capsys)
    assert main(["init", "--force"]) == 0
    assert (outside / "config.yaml").read_text() == "theirs\n"
    assert not written(checkout).is_symlink()


def test_a_link_to_nothing_is_no_free_place(checkout: Path, tmp_path: Path, capsys: Capture) -> None:
    (checkout / ".ps_project").symlink_to(tmp_path / "nowhere")
    assert "is a link or no directory" in refused(capsys)
    assert not (tmp_path / "nowhere").exists()


def test_what_is_in_the_way_is_told(checkout: Path, tmp_path: Path, capsys: Capture) -> None:
    (checkout / ".ps_project").write_text("a file\n")
    assert "is a link or no directory" in refused(capsys)
    assert refused(capsys, "nowhere") == "experiment-ci: nowhere is no directory"
    assert refused(capsys, "train.py") == "experiment-ci: train.py is no directory"

    written(lay(tmp_path / "other", TORCH)).mkdir(parents=True)
    assert "Is a directory" in refused(capsys, str(tmp_path / "other"), "--force")


def test_a_repository_commands_no_terminal(tmp_path: Path, capsys: Capture) -> None:
    lay(
        tmp_path,
        {
            "train.py": """
                import torch
                writer.add_scalar("loss\\x1b]0;owned\\x07", 1)
                writer.add_scalar("loss\\u202e", 1)
                SummaryWriter("runs\\x1b[2J")
                if __name__ == "__main__":
                    loss.backward()
                """,
            "README.md": "python train.py --name \x1b[31mred\n",
            "\x1b[31mtrain\x07.ipynb": "{}",
        },
    )
    assert main(["init", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert not set(said) & {chr(number) for number in (*range(9), *range(11, 32), 127)}
    assert "\u202e" not in said
    assert main(["check-config", str(tmp_path)]) == 0
