"""The command line of `replay` and `simulate`, and a simulation from files alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.backends.powers import Powers
from tests.backends.lab import powers
from tests.run.person import Done, typed
from tests.scenarios.road import CONFIG

REPOSITORY = {"id": 5, "owner": {"login": "acme"}, "name": "digits", "private": False, "default_branch": "main"}
PUSH: dict[str, Any] = {
    "ref": "refs/heads/main",
    "before": "0" * 40,
    "after": "a" * 40,
    "deleted": False,
    "commits": [],
    "head_commit": {"id": "a" * 40, "message": "First\n\nof all"},
    "repository": REPOSITORY,
    "installation": {"id": 3},
    "sender": {"login": "ada", "type": "User"},
}
PULL: dict[str, Any] = {
    "action": "opened",
    "number": 3,
    "pull_request": {
        "state": "open",
        "draft": False,
        "updated_at": "2026-01-01T00:00:00Z",
        "user": {"login": "eve"},
        "head": {"sha": "b" * 40, "ref": "idea", "repo": {"id": 5}},
        "base": {"sha": "c" * 40, "ref": "main"},
    },
    "repository": REPOSITORY,
    "installation": {"id": 3},
    "sender": {"login": "eve", "type": "User"},
}


def asked(place: Path, *arguments: str) -> Done:
    allow = "yes" if powers() == Powers() else "no"
    return typed([*arguments], place, {"USER": "ada", "ENV_FILE": "none", "ALLOW_UNISOLATED_TRUSTED_CODE": allow})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "push.json").write_text(json.dumps(PUSH))
    (tmp_path / "pull.json").write_text(json.dumps(PULL))
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "other.yaml").write_text(CONFIG.replace("steps:", "stepps:"))
    (tmp_path / "empty.json").write_text(" ")
    (tmp_path / "none.json").write_text("{}")
    (tmp_path / "text.json").write_text("hello")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["simulate"], "name a file with a payload (- for standard input), or a --delivery"),
        (["simulate", "x", "--delivery", "y"], "name a file with a payload (- for standard input), or a --delivery"),
        (["simulate", "--delivery", "y", "--event", "push"], "--event is for a payload"),
        (["simulate", "push.json", "--role", "read"], "--base-config and --role go with --config"),
        (["simulate", "nowhere.json"], "nowhere.json cannot be read: No such file or directory"),
        (["simulate", "empty.json"], "empty.json is empty"),
        (["simulate", "text.json"], "text.json holds no JSON, nor a form with a payload of JSON"),
        (["simulate", "none.json"], "none.json does not show which event it is of; say --event, such as check_run"),
        (["simulate", "push.json"], "GITHUB_APP_ID is missing"),
        (["simulate", "push.json", "--config", "nowhere.yaml"], "nowhere.yaml cannot be read: No such file"),
        (["replay", "f0f0"], "GITHUB_APP_ID is missing"),
    ],
)
def test_what_cannot_be_told_is_said(arguments: list[str], says: str, place: Path) -> None:
    done = asked(place, *arguments)
    assert done.status == 2
    assert done.complained.startswith(f"experiment-ci: {says}")


@pytest.mark.service
def test_a_push_from_files_alone(place: Path) -> None:
    done = asked(place, "simulate", "push.json", "--config", "config.yaml")
    assert (done.status, done.complained) == (0, "")
    assert "\naaaaaaa “First”: 1 of 1 workflows run\n" in done.said
    assert "\n    train / fit: queued: Created\n" in done.said
    done = asked(place, "simulate", "push.json", "--config", "other.yaml")
    assert done.status == 1
    assert "\n  other.yaml:3: error: `steps` is missing\n" in done.said


@pytest.mark.service
def test_an_author_has_the_role_that_is_given(place: Path) -> None:
    arguments = ["simulate", "pull.json", "--config", "config.yaml", "--base-config", "config.yaml"]
    assert "1 of 1 workflows run\n" in asked(place, *arguments).said
    held = "nothing runs: its author may not write to the repository, and nobody has approved it\n"
    assert held in asked(place, *arguments, "--role", "read").said
