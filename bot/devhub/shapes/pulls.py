"""Pull requests, the issues that they also are, and comments, in GitHub's JSON."""

from collections import Counter
from collections.abc import Iterable

from bot.devhub.git import Difference
from bot.devhub.model import Account, App, Comment, CommitComment, Pull, Reaction, Repository, iso
from bot.devhub.shapes.apps import AppShapes
from bot.devhub.shapes.places import Json

REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")
"""All that there are (GitHub: "About reactions")."""


class PullShapes(AppShapes):
    """The shapes of pull requests and of what is said there."""

    def branch(self, repository: Repository, ref: str, sha: str) -> Json:
        """Return the `head` or `base` of a pull request. Of a fork that was deleted no more than its name is left."""
        return {
            "label": f"{repository.owner.login}:{ref}",
            "ref": ref,
            "sha": sha,
            "user": self.user(repository.owner),
            "repo": None if repository.is_deleted else self.repository(repository),
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
            "reactions": self._reactions(url, [reaction.content for reaction in comment.reactions]),
            "performed_via_github_app": self.app(app) if comment.author is app.bot else None,
        }

    def _reactions(self, url: str, contents: Iterable[str] = ()) -> Json:
        counts = Counter(contents)
        return {"url": f"{url}/reactions", "total_count": counts.total()} | {each: counts[each] for each in REACTIONS}

    def reaction(self, reaction: Reaction) -> Json:
        return {
            "id": reaction.id,
            "node_id": f"REA_{reaction.id}",
            "user": self.user(reaction.user),
            "content": reaction.content,
            "created_at": iso(reaction.created_at),
        }

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
