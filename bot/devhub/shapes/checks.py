"""Check suites, check runs and annotations, in GitHub's JSON."""

from bot.devhub.git import Commit
from bot.devhub.model import App, CheckRun, CheckSuite, Repository, iso
from bot.devhub.shapes.apps import AppShapes
from bot.devhub.shapes.commits import CommitShapes
from bot.devhub.shapes.places import Json


class CheckShapes(CommitShapes, AppShapes):
    """The shapes of what an App says of a commit."""

    def pulls_of(self, repository: Repository, sha: str) -> list[Json]:
        """Return the open pull requests at `sha` as checks list them: none from a fork, GitHub leaves them out."""
        return [
            {
                "url": f"{self.repository_url(repository)}/pulls/{pull.number}",
                "id": pull.id,
                "number": pull.number,
                "head": self._end(pull.head_repository, pull.head_ref, pull.head_sha),
                "base": self._end(repository, pull.base_ref, pull.base_sha),
            }
            for pull in repository.open_pulls()
            if pull.head_sha == sha and not pull.is_fork
        ]

    def _end(self, repository: Repository, ref: str, sha: str) -> Json:
        known = {"id": repository.id, "url": self.repository_url(repository), "name": repository.name}
        return {"ref": ref, "sha": sha, "repo": known}

    def check_run(self, repository: Repository, run: CheckRun, app: App) -> Json:
        url = f"{self.repository_url(repository)}/check-runs/{run.id}"
        return {
            "id": run.id,
            "name": run.name,
            "node_id": f"CR_{run.id}",
            "head_sha": run.sha,
            "external_id": run.external_id,
            "url": url,
            "html_url": self.run_page(repository, run),
            "details_url": run.details_url or f"{self.web}/apps/{app.slug}",
            "status": run.status,
            "conclusion": run.conclusion,
            "started_at": iso(run.started_at),
            "completed_at": None if run.completed_at is None else iso(run.completed_at),
            "output": {
                "title": run.output.title,
                "summary": run.output.summary,
                "text": run.output.text,
                "annotations_count": len(run.annotations),
                "annotations_url": f"{url}/annotations",
            },
            "check_suite": {"id": run.suite.id},
            "app": self.app(app),
            "pull_requests": self.pulls_of(repository, run.sha),
        }

    def run_page(self, repository: Repository, run: CheckRun) -> str:
        return f"{self.page(repository)}/runs/{run.id}"

    def annotation(self, repository: Repository, run: CheckRun, annotation: Json) -> Json:
        return {
            "path": annotation["path"],
            "blob_href": f"{self.page(repository)}/blob/{run.sha}/{annotation['path']}",
            "start_line": annotation["start_line"],
            "start_column": annotation.get("start_column"),
            "end_line": annotation["end_line"],
            "end_column": annotation.get("end_column"),
            "annotation_level": annotation["annotation_level"],
            "title": annotation.get("title"),
            "message": annotation["message"],
            "raw_details": annotation.get("raw_details"),
        }

    def check_suite(self, repository: Repository, suite: CheckSuite, app: App, head: Commit) -> Json:
        url = f"{self.repository_url(repository)}/check-suites/{suite.id}"
        return {
            "id": suite.id,
            "node_id": f"CS_{suite.id}",
            "head_branch": suite.branch,
            "head_sha": suite.sha,
            "status": suite.status,
            "conclusion": suite.conclusion,
            "url": url,
            "before": suite.before,
            "after": suite.sha,
            "pull_requests": self.pulls_of(repository, suite.sha),
            "app": self.app(app),
            "created_at": iso(suite.created_at),
            "updated_at": iso(suite.updated_at),
            "rerequestable": True,
            "runs_rerequestable": True,
            "latest_check_runs_count": len(suite.latest()),
            "check_runs_url": f"{url}/check-runs",
            "head_commit": self.simple_commit(head),
        }
