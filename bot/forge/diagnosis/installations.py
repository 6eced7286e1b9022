"""Where the App is installed, whether it can work there, and how much of GitHub's hourly limit is left."""

from collections.abc import Mapping
from typing import Any

from bot.forge.credentials import Credentials
from bot.forge.diagnosis.finding import Finding
from bot.forge.diagnosis.granted import permissions_of
from bot.forge.errors import ForgeError

LOOKED_AT = 30
"""Installations that the doctor looks at: a page, and a token for each."""
_ENOUGH = 0.05
"""The part of the hourly limit that has to be left."""


def installations(credentials: Credentials, permissions: Mapping[str, str], page: str) -> list[Finding]:
    """Return a finding for each installation. `page` is the App's own, below which it is installed."""
    try:
        found = credentials.read(f"/app/installations?per_page={LOOKED_AT}")
    except ForgeError as error:
        return [Finding("installations", False, str(error), "Try again in a minute.")]
    if not found:
        cure = f"Install it on selected repositories: {page}/installations/new"
        return [Finding("installations", False, "The App is installed nowhere.", cure)]
    return [_installation(credentials, installation, permissions) for installation in found]


def _installation(credentials: Credentials, found: Mapping[str, Any], permissions: Mapping[str, str]) -> Finding:
    owner = (found.get("account") or {}).get("login", "?")
    name, page = f"installation {owner}", found.get("html_url", "")
    if found.get("suspended_at"):
        return Finding(name, False, "It is suspended.", f"{owner} lifts that at {page}")
    consent = permissions_of(name, found, permissions, f"{owner} accepts the App's new permissions at {page}")
    if not consent.ok:
        return consent
    try:
        is_well, left = _left(credentials, int(found["id"]))
    except ForgeError as error:
        return Finding(name, False, f"GitHub gives no token for it: {error}", f"Look at {page}, then try again.")
    sentence = f"Reachable (id {found['id']}, {found.get('repository_selection')} repositories){left}."
    cure = "Reports wait until the hour is over. Who else uses this App's key?"
    return Finding(name, is_well, sentence, "" if is_well else cure)


def _left(credentials: Credentials, installation: int) -> tuple[bool, str]:
    """Return whether enough requests are left this hour, and how many. Asking costs none.

    A GitHub Enterprise Server that does not limit anybody answers 404.
    """
    answer = credentials.ask_as(installation, "/rate_limit")
    try:
        core = answer.data["resources"]["core"]
        limit, remaining = int(core["limit"]), int(core["remaining"])
    except (KeyError, TypeError, ValueError):
        return True, ""
    return remaining >= limit * _ENOUGH, f", {remaining} of {limit} requests left this hour"
