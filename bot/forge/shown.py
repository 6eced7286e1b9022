"""What GitHub shows, as values: checks, comments, lists, installations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bot.forge.repo import checked_sha

T = TypeVar("T")


@dataclass(frozen=True)
class Listed(Generic[T]):
    """What a list of GitHub's holds. `is_whole` False: there is more, so what is not here may yet be there."""

    items: list[T]
    is_whole: bool


@dataclass(frozen=True)
class Installed:
    """The App on an account."""

    id: int
    account: str
    is_suspended: bool


@dataclass(frozen=True)
class ShownCheck:
    """A check as GitHub shows it. `external_id` is what we gave it."""

    id: int
    external_id: str
    name: str
    status: str
    conclusion: str | None
    title: str


@dataclass(frozen=True)
class ShownComment:
    """A comment as GitHub shows it. `app_id` is the App that made it, None where GitHub does not say."""

    id: int
    body: str
    app_id: int | None
    bot_login: str


def shown_check(found: Mapping[str, Any]) -> ShownCheck:
    """Return GitHub's JSON of a check run as a value."""
    conclusion = found["conclusion"]
    return ShownCheck(
        id=int(found["id"]),
        external_id=str(found["external_id"] or ""),
        name=str(found["name"]),
        status=str(found["status"]),
        conclusion=None if conclusion is None else str(conclusion),
        title=str(found["output"]["title"] or ""),
    )


def shown_comment(found: Mapping[str, Any]) -> ShownComment:
    """Return GitHub's JSON of a comment as a value."""
    via, author = found.get("performed_via_github_app"), found["user"]
    return ShownComment(
        id=int(found["id"]),
        body=str(found.get("body") or ""),
        app_id=None if via is None else int(via["id"]),
        bot_login=str(author["login"]) if author and author["type"] == "Bot" else "",
    )


def branch_of(found: Mapping[str, Any]) -> tuple[str, str]:
    """Return GitHub's JSON of a branch as its name and its newest commit."""
    return str(found["name"]), checked_sha(found["commit"]["sha"])
