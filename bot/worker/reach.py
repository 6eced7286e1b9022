"""Whether the App reaches a repository: GitHub is asked, for its events may be told in another order than they came."""

from dataclasses import replace

from bot.core import events
from bot.forge.client import Forge
from bot.forge.errors import Moved
from bot.store import commits, installations
from bot.store.database import Database


class Reach:
    """Asks only where the answer can differ from what was told. Its verbs raise ForgeError."""

    def __init__(self, database: Database, forge: Forge) -> None:
        self._database, self._forge = database, forge

    def without_given_back(self, event: events.InstallationChanged) -> events.InstallationChanged:
        """Leave out of `removed` what the installation has again: that may have been told before this."""
        if event.action == "deleted":  # what is installed again then is another installation
            return event
        with self._database.read() as tx:
            rows = [row for row in installations.by_github_ids(tx, event.removed) if row.closed is None]
        back = {row.github_id for row in rows if self._by(row.owner, row.name) == event.installation_id}
        return replace(event, removed=tuple(one for one in event.removed if one not in back))

    def is_lost(self, sent: events.Repository) -> bool:
        """Tell whether the App was taken off a repository. What is told late of a public one could be built even so."""
        with self._database.read() as tx:
            row = commits.find_repository(tx, sent.github_id)
        is_closed = row is not None and row.closed == installations.UNINSTALLED
        return is_closed and self._by(sent.owner, sent.name) is None

    def _by(self, owner: str, name: str) -> int | None:
        """Return the installation that reaches what has this name now."""
        try:
            return self._forge.installation_of(owner, name)
        except Moved:  # it has another name by now, of which another event tells
            return None
