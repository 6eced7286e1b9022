"""Station one: a delivery becomes runs, experiments and attempts — or a request of a person, or a reason why not.

A delivery is looked at until something can be said of it: git or GitHub not answering only postpones it.
"""

import logging
from collections.abc import Iterator

from bot.clock import DAY, HOUR, MINUTE, SECOND, Clock, time_of
from bot.core import commands, events
from bot.core.commands import Command, Misunderstood, Verb
from bot.core.payloads import parse
from bot.forge.client import Forge
from bot.forge.errors import ForgeError
from bot.forge.git import GitError
from bot.store import commits, deliveries, requests
from bot.store.database import Busy, Database, Transaction
from bot.store.schema import Delivery, Request
from bot.worker import builds
from bot.worker.build import Builder, Nothing
from bot.worker.following import Follower
from bot.worker.outcome import Outcome
from bot.worker.reach import Reach

_AT_ONCE = 20
_TRIES = 8
_KEPT = 30 * DAY
_LONGEST_WAIT = 5 * MINUTE
_PATIENCE = 1 * DAY
"""How long git or GitHub may be away before a delivery is given up."""
_ONE_CLICK = 10 * SECOND
_log = logging.getLogger(__name__)


class Intake:
    """Reads deliveries in the order in which they came and writes down what each asks for."""

    name = "intake"

    def __init__(self, database: Database, clock: Clock, forge: Forge, builder: Builder) -> None:
        self._database, self._clock, self._credentials, self._builder = database, clock, forge.credentials, builder
        self._follower, self._reach = Follower(database, clock), Reach(database, forge)
        self._next_sweep = 0

    def tick(self) -> bool:
        with self._database.read() as tx:
            waiting = deliveries.waiting(tx, self._clock.now(), _AT_ONCE)
        for delivery in waiting:
            self._take(delivery)
        self._forget()
        return len(waiting) == _AT_ONCE

    def _forget(self) -> None:
        """Delete old deliveries, once in an hour. GitHub redelivers for three days; we remember for thirty."""
        now = self._clock.now()
        if now >= self._next_sweep:
            self._next_sweep = now + HOUR
            with self._database.write() as tx:
                deliveries.forget(tx, before=now - _KEPT)

    def _take(self, delivery: Delivery) -> None:
        event = parse(delivery.event, delivery.body)
        if isinstance(event, events.Ignored):
            self._conclude(delivery, Outcome("ignored", event.reason))
        elif isinstance(event, events.Unreadable):
            self._conclude(delivery, Outcome("unreadable", event.reason))
        else:
            self._try(delivery, event)

    def _try(self, delivery: Delivery, event: events.Event) -> None:
        try:
            outcome = self._handle(delivery, event)
        except (GitError, ForgeError) as error:
            may_pass = error.is_retryable or error.is_shut_out
            is_late = self._clock.now() - delivery.received_at > _PATIENCE
            self._stumbled(delivery, str(error), is_final=is_late or not may_pass)
        except Busy:
            raise  # no word against the delivery: it is looked at again, from its beginning
        except Exception as error:
            # A fault of ours. The deliveries behind this one must not wait for its repair.
            _log.exception("delivery %s could not be taken in", delivery.guid)
            is_final = delivery.tries + 1 >= _TRIES
            self._stumbled(delivery, f"a fault of the bot: {type(error).__name__}", is_final=is_final)
        else:
            self._conclude(delivery, outcome)

    def _stumbled(self, delivery: Delivery, reason: str, *, is_final: bool) -> None:
        """Look at a delivery again later, unless that is useless."""
        if is_final:
            self._conclude(delivery, Outcome("failed", reason))
            return
        _log.warning("delivery %s waits: %s", delivery.guid, reason)
        until = self._clock.now() + min(2**delivery.tries * SECOND, _LONGEST_WAIT)
        with self._database.write() as tx:
            deliveries.postpone(tx, delivery.id, reason, until)

    def _conclude(self, delivery: Delivery, outcome: Outcome) -> None:
        with self._database.write() as tx:
            deliveries.conclude(tx, delivery.id, outcome.state, outcome.reason, self._clock.now())

    def _handle(self, delivery: Delivery, event: events.Event) -> Outcome:
        match event:
            case events.PullRequestChanged(is_open=False):
                return self._follower.close(event, is_look=delivery.origin == "scan")
            case events.PushReceived() | events.MergeGroupRequested() | events.PullRequestChanged():
                return self._build(event)
            case events.CommentMade() | events.RerunAsked() | events.ActionAsked():
                return self._ask(delivery, event)
            case events.InstallationChanged():
                # Tokens keep the permissions that they were made with; these may be others now.
                self._credentials.forget_all(event.installation_id)
                return self._follower.follow(self._reach.without_given_back(event))
            case _:
                return self._follower.follow(event)

    def _build(self, event: events.Wanted) -> Outcome:
        if self._reach.is_lost(event.repository):
            return Outcome("ignored", "the App was taken off this repository")
        if isinstance(event, events.MergeGroupRequested) and self._follower.is_gone(event):
            return Outcome("ignored", "the merge queue needs it no more: its end was told before this")
        build = builds.of_event(event)
        decision = self._builder.decide(build)
        with self._database.write() as tx:
            if isinstance(decision, Nothing):
                if decision.supersedes:
                    self._builder.supersede(tx, build)
                outcome = Outcome("ignored", decision.reason)
            else:
                self._builder.apply(tx, decision)
                self._follower.let_in(tx, event.repository)
                outcome = Outcome("done", decision.outcome)
            if isinstance(event, events.PushReceived):
                self._follower.see_push(tx, event)
        return outcome

    # What people ask for

    def _ask(self, delivery: Delivery, event: events.Asked) -> Outcome:
        """Write down what a person asks for. The answer station does it, or says why not."""
        now = self._clock.now()
        with self._database.write() as tx:
            repository = commits.see_repository(tx, event.repository, now)
            asked, new = [*requests_of(delivery, event)], 0
            for request in asked:
                request.repository_id, request.created_at = repository.id, now
                if requests.find(tx, request.key) is None and self._is_one_click(tx, request, now):
                    return Outcome("ignored", "the same was clicked a moment before")
                new += requests.put(tx, request)
        if not asked:
            return Outcome("ignored", "a comment without a command")
        said = f"{event.sender} asks: {', '.join(request.verb for request in asked)}"
        return Outcome("done", said if new else f"{said} (written down before: nothing is done twice)")

    def _is_one_click(self, tx: Transaction, request: Request, now: int) -> bool:
        """Tell whether the same button was pressed a moment before."""
        return request.source != "comment" and requests.is_repeated(tx, request, since=now - _ONE_CLICK)


