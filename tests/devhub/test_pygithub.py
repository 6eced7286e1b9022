"""PyGithub, which the bot uses, takes devhub for GitHub."""

import pytest
from github import Auth, Github, GithubException, GithubIntegration

from bot.clock import SystemClock
from bot.devhub import DevHub, Pull
from tests.devhub.client import Client

pytestmark = pytest.mark.service


@pytest.fixture
def clock() -> SystemClock:
    """PyGithub makes its JWT by the machine's clock."""
    return SystemClock()


@pytest.mark.parametrize("prefix", ["", "/api/v3"])
def test_a_check_and_a_comment_by_pygithub(hub: DevHub, client: Client, pull: Pull, prefix: str) -> None:
    base = hub.url + prefix
    auth = Auth.AppAuth(hub.app.id, hub.app.private_key).get_installation_auth(hub.installation("acme").id)
    with (
        GithubIntegration(auth=Auth.AppAuth(hub.app.id, hub.app.private_key), base_url=base) as app,
        Github(auth=auth, base_url=base, seconds_between_requests=0, seconds_between_writes=0, retry=None) as github,
    ):
        assert app.get_app().slug == "experiment-ci"
        assert app.get_repo_installation("acme", "digits").id == hub.installation("acme").id
        repository = github.get_repo("acme/digits")
        check = repository.create_check_run("experiments", pull.head_sha, status="in_progress")
        check.edit(conclusion="success", output={"title": "Passed", "summary": "all of it"})
        runs = repository.get_commit(pull.head_sha).get_check_runs(check_name="experiments")
        assert [(run.status, run.conclusion) for run in runs] == [("completed", "success")]
        issue = repository.get_pull(1)
        comment = issue.create_issue_comment("first")
        comment.edit("second")
        assert [each.body for each in issue.get_issue_comments()] == ["second"]
        assert github.get_rate_limit().rate.limit == 5000
        with pytest.raises(GithubException) as refused:
            repository.create_check_run("x", "f" * 40)
        assert refused.value.status == 422
    assert hub.check(pull.repository, pull.head_sha, "experiments").output.title == "Passed"
