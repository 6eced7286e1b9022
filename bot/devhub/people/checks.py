"""The buttons beside checks."""

from typing import Any

from bot.devhub.model import NO_SHA, Account, CheckRun, CheckSuite, Repository, iso
from bot.devhub.people.acts import Acts
from bot.devhub.site import Site


class Checks(Acts):
    """What people ask of an App that reported checks."""

    def rerequest_check_run(self, repository: Repository, run: CheckRun, by: Account | None = None) -> None:
        """Press "Re-run" beside one check."""
        self._emit_run(repository, run, by or repository.owner, "rerequested")

    def request_action(self, repository: Repository, run: CheckRun, identifier: str, by: Account | None = None) -> None:
        """Press one of the buttons that the check offers; raises ValueError for one that it does not."""
        if identifier not in {action["identifier"] for action in run.actions}:
            raise ValueError(f"the check offers no action {identifier!r}")
        action = {"requested_action": {"identifier": identifier}}
        self._emit_run(repository, run, by or repository.owner, "requested_action", **action)

    def rerequest_check_suite(self, repository: Repository, suite: CheckSuite, by: Account | None = None) -> None:
        """Press "Re-run all checks"."""
        head = self.site.commit(repository, suite.sha)
        shape = self.site.shapes.check_suite(repository, suite, self.site.app, head)
        payload = {"action": "rerequested", "check_suite": shape}
        self.site.emit("check_suite", repository, by or repository.owner, payload)

    def _emit_run(self, repository: Repository, run: CheckRun, sender: Account, action: str, **more: Any) -> None:
        payload = {"action": action, "check_run": check_run_of_event(self.site, repository, run), **more}
        self.site.emit("check_run", repository, sender, payload)


def check_run_of_event(site: Site, repository: Repository, run: CheckRun) -> dict[str, Any]:
    """Return the check run as webhooks carry it: with its suite, which REST answers only name."""
    suite, shapes = run.suite, site.shapes
    shape = shapes.check_run(repository, run, site.app)
    known = {
        "id": suite.id,
        "node_id": f"CS_{suite.id}",
        "head_branch": suite.branch,
        "head_sha": suite.sha,
        "status": suite.status,
        "conclusion": suite.conclusion,
        "url": f"{shapes.repository_url(repository)}/check-suites/{suite.id}",
        "before": suite.before or NO_SHA,
        "after": suite.sha,
        "pull_requests": shape["pull_requests"],
        "app": shapes.app(site.app),
        "created_at": iso(suite.created_at),
        "updated_at": iso(suite.updated_at),
    }
    return shape | {"check_suite": known}