def requests_of(delivery: Delivery, event: events.Asked) -> Iterator[Request]:
    """Yield the rows of what is asked for, as yet of no repository."""
    match event:
        case events.CommentMade():
            asked_at = _asked_at(event, delivery)
            for place, found in enumerate(commands.find(event.body)):
                yield _of_comment(event, found, place, asked_at)
        case events.RerunAsked():
            # One that was pressed for all of a commit names no check.
            names = [] if event.check_id is not None else ["all"]
            yield _of_click(delivery, event.sha, event.sender, Verb.RERUN, event.check_id, names)
        case events.ActionAsked():
            verb, names = ACTIONS.get(event.identifier, (None, []))
            if verb is not None:
                given = [event.sha] if verb is Verb.APPROVE else names
                yield _of_click(delivery, event.sha, event.sender, verb, event.check_id, given)


ACTIONS: dict[str, tuple[Verb | None, list[str]]] = {
    "rerun-failed": (Verb.RERUN, ["failed"]),
    "approve": (Verb.APPROVE, []),
    "compare": (Verb.COMPARE, []),
    "run": (Verb.RUN, []),
}
"""What the buttons mean that we put on checks, by their identifiers."""


def _asked_at(event: events.CommentMade, delivery: Delivery) -> int:
    try:
        return time_of(event.created_at)
    except ValueError:
        return delivery.received_at


def _of_comment(event: events.CommentMade, found: Command | Misunderstood, place: int, asked_at: int) -> Request:
    request = Request(
        key=f"comment/{event.comment_id}/{place}",
        number=event.number,
        sha="",
        source="comment",
        sender=event.sender,
        comment_id=event.comment_id,
        asked_at=asked_at,
        verb="",
        names=[],
        settings={},
    )
    if isinstance(found, Misunderstood):
        request.names, request.settings = [found.line], {"why": found.why}
    else:
        request.verb, request.names, request.settings = found.verb, list(found.names), dict(found.settings)
    return request


def _of_click(delivery: Delivery, sha: str, sender: str, verb: Verb, check_id: int | None, names: list[str]) -> Request:
    return Request(
        key=f"click/{delivery.guid}",
        number=0,
        sha=sha,
        source="click",
        sender=sender,
        check_id=check_id,
        asked_at=delivery.received_at,
        verb=verb,
        names=names,
        settings={},
    )
