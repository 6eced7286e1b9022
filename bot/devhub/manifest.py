"""The App's manifest, and the rules by which GitHub takes or refuses one.

The words of the refusals are those of GitHub's page "Invalid GitHub App configuration", as far as they are known from
public reports (superplanehq/superplane#5235, tuist/tuist#10709, derive-to/derive#269).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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

ALWAYS = frozenset({"installation", "installation_repositories", "ping"})
"""What every App gets, and none may subscribe to."""

_PERMISSION_NAMES = """
actions administration artifact_metadata attestations checks code_quality codespaces contents
custom_properties_for_organizations dependabot_secrets deployments discussions email_addresses
enterprise_custom_properties_for_organizations environments followers git_ssh_keys gpg_keys interaction_limits
issues members merge_queues metadata organization_administration organization_announcement_banners
organization_copilot_agent_settings organization_copilot_seat_management organization_custom_org_roles
organization_custom_properties organization_custom_roles organization_events organization_hooks
organization_packages organization_personal_access_token_requests organization_personal_access_tokens
organization_plan organization_projects organization_secrets organization_self_hosted_runners
organization_user_blocking packages pages profile pull_requests repository_custom_properties repository_hooks
repository_projects secret_scanning_alerts secrets security_events single_file starring statuses
vulnerability_alerts workflows
"""
"""All that an App can be granted (GitHub's OpenAPI description, `app-permissions`)."""

_LEVELS = ("read", "write", "admin")
LONGEST_NAME = 34
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
_MOST_CALLBACKS = 10


class ManifestError(ValueError):
    """GitHub would refuse this manifest; the message says why."""


@dataclass(frozen=True)
class Manifest:
    """What an App is called, may do and hears, and where it lives. `hook_url` is None where no webhooks are wanted."""

    name: str
    permissions: dict[str, str]
    events: tuple[str, ...]
    url: str
    hook_url: str | None = None
    redirect_url: str | None = None
    setup_url: str | None = None
    description: str = ""
    is_public: bool = False


def allows(permissions: Mapping[str, str], permission: str, level: str) -> bool:
    """Tell whether `permissions` grant `permission` at `level` (`read` or `write`)."""
    granted = permissions.get(permission)
    return granted in _LEVELS and _LEVELS.index(granted) >= _LEVELS.index(level)


def hears(events: Iterable[str], permissions: Mapping[str, str], event: str, action: str | None) -> bool:
    """Tell whether GitHub sends this event to an App that subscribed to `events` and was granted `permissions`."""
    if event in ALWAYS:
        return True
    if (event, action) in UNASKED:
        return allows(permissions, "checks", "write")
    return event in events and allows(permissions, EVENT_NEEDS[event], "read")


def read(path: Path) -> Manifest:
    """Return the manifest in the YAML file at `path`; raises ManifestError for one that GitHub would refuse."""
    return parse(yaml.safe_load(path.read_text(encoding="utf-8")))


def parse(content: Any) -> Manifest:
    """Return what a manifest's object says (GitHub: "Registering a GitHub App from a manifest").

    Raises ManifestError for what GitHub would refuse. GitHub refuses a webhook address that the internet does not
    reach, too; devhub lives on one machine and takes it.
    """
    if not isinstance(content, dict):
        raise ManifestError("The manifest must be an object")
    name, description = _text(content, "name"), _text(content, "description")
    if len(name) > LONGEST_NAME:
        raise ManifestError(f"Name is too long (maximum is {LONGEST_NAME} characters)")
    permissions = _permissions(content.get("default_permissions", {}))
    _check_callbacks(content.get("callback_urls", []))
    return Manifest(
        name=name,
        permissions=permissions,
        events=_events(content.get("default_events", []), permissions),
        url=_address(content, "url", required=True) or "",
        hook_url=_hook(content.get("hook_attributes")),
        redirect_url=_address(content, "redirect_url"),
        setup_url=_address(content, "setup_url"),
        description=description,
        is_public=content.get("public") is True,
    )


def _permissions(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise ManifestError("Default permissions must be an object")
    for permission, level in given.items():
        if permission not in _PERMISSION_NAMES.split():
            raise ManifestError(f"Default permission {permission} is not known")
        if level not in _LEVELS:
            raise ManifestError(f"the permission {permission} cannot be {level!r}")
    # Whoever may anything in a repository may read that much; GitHub grants it unasked.
    return {"metadata": "read"} | given


def _events(given: Any, permissions: dict[str, str]) -> tuple[str, ...]:
    if not isinstance(given, list):
        raise ManifestError("Default events must be a list")
    for event in given:
        if not isinstance(event, str) or event not in EVENT_NEEDS:
            raise ManifestError(f"Default events unsupported: {event} is not known to devhub, or comes unasked")
        if not allows(permissions, EVENT_NEEDS[event], "read"):
            raise ManifestError(
                f"Default events are not supported by permissions: {event} needs the permission {EVENT_NEEDS[event]}"
            )
    return tuple(given)


def _hook(given: Any) -> str | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise ManifestError("Hook attributes must be an object")
    url = _address(given, "url", required=True, shown="Hook url")
    return url if given.get("active", True) is True else None


def _check_callbacks(given: Any) -> None:
    if not isinstance(given, list) or len(given) > _MOST_CALLBACKS:
        raise ManifestError(f"Callback urls must be a list of at most {_MOST_CALLBACKS}")
    for url in given:
        _address({"url": url}, "url", shown="Callback url")


def _text(content: dict[str, Any], name: str) -> str:
    value = content.get(name, "")
    if not isinstance(value, str):
        raise ManifestError(f"{name.capitalize()} must be a text")
    return value


def _address(content: dict[str, Any], name: str, *, required: bool = False, shown: str | None = None) -> str | None:
    """Return an address of the web that `content` has under `name`."""
    value, words = content.get(name), shown or name.replace("_", " ").capitalize()
    if value is None and not required:
        return None
    if not isinstance(value, str) or not value:
        raise ManifestError(f"{words} is missing")
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - raises for what is no number
    except ValueError as error:
        raise ManifestError(f"{words} is not an address") from error
    if parts.scheme not in {"http", "https"}:
        raise ManifestError(f"{words} must use the http or https scheme")
    if not _HOST.fullmatch(parts.hostname or ""):
        raise ManifestError(f"{words} is not an address")
    return value
