"""What people do on GitHub: make repositories, push, open pull requests, comment, press buttons.

Each act changes the world and sends the webhook that GitHub would send.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bot.clock import SECOND
from bot.devhub.git import Git, Link, Signature
from bot.devhub.model import (
    NO_SHA,
    Account,
    CheckRun,
    CheckSuite,
    Comment,
    CommitComment,
    Installation,
    Pull,
    Repository,
    Role,
    World,
    iso,
)
from bot.devhub.pushes import after_push, emit_pull, keep_head
from bot.devhub.site import Site


class People:
    """The acts. Where `by` is left out, the repository's owner acts."""

    def __init__(self, site: Site) -> None:
        self.site = site

    @property
    def world(self) -> World:
        return self.site.world

    def add_user(self, login: str) -> Account:
        """Return the person of that name, made when new."""
        return self.world.account(login)

    def add_organization(self, login: str) -> Account:
        return self.world.account(login, "Organization")

    def installation(self, owner: str) -> Installation:
        """Return the App's installation on an account, made (on all repositories) when there is none."""
        with self.world.lock:
            account = self.world.account(owner)
            for installation in self.world.installations.values():
                if installation.account is account:
                    return installation
            installation = Installation(self.world.new_id(), account, self.site.clock.now())
            self.world.installations[installation.id] = installation
            return installation

    def uninstall(self, owner: str) -> None:
        """Take the App off an account; its tokens are bad from now on."""
        with self.world.lock:
            installation = self.world.installations.pop(self.installation(owner).id)
            self.site.tokens.revoke_all(installation)

    def create_repository(
        self,
        owner: str,
        name: str,
        *,
        private: bool = False,
        default_branch: str = "main",
        installed: bool = True,
    ) -> Repository:
        """Make an empty repository; the App is installed on it unless `installed` is False."""
        with self.world.lock:
            repository = self._new_repository(self.world.account(owner), name, private, default_branch, None)
            if installed:
                self.installation(owner)
            self.site.emit("repository", repository, repository.owner, {"action": "created"})
            return repository

    def fork(self, repository: Repository, by: str) -> Repository:
        """Make a copy below another account, with all branches; the App is not installed there."""
        with self.world.lock:
            copy = self._new_repository(
                self.world.account(by), repository.name, repository.is_private, repository.default_branch, repository
            )
            self.site.git(copy).run("fetch", "--quiet", str(repository.path), "+refs/heads/*:refs/heads/*")
            return copy

    def _new_repository(
        self, owner: Account, name: str, private: bool, default_branch: str, parent: Repository | None
    ) -> Repository:
        number, now = self.world.new_id(), self.site.clock.now()
        path = self.site.root / "repositories" / f"{number}.git"
        repository = Repository(number, owner, name, private, default_branch, path, now, now, parent)
        self.world.add(repository)
        Git.create(path, default_branch)
        return repository

    def rename_repository(self, repository: Repository, name: str) -> None:
        """Give a repository another name; the old one redirects."""
        with self.world.lock:
            old = repository.name
            self.world.rename(repository, name)
            changes = {"repository": {"name": {"from": old}}}
            self.site.emit("repository", repository, repository.owner, {"action": "renamed", "changes": changes})

    def add_collaborator(self, repository: Repository, login: str, role: Role = "write") -> Account:
        """Let somebody in; returns the account, whose `token` is also the password for git."""
        with self.world.lock:
            repository.collaborators[login.lower()] = role
            return self.world.account(login)

    def set_fetch_rules(self, repository: Repository, *, any_sha: bool = True, filters: bool = True) -> None:
        """Refuse (or allow again) fetching a SHA that no ref names, and fetching without blobs."""
        git = self.site.git(repository)
        git.configure("uploadpack.allowAnySHA1InWant", str(any_sha).lower())
        git.configure("uploadpack.allowFilter", str(filters).lower())
        repository.any_sha = any_sha

    def commit_files(
        self,
        repository: Repository,
        files: Mapping[str, str | bytes | Link | None],
        *,
        branch: str | None = None,
        message: str = "Change files",
        parent: str | None = None,
        by: Account | None = None,
    ) -> str:
        """Commit and push in one act, without a clone: return the new tip's SHA.

        `files` maps paths to contents (None deletes, `Link` makes a symbolic link). A new branch starts at the
        default branch's tip; `parent` chooses another start, which makes a forced push of an existing branch.
        """
        who, branch = by or repository.owner, branch or repository.default_branch
        with repository.push_lock:
            git, before = self.site.git(repository), self.site.git(repository).refs()
            start = parent or before.get(f"refs/heads/{branch}")
            start = start or before.get(f"refs/heads/{repository.default_branch}")
            git.write(branch, start, files, self._signature(who), message)
            return after_push(self.site, repository, who, before)[f"refs/heads/{branch}"]

    def tag(self, repository: Repository, names: str | list[str], sha: str, by: Account | None = None) -> None:
        """Push one or several tags at once."""
        with repository.push_lock:
            git, before = self.site.git(repository), self.site.git(repository).refs()
            for name in [names] if isinstance(names, str) else names:
                git.run("update-ref", f"refs/tags/{name}", sha)
            after_push(self.site, repository, by or repository.owner, before)

    def delete_branch(self, repository: Repository, branch: str, by: Account | None = None) -> None:
        with repository.push_lock:
            git, before = self.site.git(repository), self.site.git(repository).refs()
            git.run("update-ref", "-d", f"refs/heads/{branch}")
            after_push(self.site, repository, by or repository.owner, before)

    def open_pull(
        self,
        repository: Repository,
        head: str,
        base: str = "main",
        title: str = "A change",
        body: str = "",
        *,
        draft: bool = False,
        head_repository: Repository | None = None,
        by: Account | None = None,
    ) -> Pull:
        """Open a pull request of branch `head` (of a fork, when `head_repository` is given) onto branch `base`."""
        source = head_repository or repository
        head_sha, base_sha = self.site.git(source).tip(head), self.site.git(repository).tip(base)
        if head_sha is None or base_sha is None:
            raise ValueError(f"there is no branch {head if head_sha is None else base}")
        with self.world.lock:
            now, author = self.site.clock.now(), by or source.owner
            number = len(repository.pulls) + 1
            pull = Pull(
                id=self.world.new_id(),
                number=number,
                repository=repository,
                head_repository=source,
                head_ref=head,
                head_sha=head_sha,
                base_ref=base,
                base_sha=base_sha,
                title=title,
                body=body,
                author=author,
                is_draft=draft,
                created_at=now,
                updated_at=now,
            )
            repository.pulls[number] = pull
            keep_head(self.site, pull)
            emit_pull(self.site, pull, author, "opened")
            return pull

    def close_pull(self, pull: Pull, by: Account | None = None) -> None:
        with self.world.lock:
            pull.closed_at = pull.updated_at = self.site.clock.now()
            emit_pull(self.site, pull, by or pull.repository.owner, "closed")

    def reopen_pull(self, pull: Pull, by: Account | None = None) -> None:
        with self.world.lock:
            pull.closed_at, pull.updated_at = None, self.site.clock.now()
            emit_pull(self.site, pull, by or pull.repository.owner, "reopened")

    def mark_ready(self, pull: Pull, by: Account | None = None) -> None:
        """Make a draft ready for review."""
        with self.world.lock:
            pull.is_draft, pull.updated_at = False, self.site.clock.now()
            emit_pull(self.site, pull, by or pull.author, "ready_for_review")

    def edit_pull(self, pull: Pull, title: str) -> None:
        """Change the title: an action that concerns no commit."""
        with self.world.lock:
            old, pull.title, pull.updated_at = pull.title, title, self.site.clock.now()
            emit_pull(self.site, pull, pull.author, "edited", changes={"title": {"from": old}})

    def merge_pull(self, pull: Pull, by: Account | None = None) -> str:
        """Merge with a merge commit; return its SHA. Raises GitError on a conflict."""
        repository, who = pull.repository, by or pull.repository.owner
        with repository.push_lock:
            git, before = self.site.git(repository), self.site.git(repository).refs()
            base = before[f"refs/heads/{pull.base_ref}"]
            words = f"Merge pull request #{pull.number} from {pull.head_repository.owner.login}/{pull.head_ref}"
            sha = git.merge(base, pull.head_sha, self._signature(who), words)
            git.run("update-ref", f"refs/heads/{pull.base_ref}", sha)
            after_push(self.site, repository, who, before)
        with self.world.lock:
            pull.closed_at = pull.merged_at = pull.updated_at = self.site.clock.now()
            pull.merged_by, pull.merge_commit_sha = who, sha
            emit_pull(self.site, pull, who, "closed")
        return sha

    def request_merge_group(self, pull: Pull) -> str:
        """Let the merge queue ask for checks on a commit of its own; return that commit's SHA."""
        repository, who = pull.repository, pull.repository.owner
        with repository.push_lock:
            git, before = self.site.git(repository), self.site.git(repository).refs()
            base = before[f"refs/heads/{pull.base_ref}"]
            sha = git.merge(base, pull.head_sha, self._signature(who), f"Merge pull request #{pull.number}")
            ref = f"refs/heads/gh-readonly-queue/{pull.base_ref}/pr-{pull.number}-{base}"
            git.run("update-ref", ref, sha)
            after_push(self.site, repository, who, before)
            head = self.site.shapes.simple_commit(self.site.commit(repository, sha))
        group = {"head_sha": sha, "head_ref": ref, "base_sha": base, "base_ref": f"refs/heads/{pull.base_ref}"}
        payload = {"action": "checks_requested", "merge_group": group | {"head_commit": head}}
        self.site.emit("merge_group", repository, who, payload)
        return sha

    def comment(self, pull: Pull, body: str, by: Account | None = None) -> Comment:
        """Comment on a pull request."""
        with self.world.lock:
            now = self.site.clock.now()
            comment = Comment(self.world.new_id(), by or pull.repository.owner, body, now, now)
            pull.comments.append(comment)
            pull.updated_at = now
            self._emit_comment(pull, comment, comment.author, "created")
            return comment

    def edit_comment(self, pull: Pull, comment: Comment, body: str, by: Account | None = None) -> None:
        with self.world.lock:
            old, comment.body, comment.updated_at = comment.body, body, self.site.clock.now()
            changes = {"body": {"from": old}}
            self._emit_comment(pull, comment, by or pull.repository.owner, "edited", changes=changes)

    def delete_comment(self, pull: Pull, comment: Comment, by: Account | None = None) -> None:
        with self.world.lock:
            pull.comments.remove(comment)
            self._emit_comment(pull, comment, by or pull.repository.owner, "deleted")

    def _emit_comment(self, pull: Pull, comment: Comment, sender: Account, action: str, **more: Any) -> None:
        shapes = self.site.shapes
        shape = shapes.comment(pull, comment, self.site.app)
        payload = {"action": action, **more, "issue": shapes.issue(pull), "comment": shape}
        self.site.emit("issue_comment", pull.repository, sender, payload)

    def comment_on_commit(self, repository: Repository, sha: str, body: str, by: Account | None = None) -> None:
        """Comment on a commit."""
        with self.world.lock:
            who = by or repository.owner
            comment = CommitComment(self.world.new_id(), who, sha, body, self.site.clock.now())
            repository.commit_comments.append(comment)
            shape = self.site.shapes.commit_comment(repository, comment)
            self.site.emit("commit_comment", repository, who, {"action": "created", "comment": shape})

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

    def _signature(self, who: Account) -> Signature:
        return Signature(who.login, who.email, self.site.clock.now() // SECOND)


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


def git_environment(url: str, user: Account, credentials: Path) -> dict[str, str]:
    """Return variables that let real git speak to `url` as `user`, with no secret in any argument.

    The password is written to the file `credentials`, readable by this user alone.
    """
    scheme, rest = url.split("://", 1)
    credentials.touch(mode=0o600)
    credentials.write_text(f"{scheme}://{user.login}:{user.token}@{rest}\n", encoding="utf-8")
    return {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": "2",
        # The empty one forgets the helpers of the machine.
        "GIT_CONFIG_KEY_0": "credential.helper",
        "GIT_CONFIG_VALUE_0": "",
        "GIT_CONFIG_KEY_1": "credential.helper",
        "GIT_CONFIG_VALUE_1": f"store --file={credentials}",
    }
