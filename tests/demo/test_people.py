"""What is pushed in the demo: the examples as they are, without what this machine cannot run."""

import pytest
import yaml

from bot.core.config import Problem, load
from bot.demo.people import CONFIG, PROJECTS, STRANGER, Change, Project, without

CHANGES = [(project, change) for project in PROJECTS for change in project.changes] + [(PROJECTS[0], STRANGER)]


def config_of(project: Project) -> str:
    return (project.example / CONFIG).read_text()


def problems(config: str) -> list[Problem]:
    def read(path: str) -> bytes:
        raise LookupError(path)

    return list(load(config.encode(), CONFIG, read).problems)


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_an_examples_config_has_no_problems(project: Project) -> None:
    assert problems(config_of(project)) == []
    assert without(config_of(project), ["nothing"]) == config_of(project)


@pytest.mark.parametrize(("project", "change"), CHANGES, ids=lambda value: getattr(value, "branch", ""))
def test_a_change_says_what_it_changes_once(project: Project, change: Change) -> None:
    text = (project.example / change.path).read_text()
    assert text.count(change.old) == 1
    assert not change.workflow or change.workflow in yaml.safe_load(config_of(project))["workflows"]


def test_a_workflow_is_left_out_and_the_others_stay_as_they_are() -> None:
    config = config_of(PROJECTS[1])
    kept = without(config, ["mpi"])
    assert problems(kept) == []
    everything = yaml.safe_load(config)
    del everything["workflows"]["mpi"]
    assert yaml.safe_load(kept) == everything
