"""GitHub is told what it should show: one writer for each installation, the most urgent first.

Before a request that adds something leaves (a check, its annotations, a comment), the row says so (`sending_at`); its
answer takes that away. A row that still says so had no answer: GitHub is then asked first what is there, by the check's
external id, by how many annotations it has, by the comment's marker. Not at once: the request may still be on its way,
and what is not there yet would be added twice.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TypeVar

from bot.clock import DAY, HOUR, MINUTE, SECOND, Clock
from bot.core.report import CheckView
from bot.core.text import MARKER, fenced
from bot.forge.checks import Action, Annotation, CheckWrite, Conclusion, Level
from bot.forge.checks import Status as WireStatus
from bot.forge.client import Forge, Repo
from bot.forge.errors import Refused, Retry
from bot.store import checks, requests
from bot.store.checks import DueCheck, DueComment
from bot.store.database import Database
from bot.store.schema import Check, Comment, Repository, Request
from bot.worker.repo import repo_of

_PROGRESS_EVERY = 1 * MINUTE
_COMMENT_EVERY = 30 * SECOND
_ON_ITS_WAY = 12 * SECOND
"""How long a creation without an answer may yet come true: GitHub ends every request that takes it ten seconds
(docs.github.com, "Troubleshooting the REST API")."""
_GONE = 404
_SHUT_OUT_PAUSE, _LONGEST_PAUSE, _PATIENCE = 10 * MINUTE, 6 * HOUR, 3 * DAY
_REST, _ANOTHER_TRY = 5 * MINUTE, 5 * SECOND
_MOST_HEALED = 1
T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """Something to be told. Smaller `urgency` goes first: answers and ends, then changes, comments, progress."""

    installation: int
    urgency: int
    due: int
    is_progress: bool
    send: Callable[[], None]
    postpone: Callable[[int], None]
    refuse: Callable[[Exception], None]


class Teller:
    """Sends what is due. Each installation has one request under way at a time, whatever another's GitHub does.

    The requests leave in threads of `pool`: one that GitHub lets wait holds up its own installation only.
    """

    def __init__(self, database: Database, clock: Clock, forge: Forge, pool: Executor) -> None:
        self._database, self._clock, self._forge, self._pool = database, clock, forge, pool
        self._busy: set[int] = set()
        self._known: set[int] = set()
        self._lock = threading.Lock()

    def tell(self) -> bool:
        """Begin to send the most urgent thing that is due to each installation; tell whether there was any."""
        closed = self._closed()
        with self._database.read() as tx:
            due, comments = checks.due(tx, closed), checks.due_comments(tx, closed)
            reactions = requests.reactions(tx, closed)
        orders = [
            *map(self._check_order, due),
            *map(self._comment_order, comments),
            *(self._reaction_order(request, repository) for request, repository in reactions),
        ]
        now = self._clock.now()
        first: dict[int, Order] = {}
        for order in sorted(orders, key=lambda order: order.urgency):
            if order.due <= now:
                first.setdefault(order.installation, order)
        self._known |= first.keys()
        for order in first.values():
            if self._takes_turn(order):
                self._pool.submit(self._send, order)
        return bool(first)

    def _closed(self) -> set[int]:
        """Return the installations to which nothing can leave now: what there is for them need not be looked at."""
        with self._lock:
            busy = set(self._busy)
        return {one for one in self._known if one in busy or self._forge.pacer.may_write(one)}

    def _takes_turn(self, order: Order) -> bool:
        """Tell whether this order may leave now; nothing else leaves to its installation until it has come back."""
        with self._lock:
            if order.installation in self._busy:
                return False
            if self._forge.pacer.may_write(order.installation, is_progress=order.is_progress):
                return False
            self._busy.add(order.installation)
            return True

    def _send(self, order: Order) -> None:
        try:
            self._try(order)
        except Exception:
            # The database: the row is as it was, and is looked at again.
            _log.exception("what was told could not be written down")
        finally:
            with self._lock:
                self._busy.discard(order.installation)

    def _try(self, order: Order) -> None:
        try:
            order.send()
        except Retry as trouble:
            _log.warning("told later: %s", trouble)
            order.postpone(self._clock.now() + round(max(trouble.after, 0.5) * SECOND))
        except (Refused, ValueError) as refusal:
            # ValueError: what was to be sent is not what GitHub takes.
            _log.error("GitHub does not take this: %s", refusal)
            order.refuse(refusal)
        except Exception:
            # A fault of ours, or a row of another version: it must not keep all others from being told.
            _log.exception("something could not be told")
            order.postpone(self._clock.now() + _REST)

    def _refused(self, row: Check | Comment, refusal: Exception) -> dict[str, object]:
        """Return what becomes of a row that GitHub does not take.

        Where it does not let us in (the App is not installed there just now, a permission is not granted yet), ask
        again, ever less often: else a check would wait for ever although its App is back. What it does not understand
        it never will: a check goes without its words then, for its conclusion is waited for.
        """
        now, reason = self._clock.now(), str(refusal)
        since = now if row.refused_at is None else row.refused_at
        is_shut_out = isinstance(refusal, Refused) and refusal.is_shut_out
        if is_shut_out and now - since < _PATIENCE:
            wait = min(max(_SHUT_OUT_PAUSE, now - since), _LONGEST_PAUSE)
            return {"refused_at": since, "not_before": now + wait}
        may_go_bare = isinstance(row, Check) and row.refused is None and not is_shut_out
        return {"refused": reason, "is_pending": may_go_bare, "not_before": now + _ANOTHER_TRY}

    # Checks

    def _check_order(self, due: DueCheck) -> Order:
        is_progress = due.is_told_as_far_as_seen and not due.is_final
        earliest = (due.told_at or 0) + _PROGRESS_EVERY if is_progress else 0
        return Order(
            installation=due.installation_id,
            urgency=0 if due.is_final else 3 if is_progress else 1,
            due=max(due.not_before, earliest, _answered_by(due.sending_at)),
            is_progress=is_progress,
            send=lambda: self._send_check(due),
            postpone=lambda until: self._change(due.id, not_before=until),
            refuse=lambda refusal: self._refuse_check(due, refusal),
        )

    def _refuse_check(self, due: DueCheck, refusal: Exception) -> None:
        with self._database.write() as tx:
            check = checks.get(tx, due.id).check
            checks.change(tx, due.id, **self._refused(check, refusal))

    def _send_check(self, due: DueCheck) -> None:
        # In one moment: a view that is not final any more must not be put over a final one that is about to leave.
        with self._database.write() as tx:
            pending = checks.get(tx, due.id)
            if pending.check.is_final and not pending.check.told_final:
                checks.change(tx, due.id, told_final=True)
        check, repo, sha = pending.check, repo_of(pending.repository), pending.commit.sha
        view = CheckView.from_json(check.desired)
        write = to_wire(view) if check.refused is None else bare(view, check.refused)
        github_id, annotations = check.github_id, len(write.annotations)
        if github_id is None and check.sending_at is not None:
            github_id = self._forge.find_check(repo, sha, check.name, str(check.id))
        if github_id is None:
            github_id = self._once(check, lambda: self._forge.create_check(repo, sha, write, str(check.id)))
        else:
            annotations = self._update_check(check, repo, github_id, write)
        with self._database.write() as tx:
            checks.told(tx, check, github_id, self._clock.now(), annotations)

    def _update_check(self, check: Check, repo: Repo, github_id: int, write: CheckWrite) -> int:
        """Make GitHub's check like `write`, with the annotations that it lacks; return how many it has then."""
        # Where the last request had no answer, GitHub is asked.
        is_known = check.sending_at is None
        there = check.told_annotations if is_known else self._forge.count_annotations(repo, github_id)
        if there >= len(write.annotations):
            self._forge.update_check(repo, github_id, write)
            return there
        self._once(check, lambda: self._forge.update_check(repo, github_id, write, annotations_from=there))
        return len(write.annotations)

    def _once(self, check: Check, send: Callable[[], T]) -> T:
        """Send what must not be sent twice: the row says that it is on its way, until there is an answer."""
        self._change(check.id, sending_at=self._clock.now())
        try:
            return send()
        except Retry as trouble:
            if not trouble.maybe_written:
                self._change(check.id, sending_at=None)
            raise

    def _change(self, check_id: int, **values: object) -> None:
        with self._database.write() as tx:
            checks.change(tx, check_id, **values)

    # Comments

    def _comment_order(self, due: DueComment) -> Order:
        earliest = 0 if due.told_at is None else due.told_at + _COMMENT_EVERY
        return Order(
            installation=due.installation_id,
            urgency=2,
            due=max(due.not_before, earliest, _answered_by(due.sending_at)),
            is_progress=False,
            send=lambda: self._send_comment(due),
            postpone=lambda until: self._change_comment(due.id, not_before=until),
            refuse=lambda refusal: self._refuse_comment(due, refusal),
        )

    def _refuse_comment(self, due: DueComment, refusal: Exception) -> None:
        with self._database.write() as tx:
            comment = checks.get_comment(tx, due.id).comment
            is_gone = isinstance(refusal, Refused) and refusal.status == _GONE and comment.github_id is not None
            if is_gone:
                # Somebody deleted it, or the App lost its place: the next attempt tells.
                checks.lose_comment(tx, comment, is_made_again=comment.healed < _MOST_HEALED)
            else:
                checks.change_comment(tx, due.id, **self._refused(comment, refusal))

    def _send_comment(self, due: DueComment) -> None:
        with self._database.read() as tx:
            pending = checks.get_comment(tx, due.id)
        comment, repo = pending.comment, repo_of(pending.repository)
        github_id = comment.github_id
        if github_id is None and comment.sending_at is not None:
            github_id = self._forge.find_comment(repo, comment.number, MARKER)
        if github_id is None:
            github_id = self._create_comment(comment, repo)
        else:
            self._forge.update_comment(repo, comment.number, github_id, comment.desired)
        with self._database.write() as tx:
            checks.told_comment(tx, comment, github_id, self._clock.now())

    def _create_comment(self, comment: Comment, repo: Repo) -> int:
        self._change_comment(comment.id, sending_at=self._clock.now())
        try:
            return self._forge.create_comment(repo, comment.number, comment.desired)
        except Retry as trouble:
            if not trouble.maybe_written:
                self._change_comment(comment.id, sending_at=None)
            raise

    def _change_comment(self, comment_id: int, **values: object) -> None:
        with self._database.write() as tx:
            checks.change_comment(tx, comment_id, **values)

    # Reactions

    def _reaction_order(self, request: Request, repository: Repository) -> Order:
        def done(_refusal: Exception | None = None) -> None:
            with self._database.write() as tx:
                requests.reacted(tx, request.comment_id or 0, self._clock.now())

        def send() -> None:
            number, comment = request.number, request.comment_id or 0
            self._forge.react(repo_of(repository), number, comment, request.reaction or "eyes")
            done()

        def postpone(until: int) -> None:
            with self._database.write() as tx:
                requests.change(tx, request.id, not_before=until)

        # Whoever deleted the comment wants no answer.
        return Order(repository.installation_id, 0, request.not_before, False, send, postpone, done)


