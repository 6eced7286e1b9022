"""Station five: GitHub is made to show what it should. Level-triggered: what counts is the difference between the
desired view and what was last told, so a lost answer, a crash or a missed tick is mended by the next one.

Before a request that adds something leaves (a check, its annotations, a comment), the row says so (`sending_at`); its
answer takes that away. A row that still says so had no answer: GitHub is then asked first what is there, by the check's
external id, by how many annotations it has, by the comment's marker. Not at once: the request may still be on its way,
and what is not there yet would be added twice.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from bot.backends.base import Capabilities
from bot.clock import DAY, HOUR, MINUTE, SECOND, Clock
from bot.core.report import CheckView, CommentView, Renderer, desired_checks, desired_comment
from bot.core.text import MARKER, fenced
from bot.forge.checks import Annotation, CheckWrite, Conclusion, Level
from bot.forge.checks import Status as WireStatus
from bot.forge.client import Forge, Repo
from bot.forge.errors import Refused, Retry
from bot.settings import Settings
from bot.store import checks, commits, facts
from bot.store.checks import Desired, PendingCheck, PendingComment
from bot.store.database import Database, Transaction
from bot.store.facts import Surroundings
from bot.store.schema import Check, Comment, Commit, Repository
from bot.worker.each import Each

_AT_ONCE = 20
_PROGRESS_EVERY = 1 * MINUTE
_COMMENT_EVERY = 1 * MINUTE
_ON_ITS_WAY = 12 * SECOND
"""How long a creation without an answer may yet come true: GitHub ends every request that takes it ten seconds
(docs.github.com, "Troubleshooting the REST API")."""
_SHUT_OUT = frozenset({403, 404, 410, 451})
_SHUT_OUT_PAUSE, _LONGEST_PAUSE, _PATIENCE = 10 * MINUTE, 6 * HOUR, 3 * DAY
_REST = 5 * MINUTE
T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """Something to be told. Smaller `urgency` goes first: ends, then beginnings and changes, comments, progress."""

    installation: int
    urgency: int
    due: int
    is_progress: bool
    send: Callable[[], None]
    postpone: Callable[[int], None]
    refuse: Callable[[Exception], None]


class Report:
    """Works out what should be shown, and shows it."""

    name = "report"

    def __init__(
        self,
        database: Database,
        clock: Clock,
        forge: Forge,
        renderer: Renderer,
        settings: Settings,
        capabilities: Capabilities,
    ) -> None:
        self._database, self._clock = database, clock
        self._forge, self._renderer = forge, renderer
        self._settings, self._capabilities = settings, capabilities
        self._each = Each(clock)
        self._known = facts.Known()

    def tick(self) -> bool:
        self._work_out()
        return self._tell()

    def _work_out(self) -> None:
        """Write down what GitHub should show of every commit that has news."""
        with self._database.read() as tx:
            news = commits.with_news(tx, _AT_ONCE)
        self._each.do(news, lambda commit: f"reporting on {commit.sha}", self._work_out_one)

    def _work_out_one(self, commit: Commit) -> None:
        """What changes meanwhile stays news: `commit` has the revision from before all that is read here.

        Written in moments of its own: who has a million points to look through must not keep the door waiting.
        """
        with self._database.read() as tx:
            repository = facts.repository_of(tx, commit)
            around = self._surroundings(repository)
            wanted = self._wanted(tx, commit, repository, around)
        with self._database.write() as tx:
            checks.desire(tx, commit.id, wanted)
        # Comments tell of the roll-ups of earlier commits: that of this one must be written by now.
        with self._database.read() as tx:
            comments = {n: self._comment(tx, n, repository, around) for n in facts.pulls_of(tx, commit.id)}
        with self._database.write() as tx:
            for number, view in comments.items():
                if view is not None:
                    checks.desire_comment(tx, repository.id, number, view.body, view.digest(), view.is_final)
            commits.caught_up(tx, commit)

    def _surroundings(self, repository: Repository) -> Surroundings:
        settings = self._settings
        return Surroundings(
            public_url=settings.public_url,
            web_url=settings.web_url,
            isolation=self._capabilities.isolation,
            is_isolated=self._capabilities.is_isolated,
            shows_images=settings.shows_images(repository.is_private),
        )

    def _wanted(self, tx: Transaction, commit: Commit, repository: Repository, around: Surroundings) -> list[Desired]:
        views = desired_checks(facts.commit_facts(tx, commit, repository, around, self._known), self._renderer)
        ids = facts.experiment_ids(tx, commit.id)
        return [
            Desired(
                kind=view.kind,
                name=view.name,
                experiment_id=None if view.experiment is None else ids[view.experiment],
                view=view.to_json(),
                digest=view.digest(),
                headline=view.headline,
                is_final=view.is_final,
            )
            for view in views
        ]

    def _comment(
        self, tx: Transaction, number: int, repository: Repository, around: Surroundings
    ) -> CommentView | None:
        pull = facts.pull_facts(tx, number, repository, around, self._known)
        return None if pull is None else desired_comment(pull, self._renderer)

    def _tell(self) -> bool:
        """Send what is due, the most urgent first, as long as each installation may be written to."""
        with self._database.read() as tx:
            pending, comments = checks.pending(tx), checks.pending_comments(tx)
        orders = [*map(self._check_order, pending), *map(self._comment_order, comments)]
        now, sent = self._clock.now(), False
        for order in sorted(orders, key=lambda order: order.urgency):
            if order.due > now or self._forge.pacer.may_write(order.installation, is_progress=order.is_progress):
                continue
            self._send(order)
            sent = True
        return sent

    def _send(self, order: Order) -> None:
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
        is_shut_out = isinstance(refusal, Refused) and refusal.status in _SHUT_OUT
        if is_shut_out and now - since < _PATIENCE:
            wait = min(max(_SHUT_OUT_PAUSE, now - since), _LONGEST_PAUSE)
            return {"refused_at": since, "not_before": now + wait}
        may_go_bare = isinstance(row, Check) and row.refused is None and not is_shut_out
        return {"refused": reason, "is_pending": may_go_bare}

    # Checks

    def _check_order(self, pending: PendingCheck) -> Order:
        check = pending.check
        is_progress = check.told_headline == check.headline and not check.is_final
        earliest = (check.told_at or 0) + _PROGRESS_EVERY if is_progress else 0
        return Order(
            installation=pending.repository.installation_id,
            urgency=0 if check.is_final else 3 if is_progress else 1,
            due=max(check.not_before, earliest, _answered_by(check)),
            is_progress=is_progress,
            send=lambda: self._send_check(pending),
            postpone=lambda until: self._change(check, not_before=until),
            refuse=lambda refusal: self._change(check, **self._refused(check, refusal)),
        )

    def _send_check(self, pending: PendingCheck) -> None:
        check, repo, sha = pending.check, _repo(pending.repository), pending.commit.sha
        view = CheckView.from_json(check.desired)
        write = to_wire(view) if check.refused is None else bare(view, check.refused)
        if check.is_final and not check.told_final:
            self._change(check, told_final=True)
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
        self._change(check, sending_at=self._clock.now())
        try:
            return send()
        except Retry as trouble:
            if not trouble.maybe_written:
                self._change(check, sending_at=None)
            raise

    def _change(self, check: Check, **values: object) -> None:
        with self._database.write() as tx:
            checks.change(tx, check.id, **values)

    # Comments

    def _comment_order(self, pending: PendingComment) -> Order:
        comment = pending.comment
        earliest = 0 if comment.told_at is None else comment.told_at + _COMMENT_EVERY
        return Order(
            installation=pending.repository.installation_id,
            urgency=2,
            due=max(comment.not_before, earliest, _answered_by(comment)),
            is_progress=False,
            send=lambda: self._send_comment(pending),
            postpone=lambda until: self._change_comment(comment, not_before=until),
            refuse=lambda refusal: self._change_comment(comment, **self._refused(comment, refusal)),
        )

    def _send_comment(self, pending: PendingComment) -> None:
        comment, repo = pending.comment, _repo(pending.repository)
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
        self._change_comment(comment, sending_at=self._clock.now())
        try:
            return self._forge.create_comment(repo, comment.number, comment.desired)
        except Retry as trouble:
            if not trouble.maybe_written:
                self._change_comment(comment, sending_at=None)
            raise

    def _change_comment(self, comment: Comment, **values: object) -> None:
        with self._database.write() as tx:
            checks.change_comment(tx, comment.id, **values)


def _answered_by(row: Check | Comment) -> int:
    """Return when a creation that had no answer can be looked for; 0 when there is none."""
    return 0 if row.sending_at is None else row.sending_at + _ON_ITS_WAY


def _repo(repository: Repository) -> Repo:
    return Repo(repository.installation_id, repository.owner, repository.name)


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
