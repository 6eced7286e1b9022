"""Which event a payload is of, where nothing but the payload is left: GitHub says it in a header, not in the body."""

from typing import Any

from bot.core.payloads import CLOSING_ACTIONS, INSTALLATION_ACTIONS, REPOSITORY_ACTIONS

_SIGNS: tuple[tuple[str, frozenset[str]], ...] = (
    ("push", frozenset({"ref", "before", "after", "commits"})),
    ("merge_group", frozenset({"action", "merge_group"})),
    ("check_run", frozenset({"action", "check_run"})),
    ("check_suite", frozenset({"action", "check_suite"})),
    ("issue_comment", frozenset({"action", "issue", "comment"})),
    ("pull_request", frozenset({"action", "number", "pull_request"})),
    ("installation_repositories", frozenset({"action", "installation", "repositories_added"})),
)
"""The members that one event has and no other."""
_COMMON = frozenset({"action", "changes", "repository", "sender", "installation", "organization", "enterprise"})
_OF_INSTALLATION = frozenset({"action", "installation", "repositories", "requester", "sender", "enterprise"})


def kind_of(payload: Any) -> str | None:
    """Return the event (`X-GitHub-Event`) that a payload must be of, None where it may be of several, or is none."""
    if not isinstance(payload, dict) or "deployment" in payload:  # a deployment may show the check run that made it
        return None
    members = frozenset(payload)
    for kind, signs in _SIGNS:
        if signs <= members:
            return kind
    action = str(payload.get("action"))
    if "repository" in members <= _COMMON and action in REPOSITORY_ACTIONS | CLOSING_ACTIONS | {"created"}:
        return "repository"
    if "installation" in members <= _OF_INSTALLATION and action in INSTALLATION_ACTIONS:
        return "installation"
    return None
