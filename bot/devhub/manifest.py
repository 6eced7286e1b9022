"""The App's manifest, and the rules by which GitHub takes or refuses one."""

from dataclasses import dataclass
from pathlib import Path

import yaml

EVENT_NEEDS = {
    "check_run": "checks",
    "check_suite": "checks",
    "commit_comment": "contents",
    "create": "contents",
    "delete": "contents",
    "issue_comment": "issues",
    "issues": "issues",
    "merge_group": "merge_queues",
    "pull_request": "pull_requests",
    "pull_request_review": "pull_requests",
    "push": "contents",
    "repository": "metadata",
    "status": "statuses",
}
"""Which permission (at least read) an event needs (GitHub: "Webhook events and payloads", availability)."""

UNASKED = frozenset({("check_run", "rerequested"), ("check_run", "requested_action")}) | {
    ("check_suite", "requested"),
    ("check_suite", "rerequested"),
}
"""What every App with `checks: write` gets without subscribing."""

_LEVELS = ("read", "write", "admin")


class ManifestError(ValueError):
    """GitHub would refuse this manifest; the message says why."""


@dataclass(frozen=True)
class Manifest:
    """What an App may do and hear."""

    name: str
    permissions: dict[str, str]
    events: tuple[str, ...]

    def allows(self, permission: str, level: str) -> bool:
        return allows(self.permissions, permission, level)

    def hears(self, event: str, action: str | None) -> bool:
        """Tell whether GitHub sends this event to the App."""
        if (event, action) in UNASKED:
            return self.allows("checks", "write")
        return event in self.events or event in {"installation", "installation_repositories", "ping"}


def allows(permissions: dict[str, str], permission: str, level: str) -> bool:
    """Tell whether `permissions` grant `permission` at `level` (`read` or `write`)."""
    granted = permissions.get(permission)
    return granted in _LEVELS and _LEVELS.index(granted) >= _LEVELS.index(level)


def read(path: Path) -> Manifest:
    """Return the manifest in the YAML file at `path`; raises ManifestError for one that GitHub would refuse."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    permissions, events = content["default_permissions"], tuple(content["default_events"])
    for permission, level in permissions.items():
        if level not in _LEVELS:
            raise ManifestError(f"the permission {permission} cannot be {level!r}")
    for event in events:
        if event not in EVENT_NEEDS:
            raise ManifestError(f"the event {event} is not known to devhub")
        if not allows(permissions, EVENT_NEEDS[event], "read"):
            raise ManifestError(f"the event {event} needs the permission {EVENT_NEEDS[event]}")
    return Manifest(content["name"], permissions, events)
