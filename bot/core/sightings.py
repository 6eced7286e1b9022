"""What GitHub shows, told as the webhook that would have said it: so it enters by the same road.

The inverse of `bot.core.payloads` for the events that a look at a repository can stand in for.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from bot.core import events

Seen = events.PushReceived | events.RefDeleted | events.PullRequestChanged | events.RepositoryClosed
_NO_SHA = "0" * 40


@dataclass(frozen=True)
class Sighting:
    """A delivery made of a look. What is seen twice has the same guid, and is taken in once."""

    guid: str
    event: str
    body: bytes


def of(seen: Seen | events.InstallationChanged, since: str = "") -> Sighting:
    """Return the delivery that tells `seen`. `since` tells two things apart that look alike: what was known before."""
    event, payload = _payload(seen)
    body = json.dumps(payload).encode()
    digest = hashlib.sha256(body + since.encode()).hexdigest()
    return Sighting(f"scan-{digest[:40]}", event, body)


def _payload(seen: Seen | events.InstallationChanged) -> tuple[str, dict[str, Any]]:
    match seen:
        case events.PushReceived():
            return "push", _push(seen, seen.before or _NO_SHA, seen.sha)
        case events.RefDeleted():
            return "push", _push(seen, _NO_SHA, _NO_SHA)
        case events.PullRequestChanged():
            return "pull_request", _pull(seen)
        case events.RepositoryClosed():
            return "repository", _of(seen.repository) | {"action": seen.action}
        case events.InstallationChanged():
            installation = {"id": seen.installation_id, "account": {"login": seen.account} if seen.account else None}
            return "installation", {"action": seen.action, "installation": installation, "sender": None}


def _push(seen: events.PushReceived | events.RefDeleted, before: str, after: str) -> dict[str, Any]:
    payload = _of(seen.repository) | {"ref": seen.ref, "before": before, "after": after, "deleted": after == _NO_SHA}
    payload["repository"]["pushed_at"] = seen.pushed_at
    return payload


def _pull(seen: events.PullRequestChanged) -> dict[str, Any]:
    fork = None if seen.is_fork else {"id": seen.repository.github_id}
    pull = {
        "state": "open" if seen.is_open else "closed",
        "draft": seen.is_draft,
        "updated_at": seen.updated_at,
        "user": {"login": seen.author} if seen.author else None,
        "head": {"sha": seen.sha, "ref": seen.head_branch, "repo": fork},
        "base": {"sha": seen.base_sha, "ref": seen.base_branch},
    }
    return _of(seen.repository) | {"action": seen.action, "number": seen.number, "pull_request": pull}


def _of(repository: events.Repository) -> dict[str, Any]:
    return {
        "repository": {
            "id": repository.github_id,
            "owner": {"login": repository.owner},
            "name": repository.name,
            "private": repository.is_private,
            "default_branch": repository.default_branch,
        },
        "installation": {"id": repository.installation_id},
        "sender": None,
    }
