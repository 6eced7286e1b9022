"""From a verified delivery to the fact that it tells. GitHub's JSON ends in this file.

Shapes are those of GitHub's webhook reference; only the members read here are relied upon, and a payload that
lacks one is `Unreadable`, never an exception.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from bot.core.events import (
    ActionAsked,
    CommentMade,
    CommentTouched,
    Event,
    Ignored,
    InstallationChanged,
    MergeGroupDestroyed,
    MergeGroupRequested,
    PullRequestChanged,
    PushReceived,
    RefDeleted,
    Repository,
    RepositoryChanged,
    RepositoryClosed,
    RerunAsked,
    Unreadable,
)

_SHA = re.compile(r"[0-9a-f]{40}")
_NO_SHA = "0" * 40
_MERGE_QUEUE = "refs/heads/gh-readonly-queue/"
PULL_REQUEST_ACTIONS = frozenset(
    {"opened", "reopened", "synchronize", "ready_for_review", "converted_to_draft", "closed"}
)
REPOSITORY_ACTIONS = frozenset({"renamed", "transferred", "edited", "privatized", "publicized", "unarchived"})
CLOSING_ACTIONS = frozenset({"deleted", "archived"})
INSTALLATION_ACTIONS = frozenset({"created", "deleted", "suspend", "unsuspend", "new_permissions_accepted"})


def parse(kind: str, body: bytes) -> Event | Ignored | Unreadable:
    """Return the fact that a verified delivery of `X-GitHub-Event: kind` tells. Total: never raises."""
    parser = _PARSERS.get(kind)
    if parser is None:
        return Ignored(f"event {kind[:80]!r} is not one of ours")
    try:
        payload = read(body)
    except (ValueError, KeyError, RecursionError) as error:
        return Unreadable(f"the body is not JSON that can be read: {type(error).__name__}")
    try:
        return parser(payload)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Unreadable(f"the {kind} payload lacks what GitHub documents: {type(error).__name__} {error}"[:300])


def read(body: bytes) -> Any:
    """Return the JSON of a body. Raises ValueError, KeyError or RecursionError where that cannot be read."""
    payload = json.loads(_json_of(body))
    # A lone surrogate would raise later, where it is stored or sent.
    json.dumps(payload, ensure_ascii=False).encode()
    return payload


def _json_of(body: bytes) -> bytes:
    """Return the JSON of a body: a webhook whose content type is a form has it, percent-encoded, as its `payload`."""
    if not body.startswith(b"payload="):
        return body
    [payload] = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=1, errors="strict")["payload"]
    return payload.encode()


def _repository(payload: Mapping[str, Any]) -> Repository:
    repository = payload["repository"]
    return Repository(
        github_id=_number(repository["id"]),
        owner=_name(repository["owner"]["login"]),
        name=_name(repository["name"]),
        is_private=bool(repository["private"]),
        default_branch=_text(repository["default_branch"]),
        installation_id=_number(payload["installation"]["id"]),
    )


def _push(payload: Mapping[str, Any]) -> Event | Ignored:
    ref = _text(payload["ref"])
    if ref.startswith(_MERGE_QUEUE):
        return Ignored("a merge queue's own branch: its merge_group event says the same")
    if not ref.startswith(("refs/heads/", "refs/tags/")):
        return Ignored(f"{ref[:80]!r} is neither a branch nor a tag")
    repository, pushed_at = _repository(payload), payload["repository"].get("pushed_at")
    # A number in push payloads and nowhere else: GitHub's own quirk.
    pushed_at = pushed_at if isinstance(pushed_at, int) else 0
    if payload["deleted"] is True or payload["after"] == _NO_SHA:
        return RefDeleted(repository, ref, pushed_at)
    before = _text(payload["before"])
    # For an annotated tag `after` is the tag object; the commit it points at is the head commit.
    head = payload.get("head_commit")
    sha = head["id"] if ref.startswith("refs/tags/") and head else payload["after"]
    return PushReceived(
        repository, ref, None if before == _NO_SHA else _sha(before), _sha(sha), _sender(payload), pushed_at
    )


def _pull_request(payload: Mapping[str, Any]) -> Event | Ignored:
    action = _text(payload["action"])
    # Filters look at the base: were a new one not looked at, checks skipped for the old one would let it merge.
    changes = payload.get("changes")
    is_retargeted = action == "edited" and isinstance(changes, dict) and "base" in changes
    if action not in PULL_REQUEST_ACTIONS and not is_retargeted:
        return Ignored(f"pull_request action {action[:80]!r} changes no commit")
    pull, repository = payload["pull_request"], _repository(payload)
    head, base = pull["head"], pull["base"]
    return PullRequestChanged(
        repository=repository,
        action=action,
        number=_number(payload["number"]),
        sha=_sha(head["sha"]),
        head_branch=_text(head["ref"]),
        base_branch=_text(base["ref"]),
        base_sha=_sha(base["sha"]),
        updated_at=_text(pull["updated_at"]),
        # A deleted fork leaves `head.repo` null: whatever is not this very repository is a stranger's.
        is_fork=head["repo"] is None or head["repo"]["id"] != repository.github_id,
        author=_login(pull["user"]),
        is_draft=pull.get("draft") is True,
        is_open=pull["state"] == "open",
    )


def _merge_group(payload: Mapping[str, Any]) -> Event | Ignored:
    action, group = _text(payload["action"]), payload["merge_group"]
    if action == "destroyed":
        reason = payload.get("reason")
        return MergeGroupDestroyed(_repository(payload), _sha(group["head_sha"]), _text(reason or "dequeued"))
    if action != "checks_requested":
        return Ignored(f"merge_group action {action[:80]!r} asks for nothing")
    return MergeGroupRequested(
        repository=_repository(payload),
        sha=_sha(group["head_sha"]),
        ref=_text(group["head_ref"]),
        base_branch=_text(group["base_ref"]).removeprefix("refs/heads/"),
        base_sha=_sha(group["base_sha"]),
        sender=_sender(payload),
    )


def _repository_changed(payload: Mapping[str, Any]) -> Event | Ignored:
    action = _text(payload["action"])
    if action in CLOSING_ACTIONS:
        return RepositoryClosed(_repository(payload), action)
    if action not in REPOSITORY_ACTIONS:
        return Ignored(f"repository action {action[:80]!r} changes nothing that we know")
    return RepositoryChanged(_repository(payload))


def _installation(payload: Mapping[str, Any]) -> Event | Ignored:
    action, installation = _text(payload["action"]), payload["installation"]
    if action not in INSTALLATION_ACTIONS:
        return Ignored(f"installation action {action[:80]!r} changes nothing that we know")
    ids = _ids(payload.get("repositories"))
    return InstallationChanged(
        installation_id=_number(installation["id"]),
        account=_login(installation["account"]),
        action=action,
        added=ids if action == "created" else (),
        removed=ids if action == "deleted" else (),
    )


def _installation_repositories(payload: Mapping[str, Any]) -> Event | Ignored:
    installation = payload["installation"]
    return InstallationChanged(
        installation_id=_number(installation["id"]),
        account=_login(installation["account"]),
        action=f"repositories {_text(payload['action'])[:20]}",
        added=_ids(payload.get("repositories_added")),
        removed=_ids(payload.get("repositories_removed")),
    )


def _issue_comment(payload: Mapping[str, Any]) -> Event | Ignored:
    action, issue, comment = _text(payload["action"]), payload["issue"], payload["comment"]
    if issue.get("pull_request") is None:
        return Ignored("a comment on an issue, not on a pull request")
    number, comment_id = _number(issue["number"]), _number(comment["id"])
    if action in ("edited", "deleted"):
        # Others may edit a comment: what was made of it is nobody's command (palantir/policy-bot).
        return CommentTouched(_repository(payload), number, comment_id)
    if action != "created":
        return Ignored(f"issue_comment action {action[:80]!r} says nothing new")
    if payload["sender"]["type"] != "User" or comment["user"]["type"] != "User":
        return Ignored("a comment of an App or a bot: nothing of it is a command")
    return CommentMade(
        repository=_repository(payload),
        number=number,
        comment_id=comment_id,
        body=comment["body"] if isinstance(comment["body"], str) else "",
        sender=_sender(payload),
        created_at=_text(comment["created_at"]),
    )


def _check_run(payload: Mapping[str, Any]) -> Event | Ignored:
    action, run = _text(payload["action"]), payload["check_run"]
    if action not in ("rerequested", "requested_action"):
        return Ignored(f"check_run action {action[:80]!r} asks for nothing")
    repository, sha, sender = _repository(payload), _sha(run["head_sha"]), _sender(payload)
    if action == "requested_action":
        identifier = _text(payload["requested_action"]["identifier"])[:20]
        return ActionAsked(repository, sha, sender, _number(run["id"]), identifier)
    return RerunAsked(repository, sha, sender, _number(run["id"]), _branch(run.get("check_suite") or {}))


def _check_suite(payload: Mapping[str, Any]) -> Event | Ignored:
    action, suite = _text(payload["action"]), payload["check_suite"]
    if action != "rerequested":
        return Ignored(f"check_suite action {action[:80]!r} asks for nothing")
    return RerunAsked(_repository(payload), _sha(suite["head_sha"]), _sender(payload), branch=_branch(suite))


_PARSERS: dict[str, Callable[[Mapping[str, Any]], Event | Ignored]] = {
    "push": _push,
    "pull_request": _pull_request,
    "merge_group": _merge_group,
    "repository": _repository_changed,
    "installation": _installation,
    "installation_repositories": _installation_repositories,
    "issue_comment": _issue_comment,
    "check_run": _check_run,
    "check_suite": _check_suite,
}
KINDS = frozenset(_PARSERS)
"""The events of which anything may follow."""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, {type(value).__name__} found")
    if "\0" in value:
        raise ValueError("a text with a null byte")  # no name that git knows has one, and no program takes it
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**63:
        raise TypeError("a positive number expected")
    return value


def _sha(value: Any) -> str:
    if not isinstance(value, str) or not _SHA.fullmatch(value):
        raise ValueError("a full commit SHA expected")
    return value


def _name(value: Any) -> str:
    """Owners and repositories become parts of URLs and paths: only GitHub's own alphabet may pass."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", value) or set(value) == {"."}:
        raise ValueError("not a name that GitHub gives")
    return value


def _sender(payload: Mapping[str, Any]) -> str:
    return _login(payload["sender"])


def _login(account: Any) -> str:
    """Return an account's login; that of an App's bot ends in `[bot]`. A deleted account is nobody."""
    if account is None:
        return ""
    login = account["login"]
    if not isinstance(login, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}(\[bot\])?", login):
        raise ValueError("not a login that GitHub gives")
    return login


def _branch(suite: Mapping[str, Any]) -> str | None:
    """Return a suite's branch; GitHub does not say that of a fork."""
    branch = suite.get("head_branch")
    return None if branch is None else _text(branch)


def _ids(repositories: Any) -> tuple[int, ...]:
    return tuple(_number(repository["id"]) for repository in repositories or ())
