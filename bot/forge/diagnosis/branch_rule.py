"""The rule that keeps bad models out: a branch that requires our roll-up, with our App as its source.

Without the source anybody with write access could report a check of that name (GitHub: "Available rules for rulesets",
"Require status checks to pass before merging"). It is read with what every App may read:
`GET …/rules/branches/{branch}` for rulesets, the branch itself for the older protection.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from bot.forge.credentials import Answer, Credentials
from bot.forge.diagnosis.finding import Finding
from bot.forge.diagnosis.installations import LOOKED_AT
from bot.forge.errors import ForgeError

_MOST = 20
"""Repositories that the doctor looks at: two requests for each."""
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)
"""What an answer raises that is not GitHub's."""
_FULL_NAME = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")


def branch_rules(credentials: Credentials, check: str) -> list[Finding]:
    """Return whether the default branches where the App is installed require `check` of it; and how that is set."""
    try:
        app = str(credentials.read("/app").get("name"))
        found = credentials.read(f"/app/installations?per_page={LOOKED_AT}")
    except ForgeError as error:
        return [Finding("branch rules", False, str(error), "Try again in a minute.")]
    awake = [int(one["id"]) for one in found if not one.get("suspended_at")]
    places = [(number, one) for number in awake for one in _repositories(credentials, number)]
    findings, is_set = [], True
    for number, repository in places[:_MOST]:
        with suppress(ForgeError, *_UNREADABLE):
            sources = _sources(credentials, number, repository, check)
            if sources is not None:
                findings.append(_finding(repository, sources, check, app, credentials.app_id))
                is_set = is_set and bool(sources)
    if len(places) > _MOST:
        findings.append(Finding("branch rules", True, f"No more than {_MOST} repositories were looked at."))
    if not is_set:
        findings.append(Finding("to set a branch rule", True, _how(check, app)))
    return findings


def _how(check: str, app: str) -> str:
    return (
        "At that address: “New branch ruleset”, enforcement active, target the default branch, “Require status checks"
        f" to pass”, “Add checks”: `{check}`, and choose “{app}” as its source. Without a source, anybody with write"
        " access could report a check of that name. GitHub offers a name only if it completed there in the last seven"
        " days."
    )


def _repositories(credentials: Credentials, installation: int) -> list[Mapping[str, Any]]:
    """Return those that experiments run in; none where something is in the way, which stands with the installation."""
    try:
        answer = credentials.ask_as(installation, f"/installation/repositories?per_page={_MOST + 1}")
        found = answer.data["repositories"] if answer.status == 200 else []
        return [one for one in found if not one.get("archived") and _FULL_NAME.fullmatch(str(one["full_name"]))]
    except (ForgeError, *_UNREADABLE):
        return []


def _finding(repository: Mapping[str, Any], sources: set[int | None], check: str, app: str, app_id: int) -> Finding:
    name, branch = f"branch rule {repository['full_name']}", repository["default_branch"]
    page = f"{repository.get('html_url')}/settings/rules"
    cure = f"Choose “{app}” as the source of `{check}`: {page}"
    if not sources:
        return Finding(name, True, f"Not set: a red `{check}` stops no merge into `{branch}`. {page}")
    if app_id in sources:
        return Finding(name, True, f"`{branch}` requires `{check}` of this App.")
    if None in sources:
        sentence = f"`{branch}` takes `{check}` from anybody: whoever has write access can report it as green."
        return Finding(name, False, sentence, cure)
    other = ", ".join(sorted(map(str, sources)))
    return Finding(
        name, False, f"`{branch}` waits for `{check}` of another App ({other}): nothing can be merged.", cure
    )


def _sources(
    credentials: Credentials, installation: int, repository: Mapping[str, Any], check: str
) -> set[int | None] | None:
    """Return the Apps of which the default branch requires the check; None among them is anybody.

    None in their place: GitHub does not say.
    """
    place, branch = f"/repos/{repository['full_name']}", quote(str(repository["default_branch"]), safe="")
    rules = credentials.ask_as(installation, f"{place}/rules/branches/{branch}?per_page=100")
    older = credentials.ask_as(installation, f"{place}/branches/{branch}")
    if rules.status != 200 and older.status != 200:
        return None
    return {*_in_rules(rules, check), *_in_protection(older, check)}


def _in_rules(answer: Answer, check: str) -> Iterator[int | None]:
    for rule in answer.data if answer.status == 200 else ():
        if rule["type"] == "required_status_checks":
            for one in rule["parameters"]["required_status_checks"]:
                if one["context"] == check:
                    yield _app(one.get("integration_id"))


def _in_protection(answer: Answer, check: str) -> Iterator[int | None]:
    protection = answer.data.get("protection") or {} if answer.status == 200 else {}
    for one in (protection.get("required_status_checks") or {}).get("checks") or ():
        if one["context"] == check:
            yield _app(one.get("app_id"))


def _app(number: Any) -> int | None:
    """Return which App it is; GitHub says that it may be any by null, by nothing, or by -1."""
    return number if isinstance(number, int) and number > 0 else None
