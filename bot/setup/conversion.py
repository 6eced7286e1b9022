"""The last step of GitHub's manifest flow: the code becomes the App, once, with the key that nobody can ask for again.

GitHub: "Registering a GitHub App from a manifest", step 3; the code is good for one hour.
"""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import requests

from bot.forge.credentials import TIMEOUT, USER_AGENT, rsa_key
from bot.forge.errors import Refused, from_answer
from bot.settings import is_plain_url
from bot.setup.answers import GitHub

CODE = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_PATIENCE = 30
"""Seconds for the answer: GitHub makes an App and a key before it gives one."""
_SLUG = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_SECRET = re.compile(r"[\x21-\x2b\x2d-\x7e]{1,200}")
"""What GITHUB_WEBHOOK_SECRET can hold: one line, no comma."""


@dataclass(frozen=True)
class NewApp:
    """An App as GitHub gives it away. `page` is its public page, below which it is installed.

    `webhook_secret` is "" where GitHub gave none that we can use.
    """

    id: int
    slug: str
    page: str
    private_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)


class ConversionError(Exception):
    """GitHub gave no App; the sentence says why. `is_over`: the same code will never bring one."""

    def __init__(self, sentence: str, *, is_over: bool) -> None:
        super().__init__(sentence)
        self.is_over = is_over


def convert(github: GitHub, code: str, now: int) -> NewApp:
    """Return the App that `code` stands for. Raises ConversionError. `now` is our clock's, microseconds."""
    try:
        answer = requests.post(
            f"{github.api_url}/app-manifests/{quote(code, safe='')}/conversions",
            headers={"Accept": "application/vnd.github+json", "User-Agent": USER_AGENT},
            # The code is all that is needed: without this, requests sends what a ~/.netrc says of the host.
            auth=lambda request: request,
            timeout=(TIMEOUT, _PATIENCE),
            allow_redirects=False,
        )
    except requests.RequestException as error:
        # Its text has the code in it.
        raise ConversionError(f"GitHub was not reached ({type(error).__name__}).", is_over=False) from None
    data = _json(answer)
    if answer.status_code != 201:
        raise _refusal(answer, data, github, now)
    return _app(data, github)


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _refusal(answer: requests.Response, data: Any, github: GitHub, now: int) -> ConversionError:
    if answer.status_code == 404:
        sentence = "GitHub does not know this code (404): it was used before, or is older than an hour."
        return ConversionError(sentence, is_over=True)
    if answer.status_code < 400:
        sentence = f"{github.api_url} answered {answer.status_code}: is that GitHub's API?"
        return ConversionError(sentence, is_over=False)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    meaning = from_answer(answer.status_code, headers, data, now, is_post=True)
    return ConversionError(f"{meaning}.", is_over=isinstance(meaning, Refused))


def _app(data: Any, github: GitHub) -> NewApp:
    """Return the App. What only links need may be missing: for that, nobody throws a key away."""
    found = data if isinstance(data, dict) else {}
    number, key = found.get("id"), found.get("pem")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**63:
        raise ConversionError("GitHub's answer has no App: its `id` is no number.", is_over=True)
    try:
        rsa_key(key if isinstance(key, str) else "")
    except ValueError:
        raise ConversionError(
            f"GitHub's answer has no key for App {number}: its `pem` is none.", is_over=True
        ) from None
    slug, page = _text(found, "slug", _SLUG), str(found.get("html_url"))
    return NewApp(
        id=number,
        slug=slug,
        page=page if is_plain_url(page) else f"{github.web_url}/apps/{slug}",
        private_key=str(key),
        webhook_secret=_text(found, "webhook_secret", _SECRET),
    )


def _text(found: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = found.get(name)
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""
