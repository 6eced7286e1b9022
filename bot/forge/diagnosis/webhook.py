"""Where the App's webhooks go, and what became of the last of them."""

from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.clock import MINUTE
from bot.forge.credentials import Credentials
from bot.forge.diagnosis.finding import Finding
from bot.forge.errors import ForgeError

_LOOKED_AT = 100
"""Attempts that the doctor looks at: a page. GitHub keeps those of three days."""
_BY_HAND = frozenset({"ping"})
"""Events of which nothing follows: that one was lost is no loss."""
_PAGE = "the App's page, under “Webhook”"
_CURES: tuple[tuple[Container[int], str], ...] = (
    ((0,), "GitHub waits for ten seconds: is the web process running, does its disk keep up?"),
    (range(300, 400), f"The address leads to another, where GitHub does not follow: enter that one on {_PAGE}."),
    ((401,), "GITHUB_WEBHOOK_SECRET is not the secret that GitHub signs with: enter it anew on the App's page."),
    ((413,), "A proxy turns large webhooks away: let 25 MB pass (nginx: client_max_body_size 25m)."),
    ((403, 404, 405), "Another program answers there, or a proxy that does not know the bot. Does it end in /webhook?"),
    (
        range(500, 600),
        "Is the bot running? Can the internet reach it: DNS, firewall, certificate, the proxy before it?",
    ),
)
_OTHERWISE = "docs/when-things-go-wrong.md says what the webhook's answers mean."


def webhook(credentials: Credentials, url: str, *, polls: bool) -> Finding:
    """Return whether GitHub sends to `url`, where the bot listens. One that `polls` needs no more than any address."""
    try:
        answer = credentials.ask("GET", "/app/hook/config")
    except ForgeError as error:
        return Finding("webhook", False, str(error), "Try again in a minute.")
    config = answer.data if answer.status == 200 and isinstance(answer.data, Mapping) else {}
    there = str(config.get("url") or "")
    if not there:
        wanted = "any address, which nobody needs to answer at" if polls else url
        sentence = "The App has no webhook: GitHub neither sends what happens nor writes it down."
        return Finding("webhook", False, sentence, f"On {_PAGE}, tick “Active” and enter {wanted}.")
    if polls:
        return Finding("webhook", True, f"The bot fetches what GitHub could not deliver to {there} (INTAKE=poll).")
    if there != url:
        sentence = f"GitHub sends to {there}, but the bot listens at {url}."
        return Finding("webhook", False, sentence, f"Enter {url} on {_PAGE}; or correct PUBLIC_URL.")
    if str(config.get("insecure_ssl")) != "0":
        sentence = f"GitHub does not look at the certificate of {url}: whoever is on the way can read along."
        return Finding("webhook", False, sentence, f"Choose “Enable SSL verification” on {_PAGE}.")
    kind = "JSON" if config.get("content_type") == "json" else "a form, which the bot reads too"
    return Finding("webhook", True, f"GitHub sends to {url}, as {kind}.")


@dataclass(frozen=True)
class _Attempt:
    """One attempt of GitHub's to deliver something. `code` is 0 where there was no answer."""

    guid: str
    event: str
    code: int
    status: str
    at: int

    @property
    def is_ok(self) -> bool:
        return 200 <= self.code < 300


def deliveries(
    credentials: Credentials, now: int, known: Callable[[Collection[str]], set[str]] | None, *, polls: bool
) -> Finding:
    """Return what became of GitHub's last deliveries. `known` tells which of some guids are stored; None: nobody knows.

    One that failed and is stored nevertheless, because it was fetched or sent again, is no loss.
    """
    try:
        attempts = [_attempt(one) for one in credentials.read(f"/app/hook/deliveries?per_page={_LOOKED_AT}")]
    except ForgeError as error:
        return Finding("deliveries", False, str(error), "Try again in a minute.")
    except (KeyError, TypeError, ValueError):
        return Finding("deliveries", False, "GitHub's list of them cannot be read.", "Try again in a minute.")
    if not attempts:
        return Finding("deliveries", True, "GitHub has not sent anything in the last days.")
    taken = {one.guid for one in attempts if one.is_ok}
    failed = {one.guid: one for one in reversed(attempts) if one.guid not in taken}
    here = failed.keys() if known is None else known(failed.keys())
    lost = {guid for guid, one in failed.items() if guid not in here and one.event not in _BY_HAND}
    total = len(taken | failed.keys())
    if not failed:
        return Finding("deliveries", True, f"All of the last {total} were taken.")
    newest = next(one for one in attempts if one.guid in failed)
    counted = f"{len(failed)} of the last {total} failed" + ("" if known is None else f"; missing here: {len(lost)}")
    sentence = f"{counted}. The newest failure: {_told(newest, now)}."
    is_well = not lost and (polls or attempts[0].is_ok)
    cure = "The worker fetches them within minutes: is one running?" if polls else _cure(newest)
    return Finding("deliveries", is_well, sentence, "" if is_well else cure)


def _attempt(found: Mapping[str, Any]) -> _Attempt:
    at = datetime.fromisoformat(str(found["delivered_at"]))
    return _Attempt(
        guid=str(found["guid"]),
        event=str(found["event"]),
        code=int(found["status_code"] or 0),
        status=str(found["status"]),
        at=round(at.timestamp() * 1_000_000),
    )


def _told(attempt: _Attempt, now: int) -> str:
    minutes = max(now - attempt.at, 0) // MINUTE
    ago = "just now" if minutes == 0 else f"{minutes} min ago" if minutes < 120 else f"{minutes // 60} h ago"
    answer = f"{attempt.code}, " if attempt.code else ""
    return f"{attempt.event}, {ago} ({answer}{attempt.status[:100]})"


def _cure(attempt: _Attempt) -> str:
    """Return what such a failure usually means."""
    return next((cure for codes, cure in _CURES if attempt.code in codes), _OTHERWISE)
