"""Whether GitHub knows us, and what the App may do and hears of."""

from collections.abc import Collection, Mapping

from bot.forge.credentials import TOLERABLE_OFFSET, Answer, Credentials, cure_for
from bot.forge.diagnosis.finding import Finding
from bot.forge.diagnosis.granted import events_of, permissions_of
from bot.forge.diagnosis.installations import installations
from bot.forge.errors import ForgeError


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
    findings.append(permissions_of("permissions", answer.data, permissions, cure))
    findings.append(events_of(answer.data, events))
    return findings + installations(credentials, permissions, page)


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
