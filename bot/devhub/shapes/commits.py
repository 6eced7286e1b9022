"""Commits, branches and what lies between two of them, in GitHub's JSON."""

from urllib.parse import quote

from bot.devhub.comparison import Comparison, FileChange
from bot.devhub.git import Commit, Signature
from bot.devhub.model import Repository, iso
from bot.devhub.shapes.places import Json, Places


class CommitShapes(Places):
    """The shapes of what git keeps."""

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

    def short_branch(self, repository: Repository, name: str, sha: str) -> Json:
        """Return a branch as lists have it."""
        url = f"{self.repository_url(repository)}/commits/{sha}"
        return {"name": name, "commit": {"sha": sha, "url": url}, "protected": _is_protected(repository, name)}

    def full_branch(self, repository: Repository, name: str, tip: Commit) -> Json:
        url = f"{self.repository_url(repository)}/branches/{name}"
        required = repository.required_on(name, classic=True)
        checks: Json = {
            "enforcement_level": "non_admins" if required else "off",
            "contexts": [one.name for one in required],
            "checks": [{"context": one.name, "app_id": one.app_id} for one in required],
        }
        return {
            "name": name,
            "commit": self.commit(repository, tip),
            "_links": {"self": url, "html": f"{self.page(repository)}/tree/{name}"},
            "protected": _is_protected(repository, name),
            "protection": {"enabled": bool(required), "required_status_checks": checks},
            "protection_url": f"{url}/protection",
        }

    def rules(self, repository: Repository, branch: str) -> list[Json]:
        """Return the rules of rulesets that hold for a branch: devhub has but those about checks."""
        required = repository.required_on(branch, classic=False)
        checks = [
            {"context": one.name} | ({} if one.app_id is None else {"integration_id": one.app_id}) for one in required
        ]
        rule = {
            "type": "required_status_checks",
            "ruleset_source_type": "Repository",
            "ruleset_source": repository.full_name,
            "ruleset_id": repository.id,
            "parameters": {"required_status_checks": checks, "strict_required_status_checks_policy": False},
        }
        return [rule] if checks else []

    def comparison(
        self, repository: Repository, comparison: Comparison, base: Commit, merge_base: Commit, commits: list[Commit]
    ) -> Json:
        """Return what lies between two commits, without the files."""
        span = f"{comparison.base}...{comparison.head}"
        page = f"{self.page(repository)}/compare/{span}"
        return {
            "url": f"{self.repository_url(repository)}/compare/{span}",
            "html_url": page,
            "permalink_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "base_commit": self.commit(repository, base),
            "merge_base_commit": self.commit(repository, merge_base),
            "status": comparison.status,
            "ahead_by": comparison.ahead_by,
            "behind_by": comparison.behind_by,
            "total_commits": comparison.ahead_by,
            "commits": [self.commit(repository, commit) for commit in commits],
        }

    def file_change(self, repository: Repository, sha: str, change: FileChange) -> Json:
        """Return a file that differs, as it is at the commit `sha`."""
        page, path = self.page(repository), quote(change.path)
        shape: Json = {
            "sha": change.sha,
            "filename": change.path,
            "status": change.status,
            "additions": change.additions,
            "deletions": change.deletions,
            "changes": change.additions + change.deletions,
            "blob_url": f"{page}/blob/{sha}/{path}",
            "raw_url": f"{page}/raw/{sha}/{path}",
            "contents_url": f"{self.repository_url(repository)}/contents/{path}?ref={sha}",
        }
        if change.previous_path is not None:
            shape["previous_filename"] = change.previous_path
        return shape if change.patch is None else shape | {"patch": change.patch}

    def pushed_commit(self, repository: Repository, commit: Commit) -> Json:
        """Return a commit as push payloads list it."""
        return self.simple_commit(commit) | {
            "distinct": True,
            "url": f"{self.page(repository)}/commit/{commit.sha}",
            "added": list(commit.added),
            "removed": list(commit.removed),
            "modified": list(commit.modified),
        }


def _is_protected(repository: Repository, branch: str) -> bool:
    return any(one.branch == branch for one in repository.required_checks)


def _person(signature: Signature) -> dict[str, str]:
    return {"name": signature.name, "email": signature.email}
