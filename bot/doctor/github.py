"""What lies between us and GitHub: the App, its webhook, what came of it, and the branches that wait for us."""

from collections.abc import Collection, Iterator
from types import TracebackType
from typing import Any

import yaml

from bot.app import make_credentials
from bot.clock import Clock
from bot.core.report import ROLL_UP
from bot.forge.diagnosis import Finding, branch_rules, deliveries, diagnose, webhook
from bot.resources import MANIFEST
from bot.settings import Settings
from bot.store import deliveries as inbox
from bot.store import missing
from bot.store.database import Database

_NAMED = 5
"""How many lost deliveries are named."""


class GitHub:
    """One look at GitHub; where it does not know us, there is no more to say. `polls`: the bot fetches deliveries."""

    def __init__(self, settings: Settings, clock: Clock, *, polls: bool) -> None:
        self._settings, self._clock, self._polls = settings, clock, polls
        self._credentials = make_credentials(settings, clock)
        self._knows_us = False

    def __enter__(self) -> "GitHub":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._credentials.close()

    def what_it_knows(self) -> Iterator[Finding]:
        """Look at the App itself, and where it is installed."""
        manifest: dict[str, Any] = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
        found = diagnose(self._credentials, manifest["default_permissions"], manifest["default_events"])
        self._knows_us = any(finding.name == "credentials" and finding.ok for finding in found)
        yield from found
        if self._knows_us:
            yield webhook(self._credentials, f"{self._settings.public_url}/webhook", polls=self._polls)

    def what_it_sent(self, *, has_database: bool) -> Iterator[Finding]:
        """Look at its last deliveries, and whether they are here."""
        if self._knows_us:
            known = self._known if has_database else None
            yield deliveries(self._credentials, self._clock.now(), known, polls=self._polls)
        if has_database:
            yield self._missing()

    def what_it_requires(self) -> Iterator[Finding]:
        """Look at the rules of the default branches."""
        if self._knows_us:
            yield from branch_rules(self._credentials, ROLL_UP)

    def _missing(self) -> Finding:
        """Say what GitHub sent and nobody took, as the worker found it in GitHub's log."""
        database = Database(self._settings.database_url)
        try:
            with database.read() as tx:
                (asked_for, lost), guids = missing.count(tx), missing.lost(tx, _NAMED)
        finally:
            database.close()
        if lost:
            named = f"{', '.join(guids)}{' …' if lost > len(guids) else ''}"
            cure = f"Ask once more, as long as GitHub has them (three days): `experiment-ci replay {' '.join(guids)}`."
            return Finding("missing", False, f"{_counted(lost)} lost ({named}), {asked_for} more asked for", cure)
        if asked_for:
            return Finding("missing", True, f"{_counted(asked_for)} missing; the worker is bringing what it can")
        return Finding("missing", True, "nothing that GitHub sent is known to be missing")

    def _known(self, guids: Collection[str]) -> set[str]:
        database = Database(self._settings.database_url)
        try:
            with database.read() as tx:
                return inbox.known(tx, guids)
        finally:
            database.close()


def _counted(number: int) -> str:
    return f"{number} deliver{'y is' if number == 1 else 'ies are'}"