def _answered_by(sending_at: int | None) -> int:
    """Return when a creation that had no answer can be looked for; 0 when there is none."""
    return 0 if sending_at is None else sending_at + _ON_ITS_WAY


def to_wire(view: CheckView) -> CheckWrite:
    """Return a view in the form in which the forge writes it."""
    return CheckWrite(
        name=view.name,
        status=WireStatus(view.status),
        conclusion=None if view.conclusion is None else Conclusion(view.conclusion),
        title=view.title,
        summary=view.summary,
        text=view.text or "",
        details_url=view.details_url or "",
        started_at=view.started_at,
        completed_at=view.completed_at,
        annotations=tuple(_annotations(view)),
        actions=tuple(Action(one.label, one.description, one.identifier) for one in view.actions),
    )


def bare(view: CheckView, refusal: str) -> CheckWrite:
    """Return what counts of a view that GitHub did not take: its status and conclusion, and why there is no more."""
    return CheckWrite(
        name=view.name,
        status=WireStatus(view.status),
        conclusion=None if view.conclusion is None else Conclusion(view.conclusion),
        title="The report itself could not be shown",
        summary=f"GitHub did not take this report's words. It said:\n\n{fenced(refusal, limit=1_000)}",
    )


def _annotations(view: CheckView) -> Iterator[Annotation]:
    for one in view.annotations:
        yield Annotation(
            path=one.path,
            start_line=one.line,
            end_line=one.line,
            message=one.message,
            level=Level(one.level),
            title=one.title,
            start_column=one.column,
        )
