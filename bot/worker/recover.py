"""Station: what GitHub sent and what is here are compared, and what is missing is brought.

A webhook that finds nobody at home is lost, unless we ask for it: GitHub keeps it for three days and never tries again
by itself. Each event has one guid over all attempts: what the inbox does not have, and no attempt brought, is missing.
It is sent once more at our wish, by the door that it should have come by; when that brings nothing either, its payload
is taken from GitHub's log. A machine that GitHub cannot reach (INTAKE=poll) gets everything in this last way.
"""

import logging

from bot.clock import DAY, HOUR, MINUTE, SECOND, Clock
from bot.core.payloads import KINDS
from bot.forge.deliveries import DeliveryLog, Logged
from bot.forge.errors import ForgeError, Limited, Refused, Retry
from bot.store import deliveries, missing
from bot.store.database import Database
from bot.store.schema import MissingDelivery

_AT_START = 10 * SECOND
"""The door has opened by then."""
_EVERY, _EVERY_POLL = 5 * MINUTE, 15 * SECOND
_AFTER_TROUBLE = 1 * MINUTE
_OVERLAP = 15 * MINUTE
"""How far behind its newest entry the log may still grow: an attempt is written down when it has ended."""
_KEPT = 3 * DAY
_MOST_PAGES = 300
_AT_ONCE = 20
_WAITS = (1 * MINUTE, 5 * MINUTE)
"""How long each delivery that was sent once more has to come. Then it is fetched."""
TRIES_BEFORE_FETCHING = len(_WAITS)
_LONGEST_WAIT = 1 * HOUR
_log = logging.getLogger(__name__)


class Recover:
    """Brings every event of the past days that is not here, once. `polls`: GitHub's log is the only door there is."""

    name = "recover"

    def __init__(self, database: Database, clock: Clock, log: DeliveryLog, *, polls: bool) -> None:
        self._database, self._clock, self._log, self._polls = database, clock, log, polls
        self._next = clock.now() + (0 if polls else _AT_START)

    def tick(self) -> bool:
        if self._clock.now() >= self._next:
            self._next = self._clock.now() + self._look()
        return self._bring()

    def _look(self) -> int:
        """Read GitHub's log as far back as it is unknown; return when to look again, in microseconds from now."""
        now = self._clock.now()
        with self._database.read() as tx:
            until = missing.looked_until(tx)
        since = max(now - _KEPT, 0 if until is None else until - _OVERLAP)
        try:
            attempts = self._attempts(since)
        except ForgeError as trouble:
            _log.warning("GitHub's log of deliveries: %s", trouble)
            return max(_AFTER_TROUBLE, round(getattr(trouble, "after", 0) * SECOND))
        found = self._missing(attempts)
        with self._database.write() as tx:
            missing.see(tx, [(one.guid, one.id, one.at) for one in found], now)
            if attempts:
                missing.look_until(tx, max(one.at for one in attempts))
        return _EVERY_POLL if self._polls else _EVERY

    def _attempts(self, since: int) -> list[Logged]:
        found: list[Logged] = []
        for page in self._log.pages(_MOST_PAGES):
            found += page
            if page and page[-1].at < since:
                break
        return [one for one in found if one.at >= since]

    def _missing(self, attempts: list[Logged]) -> list[Logged]:
        """Return one attempt of each delivery that never came."""
        by_guid = {one.guid: one for one in attempts if one.event in KINDS}
        # Where GitHub was answered well, the row was here: it may be gone with a database that was given up.
        arrived = set() if self._polls else {one.guid for one in attempts if one.is_ok}
        with self._database.read() as tx:
            arrived |= deliveries.known(tx, by_guid)
        found = [one for guid, one in by_guid.items() if guid not in arrived]
        return sorted(found, key=lambda one: (one.at, one.id))

    def _bring(self) -> bool:
        """Ask for what is due; tell whether there may be more at once."""
        now = self._clock.now()
        with self._database.read() as tx:
            if not missing.due(tx, now, limit=1):
                return False
        with self._database.write() as tx:
            missing.settle(tx, before=now - _KEPT)
            due = missing.due(tx, now, _AT_ONCE)
        for row in due:
            try:
                self._bring_one(row)
            except Refused as refusal:
                self._refused(row, refusal)
            except Retry as trouble:
                self._postpone(row, trouble)
                return False
        return len(due) == _AT_ONCE

    def _is_sent_again(self, row: MissingDelivery) -> bool:
        """Tell whether GitHub is to send it once more, or else its payload is fetched."""
        return not self._polls and row.tries < TRIES_BEFORE_FETCHING

    def _bring_one(self, row: MissingDelivery) -> None:
        now = self._clock.now()
        if self._is_sent_again(row):
            self._log.redeliver(row.github_id)
            with self._database.write() as tx:
                missing.asked(tx, row.guid, now + _WAITS[row.tries])
            return
        event, body = self._log.fetch(row.github_id)
        with self._database.connection() as connection:
            deliveries.receive(connection, row.guid, event, body, now, origin="fetched")

    def _refused(self, row: MissingDelivery, refusal: Refused) -> None:
        """What GitHub does not send once more (422: "the endpoint has been spammed") may yet be fetched."""
        if not self._is_sent_again(row):
            self._give_up(row, str(refusal))
            return
        with self._database.write() as tx:
            missing.fetch_next(tx, row.guid, TRIES_BEFORE_FETCHING)

    def _postpone(self, row: MissingDelivery, trouble: Retry) -> None:
        """Ask again later, for as long as GitHub keeps it. A limit is none of the delivery's own failures."""
        is_limited = isinstance(trouble, Limited)
        pause = 0 if is_limited else min(30 * SECOND * 2**row.tries, _LONGEST_WAIT)
        until = self._clock.now() + max(round(trouble.after * SECOND), pause)
        _log.info("delivery %s is not here yet: %s", row.guid, trouble)
        with self._database.write() as tx:
            (missing.postpone if is_limited else missing.asked)(tx, row.guid, until)

    def _give_up(self, row: MissingDelivery, reason: str) -> None:
        _log.error("delivery %s is lost: %s", row.guid, reason)
        with self._database.write() as tx:
            missing.give_up(tx, row.guid, reason)
