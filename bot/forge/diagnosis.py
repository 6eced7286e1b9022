"""What `experiment-ci doctor` says about GitHub: each finding with the cure, in the order in which one would look."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bot.forge.credentials import TOLERABLE_OFFSET, Answer, Credentials, cure_for
from bot.forge.errors import ForgeError

_LEVELS = {"read": 1, "write": 2, "admin": 3}
_LOOKED_AT = 30
"""Installations that the doctor looks at: a page, and a token for each."""


@dataclass(frozen=True)
class Finding:
    """One thing that is well or not. `cure` is what to do, empty when it is well."""

    name: str
    ok: bool
    sentence: str
    cure: str = ""


def diagnose(credentials: Credentials, permissions: Mapping[str, str], events: Collection[str]) -> list[Finding]:
    """Return what is well and what is not between us and GitHub. Never raises for what GitHub or the network does.

    `permissions` and `events` are what the manifest (`app.yaml`) asks for, in its own words (`checks: write`).
    """
    try:
        answer = credentials.ask("GET", "/app")
    except ForgeError as error:
        cure = "Check GITHUB_API_URL and that this machine may reach it (proxy, firewall)."
        return [Finding("GitHub", False, f"{credentials.api_url}: {error}", cure)]
    findings = [_clock(answer), _credentials(credentials, answer)]
    if not all(finding.ok for finding in findings[1:]):
        return findings
    page = str(answer.data.get("html_url", ""))
    cure = "Set them on the App's page under “Permissions & events”; then each installation's owner accepts them."
    findings.append(_permissions("permissions", answer.data, permissions, cure))
    findings.append(_events(answer.data, events))
    return findings + _installations(credentials, permissions, page)


def _clock(answer: Answer) -> Finding:
    offset = answer.clock_offset
    if offset is None:
        return Finding("clock", True, "GitHub's answer had no date to compare with.")
    sentence = f"This machine's clock is {offset:+.0f} s from GitHub's."
    if abs(offset) <= TOLERABLE_OFFSET:
        return Finding("clock", True, sentence)
    return Finding("clock", False, sentence, "Set the clock (NTP): GitHub refuses what a wrong clock signs.")


def _credentials(credentials: Credentials, answer: Answer) -> Finding:
    if answer.status == 200 and isinstance(answer.data, Mapping):
        slug = answer.data.get("slug")
        return Finding("credentials", True, f"GitHub knows us as the App “{slug}” ({credentials.app_id}).")
    sentence = f"GitHub answered {answer.status} to App {credentials.app_id}."
    elsewhere = "Check GITHUB_API_URL, or wait if GitHub has trouble (githubstatus.com)."
    return Finding("credentials", False, sentence, cure_for(answer, credentials.app_id) or elsewhere)


def _permissions(name: str, granted: Mapping[str, Any], wanted: Mapping[str, str], cure: str) -> Finding:
    held = granted.get("permissions") or {}
    lacking = [f"{p}: {level}" for p, level in sorted(wanted.items()) if _rank(held.get(p)) < _rank(level)]
    if lacking:
        return Finding(name, False, f"Lacking {', '.join(lacking)}.", cure)
    beyond = [f"{p}: {level}" for p, level in sorted(held.items()) if _rank(level) > _rank(wanted.get(p))]
    more = f" More than the bot ever uses: {', '.join(beyond)}." if beyond else ""
    return Finding(name, True, f"All that the manifest asks for.{more}")


def _rank(level: Any) -> int:
    return _LEVELS.get(str(level), 0)


def _events(app: Mapping[str, Any], wanted: Collection[str]) -> Finding:
    lacking = sorted(set(wanted) - set(app.get("events") or ()))
    if not lacking:
        return Finding("events", True, "Subscribed to all that the manifest asks for.")
    cure = "Tick them on the App's page under “Permissions & events”, at the bottom."
    return Finding("events", False, f"Not subscribed to {', '.join(lacking)}.", cure)


def _installations(credentials: Credentials, permissions: Mapping[str, str], page: str) -> list[Finding]:
    try:
        installations = credentials.read(f"/app/installations?per_page={_LOOKED_AT}")
    except ForgeError as error:
        return [Finding("installations", False, str(error), "Try again in a minute.")]
    if not installations:
        cure = f"Install it on selected repositories: {page}/installations/new"
        return [Finding("installations", False, "The App is installed nowhere.", cure)]
    return [_installation(credentials, installation, permissions) for installation in installations]


def _installation(credentials: Credentials, found: Mapping[str, Any], permissions: Mapping[str, str]) -> Finding:
    owner = (found.get("account") or {}).get("login", "?")
    name, page = f"installation {owner}", found.get("html_url", "")
    if found.get("suspended_at"):
        return Finding(name, False, "It is suspended.", f"{owner} lifts that at {page}")
    consent = _permissions(name, found, permissions, f"{owner} accepts the App's new permissions at {page}")
    if not consent.ok:
        return consent
    try:
        credentials.token(int(found["id"]))
    except ForgeError as error:
        return Finding(name, False, f"GitHub gives no token for it: {error}", f"Look at {page}, then try again.")
    return Finding(name, True, f"Reachable (id {found['id']}, {found.get('repository_selection')} repositories).")
