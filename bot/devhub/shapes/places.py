"""Accounts and repositories in GitHub's JSON, and the addresses of both."""

from typing import Any

from bot.devhub.model import Account, Repository, iso

Json = dict[str, Any]

_USER_LINKS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
_REPOSITORY_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


class Places:
    """The shapes, for one address of the API (`api`) and one of the pages (`web`)."""

    def __init__(self, api: str, web: str) -> None:
        self.api = api
        self.web = web

    def user(self, account: Account) -> Json:
        url = f"{self.api}/users/{account.login}"
        return {
            "login": account.login,
            "id": account.id,
            "node_id": f"U_{account.id}",
            "avatar_url": f"{self.web}/avatars/{account.id}",
            "gravatar_id": "",
            "url": url,
            "html_url": f"{self.web}/{account.login}",
            **{name: url + path for name, path in _USER_LINKS.items()},
            "type": account.kind,
            "site_admin": False,
        }

    def repository_url(self, repository: Repository) -> str:
        return f"{self.api}/repos/{repository.full_name}"

    def page(self, repository: Repository) -> str:
        return f"{self.web}/{repository.full_name}"

    def organization(self, account: Account) -> Json:
        """Return an organization as webhooks name the one that a repository belongs to."""
        url = f"{self.api}/orgs/{account.login}"
        return {
            "login": account.login,
            "id": account.id,
            "node_id": f"O_{account.id}",
            "url": url,
            "repos_url": f"{url}/repos",
            "events_url": f"{url}/events",
            "hooks_url": f"{url}/hooks",
            "issues_url": f"{url}/issues",
            "members_url": f"{url}/members{{/member}}",
            "public_members_url": f"{url}/public_members{{/member}}",
            "avatar_url": f"{self.web}/avatars/{account.id}",
            "description": "",
        }

    def repository(self, repository: Repository) -> Json:
        """Return the shape that webhooks, lists and pull requests carry."""
        url, page = self.repository_url(repository), self.page(repository)
        return {
            **self.identity(repository),
            "owner": self.user(repository.owner),
            "html_url": page,
            "description": None,
            "fork": repository.parent is not None,
            "url": url,
            **{name: url + path for name, path in _REPOSITORY_LINKS.items()},
            "git_url": f"git:{page.split(':', 1)[1]}.git",
            "ssh_url": f"git@localhost:{repository.full_name}.git",
            "clone_url": f"{page}.git",
            "svn_url": page,
            **self._counts(repository),
            "created_at": iso(repository.created_at),
            "updated_at": iso(repository.pushed_at),
            "pushed_at": iso(repository.pushed_at),
            "default_branch": repository.default_branch,
        }

    def identity(self, repository: Repository) -> Json:
        """Return the few members by which installations list their repositories."""
        return {
            "id": repository.id,
            "node_id": f"R_{repository.id}",
            "name": repository.name,
            "full_name": repository.full_name,
            "private": repository.is_private,
        }

    def _counts(self, repository: Repository) -> Json:
        opened = len(repository.open_pulls())
        return {
            "homepage": None,
            "size": 0,
            "stargazers_count": 0,
            "watchers_count": 0,
            "language": None,
            "has_issues": True,
            "has_projects": False,
            "has_downloads": True,
            "has_wiki": False,
            "has_pages": False,
            "has_discussions": False,
            "forks_count": 0,
            "mirror_url": None,
            "archived": repository.is_archived,
            "disabled": False,
            "open_issues_count": opened,
            "license": None,
            "allow_forking": True,
            "is_template": False,
            "web_commit_signoff_required": False,
            "topics": [],
            "visibility": "private" if repository.is_private else "public",
            "forks": 0,
            "open_issues": opened,
            "watchers": 0,
            "custom_properties": {},
        }

    def full_repository(self, repository: Repository, permissions: Json) -> Json:
        """Return what `GET /repos/{owner}/{repo}` answers."""
        shape = self.repository(repository) | {"permissions": permissions, "network_count": 0, "subscribers_count": 0}
        if repository.parent is not None:
            parent = self.repository(repository.parent)
            shape |= {"parent": parent, "source": parent}
        return shape
