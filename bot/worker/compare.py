"""Station: a commit is put beside the one where its branch parts from its base, or beside what somebody named.

What belongs together is found here, and the curves of both are drawn; the figures are worked out when a report is made.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from bot.clock import DAY, MINUTE, SECOND, Clock
from bot.core.report.comparison import Place
from bot.core.report.views import digest
from bot.core.series import Series, Source
from bot.forge.client import Forge
from bot.metrics.panels import beside
from bot.metrics.pictures import PictureStore
from bot.store import commits, comparisons
from bot.store.comparisons import ASKED, BASE, NEWEST, Candidate
from bot.store.database import Database, Transaction
from bot.store.schema import Attempt, Commit, Comparison, Experiment, Repository
from bot.store.verdicts import gates_of
from bot.worker.each import Each
from bot.worker.repo import repo_of

_EVERY = 2 * SECOND
_AGAIN = 1 * MINUTE
"""How often a commit is looked at whose base has nothing to compare with yet."""
_PATIENCE = 1 * DAY
"""For how long after a commit."""
_YOUNG, _RECENT = 2 * DAY, 30 * DAY
"""Up to which age commits are looked at each time, and once a minute: few change later, and there are many of them."""
_MOST = 6
"""Panels of a picture."""


class Compare:
    """Keeps comparisons up to date. A commit is looked at when something about it has changed."""

    name = "compare"

    def __init__(self, database: Database, clock: Clock, forge: Forge, pictures: PictureStore) -> None:
        self._database, self._clock, self._forge, self._pictures = database, clock, forge, pictures
        self._next = self._next_of_all = 0
        self._seen: dict[int, tuple[int, int, int]] = {}
        """The revisions that each commit, and those beside it, had when it was last looked at, and when to look again
        all the same."""
        self._parted: dict[tuple[int, str, str], str | None] = {}
        self._each = Each(clock)

    def tick(self) -> bool:
        now = self._clock.now()
        if now < self._next:
            return False
        self._next = now + _EVERY
        is_all = now >= self._next_of_all
        with self._database.read() as tx:
            found = comparisons.candidates(tx, since=now - (_RECENT if is_all else _YOUNG))
        due = [one for one in found if self._is_due(one, now)]
        self._each.do(due, lambda one: f"comparing commit {one.commit_id}", self._look)
        if is_all:
            self._next_of_all = now + _AGAIN
            self._seen = {one.commit_id: self._seen[one.commit_id] for one in found if one.commit_id in self._seen}
        return False

    def _is_due(self, one: Candidate, now: int) -> bool:
        revision, beside, again = self._seen.get(one.commit_id, (-1, -1, 0))
        return (one.revision, one.beside) != (revision, beside) or (0 < again <= now)

    def _look(self, one: Candidate) -> None:
        now = self._clock.now()
        with self._database.read() as tx:
            commit = tx.get_one(Commit, one.commit_id)
            repository = tx.get_one(Repository, commit.repository_id)
            ours = comparisons.finished(tx, commit.id)
            rows = {row.label: row for row in comparisons.of_commit(tx, commit.id)}
            bases = dict(comparisons.bases(tx, commit.id))
        labels = [*bases, *(label for label in rows if label not in bases)]
        is_waiting, written = False, 0
        for label in labels if ours else ():
            row = rows.get(label)
            if row is not None and _is_kept(row, commit, now):
                how, reference, is_settled = row.how, row.reference_id, True
            else:
                how, reference, is_settled = self._find(repository, commit, label, bases.get(label, ""))
            is_waiting = is_waiting or not is_settled
            written += self._compare(commit, label, how, reference, ours)
        looks_again = is_waiting and now - commit.created_at < _PATIENCE
        # Its own news it knows; what else became news meanwhile, while GitHub was asked, is looked at once more.
        self._seen[commit.id] = commit.revision + written, one.beside, now + _AGAIN if looks_again else 0

    def _find(self, repository: Repository, commit: Commit, branch: str, base_sha: str) -> tuple[str, int | None, bool]:
        """Return how the commit was found that this one is put beside, its row, and whether it will stay that one.

        The row is None while there is none.
        """
        parts_at = self._parts_at(repository, base_sha, commit.sha) if base_sha else None
        with self._database.read() as tx:
            is_other = parts_at != commit.sha
            base = commits.find(tx, repository.github_id, parts_at) if parts_at and is_other else None
            if base is not None and comparisons.ended_well(tx, base.id):
                return BASE, base.id, True
            newest = comparisons.newest_on(tx, repository, branch, besides=commit.id)
            is_settled = newest is not None and (base is None or not comparisons.is_under_way(tx, base.id))
        return NEWEST, None if newest is None else newest.id, is_settled

    def _parts_at(self, repository: Repository, base: str, head: str) -> str | None:
        """Return where two commits part. It never changes, so GitHub is asked once."""
        key = (repository.github_id, base, head)
        if key not in self._parted:
            where = repo_of(repository)
            self._parted[key] = self._forge.merge_base(where, base, head)
        return self._parted[key]

    def _compare(
        self, commit: Commit, label: str, how: str, reference_id: int | None, ours: dict[Place, Attempt]
    ) -> bool:
        """Write down what is new of a comparison; tell whether anything was."""
        with self._database.read() as tx:
            theirs = {} if reference_id is None else comparisons.ended_well(tx, reference_id)
            row = next((one for one in comparisons.of_commit(tx, commit.id) if one.label == label), None)
        both = {place: (ours[place], theirs[place]) for place in ours if place in theirs}
        reason = "" if both else _why_not(how, reference_id)
        basis = digest([how, reference_id, reason, *(_mark(a) + _mark(b) for a, b in both.values())])
        if row is not None and row.basis == basis:
            return False
        picture = self._picture(commit, label, both) if both else None
        values = {"how": how, "reference_id": reference_id, "reason": reason, "basis": basis, "picture": picture}
        with self._database.write() as tx:
            self._write(tx, commit, label, values)
        return True

    def _write(self, tx: Transaction, commit: Commit, label: str, values: Mapping[str, object]) -> None:
        row: Comparison = comparisons.see(tx, commit.id, label, self._clock.now())
        for name, value in values.items():
            setattr(row, name, value)
        row.made_at = self._clock.now()
        commits.touch(tx, commit.id)

    def _picture(self, commit: Commit, label: str, both: dict[Place, tuple[Attempt, Attempt]]) -> str | None:
        with self._database.read() as tx:
            series = [one for place, pair in both.items() for one in _curves(tx, place, pair, label, len(both) > 1)]
            rules = [gate for mine, _ in both.values() for gate in gates_of(tx.get_one(Experiment, mine.experiment_id))]
        return self._pictures.draw(f"{commit.sha[:7]} and {label}", series[: 2 * _MOST * len(both)], rules)


def _is_kept(row: Comparison, commit: Commit, now: int) -> bool:
    """Tell whether a commit stays beside what it was put beside.

    What somebody named does, and so does the commit where it parts from its base: a new worker need not ask GitHub of
    each pull request again. What stood in for that one may be replaced as long as it is waited for.
    """
    if row.how == ASKED:
        return True
    return row.reference_id is not None and (row.how == BASE or now - commit.created_at > _PATIENCE)


def _curves(
    tx: Transaction, place: Place, pair: tuple[Attempt, Attempt], label: str, is_one_of_many: bool
) -> Iterator[Series]:
    """Yield the series that both logged, as two runs of one tag."""
    prefix = f"{place[0]} / {place[1]} " if is_one_of_many else ""
    ours, theirs = ([one for one in comparisons.judged(tx, attempt) if _is_curve(one)] for attempt in pair)
    for one in beside(ours, theirs, label):
        yield replace(one, tag=f"{prefix}{one.tag}")


def _is_curve(one: Series) -> bool:
    return one.source is not Source.SYSTEM and len(one.points) > 1


def _why_not(how: str, reference_id: int | None) -> str:
    if how == ASKED:
        return "no experiment of both commits has ended well"
    if reference_id is None:
        return "nothing has finished there yet"
    return "no experiment of both commits has ended well"


def _mark(attempt: Attempt) -> str:
    return f"{attempt.backend_id}/{attempt.metrics_read_at}"
