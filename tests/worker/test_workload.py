"""From a config's step to a row: what becomes of the image that it names."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.backends.base import Capabilities
from bot.backends.machines import Machines
from bot.core.config import Step
from bot.core.plan import Grants
from bot.forge.git import GitCache
from bot.store.schema import Commit, Experiment, Repository
from bot.worker.workload import Workload
from tests.core.config.files import accepted, only_step, sound

ENGINE = "images: podman 4.3.1 runs them"
GRANTS = Grants(frozenset(), keeps_storage=True, is_default_branch=True)
NO_ENGINE = "the config names the image `pytorch/pytorch`, and this bot has nothing to run it with (CONTAINERS)"


def step_with(container: str) -> Step:
    step = only_step(accepted(sound()))
    return replace(step, params=replace(step.params, container=container))


def workload(tmp_path: Path, *, images: str, refuses: bool = False) -> Workload:
    capabilities = Capabilities("local", "isolated", is_isolated=True, capacity=None, images=images)
    git = GitCache(tmp_path / "git", "https://github.example")
    machines = Machines.load(None)
    web = "https://github.example"
    return Workload(tmp_path, web, git, machines, capabilities, refuses_unused_images=refuses)


def experiment(made: Workload, step: Step) -> Experiment:
    return made.experiment(1, 0, step, None, GRANTS, 1_000_000)


@pytest.mark.parametrize(
    ("images", "refuses", "refusal"),
    [("", False, ""), ("", True, NO_ENGINE), (ENGINE, False, ""), (ENGINE, True, "")],
)
def test_an_image_that_nobody_can_use_is_refused_only_where_the_settings_want_that(
    tmp_path: Path, images: str, refuses: bool, refusal: str
) -> None:
    row = experiment(workload(tmp_path, images=images, refuses=refuses), step_with("pytorch/pytorch"))
    assert row.refusal == refusal


def test_a_name_that_no_image_has_is_refused_before_anything_runs(tmp_path: Path) -> None:
    row = experiment(workload(tmp_path, images=ENGINE), step_with("Test-Container"))
    assert row.refusal == "`Test-Container` is not the name of an image"
    assert experiment(workload(tmp_path, images=""), step_with("Test-Container")).refusal == ""


@pytest.mark.parametrize("container", ["none", "None", " ", "null"])
def test_none_is_no_image(tmp_path: Path, container: str) -> None:
    made, step = workload(tmp_path, images="", refuses=True), step_with(container)
    row = experiment(made, step)
    assert row.refusal == ""
    repository = Repository(github_id=7, owner="acme", name="digits")
    commit = Commit(sha="a" * 40)
    attempt = made.attempt(repository, commit, row, step, None, GRANTS, 1, "refs/heads/main", 1_000_000, {})
    assert attempt.spec["groups"][0]["image"] is None
