"""What GitHub is asked for: `app.yaml` with what people decided, as a manifest or as a link to a filled-in form.

GitHub: "Registering a GitHub App from a manifest", "Registering a GitHub App using URL parameters".
"""

from functools import cache
from typing import Any
from urllib.parse import urlencode

import yaml

from bot.resources import MANIFEST
from bot.setup.answers import Answers


@cache
def ours() -> dict[str, Any]:
    """Return what app.yaml says."""
    content: dict[str, Any] = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    return content


def manifest(answers: Answers, redirect_url: str) -> dict[str, Any]:
    """Return the manifest's object; `redirect_url` is where GitHub leads the browser once the App is named."""
    return ours() | {
        "name": answers.name,
        "url": answers.public_url,
        "hook_attributes": {"url": answers.hook_url, "active": True},
        "redirect_url": redirect_url,
    }


def form_link(answers: Answers) -> str:
    """Return the address of GitHub's own form, filled in but for the webhook's secret, which no address may carry."""
    content = ours()
    fields = [
        ("name", answers.name),
        ("description", content["description"]),
        ("url", answers.public_url),
        ("public", "false"),
        ("webhook_active", "true"),
        ("webhook_url", answers.hook_url),
        *content["default_permissions"].items(),
        *(("events[]", event) for event in content["default_events"]),
    ]
    return f"{answers.github.apps_page(answers.organization)}/new?{urlencode(fields)}"
