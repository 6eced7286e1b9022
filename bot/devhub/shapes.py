"""GitHub's JSON for each of its things, the same in REST answers and in webhook payloads.

Complete enough for GitHub's own OpenAPI description and webhook schemas; tests/openapi holds every answer to them.
"""

from bot.devhub.git import Commit, Difference, Signature
from bot.devhub.model import (
    Account,
    App,
    CheckRun,
    CheckSuite,
    Comment,
    CommitComment,
    Installation,
    Pull,
    Repository,
    Role,
    iso,
)
from bot.devhub.places import Json, Places

_REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
# GitHub folds the finer roles into three in this one field; `role_name` has them as they are.
_FOLDED = {"admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read", "none": "none"}


class Shapes(Places):
    """All shapes: to those of places, what happens there."""

    def branch(self, repository: Repository, ref: str, sha: str) -> Json:
        """Return the `head` or `base` of a pull request."""
        return {
            "label": f"{repository.owner.login}:{ref}",
            "ref": ref,
            "sha": sha,
            "user": self.user(repository.owner),
            "repo": self.repository(repository),
        }

    def pull(self, pull: Pull) -> Json:
        """Return the shape that lists carry."""
        repository = pull.repository
        url, page = f"{self.repository_url(repository)}/pulls/{pull.number}", self.pull_page(pull)
        return {
            "url": url,
            "id": pull.id,
            "node_id": f"PR_{pull.id}",
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            **self._pull_links(pull),
            "number": pull.number,
            "state": "open" if pull.is_open else "closed",
            "locked": False,
            "title": pull.title,
            "user": self.user(pull.author),
            "body": pull.body or None,
            "created_at": iso(pull.created_at),
            "updated_at": iso(pull.updated_at),
            "closed_at": None if pull.closed_at is None else iso(pull.closed_at),
            "merged_at": None if pull.merged_at is None else iso(pull.merged_at),
            "merge_commit_sha": pull.merge_commit_sha,
            "assignee": None,
            "assignees": [],
            "requested_reviewers": [],
            "requested_teams": [],
            "labels": [],
            "milestone": None,
            "draft": pull.is_draft,
            "head": self.branch(pull.head_repository, pull.head_ref, pull.head_sha),
            "base": self.branch(repository, pull.base_ref, pull.base_sha),
            "_links": self._pull_relations(pull, url, page),
            "author_association": self.association(repository, pull.author),
            "auto_merge": None,
            "active_lock_reason": None,
        }

    def pull_page(self, pull: Pull) -> str:
        return f"{self.page(pull.repository)}/pull/{pull.number}"

    def _pull_links(self, pull: Pull) -> dict[str, str]:
        url = self.repository_url(pull.repository)
        return {
            "issue_url": f"{url}/issues/{pull.number}",
            "commits_url": f"{url}/pulls/{pull.number}/commits",
            "review_comments_url": f"{url}/pulls/{pull.number}/comments",
            "review_comment_url": f"{url}/pulls/comments{{/number}}",
            "comments_url": f"{url}/issues/{pull.number}/comments",
            "statuses_url": f"{url}/statuses/{pull.head_sha}",
        }

    def _pull_relations(self, pull: Pull, url: str, page: str) -> Json:
        links = {name.removesuffix("_url"): link for name, link in self._pull_links(pull).items()}
        return {name: {"href": link} for name, link in ({"self": url, "html": page} | links).items()}

    def full_pull(self, pull: Pull, difference: Difference) -> Json:
        """Return what `GET /repos/{owner}/{repo}/pulls/{pull_number}` and webhooks carry."""
        return self.pull(pull) | {
            "merged": pull.merged_at is not None,
            "mergeable": None,
            "rebaseable": None,
            "mergeable_state": "unknown",
            "merged_by": None if pull.merged_by is None else self.user(pull.merged_by),
            "comments": len(pull.comments),
            "review_comments": 0,
            "maintainer_can_modify": False,
            **vars(difference),
        }

    def association(self, repository: Repository, account: Account) -> str:
        if account is repository.owner:
            return "OWNER"
        return "COLLABORATOR" if account.login.lower() in repository.collaborators else "NONE"

    def issue(self, pull: Pull) -> Json:
        """Return the issue that every pull request also is. It has no head SHA: GitHub's own trap."""
        url, page = self.repository_url(pull.repository), self.pull_page(pull)
        here = f"{url}/issues/{pull.number}"
        links = {"url": f"{url}/pulls/{pull.number}", "html_url": page}
        merged = None if pull.merged_at is None else iso(pull.merged_at)
        return {
            "url": here,
            "repository_url": url,
            "labels_url": f"{here}/labels{{/name}}",
            "comments_url": f"{here}/comments",
            "events_url": f"{here}/events",
            "timeline_url": f"{here}/timeline",
            "html_url": page,
            "id": pull.id,
            "node_id": f"PR_{pull.id}",
            "number": pull.number,
            "title": pull.title,
            "user": self.user(pull.author),
            "labels": [],
            "state": "open" if pull.is_open else "closed",
            "state_reason": None,
            "locked": False,
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "comments": len(pull.comments),
            "created_at": iso(pull.created_at),
            "updated_at": iso(pull.updated_at),
            "closed_at": None if pull.closed_at is None else iso(pull.closed_at),
            "author_association": self.association(pull.repository, pull.author),
            "active_lock_reason": None,
            "draft": pull.is_draft,
            "pull_request": {
                **links,
                "diff_url": f"{page}.diff",
                "patch_url": f"{page}.patch",
                "merged_at": merged,
            },
            "body": pull.body or None,
            "reactions": self._reactions(here),
            "performed_via_github_app": None,
        }

    def comment(self, pull: Pull, comment: Comment, app: App) -> Json:
        url = f"{self.repository_url(pull.repository)}/issues/comments/{comment.id}"
        return {
            "url": url,
            "html_url": f"{self.pull_page(pull)}#issuecomment-{comment.id}",
            "issue_url": f"{self.repository_url(pull.repository)}/issues/{pull.number}",
            "id": comment.id,
            "node_id": f"IC_{comment.id}",
            "user": self.user(comment.author),
            "created_at": iso(comment.created_at),
            "updated_at": iso(comment.updated_at),
            "author_association": self.association(pull.repository, comment.author),
            "body": comment.body,
            "reactions": self._reactions(url),
            "performed_via_github_app": self.app(app) if comment.author is app.bot else None,
        }

    def _reactions(self, url: str) -> Json:
        return {"url": f"{url}/reactions", "total_count": 0} | dict.fromkeys(_REACTIONS, 0)

    def commit_comment(self, repository: Repository, comment: CommitComment) -> Json:
        page = f"{self.page(repository)}/commit/{comment.sha}"
        return {
            "url": f"{self.repository_url(repository)}/comments/{comment.id}",
            "html_url": f"{page}#commitcomment-{comment.id}",
            "id": comment.id,
            "node_id": f"CC_{comment.id}",
            "user": self.user(comment.author),
            "position": None,
            "line": None,
            "path": None,
            "commit_id": comment.sha,
            "created_at": iso(comment.created_at),
            "updated_at": iso(comment.created_at),
            "author_association": self.association(repository, comment.author),
            "body": comment.body,
        }

    def app(self, app: App) -> Json:
        """Return the App as everybody may see it."""
        return {
            "id": app.id,
            "client_id": app.client_id,
            "slug": app.slug,
            "node_id": f"A_{app.id}",
            "owner": self.user(app.owner),
            "name": app.name,
            "description": "",
            "external_url": f"{self.web}/apps/{app.slug}",
            "html_url": f"{self.web}/apps/{app.slug}",
            "created_at": iso(app.created_at),
            "updated_at": iso(app.created_at),
            "permissions": dict(app.permissions),
            "events": list(app.events),
        }

    def installation(self, installation: Installation, app: App) -> Json:
        url = f"{self.api}/app/installations/{installation.id}"
        return {
            "id": installation.id,
            "client_id": app.client_id,
            "account": self.user(installation.account),
            "repository_selection": "all" if installation.selected is None else "selected",
            "access_tokens_url": f"{url}/access_tokens",
            "repositories_url": f"{self.api}/installation/repositories",
            "html_url": f"{self.web}/settings/installations/{installation.id}",
            "app_id": app.id,
            "app_slug": app.slug,
            "target_id": installation.account.id,
            "target_type": installation.account.kind,
            "permissions": dict(app.permissions),
            "events": list(app.events),
            "created_at": iso(installation.created_at),
            "updated_at": iso(installation.created_at),
            "single_file_name": None,
            "has_multiple_single_files": False,
            "single_file_paths": [],
            "suspended_by": None,
            "suspended_at": None,
        }

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

    def simple_commit(self, commit: Commit) -> Json:
        return {
            "id": commit.sha,
            "tree_id": commit.tree,
            "message": commit.message,
            "timestamp": iso(commit.committer.at * 1_000_000),
            "author": _person(commit.author),
            "committer": _person(commit.committer),
        }

    def commit(self, repository: Repository, commit: Commit) -> Json:
        """Return what `GET /repos/{owner}/{repo}/commits/{ref}` answers, without the files."""
        url = self.repository_url(repository)
        return {
            "sha": commit.sha,
            "node_id": f"C_{commit.sha}",
            "url": f"{url}/commits/{commit.sha}",
            "html_url": f"{self.page(repository)}/commit/{commit.sha}",
            "comments_url": f"{url}/commits/{commit.sha}/comments",
            "commit": {
                "url": f"{url}/git/commits/{commit.sha}",
                "author": _person(commit.author) | {"date": iso(commit.author.at * 1_000_000)},
                "committer": _person(commit.committer) | {"date": iso(commit.committer.at * 1_000_000)},
                "message": commit.message,
                "comment_count": 0,
                "tree": {"sha": commit.tree, "url": f"{url}/git/trees/{commit.tree}"},
            },
            "author": None,
            "committer": None,
            "parents": [
                {"sha": sha, "url": f"{url}/commits/{sha}", "html_url": f"{self.page(repository)}/commit/{sha}"}
                for sha in commit.parents
            ],
        }

    def pushed_commit(self, repository: Repository, commit: Commit) -> Json:
        """Return a commit as push payloads list it."""
        return self.simple_commit(commit) | {
            "distinct": True,
            "url": f"{self.page(repository)}/commit/{commit.sha}",
            "added": list(commit.added),
            "removed": list(commit.removed),
            "modified": list(commit.modified),
        }

    def permission(self, account: Account, role: Role) -> Json:
        user = self.user(account) | {"permissions": grants(role), "role_name": role}
        return {"permission": _FOLDED[role], "role_name": role, "user": user}


_GRANTS = ("pull", "triage", "push", "maintain", "admin")
_RANK = {"none": 0, "read": 1, "triage": 2, "write": 3, "maintain": 4, "admin": 5}


def grants(role: Role) -> dict[str, bool]:
    """Return what a role may do, in GitHub's old words."""
    return {name: _RANK[role] > rank for rank, name in enumerate(_GRANTS)}


def _person(signature: Signature) -> dict[str, str]:
    return {"name": signature.name, "email": signature.email}
