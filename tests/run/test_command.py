"""The command line of `run` and `cancel`, as far as it is wrong."""

import json
from pathlib import Path

import pytest

from tests.inbox.test_command import PUSH
from tests.run.person import typed

REPO = ["--repo", "acme/digits"]
REF = ["--ref", "main"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", *REPO], "--repo owner/name and --ref (a branch, a tag or a SHA) go together"),
        (["run", *REF, "train"], "--repo owner/name and --ref (a branch, a tag or a SHA) go together"),
        (["cancel"], "--repo owner/name and --ref (a branch, a tag or a SHA) go together"),
        (["run", "--repo", "digits", *REF], "--repo digits is not of the form owner/name"),
        (["run", "--repo", "../..", "--ref", "a..b"], "--ref a..b is no name of a branch, a tag or a commit"),
        (["run", *REPO, "--ref", "/x"], "--ref /x is no name of a branch, a tag or a commit"),
        (["run", *REPO, *REF, "--list"], "--list is for a checkout, not for --repo and --ref"),
        (["run", *REPO, *REF, "--pull", "main"], "--pull is for a checkout, not for --repo and --ref"),
        (["run", *REPO, *REF, "A=secret:b"], "a secret cannot be given in a command: name it in the config"),
        (["run", "--no-wait"], "--no-wait is for what the bot runs (--repo, --ref): a checkout's runs end with this"),
    ],
)
def test_what_does_not_go_together_is_said(arguments: list[str], says: str, tmp_path: Path) -> None:
    done = typed(arguments, tmp_path, {"USER": "ada"})
    assert (done.status, done.said) == (2, "")
    assert done.complained.startswith(f"experiment-ci: {says}")


def test_the_bots_settings_are_needed_to_ask_it(tmp_path: Path) -> None:
    done = typed(["run", *REPO, *REF, "train"], tmp_path, {"USER": "ada"})
    assert done.status == 2
    assert done.complained.startswith("experiment-ci: GITHUB_APP_ID is missing")


@pytest.mark.parametrize(
    "arguments", [["run", *REPO, *REF, "train"], ["cancel", *REPO, *REF], ["replay", "f0f0"], ["simulate", "x.json"]]
)
def test_the_bots_settings_may_lie_in_its_file(arguments: list[str], tmp_path: Path) -> None:
    file = tmp_path / "experiment-ci.env"
    file.touch(mode=0o600)
    file.write_text("GITHUB_APP_ID=7\n")
    (tmp_path / "x.json").write_text(json.dumps(PUSH))
    done = typed(arguments, tmp_path, {"USER": "ada", "ENV_FILE": str(file)})
    assert done.status == 2
    assert "GITHUB_PRIVATE_KEY" in done.complained
    assert "GITHUB_APP_ID" not in done.complained


@pytest.mark.parametrize("arguments", [["run", ".", "--branch", "main", "--brunch"], ["check-config", ".", "more"]])
def test_what_is_no_option_is_none_wherever_it_stands(arguments: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        typed(arguments, tmp_path, {"USER": "ada"})
    assert ended.value.code == 2
