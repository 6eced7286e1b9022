"""Commits beside other commits: which are to be compared, and what came of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import aliased

from bot.core.gates import Gate
from bot.core.report import metrics_of
from bot.core.report.comparison import ComparisonFacts, Place, ReferenceFacts
from bot.core.series import Series, Source
from bot.core.states import FINAL, State
from bot.core.trials import best as best_of
from bot.store import commits, experiments
from bot.store.checks import can_be_told
from bot.store.database import Transaction
from bot.store.schema import Attempt, Commit, Comparison, Experiment, PullHead, Repository, Run, RunTrigger
from bot.store.schema import Demand as DemandRow
from bot.store.searches import aim_of, judged_series
from bot.store.settled import Settled
from bot.store.verdicts import documents_of, gates_of, value_of

BASE, NEWEST, ASKED = "merge base", "newest", "asked"
"""How a reference is found: it is where the branches part, or else the newest that finished there, or was named."""

Known = Settled[ReferenceFacts]
_FINAL = tuple(str(state) for state in FINAL)


def compare_with(tx: Transaction, commit: Commit, label: str, reference: Commit | None, now: int) -> str:
    """Have a commit compared with another, which is called `label`; None: with what is found on that branch.

    Returns the answer for whoever asked.
    """
    row = see(tx, commit.id, label, now)
    if reference is not None:
        row.how, row.reference_id = ASKED, reference.id
    row.basis, row.reason, row.made_at = "", "", now
    tx.flush()
    commits.touch(tx, commit.id)
    return f"the figures stand beside those of `{label}`"


def see(tx: Transaction, commit_id: int, label: str, now: int) -> Comparison:
    """Return the row of a comparison, made at first sight."""
    row = tx.scalar(select(Comparison).where(Comparison.commit_id == commit_id, Comparison.label == label))
    if row is None:
        row = Comparison(commit_id=commit_id, label=label, how=BASE, reference_id=None, made_at=now)
        tx.add(row)
        tx.flush()
    return row


def of_commit(tx: Transaction, commit_id: int) -> Sequence[Comparison]:
    """Return the comparisons of a commit, that with its base first."""
    rows = tx.scalars(select(Comparison).where(Comparison.commit_id == commit_id).order_by(Comparison.id)).all()
    return sorted(rows, key=lambda row: row.how == ASKED)


# What is to be compared


@dataclass(frozen=True)
class Candidate:
    """A commit that may be compared, as it stands: `revision` grows with everything that its checks might show.

    `beside` does so with everything that may become of the commits that it stands beside.
    """

    commit_id: int
    revision: int
    beside: int = 0


def candidates(tx: Transaction, since: int) -> list[Candidate]:
    """Return the commits that somebody may want to see beside another: heads of pull requests, and those asked for.

    Of them those that came, or were compared for the last time, since then.
    """
    compared = exists().where(Comparison.commit_id == Commit.id)
    is_head = exists().where(PullHead.commit_id == Commit.id)
    is_wanted = ((Commit.created_at >= since) & (is_head | compared)) | compared.where(Comparison.made_at >= since)
    reference = aliased(Commit)
    beside = select(func.coalesce(func.sum(reference.revision), 0)).where(Comparison.commit_id == Commit.id)
    beside = beside.join(Comparison, Comparison.reference_id == reference.id).correlate(Commit)
    query = select(Commit.id, Commit.revision, beside.scalar_subquery()).where(is_wanted, *can_be_told())
    query = query.join(Repository, Commit.repository_id == Repository.id)
    return [Candidate(*row) for row in tx.execute(query.order_by(Commit.id))]


def bases(tx: Transaction, commit_id: int) -> list[tuple[str, str]]:
    """Return the branches that a commit is to be merged into, each with the commit that it had when that was seen."""
    rows = tx.scalars(select(DemandRow).where(DemandRow.commit_id == commit_id, DemandRow.number > 0))
    return list({row.base_branch: row.base_sha for row in rows.all()}.items())


def finished(tx: Transaction, commit_id: int) -> dict[Place, Attempt]:
    """Return the newest attempts that ended well and were read, if everything of the commit has ended; else nothing."""
    newest = dict(_attempts(tx, commit_id))
    if any(attempt.state not in _FINAL or attempt.retry_at is not None for attempt in newest.values()):
        return {}
    return {place: attempt for place, attempt in newest.items() if _is_well(attempt)}


def ended_well(tx: Transaction, commit_id: int) -> dict[Place, Attempt]:
    """Return the newest attempts that ended well and were read, whatever else of the commit runs, or runs again."""
    return {place: attempt for place, attempt in _attempts(tx, commit_id) if _is_well(attempt)}


def _is_well(attempt: Attempt) -> bool:
    return attempt.state == State.STOPPED and attempt.metrics_read_at is not None


def _attempts(tx: Transaction, commit_id: int) -> Iterator[tuple[Place, Attempt]]:
    """Yield the attempts of a commit, the newest last."""
    query = (
        select(Run.workflow, Experiment.step, Experiment.variant, Attempt)
        .join(Experiment, Attempt.experiment_id == Experiment.id)
        .join(Run, Experiment.run_id == Run.id)
        .where(Run.commit_id == commit_id)
        .order_by(Attempt.number)
    )
    return (((row[0], row[1], row[2]), row[3]) for row in tx.execute(query))


def is_under_way(tx: Transaction, commit_id: int) -> bool:
    """Tell whether anything of a commit has not come to its end."""
    query = select(Attempt.id).join(Experiment).join(Run).where(Run.commit_id == commit_id, experiments.UNDER_WAY)
    return tx.scalar(query.limit(1)) is not None


def newest_on(tx: Transaction, repository: Repository, branch: str, besides: int) -> Commit | None:
    """Return the newest commit pushed to a branch whose experiments have ended, and any of them well."""
    query = (
        select(Commit)
        .join(Run, Run.commit_id == Commit.id)
        .join(RunTrigger, RunTrigger.run_id == Run.id)
        .where(
            Commit.repository_id == repository.id,
            Commit.id != besides,
            RunTrigger.event == "push",
            RunTrigger.ref == f"refs/heads/{branch}",
        )
        .order_by(RunTrigger.id.desc())
        .limit(_LOOKED_AT)
    )
    return next((commit for commit in tx.scalars(query).unique() if finished(tx, commit.id)), None)


_LOOKED_AT = 50
"""How far back on a branch a finished commit is looked for, in workflows."""


# What is shown


def facts_of(tx: Transaction, commit: Commit, public_url: str | None, known: Known) -> Iterator[ComparisonFacts]:
    """Yield a commit's comparisons, each experiment judged by the gates that it has here.

    `public_url` None shows no pictures.
    """
    rows = of_commit(tx, commit.id)
    own = _own_gates(tx, commit.id) if rows else {}
    for row in rows:
        reference = None if row.reference_id is None else tx.get(Commit, row.reference_id)
        if reference is None:
            if row.reason:
                yield ComparisonFacts(row.label, row.how, reason=row.reason)
            continue
        has_picture = row.picture is not None and public_url is not None
        yield ComparisonFacts(
            row.label,
            row.how,
            reference.sha,
            reference.title,
            row.reason,
            _references(tx, reference, own, known),
            f"{public_url}/images/{row.picture}.png" if has_picture else None,
        )


def _own_gates(tx: Transaction, commit_id: int) -> dict[Place, tuple[Gate, ...]]:
    query = select(Run.workflow, Experiment).join(Run, Experiment.run_id == Run.id).where(Run.commit_id == commit_id)
    return {(workflow, row.step, row.variant): gates_of(row) for workflow, row in tx.execute(query)}


def _references(
    tx: Transaction, reference: Commit, own: Mapping[Place, tuple[Gate, ...]], known: Known
) -> dict[Place, ReferenceFacts]:
    found = {}
    for place, attempt in ended_well(tx, reference.id).items():
        if (gates := own.get(place)) is not None:
            key = (attempt.backend_id, attempt.metrics_read_at, gates)
            found[place] = known.get(key, lambda attempt=attempt, gates=gates: _reference(tx, attempt, gates))  # type: ignore[misc]
    return found


def _reference(tx: Transaction, attempt: Attempt, gates: Sequence[Gate]) -> ReferenceFacts:
    series = judged(tx, attempt)
    documents = documents_of(tx, attempt)
    values = {gate.name: value_of(gate, series, documents, attempt.metrics_problems) for gate in gates}
    experiment = tx.get_one(Experiment, attempt.experiment_id)
    logged = [one for one in series if one.source is not Source.SYSTEM and one.latest is not None]
    return ReferenceFacts(
        {name: value for name, value in values.items() if value is not None},
        {metric.label: metric.last for metric in metrics_of(logged)},
        plain({**experiment.params, "settings": attempt.settings}),
    )


def judged(tx: Transaction, attempt: Attempt) -> list[Series]:
    """Return the series that an attempt is judged by: of a search those of its best trial."""
    aim = aim_of(attempt.spec, attempt.facts)
    best = None if aim is None else best_of(experiments.trials(tx, attempt.id), aim[0])
    return judged_series(tx, attempt, best)


def plain(params: Mapping[str, Any]) -> dict[str, str]:
    """Return what a config says of how an experiment runs, flat and in words: what is none or empty is left out.

    Rows hold no credentials; the names of secrets stay names.
    """
    found: dict[str, str] = {}
    for name, value in params.items():
        if isinstance(value, Mapping):
            inner = plain(value)
            found |= inner if name in ("env", "matrix", "settings") else {f"{name}.{k}": v for k, v in inner.items()}
        elif isinstance(value, list):
            if value:
                found[name] = str(value)[:_LONGEST]
        elif value not in (None, "", False):
            found[name] = str(value)[:_LONGEST]
    return found


_LONGEST = 300
