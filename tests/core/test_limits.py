"""What code may take, and what a stranger's may: nothing that the default branch does not use itself."""

import pytest

from bot.core.config import Config, EventKind, Step, load
from bot.core.limits import Limits, for_strangers
from bot.core.permission import Permission
from bot.core.plan import Policy, Trigger, grants

STEP = """
version: 2
workflows:
  train:
    steps:
      - name: fit
        command: experiment.run_single_node
        {more}
        params: {{command: python3 train.py{params}}}
{limits}
"""


def config(params: str = "", more: str = "timeout: 1h", limits: str = "") -> Config:
    text = STEP.format(params=f", {params}" if params else "", more=more, limits=limits)
    loaded = load(text.encode(), "config.yaml", lambda _name: b"")
    assert loaded.config is not None, loaded.problems
    return loaded.config


def step(params: str = "", more: str = "timeout: 1h") -> Step:
    return config(params, more).workflows[0].steps[0]


LIMITS = """\
limits:
  running: 4
  running-per-author: 2
  runs: 10
  timeout: 2h
  machine-types: [small, large]
  images: ["python:3\\\\..*"]
"""


def test_limits_are_read_from_the_config() -> None:
    assert config(limits=LIMITS).limits == Limits(4, 2, 10, 7200.0, ("small", "large"), ("python:3\\..*",))


def test_what_is_stored_comes_back() -> None:
    limits = config(limits=LIMITS).limits
    assert Limits.from_json(limits.to_json()) == limits
    assert Limits().to_json() == {}


@pytest.mark.parametrize(
    ("asks", "refusal"),
    [
        (step("machineType: small"), ""),
        (step("machineType: small", "timeout: 3h"), "it asks for 3 h, and no more than 2 h is given"),
        (step("machineType: huge"), "the machine type `huge` is not given"),
        (step(), "the machine type `default` is not given"),
        (step("machineType: small, container: 'python:3.11'"), ""),
        (step("machineType: small, container: 'evil:latest'"), "the image `evil:latest` is not given"),
        (step("machineType: small, container: 'xpython:3.11'"), "the image `xpython:3.11` is not given"),
        (step("machineType: small, useDockerfile: true"), "no image may be built"),
        (step("machineType: small, container: 'python:3.11', registryUrl: 'https://index.docker.io/v1/'"), ""),
        (
            step("machineType: small, container: 'python:3.11', registryUrl: 'https://evil.example'"),
            "the image `evil.example/python:3.11` is not given",
        ),
    ],
)
def test_what_is_beyond_the_limits_is_refused_with_the_figure(asks: Step, refusal: str) -> None:
    assert config(limits=LIMITS).limits.refusal(asks.params) == refusal


def test_an_experiment_without_a_timeout_may_run_as_long_as_the_limit_says() -> None:
    assert Limits(timeout_seconds=600).timeout_of(step(more="timeout: 1h").params) == 3600
    assert Limits(timeout_seconds=600).timeout_of(step(more="").params) == 600
    assert Limits().timeout_of(step(more="").params) == 24 * 3600


def test_the_experiments_of_a_commit_are_counted_cell_by_cell() -> None:
    wide = step(more="matrix: {seed: [1, 2, 3]}")
    assert Limits(runs=3).refusal_of_count([wide]) == ""
    assert "4 experiments" in Limits(runs=3).refusal_of_count([wide, step()])


# Strangers


def strangers(**usual: str) -> Limits:
    return for_strangers(config(**usual))


@pytest.mark.parametrize(
    ("asks", "is_given"),
    [
        ("machineType: small", True),
        ("machineType: huge", False),
        ("machineType: small, container: 'a.b/c_d:1'", True),
        ("machineType: small, container: 'axb/c_d:1'", False),
        ("machineType: small, container: 'a.b/c_d:1', registryUrl: 'https://evil.example'", True),  # its host stands
        ("machineType: small, container: 'python:3.11'", True),
        ("machineType: small, container: 'python:3.11', registryUrl: '10.0.0.1:5000'", False),
        ("machineType: small, useDockerfile: true", False),
        ("machineType: small, ports: 6006", True),
        ("machineType: small, ports: 22", False),
        ("machineType: small, datasets: [{uri: 's3://data/mnist'}]", True),
        ("machineType: small, datasets: [{uri: 's3://data/other'}]", False),
        ("machineType: small, workspace: 'https://evil.example/x.git'", False),
    ],
)
def test_a_stranger_may_use_what_the_default_branch_uses_and_nothing_else(asks: str, is_given: bool) -> None:
    usual = "machineType: small, container: 'a.b/c_d:1', ports: 6006, datasets: [{uri: 's3://data/mnist'}]"
    second = (
        "\n      - {name: other, command: experiment.run_single_node, params: {command: x, container: 'python:3.11'}}"
    )
    given = for_strangers(config(usual, limits=second.strip("\n")))
    assert (given.refusal(step(asks).params) == "") is is_given


def test_a_stranger_may_not_run_longer_or_more_often_than_the_default_branch() -> None:
    given = strangers(more="timeout: 1h")
    assert given.refusal(step(more="timeout: 61m").params) != ""
    assert given.timeout_of(step(more="").params) == 3600
    assert given.refusal_of_count([step(), step()]) != ""


def test_where_the_default_branch_has_no_config_a_stranger_has_next_to_nothing() -> None:
    assert for_strangers(None).refusal(step("container: x").params) != ""
    assert for_strangers(None).refusal(step("datasets: [{uri: 's3://data/x'}]").params) != ""


def test_what_comes_from_outside_gets_no_secret_no_storage_and_the_limits_of_strangers() -> None:
    own = config("experimentEnv: {TOKEN: 'secret:deploy'}", limits=LIMITS)
    given = grants(Policy.of("main", own), Trigger(EventKind.PULL_REQUESTS, "refs/heads/main", 7), is_trusted=False)
    assert (given.secrets, given.keeps_storage, given.is_default_branch, given.is_trusted) == (
        frozenset(),
        False,
        False,
        False,
    )
    assert given.limits == for_strangers(own)


def test_a_branch_cannot_give_itself_limits() -> None:
    main, branch = config(limits=LIMITS), config(limits="limits: {timeout: 7d}")
    pull = Trigger(EventKind.PULL_REQUESTS, "refs/heads/main", 7)
    assert grants(Policy.of("main", main), pull).limits == main.limits
    push = Trigger(EventKind.PUSHES, "refs/heads/main")
    assert grants(Policy.of("main", branch), push).limits == branch.limits


# Permissions


@pytest.mark.parametrize(
    ("role_name", "permission", "expected"),
    [
        ("admin", "admin", Permission.ADMIN),
        ("maintain", "write", Permission.MAINTAIN),
        ("triage", "read", Permission.TRIAGE),
        ("security-champion", "write", Permission.WRITE),  # an organization's own role
        ("none", "none", Permission.NONE),
        ("?", "?", Permission.NONE),
    ],
)
def test_githubs_roles_are_told_apart(role_name: str, permission: str, expected: Permission) -> None:
    assert Permission.of(role_name, permission) is expected


def test_a_better_role_covers_a_lesser_one() -> None:
    assert Permission.MAINTAIN.covers(Permission.WRITE)
    assert not Permission.TRIAGE.covers(Permission.WRITE)


def test_bots_may_be_named_with_or_without_their_brackets() -> None:
    text = "permissions: {commands: triage, trusted-bots: [dependabot, 'renovate[bot]']}\n"
    read = config(limits=text)
    assert read.trusted_bots == ("dependabot[bot]", "renovate[bot]")
    assert read.command_role is Permission.TRIAGE
