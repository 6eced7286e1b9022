"""What GitHub says of the App whose key we hold: whether it knows us, where it is installed, where its webhooks go."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.forge.credentials import Credentials, cure_for
from bot.forge.diagnosis.granted import events_of, permissions_of
from bot.forge.errors import ForgeError


class NotProven(Exception):
    """GitHub does not confirm it; the sentence says why, and what to do."""


@dataclass(frozen=True)
class Known:
    """The App as GitHub knows it. `page` is its public page; `lacking` says what it may not, or does not hear of."""

    page: str
    lacking: tuple[str, ...] = ()


def known(credentials: Credentials, permissions: Mapping[str, str], events: list[str]) -> Known:
    """Return what GitHub knows of the App; `permissions` and `events` are what it should have. Raises NotProven."""
    try:
        answer = credentials.ask("GET", "/app")
    except ForgeError as error:
        raise NotProven(f"{credentials.api_url}: {error}") from None
    if answer.status != 200 or not isinstance(answer.data, Mapping):
        cure = cure_for(answer, credentials.app_id)
        raise NotProven(cure or f"{credentials.api_url} answered {answer.status}: is that GitHub's API?")
    found = (permissions_of("permissions", answer.data, permissions, ""), events_of(answer.data, events))
    return Known(str(answer.data.get("html_url")), tuple(one.sentence for one in found if not one.ok))


def set_hook(credentials: Credentials, url: str, secret: str) -> None:
    """Tell GitHub where the App's webhooks go, and by what they are signed. Raises NotProven.

    So the secret goes through nobody's hands (GitHub: "Update a webhook configuration for an app").
    """
    wanted = {"url": url, "content_type": "json", "insecure_ssl": "0", "secret": secret}
    try:
        answer = credentials.ask("PATCH", "/app/hook/config", wanted)
    except ForgeError as error:
        raise NotProven(str(error)) from None
    if answer.status != 200:
        raise NotProven(f"GitHub answered {answer.status}")


def installed_on(credentials: Credentials) -> list[str]:
    """Return where the App is installed: `acme (selected repositories)`; nothing, where GitHub does not say."""
    try:
        found = credentials.read("/app/installations?per_page=100")
        return [f"{one['account']['login']} ({one['repository_selection']} repositories)" for one in found]
    except (ForgeError, KeyError, TypeError):
        return []
