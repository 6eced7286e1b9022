"""What attempts left behind: their models, and which of their files are still to be kept or to be swept away."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from bot.core.states import FINAL, State
from bot.store.database import Transaction
from bot.store.experiments import UNFINISHED
from bot.store.schema import Attempt, Commit, Experiment, Model, Repository, Run

ARTIFACTS, STORAGE = "artifacts", "storage"
"""Where a model may lie: the two directories that outlive a run."""
_FINAL = tuple(str(state) for state in FINAL)


@dataclass(frozen=True)
class ModelLine:
    """A model where others are told of: its page's id, its type, and how much it is (`size` in bytes)."""

    public_id: str
    type: str
    files: int
    size: int


@dataclass(frozen=True)
class ModelFile:
    """A file of a model: path below the model's, size in bytes, SHA-256 in hexadecimal digits."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class ModelPage:
    """All about a model. `path` is where the run saw it.

    `root` (`artifacts` or `storage`) and `below` say where its files lie; `storage_dir` is the project's storage on
    this machine. `metadata` is the document that the run wrote, as JSON text, None when it wrote none. `problems` are
    sentences about files that are not among `files`. `archive` is where the attempt's files were put.
    """

    experiment_id: int
    experiment: str
    view_token: str | None
    label: str
    full_name: str
    sha: str
    backend_id: str
    number: int
    type: str
    path: str
    files: tuple[ModelFile, ...]
    size: int
    root: str
    below: str
    storage_dir: str
    metadata: str | None
    problems: tuple[str, ...]
    created_at: int
    archive: str | None
    removed_at: int | None


@dataclass(frozen=True)
class Kept:
    """A finished attempt whose files are still to be kept, with the rows above it, and its model once it has one."""

    attempt: Attempt
    experiment: Experiment
    run: Run
    commit: Commit
    model: Model | None


@dataclass(frozen=True)
class Leftover:
    """What the sweeper asks of an attempt. `ended_at` is None while it is unfinished; `is_kept`: its files were."""

    attempt_id: int
    ended_at: int | None
    is_kept: bool


def unkept(tx: Transaction) -> Sequence[int]:
    """Return the ids of finished attempts, read to their end, whose files are still to be kept; oldest first."""
    where = (Attempt.kept_at.is_(None), Attempt.metrics_read_at.is_not(None), Attempt.state.in_(_FINAL))
    return tx.scalars(select(Attempt.id).where(*where).order_by(Attempt.id)).all()


def to_keep(tx: Transaction, attempt_id: int) -> Kept:
    """Return one of `unkept`."""
    query = (
        select(Attempt, Experiment, Run, Commit, Model)
        .join(Experiment, Attempt.experiment_id == Experiment.id)
        .join(Run, Experiment.run_id == Run.id)
        .join(Commit, Run.commit_id == Commit.id)
        .outerjoin(Model, Model.attempt_id == Attempt.id)
        .where(Attempt.id == attempt_id)
    )
    attempt, experiment, run, commit, model = tx.execute(query).one()
    return Kept(attempt, experiment, run, commit, model)


def add(tx: Transaction, model: Model) -> None:
    """Store the model of an attempt, unless it has one."""
    if tx.scalar(select(Model.id).where(Model.attempt_id == model.attempt_id)) is None:
        tx.add(model)
        tx.flush()


def of_attempt(tx: Transaction, attempt_id: int) -> ModelLine | None:
    """Return the model that an attempt left, None when it left none."""
    row = tx.scalar(select(Model).where(Model.attempt_id == attempt_id))
    return None if row is None else ModelLine(row.public_id, row.type, len(row.files), row.size)


def page(tx: Transaction, public_id: str) -> ModelPage | None:
    """Return all about a model, None when there is none of that id."""
    query = (
        select(Model, Attempt, Experiment, Run, Commit, Repository)
        .join(Attempt, Model.attempt_id == Attempt.id)
        .join(Experiment, Attempt.experiment_id == Experiment.id)
        .join(Run, Experiment.run_id == Run.id)
        .join(Commit, Run.commit_id == Commit.id)
        .join(Repository, Commit.repository_id == Repository.id)
        .where(Model.public_id == public_id)
    )
    found = tx.execute(query).one_or_none()
    if found is None:
        return None
    model, attempt, experiment, run, commit, repository = found
    variant = f" ({experiment.variant})" if experiment.variant else ""
    return ModelPage(
        experiment_id=experiment.id,
        experiment=experiment.public_id,
        view_token=experiment.view_token,
        label=f"{run.workflow} / {experiment.step}{variant}",
        full_name=f"{repository.owner}/{repository.name}",
        sha=commit.sha,
        backend_id=attempt.backend_id,
        number=attempt.number,
        type=model.type,
        path=model.path,
        files=tuple(ModelFile(**file) for file in model.files),
        size=model.size,
        root=model.details["root"],
        below=model.details["below"],
        storage_dir=attempt.spec["storage_dir"],
        metadata=model.details.get("metadata"),
        problems=tuple(model.details.get("problems", ())),
        created_at=model.created_at,
        archive=attempt.archive,
        removed_at=attempt.removed_at,
    )


def leftovers(tx: Transaction, backend_ids: Iterable[str]) -> Mapping[str, Leftover]:
    """Return the attempts of these names, by name; those that are not in the database are left out."""
    columns = select(Attempt.backend_id, Attempt.id, Attempt.state, Attempt.entered_at, Attempt.kept_at)
    rows = tx.execute(columns.where(Attempt.backend_id.in_(list(backend_ids))))
    return {
        name: Leftover(attempt_id, at if State(state).is_final else None, kept_at is not None)
        for name, attempt_id, state, at, kept_at in rows
    }


def repositories_at_work(tx: Transaction) -> set[int]:
    """Return GitHub's ids of the repositories that have unfinished attempts."""
    query = (
        select(Repository.github_id)
        .join(Commit, Commit.repository_id == Repository.id)
        .join(Run, Run.commit_id == Commit.id)
        .join(Experiment, Experiment.run_id == Run.id)
        .join(Attempt, Attempt.experiment_id == Experiment.id)
        .where(UNFINISHED)
        .distinct()
    )
    return set(tx.scalars(query))


def joined(below: str, path: str) -> str:
    """Return `path` below a relative directory that may be empty."""
    return f"{below}/{path}" if below else path
